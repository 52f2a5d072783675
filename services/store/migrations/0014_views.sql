-- What dashboards and SQL users read: display units, the unit in the name.  Days are local
-- days of the site or project, cut out of UTC quarter hours.  v_power_kw follows from the
-- device classes and is made with the tables of readings.
SET LOCAL ROLE tonne_owner;

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

CREATE VIEW v_indicator_hour AS
SELECT v.start AS time, v.device_id, d.site, v.indicator, v.value, v.grade, v.covered
FROM indicator_value v
JOIN device d ON d.id = v.device_id
WHERE v.period = 'hour';

CREATE VIEW v_indicator_day AS
SELECT v.start AS time, (v.start AT TIME ZONE s.timezone)::date AS day, v.device_id, d.site,
       v.indicator, v.value, v.grade, v.covered, v.detail
FROM indicator_value v
JOIN device d ON d.id = v.device_id
JOIN site s ON s.id = d.site
WHERE v.period = 'day';

-- Days before yesterday as they were last added up, yesterday and today as they are now: by index,
-- device by device, since a scan of the month's chunk takes longer than all older days together.  Which
-- devices and quantities there are follows from the stored days, so that a device's first day shows
-- once those were made.  `time` is the local midnight at which the day begins.
CREATE VIEW v_day_quantity AS
SELECT q.begins AS time, q.day, q.timezone, q.device_id, d.site, d.class,
       q.quantity, q.value, q.measured_us
FROM day_quantity q
JOIN device d ON d.id = q.device_id
JOIN site s ON s.id = d.site AND s.timezone = q.timezone
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
SELECT e.begins AS time, e.day, e.timezone, e.project_id, e.device_id,
       e.baseline_ug * 0.000000000001 AS baseline_t, e.project_ug * 0.000000000001 AS project_t,
       e.leakage_ug * 0.000000000001 AS leakage_t, e.reduction_ug * 0.000000000001 AS avoided_t
FROM day_emission e
JOIN project p ON p.id = e.project_id AND p.timezone = e.timezone
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

-- Performance ratio by IEC 61724-1: the yield (kWh by kW of rated power) over the reference yield
-- (insolation over 1 kW/m2).  Rated power stands for the DC rating, which the registry does not hold: a
-- plant with more panels than inverter shows a ratio above its true one.  Days before today; a day
-- whose sunshine was not measured for 8 hours has no ratio.
CREATE VIEW v_day_pv AS
SELECT q.time, q.day, q.device_id, q.site, q.energy_kwh, p.insolation_wh_m2 / 1000 AS insolation_kwh_m2,
       q.energy_kwh / (d.rated_power_w / 1000.0) AS yield_h, p.clipped_s / 3600 AS clipped_h,
       d.rated_power_w / 1000.0 * p.insolation_wh_m2 / 1000 AS reference_kwh,
       CASE WHEN p.sunny_s >= 8 * 3600 AND p.insolation_wh_m2 > 500 THEN
           q.energy_kwh / (d.rated_power_w / 1000.0) / (p.insolation_wh_m2 / 1000) END AS performance_ratio
FROM v_day_energy_kwh q
JOIN device d ON d.id = q.device_id
LEFT JOIN day_pv p ON p.device_id = q.device_id AND p.day = q.day AND p.timezone = q.timezone
WHERE q.class = 'pv_inverter' AND q.quantity = 'energy_export'
  AND q.day < (now() AT TIME ZONE q.timezone)::date;

-- An action holds its own projects and those of its parts: "1" those of "1-03".
-- Rows of an action and of its part must not be added up.
CREATE VIEW v_programme_member AS
SELECT a.id AS action, p.id AS project_id
FROM programme_action a
JOIN project p ON p.action = a.id OR starts_with(p.action, a.id || '-');

-- By local calendar year.  `city_reported_t` is the city's account, modelled;
-- `monitored_t` and `issued_t` are the projects', measured.  They are never added:
-- the baselines differ, and the same tonne may stand in both.
CREATE VIEW v_programme_year AS
WITH monitored AS (
    SELECT m.action, extract(year FROM e.start AT TIME ZONE p.timezone)::integer AS year,
           sum(e.reduction_ug) * 0.000000000001 AS monitored_t
    FROM interval_emission e
    JOIN project p ON p.id = e.project_id
    JOIN v_programme_member m ON m.project_id = p.id
    GROUP BY 1, 2
), issued AS (
    SELECT m.action, (v.vintage ->> 'year')::integer AS year,
           sum((v.vintage ->> 'credited_t')::numeric) AS issued_t
    FROM claim c
    JOIN statement s ON s.id = c.statement_id
    JOIN v_programme_member m ON m.project_id = c.project_id
    CROSS JOIN LATERAL jsonb_array_elements(s.document #> '{credentialSubject,credited,vintages}') AS v (vintage)
    GROUP BY 1, 2
), years AS (
    SELECT action, year FROM monitored
    UNION SELECT action, year FROM issued
    UNION SELECT action_id, year FROM programme_reported
)
SELECT y.action, y.year, r.kt * 1000 AS city_reported_t, monitored.monitored_t, issued.issued_t
FROM years y
LEFT JOIN programme_reported r ON r.action_id = y.action AND r.year = y.year
LEFT JOIN monitored ON monitored.action = y.action AND monitored.year = y.year
LEFT JOIN issued ON issued.action = y.action AND issued.year = y.year;

-- A programme's modelled target beside what its projects monitored and what was issued.  Three
-- accounts: never to be added.
CREATE VIEW v_programme_progress AS
WITH monitored AS (
    SELECT m.action, sum(e.reduction_ug) * 0.000000000001 AS monitored_t
    FROM interval_emission e JOIN v_programme_member m ON m.project_id = e.project_id
    GROUP BY m.action
), issued AS (
    SELECT m.action, sum(s.credit_t) AS issued_t
    FROM claim c
    JOIN statement s ON s.id = c.statement_id
    JOIN v_programme_member m ON m.project_id = c.project_id
    GROUP BY m.action
), planned AS (
    SELECT m.action, count(*) AS projects, sum((p.expected ->> 'reduction_t_per_year')::numeric) AS expected_t
    FROM v_programme_member m JOIN project p ON p.id = m.project_id
    GROUP BY m.action
)
SELECT g.name AS programme, a.id AS action, a.name, a.target_kt * 1000 AS target_t_per_year,
       coalesce(planned.projects, 0) AS projects,
       monitored.monitored_t, coalesce(issued.issued_t, 0) AS issued_t,
       (SELECT b.id FROM programme_action b WHERE starts_with(a.id, b.id || '-')
        ORDER BY length(b.id) DESC LIMIT 1) AS part_of,
       a.target_year, planned.expected_t AS expected_t_per_year
FROM programme_action a
CROSS JOIN programme g
LEFT JOIN monitored ON monitored.action = a.id
LEFT JOIN issued ON issued.action = a.id
LEFT JOIN planned ON planned.action = a.id
ORDER BY a.position;

-- By action: the target beside what projects monitored and what was issued, never to be added.
CREATE VIEW v_programme_now AS
WITH by_project AS (
    SELECT project_id, sum(avoided_t) AS monitored_t,
           sum(avoided_t) FILTER (WHERE extract(year FROM day) = extract(year FROM now() AT TIME ZONE timezone)) AS this_year_t
    FROM (
        SELECT project_id, timezone, day, sum(avoided_t) AS avoided_t FROM v_day_avoided_t GROUP BY 1, 2, 3
    ) days GROUP BY project_id
), issued AS (
    SELECT c.project_id, sum(s.credit_t) AS issued_t
    FROM claim c JOIN statement s ON s.id = c.statement_id GROUP BY c.project_id
)
SELECT a.id AS action, a.name, a.position, a.target_kt * 1000 AS target_t_per_year, a.target_year,
       count(m.project_id) AS projects, sum(b.monitored_t) AS monitored_t, sum(b.this_year_t) AS this_year_t,
       sum(i.issued_t) AS issued_t, sum((p.expected ->> 'reduction_t_per_year')::numeric) AS expected_t_per_year
FROM programme_action a
LEFT JOIN v_programme_member m ON m.action = a.id
LEFT JOIN project p ON p.id = m.project_id
LEFT JOIN by_project b ON b.project_id = m.project_id
LEFT JOIN issued i ON i.project_id = m.project_id
GROUP BY a.id, a.name, a.position, a.target_kt, a.target_year;

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

-- Every device as it stands alone.  Late after twice, offline after eight times the
-- cadence that its `attributes.cadence_s` expects, a quarter hour by default; a will
-- that came after the last reading counts at once.
CREATE VIEW v_device_own AS
SELECT d.id AS device_id, d.site, d.class, d.gateway, s.last_reading, s.received, e.expected_s,
       p.said, p.at AS said_at, p.firmware,
       CASE
           WHEN p.said = 'offline' AND p.at >= coalesce(s.received, '-infinity') THEN 2
           WHEN s.last_reading IS NULL OR s.last_reading < now() - 8 * e.expected_s * INTERVAL '1 s' THEN 2
           WHEN s.last_reading < now() - 2 * e.expected_s * INTERVAL '1 s' THEN 1
           ELSE 0
       END AS silence,
       coalesce(p.said = 'offline' AND p.at >= coalesce(s.received, '-infinity'), false) AS said_offline,
       CASE WHEN s.day = t.today THEN bit_count(s.quarters) ELSE 0 END / t.quarters AS completeness_today
FROM device d
JOIN (
    SELECT id, (now() AT TIME ZONE timezone)::date AS today,
           ceil(greatest(extract(epoch FROM now() - (now() AT TIME ZONE timezone)::date::timestamp AT TIME ZONE timezone), 1) / 900)::double precision AS quarters
    FROM site
    OFFSET 0  -- a fence: local midnight once a site, not once a device
) t ON t.id = d.site
LEFT JOIN device_seen s ON s.device_id = d.id
LEFT JOIN principal_status p ON p.principal = d.id
CROSS JOIN LATERAL (SELECT CASE WHEN jsonb_typeof(d.attributes -> 'cadence_s') = 'number'
    THEN (d.attributes ->> 'cadence_s')::double precision ELSE 900 END AS expected_s) e
WHERE d.removed IS NULL OR d.removed > now();

-- A gateway is dark when it said so, or when nothing of it and behind it is heard.  What
-- is silent behind a dark gateway is no alarm of its own.
CREATE VIEW v_device_health AS
WITH RECURSIVE own AS MATERIALIZED (
    SELECT * FROM v_device_own
), behind AS (
    SELECT device_id, gateway AS above, silence FROM own WHERE gateway IS NOT NULL
    UNION ALL
    SELECT b.device_id, o.gateway, b.silence FROM behind b JOIN own o ON o.device_id = b.above WHERE o.gateway IS NOT NULL
), gateway AS MATERIALIZED (
    SELECT o.device_id, CASE WHEN o.said_offline THEN 2 ELSE least(o.silence, b.silence) END AS silence
    FROM own o JOIN (SELECT above, min(silence) AS silence FROM behind GROUP BY above) b ON b.above = o.device_id
)
SELECT o.device_id, o.site, o.class, o.gateway, o.last_reading,
       extract(epoch FROM now() - o.last_reading)::double precision AS silent_s,
       (ARRAY['online', 'late', 'offline'])[1 + o.shown] AS state,
       c.offset_s AS clock_offset_s, c.drift_s_per_day AS clock_drift_s_per_day, c.clock,
       coalesce(f.flags, 0) AS flags_last_day,
       o.received, o.expected_s, o.said, o.said_at, o.firmware, o.completeness_today,
       o.dark AS gateway_dark,
       o.shown > 0 AND NOT o.dark AS alarm
FROM (
    SELECT own.*, coalesce(up.silence > 0, false) AS dark,
           -- a gateway that measures nothing itself is as silent as all that is behind it
           CASE WHEN me.silence IS NOT NULL AND own.last_reading IS NULL THEN me.silence ELSE own.silence END AS shown
    FROM own
    LEFT JOIN gateway me ON me.device_id = own.device_id
    LEFT JOIN gateway up ON up.device_id = own.gateway
) o
LEFT JOIN v_device_clock c ON c.device_id = o.device_id
LEFT JOIN (
    SELECT device_id, count(*) AS flags FROM quality_flag WHERE time > now() - INTERVAL '1 day' GROUP BY device_id
) f ON f.device_id = o.device_id;
COMMENT ON COLUMN v_device_health.alarm IS 'not online, and not because its gateway is dark: one alarm a cause';

-- Gateways, as v_device_health judges them.
CREATE VIEW v_gateway_health AS
WITH health AS MATERIALIZED (SELECT device_id, site, gateway, last_reading, gateway_dark FROM v_device_health)
SELECT h.gateway, min(h.site) AS site, count(*) AS devices,
       greatest(max(h.last_reading), max(g.last_reading)) AS last_heard,
       extract(epoch FROM now() - greatest(max(h.last_reading), max(g.last_reading)))::double precision AS silent_s,
       CASE WHEN bool_or(h.gateway_dark) THEN 'dark' ELSE 'online' END AS state
FROM health h
LEFT JOIN health g ON g.device_id = h.gateway
WHERE h.gateway IS NOT NULL
GROUP BY h.gateway;

-- What silence costs: a silent device's mean avoided tonnes of the four weeks before it fell silent, by
-- the project's own days, for as long as it has been.  A gap counts nothing for the claimant until
-- readings come.
CREATE VIEW v_silence_cost AS
SELECT h.device_id, h.site, h.class, h.gateway, g.state AS gateway_state, h.last_reading, h.silent_s,
       cost.project_id, cost.avoided_t_per_day, cost.avoided_t_per_day * h.silent_s / 86400 AS cost_t
FROM v_device_health h
LEFT JOIN v_gateway_health g ON g.gateway = h.gateway
LEFT JOIN LATERAL (
    SELECT m.project_id, (
        SELECT sum(e.reduction_ug) * 0.000000000001 / 28 FROM day_emission e
        WHERE e.project_id = m.project_id AND e.device_id = h.device_id AND e.timezone = p.timezone
          AND e.day >= (h.last_reading AT TIME ZONE p.timezone)::date - 28
          AND e.day < (h.last_reading AT TIME ZONE p.timezone)::date
    )::double precision AS avoided_t_per_day
    FROM project_device m JOIN project p ON p.id = m.project_id
    WHERE m.device_id = h.device_id AND m.during @> now()
    LIMIT 1
) cost ON true
WHERE h.state <> 'online';

-- Devices that speak Sparkplug.  A device whose node's will came, or whose death was told, is dead, and
-- what it last said is stale.
CREATE VIEW v_sparkplug_device AS
SELECT CASE WHEN b.device = '' THEN n.node::text ELSE b.device END AS device_id,
       n.node::text AS node, n.group_id,
       bool_or(b.certain_ms IS NULL) AND n.online AS alive,
       to_timestamp(max(b.born_ms) / 1000.0) AS born,
       CASE WHEN n.online THEN NULL ELSE n.changed END AS offline_since
FROM sparkplug_node n
JOIN sparkplug_birth b ON b.node = n.node
GROUP BY n.node, n.group_id, n.online, n.changed, b.device;

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

-- Gaps and deductions of the last statement about each project and period, with what each cost.
CREATE VIEW v_statement_gap AS
SELECT s.id AS statement_id, s.project_id, (gap ->> 'device') AS device_id, (gap ->> 'from')::timestamptz AS from_time,
       (gap ->> 'to')::timestamptz AS to_time, gap ->> 'kind' AS kind, gap ->> 'rule' AS rule,
       (gap ->> 'cost_t')::numeric AS cost_t
FROM statement s
CROSS JOIN LATERAL jsonb_array_elements(s.document #> '{credentialSubject,gaps}') AS g (gap)
WHERE NOT EXISTS (SELECT FROM statement n WHERE n.supersedes = s.id)
UNION ALL
SELECT s.id, s.project_id, cut ->> 'device', (cut ->> 'from')::timestamptz, (cut ->> 'to')::timestamptz,
       'calibration', cut ->> 'reason', (cut ->> 'cost_t')::numeric
FROM statement s
CROSS JOIN LATERAL jsonb_array_elements(s.document #> '{credentialSubject,deductions}') AS d (cut)
WHERE NOT EXISTS (SELECT FROM statement n WHERE n.supersedes = s.id);

GRANT SELECT ON v_device_own, v_device_health, v_sparkplug_device TO tonne_ingest, tonne_mrv, tonne_api, tonne_grafana;
GRANT SELECT ON v_energy_kwh_interval, v_energy_kwh_day, v_avoided_t_interval, v_avoided_t_day, v_indicator_hour,
    v_indicator_day, v_day_quantity, v_day_energy_kwh, v_day_distance_km, v_day_volume_m3, v_day_avoided_t, v_day_pv,
    v_programme_member, v_programme_year, v_programme_progress, v_programme_now, v_quality_day, v_device_clock,
    v_meter_check_hour, v_meter_check_day, v_gateway_health, v_silence_cost, v_calibration_due, v_statement_state,
    v_statement_gap
    TO tonne_mrv, tonne_api, tonne_grafana;
