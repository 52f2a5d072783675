-- What dashboards read beside 0007's views: local days without adding up a year each
-- time, calibrations that run out, and what each day lacked.
SET LOCAL ROLE tonne_owner;

-- Days before yesterday as they were last added up (0080), yesterday and today as they
-- are now.  `time` is the local midnight at which the day begins.
CREATE VIEW v_day_quantity AS
SELECT q.day::timestamp AT TIME ZONE q.timezone AS time, q.day, q.timezone, q.device_id, d.site, d.class,
       q.quantity, q.value, q.measured_us
FROM day_quantity q
JOIN device d ON d.id = q.device_id
WHERE q.day < (now() AT TIME ZONE q.timezone)::date - 1
UNION ALL
SELECT days.day::timestamp AT TIME ZONE days.timezone, days.day, days.timezone, days.device_id, d.site, d.class,
       days.quantity, days.value, days.measured_us
FROM (
    SELECT (i.start AT TIME ZONE s.timezone)::date AS day, s.timezone, i.device_id, i.quantity,
           sum(i.value) AS value, sum(i.measured_us)::bigint AS measured_us
    FROM interval_quantity i JOIN device d ON d.id = i.device_id JOIN site s ON s.id = d.site
    WHERE i.start >= now() - INTERVAL '3 days'
      AND (i.start AT TIME ZONE s.timezone)::date >= (now() AT TIME ZONE s.timezone)::date - 1
    GROUP BY 1, 2, 3, 4
) days
JOIN device d ON d.id = days.device_id;

CREATE VIEW v_day_energy_kwh AS
SELECT time, day, timezone, device_id, site, class, quantity, value * 0.001 AS energy_kwh,
       -- of the day as long as it is there (23, 24 or 25 hours), or has been so far
       least(1, measured_us / (1e6 * extract(epoch FROM
           least(now(), (day + 1)::timestamp AT TIME ZONE timezone) - time))) AS measured_share
FROM v_day_quantity
WHERE quantity IN ('energy_export', 'energy_import');

CREATE VIEW v_day_distance_km AS
SELECT time, day, timezone, device_id, site, class, value * 0.001 AS distance_km
FROM v_day_quantity WHERE quantity = 'distance';

CREATE VIEW v_day_volume_m3 AS
SELECT time, day, timezone, device_id, site, class, quantity, value * 0.000001 AS volume_m3
FROM v_day_quantity WHERE quantity IN ('flow', 'biogas');

CREATE VIEW v_day_avoided_t AS
SELECT e.day::timestamp AT TIME ZONE e.timezone AS time, e.day, e.timezone, e.project_id, e.device_id,
       e.baseline_ug * 0.000000000001 AS baseline_t, e.project_ug * 0.000000000001 AS project_t,
       e.leakage_ug * 0.000000000001 AS leakage_t, e.reduction_ug * 0.000000000001 AS avoided_t
FROM day_emission e
WHERE e.day < (now() AT TIME ZONE e.timezone)::date - 1
UNION ALL
SELECT days.day::timestamp AT TIME ZONE days.timezone, days.day, days.timezone, days.project_id, days.device_id,
       days.baseline_ug * 0.000000000001, days.project_ug * 0.000000000001,
       days.leakage_ug * 0.000000000001, days.reduction_ug * 0.000000000001
FROM (
    SELECT (e.start AT TIME ZONE p.timezone)::date AS day, p.timezone, e.project_id, e.device_id,
           sum(e.baseline_ug) AS baseline_ug, sum(e.project_ug) AS project_ug,
           sum(e.leakage_ug) AS leakage_ug, sum(e.reduction_ug) AS reduction_ug
    FROM interval_emission e JOIN project p ON p.id = e.project_id
    WHERE e.start >= now() - INTERVAL '3 days'
      AND (e.start AT TIME ZONE p.timezone)::date >= (now() AT TIME ZONE p.timezone)::date - 1
    GROUP BY 1, 2, 3, 4
) days;

-- The certificate of each device that serves a project now.  Nothing to be calibrated
-- with is `missing`; what runs out within 60 days is `expiring`.
CREATE VIEW v_calibration_due AS
SELECT due.project_id, due.device_id, due.site, due.class, due.role, due.valid_until,
       due.valid_until - due.today AS days_left,
       CASE WHEN due.valid_until IS NULL THEN 'missing' WHEN due.valid_until < due.today THEN 'expired'
            WHEN due.valid_until < due.today + 60 THEN 'expiring' ELSE 'valid' END AS state
FROM (
    SELECT m.project_id, m.device_id, d.site, d.class, m.role, (now() AT TIME ZONE p.timezone)::date AS today,
           (SELECT max(c.valid_until) FROM calibration c WHERE c.device_id = m.device_id) AS valid_until
    FROM project_device m
    JOIN project p ON p.id = m.project_id
    JOIN device d ON d.id = m.device_id
    WHERE m.during @> now()
) due;

-- The state that each statement is in.
CREATE VIEW v_statement_state AS
SELECT s.id AS statement_id, s.project_id, p.name AS project, m.local_from, m.local_to, s.credit_t, m.coverage,
       m.reduction_ug * 0.000000000001 AS reduction_t, last.state, last.at AS since, last.actor
FROM statement s
JOIN project p ON p.id = s.project_id
JOIN monitoring_period m ON m.id = s.period_id
JOIN LATERAL (
    SELECT e.state, e.at, e.actor FROM statement_event e
    WHERE e.statement_id = s.id ORDER BY e.sequence DESC LIMIT 1
) last ON true;

GRANT SELECT ON v_day_quantity, v_day_energy_kwh, v_day_distance_km, v_day_volume_m3, v_day_avoided_t,
    v_calibration_due, v_statement_state TO tonne_mrv, tonne_api, tonne_grafana;
