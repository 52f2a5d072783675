-- What the quality tests say, as technicians and dashboards read it.
SET LOCAL ROLE tonne_owner;

CREATE VIEW v_quality_day AS
SELECT (f.time AT TIME ZONE s.timezone)::date AS day, f.device_id, d.site, d.class, f.channel, f.test,
       count(*) AS readings
FROM quality_flag f
JOIN device d ON d.id = f.device_id
JOIN site s ON s.id = d.site
GROUP BY (f.time AT TIME ZONE s.timezone)::date, f.device_id, d.site, d.class, f.channel, f.test;

-- The clock of each device: its offset on the last day that it was heard, and
-- what that changes by over the last two weeks.  Ahead is above zero.
CREATE VIEW v_device_clock AS
SELECT d.id AS device_id, newest.day,
       -newest.least_us / 1e6::double precision AS offset_s,
       drift.s_per_day AS drift_s_per_day,
       CASE
           WHEN newest.least_us < -60e6 THEN 'ahead'
           WHEN newest.least_us > 300e6 THEN 'behind'
           WHEN drift.days >= 5 AND abs(drift.s_per_day) > 10 THEN 'drifting'
           ELSE 'good'
       END AS clock
FROM device d
CROSS JOIN LATERAL (
    SELECT l.day, l.least_us FROM clock_lag l WHERE l.device_id = d.id ORDER BY l.day DESC LIMIT 1
) newest
CROSS JOIN LATERAL (
    SELECT count(*) AS days, regr_slope(-l.least_us / 1e6::double precision, l.day - newest.day) AS s_per_day
    FROM clock_lag l WHERE l.device_id = d.id AND l.day > newest.day - 14
) drift;

CREATE OR REPLACE VIEW v_device_health AS
SELECT seen.device_id, seen.site, seen.class, seen.gateway, seen.last_reading,
       extract(epoch FROM now() - seen.last_reading)::double precision AS silent_s,
       CASE
           WHEN seen.last_reading IS NULL OR seen.last_reading < now() - INTERVAL '2 hours' THEN 'offline'
           WHEN seen.last_reading < now() - INTERVAL '30 minutes' THEN 'late'
           ELSE 'online'
       END AS state,
       c.offset_s AS clock_offset_s, c.drift_s_per_day AS clock_drift_s_per_day, c.clock,
       (SELECT count(*) FROM quality_flag f WHERE f.device_id = seen.device_id
            AND f.time > now() - INTERVAL '1 day') AS flags_last_day
FROM (
    SELECT d.id AS device_id, d.site, d.class, d.gateway, d.removed,
           CASE d.class
               WHEN 'pv_inverter' THEN (SELECT r.time FROM reading_pv_inverter r WHERE r.device_id = d.id ORDER BY r.time DESC LIMIT 1)
               WHEN 'ev_charger' THEN (SELECT r.time FROM reading_ev_charger r WHERE r.device_id = d.id ORDER BY r.time DESC LIMIT 1)
               WHEN 'vehicle' THEN (SELECT r.time FROM reading_vehicle r WHERE r.device_id = d.id ORDER BY r.time DESC LIMIT 1)
               WHEN 'energy_meter' THEN (SELECT r.time FROM reading_energy_meter r WHERE r.device_id = d.id ORDER BY r.time DESC LIMIT 1)
               WHEN 'air_station' THEN (SELECT r.time FROM reading_air_station r WHERE r.device_id = d.id ORDER BY r.time DESC LIMIT 1)
               WHEN 'noise_station' THEN (SELECT r.time FROM reading_noise_station r WHERE r.device_id = d.id ORDER BY r.time DESC LIMIT 1)
               WHEN 'wastewater_plant' THEN (SELECT r.time FROM reading_wastewater_plant r WHERE r.device_id = d.id ORDER BY r.time DESC LIMIT 1)
           END AS last_reading
    FROM device d
    OFFSET 0  -- a fence: without it each use of last_reading would look it up again
) seen
LEFT JOIN v_device_clock c ON c.device_id = seen.device_id
WHERE seen.removed IS NULL OR seen.removed > now();

-- A check meter beside the meter that it checks, hour by hour: stored integers
-- added up, over quarter hours that both have measured throughout.
CREATE VIEW v_meter_check_hour AS
SELECT date_trunc('hour', a.start) AS time, a.device_id, d.check_of, a.quantity,
       count(*) AS quarters, sum(m.value) AS main_value, sum(a.value) AS check_value,
       -- two registers that show tenths of a kWh may differ by that much and be right
       abs(sum(m.value) - sum(a.value))
           > greatest(d.check_percent / 100 * greatest(sum(m.value), sum(a.value)), 200) AS differs
FROM device d
JOIN interval_quantity a ON a.device_id = d.id
JOIN interval_quantity m ON m.device_id = d.check_of AND m.quantity = a.quantity AND m.start = a.start
WHERE d.check_of IS NOT NULL AND a.quantity IN ('energy_import', 'energy_export') AND a.measured_us = 900000000 AND m.measured_us = 900000000
GROUP BY date_trunc('hour', a.start), a.device_id, d.check_of, d.check_percent, a.quantity;

CREATE VIEW v_meter_check_day AS
SELECT day, device_id, check_of, quantity, quarters, main_value, check_value,
       abs(main_value - check_value) > greatest(check_percent / 100 * greatest(main_value, check_value), 200) AS differs
FROM (
    SELECT (a.start AT TIME ZONE s.timezone)::date AS day, a.device_id, d.check_of, d.check_percent, a.quantity,
           count(*) AS quarters, sum(m.value) AS main_value, sum(a.value) AS check_value
    FROM device d
    JOIN site s ON s.id = d.site
    JOIN interval_quantity a ON a.device_id = d.id
    JOIN interval_quantity m ON m.device_id = d.check_of AND m.quantity = a.quantity AND m.start = a.start
    WHERE d.check_of IS NOT NULL AND a.quantity IN ('energy_import', 'energy_export') AND a.measured_us = 900000000 AND m.measured_us = 900000000
    GROUP BY (a.start AT TIME ZONE s.timezone)::date, a.device_id, d.check_of, d.check_percent, a.quantity
) days;

GRANT SELECT ON v_quality_day, v_device_clock, v_meter_check_hour, v_meter_check_day
    TO tonne_mrv, tonne_api, tonne_grafana;
