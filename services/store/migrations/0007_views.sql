-- What dashboards and SQL users read: display units, the unit in the name.
-- Days are local days of the site or project, cut out of UTC quarter hours.
SET LOCAL ROLE tonne_owner;

CREATE VIEW v_power_kw AS
SELECT r.time, r.device_id, d.site, d.class, r.active_power_w / 1000 AS power_kw
FROM (
    SELECT time, device_id, active_power_w FROM reading_pv_inverter
    UNION ALL SELECT time, device_id, active_power_w FROM reading_ev_charger
    UNION ALL SELECT time, device_id, active_power_w FROM reading_energy_meter
) r
JOIN device d ON d.id = r.device_id
WHERE r.active_power_w IS NOT NULL;

CREATE VIEW v_energy_kwh_interval AS
SELECT i.start AS time, i.device_id, d.site, d.class, i.quantity,
       i.value * 0.001 AS energy_kwh,
       CASE WHEN i.unknown_us > 0 THEN 'suspect' WHEN i.estimated_us > 0 THEN 'estimated' ELSE 'measured' END AS quality,
       i.measured_us / 900e6 AS measured_share
FROM interval_quantity i
JOIN device d ON d.id = i.device_id
WHERE i.quantity IN ('energy_export', 'energy_import');

CREATE VIEW v_energy_kwh_day AS
SELECT day::timestamp AT TIME ZONE timezone AS time, day, timezone, device_id, site, class, quantity,
       energy_kwh, measured_share
FROM (
    SELECT (i.start AT TIME ZONE s.timezone)::date AS day, s.timezone, i.device_id, d.site, d.class, i.quantity,
           sum(i.value) * 0.001 AS energy_kwh,
           -- of the day as long as it is there: 23, 24 or 25 hours
           sum(i.measured_us) / (1e6 * extract(epoch FROM
               (((i.start AT TIME ZONE s.timezone)::date + 1)::timestamp AT TIME ZONE s.timezone)
               - ((i.start AT TIME ZONE s.timezone)::date::timestamp AT TIME ZONE s.timezone))) AS measured_share
    FROM interval_quantity i
    JOIN device d ON d.id = i.device_id
    JOIN site s ON s.id = d.site
    WHERE i.quantity IN ('energy_export', 'energy_import')
    GROUP BY (i.start AT TIME ZONE s.timezone)::date, s.timezone, i.device_id, d.site, d.class, i.quantity
) days;

CREATE VIEW v_avoided_t_interval AS
SELECT start AS time, project_id,
       sum(baseline_ug) * 0.000000000001 AS baseline_t,
       sum(project_ug) * 0.000000000001 AS project_t,
       sum(leakage_ug) * 0.000000000001 AS leakage_t,
       sum(reduction_ug) * 0.000000000001 AS avoided_t
FROM interval_emission
GROUP BY start, project_id;

CREATE VIEW v_avoided_t_day AS
SELECT day::timestamp AT TIME ZONE timezone AS time, day, timezone, project_id,
       baseline_t, project_t, leakage_t, avoided_t
FROM (
    SELECT (e.start AT TIME ZONE p.timezone)::date AS day, p.timezone, e.project_id,
           sum(e.baseline_ug) * 0.000000000001 AS baseline_t,
           sum(e.project_ug) * 0.000000000001 AS project_t,
           sum(e.leakage_ug) * 0.000000000001 AS leakage_t,
           sum(e.reduction_ug) * 0.000000000001 AS avoided_t
    FROM interval_emission e
    JOIN project p ON p.id = e.project_id
    GROUP BY (e.start AT TIME ZONE p.timezone)::date, p.timezone, e.project_id
) days;

-- A programme's modelled target beside what its projects monitored and what
-- was issued.  Three accounts: never to be added.
-- A project's action "1-03" counts under "1-03" if that stands in the
-- programme, else under "1".
CREATE VIEW v_programme_progress AS
WITH placed AS (
    SELECT p.id, (
        SELECT a.id FROM programme_action a
        WHERE a.id = p.action OR p.action LIKE a.id || '-%'
        ORDER BY length(a.id) DESC LIMIT 1
    ) AS action_id
    FROM project p
), monitored AS (
    SELECT placed.action_id, sum(e.reduction_ug) * 0.000000000001 AS monitored_t
    FROM interval_emission e JOIN placed ON placed.id = e.project_id
    GROUP BY placed.action_id
), issued AS (
    SELECT placed.action_id, sum(s.credit_t) AS issued_t
    FROM claim c JOIN statement s ON s.id = c.statement_id JOIN placed ON placed.id = c.project_id
    GROUP BY placed.action_id
)
SELECT g.name AS programme, a.id AS action, a.name, a.target_kt * 1000 AS target_t_per_year,
       (SELECT count(*) FROM placed WHERE placed.action_id = a.id) AS projects,
       monitored.monitored_t, coalesce(issued.issued_t, 0) AS issued_t
FROM programme_action a
CROSS JOIN programme g
LEFT JOIN monitored ON monitored.action_id = a.id
LEFT JOIN issued ON issued.action_id = a.id
ORDER BY a.position;

-- Late after 30 minutes without a reading, offline after two hours.
CREATE VIEW v_device_health AS
SELECT seen.device_id, seen.site, seen.class, seen.gateway, seen.last_reading,
       extract(epoch FROM now() - seen.last_reading)::double precision AS silent_s,
       CASE
           WHEN seen.last_reading IS NULL OR seen.last_reading < now() - INTERVAL '2 hours' THEN 'offline'
           WHEN seen.last_reading < now() - INTERVAL '30 minutes' THEN 'late'
           ELSE 'online'
       END AS state
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
WHERE seen.removed IS NULL OR seen.removed > now();

CREATE VIEW v_indicator_hour AS
SELECT v.start AS time, v.device_id, d.site, v.indicator, v.value, v.grade
FROM indicator_value v
JOIN device d ON d.id = v.device_id;
