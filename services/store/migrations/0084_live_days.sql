-- Yesterday and today by index, device by device: a scan of the month's chunk took longer
-- than all older days together.  Which devices and quantities there are follows from the
-- days of 0080, so that a device's first day shows once those were made.
SET LOCAL ROLE tonne_owner;

-- dashboards ask by time: local midnight, kept beside the day so that an index finds it
ALTER TABLE day_quantity ADD COLUMN begins timestamptz GENERATED ALWAYS AS (day::timestamp AT TIME ZONE timezone) STORED;
ALTER TABLE day_emission ADD COLUMN begins timestamptz GENERATED ALWAYS AS (day::timestamp AT TIME ZONE timezone) STORED;
CREATE INDEX day_quantity_begins ON day_quantity (begins, quantity);
CREATE INDEX day_emission_begins ON day_emission (begins);
DROP INDEX day_emission_day;  -- nobody asks by it

CREATE OR REPLACE VIEW v_day_quantity AS
SELECT q.begins AS time, q.day, q.timezone, q.device_id, d.site, d.class,
       q.quantity, q.value, q.measured_us
FROM day_quantity q
JOIN device d ON d.id = q.device_id
WHERE q.day < (now() AT TIME ZONE q.timezone)::date - 1
UNION ALL
SELECT i.day::timestamp AT TIME ZONE s.timezone, i.day, s.timezone, known.device_id, d.site, d.class,
       known.quantity, i.value, i.measured_us
FROM (
    SELECT DISTINCT device_id, quantity FROM day_quantity WHERE day >= (now() - INTERVAL '4 days')::date
) known
JOIN device d ON d.id = known.device_id
JOIN site s ON s.id = d.site
CROSS JOIN LATERAL (
    SELECT (r.start AT TIME ZONE s.timezone)::date AS day, sum(r.value) AS value, sum(r.measured_us)::bigint AS measured_us
    FROM interval_quantity r
    WHERE r.device_id = known.device_id AND r.quantity = known.quantity AND r.start >= now() - INTERVAL '50 hours'
      AND (r.start AT TIME ZONE s.timezone)::date >= (now() AT TIME ZONE s.timezone)::date - 1
    GROUP BY 1
) i;

CREATE OR REPLACE VIEW v_day_avoided_t AS
SELECT e.begins AS time, e.day, e.timezone, e.project_id, e.device_id,
       e.baseline_ug * 0.000000000001 AS baseline_t, e.project_ug * 0.000000000001 AS project_t,
       e.leakage_ug * 0.000000000001 AS leakage_t, e.reduction_ug * 0.000000000001 AS avoided_t
FROM day_emission e
WHERE e.day < (now() AT TIME ZONE e.timezone)::date - 1
UNION ALL
SELECT i.day::timestamp AT TIME ZONE known.timezone, i.day, known.timezone, known.project_id, known.device_id,
       i.baseline_ug * 0.000000000001, i.project_ug * 0.000000000001,
       i.leakage_ug * 0.000000000001, i.reduction_ug * 0.000000000001
FROM (
    SELECT DISTINCT m.project_id::text COLLATE "C" AS project_id, m.device_id::text COLLATE "C" AS device_id, p.timezone
    FROM project_device m JOIN project p ON p.id = m.project_id
    WHERE m.during && tstzrange(now() - INTERVAL '50 hours', now())
) known
CROSS JOIN LATERAL (
    SELECT (r.start AT TIME ZONE known.timezone)::date AS day, sum(r.baseline_ug) AS baseline_ug,
           sum(r.project_ug) AS project_ug, sum(r.leakage_ug) AS leakage_ug, sum(r.reduction_ug) AS reduction_ug
    FROM interval_emission r
    WHERE r.device_id = known.device_id AND r.project_id = known.project_id AND r.start >= now() - INTERVAL '50 hours'
      AND (r.start AT TIME ZONE known.timezone)::date >= (now() AT TIME ZONE known.timezone)::date - 1
    GROUP BY 1
) i;
