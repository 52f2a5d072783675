-- One account: tonnes of a project by quarter hour and local day.  Boards, alerts, console, API and
-- command line take their tonnes from here.  Tonnes are never added by device: the devices of a
-- project stand on different sides of its account.
SET LOCAL ROLE tonne_owner;

-- The exact account.  [ug CO2e]
CREATE VIEW v_account_interval AS
SELECT start AS time, project_id, sum(baseline_ug) AS baseline_ug, sum(project_ug) AS project_ug,
       sum(leakage_ug) AS leakage_ug, sum(reduction_ug) AS reduction_ug
FROM interval_emission
GROUP BY start, project_id;

-- By local day of the project.  Days before yesterday as they were last added up, yesterday and today
-- from the quarter hours, also of projects whose devices have left.
CREATE VIEW v_account_day AS
SELECT days.begins AS time, days.day, days.timezone, days.project_id,
       days.baseline_ug, days.project_ug, days.leakage_ug, days.reduction_ug,
       days.baseline_ug * 0.000000000001 AS baseline_t, days.project_ug * 0.000000000001 AS project_t,
       days.leakage_ug * 0.000000000001 AS leakage_t, days.reduction_ug * 0.000000000001 AS avoided_t
FROM (
    SELECT e.begins, e.day, e.timezone, e.project_id, sum(e.baseline_ug) AS baseline_ug, sum(e.project_ug) AS project_ug,
           sum(e.leakage_ug) AS leakage_ug, sum(e.reduction_ug) AS reduction_ug
    FROM day_emission e
    JOIN project p ON p.id = e.project_id AND p.timezone = e.timezone
    WHERE e.day < (now() AT TIME ZONE e.timezone)::date - 1
    GROUP BY e.begins, e.day, e.timezone, e.project_id
    UNION ALL
    SELECT i.day::timestamp AT TIME ZONE p.timezone, i.day, p.timezone, p.id::text COLLATE "C",
           i.baseline_ug, i.project_ug, i.leakage_ug, i.reduction_ug
    FROM project p
    CROSS JOIN LATERAL (
        SELECT (r.start AT TIME ZONE p.timezone)::date AS day, sum(r.baseline_ug) AS baseline_ug,
               sum(r.project_ug) AS project_ug, sum(r.leakage_ug) AS leakage_ug, sum(r.reduction_ug) AS reduction_ug
        FROM interval_emission r
        WHERE r.project_id = p.id AND r.start >= now() - INTERVAL '50 hours'
          AND r.start >= ((now() AT TIME ZONE p.timezone)::date - 1)::timestamp AT TIME ZONE p.timezone
        GROUP BY 1
    ) i
) days;
COMMENT ON VIEW v_day_avoided_t IS
    'by device, for a look into one project: devices stand on both sides of an account, so that sums over devices of one class are no tonnes; v_account_day has these';

-- Projects that count in the programme's totals: those of its actions; all where no programme is.
CREATE VIEW v_counted_project AS
SELECT p.id::text COLLATE "C" AS project_id, p.name, p.timezone
FROM project p
WHERE NOT EXISTS (SELECT FROM programme) OR EXISTS (SELECT FROM v_programme_member m WHERE m.project_id = p.id);

-- Devices of the programme's own places: all but those that serve a project which does not count.
CREATE VIEW v_counted_device AS
SELECT d.id::text COLLATE "C" AS device_id, d.site::text COLLATE "C" AS site, d.class
FROM device d
WHERE NOT EXISTS (
    SELECT FROM project_device m
    WHERE m.device_id = d.id AND m.project_id NOT IN (SELECT c.project_id FROM v_counted_project c)
);

-- What was expected of a project in [begins, ends): its yearly expectation by time, a year of 365
-- days, from its first device's service on, within its crediting period, and until the last whole
-- quarter hour at most.  In whole grams, rounded down; null where the registry expects nothing.
-- Every surface that shows an expectation asks this function.
CREATE FUNCTION tonne_expected_t(project text, begins timestamptz DEFAULT '-infinity', ends timestamptz DEFAULT 'infinity')
RETURNS numeric LANGUAGE sql STABLE SET search_path = public AS $$
    SELECT trunc((p.expected ->> 'reduction_t_per_year')::numeric
        * greatest(extract(epoch FROM
            least(tonne_expected_t.ends, upper(p.crediting), date_bin('15 minutes', now(), '2000-01-01Z'))
            - greatest(tonne_expected_t.begins, lower(p.crediting), s.since)), 0)
        / (365 * 86400), 6)
    FROM project p
    CROSS JOIN LATERAL (SELECT min(lower(m.during)) AS since FROM project_device m WHERE m.project_id = p.id) s
    WHERE p.id = tonne_expected_t.project AND s.since IS NOT NULL
$$;

-- What a silent device costs by the rule of its role: rows follow from registry, factors and class
-- limits, and are made again by the watcher.  `ug_per_h` is the highest plausible value at its factor,
-- rounded up, for what stands on the project's side; null where nothing bounds it.
CREATE TABLE silence_rate (
    project_id text COLLATE "C" NOT NULL,
    device_id  text COLLATE "C" NOT NULL,
    role       text NOT NULL,
    side       text NOT NULL CHECK (side IN ('baseline', 'project', 'both')),
    ug_per_h   numeric CHECK (ug_per_h >= 0),
    PRIMARY KEY (project_id, device_id)
);
CREATE TABLE silence_rate_made (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    registry bigint NOT NULL,
    version  text NOT NULL,
    made     timestamptz NOT NULL
);
GRANT SELECT ON silence_rate, silence_rate_made TO tonne_ingest, tonne_mrv, tonne_api, tonne_grafana;
GRANT INSERT, UPDATE, DELETE ON silence_rate, silence_rate_made TO tonne_mrv;

-- What silence costs so far, by the project's own rule.  A silent meter of the baseline counts nothing:
-- it costs what the device avoided on the mean day of its last four weeks.  A silent meter of the
-- project's side is charged the highest plausible value.  What stands on both sides costs the dearer.
-- The tonnes come back when the device sends what it kept.
DROP VIEW v_silence_cost;
CREATE VIEW v_silence_cost AS
SELECT h.device_id, h.site, h.class, h.gateway, g.state AS gateway_state, h.last_reading, h.silent_s,
       cost.project_id, cost.avoided_t_per_day, cost.ug_per_s * 0.000000000001 * cost.silent_for_s AS cost_t,
       cost.ug_per_s * 86400 * 0.000000000001 AS cost_t_per_day, cost.since, cost.role, cost.side
FROM v_device_health h
LEFT JOIN v_gateway_health g ON g.gateway = h.gateway
LEFT JOIN LATERAL (
    SELECT m.project_id, r.role, r.side, usual.ug * 0.000000000001 AS avoided_t_per_day, s.since,
           greatest(extract(epoch FROM now() - s.since), 0) AS silent_for_s,
           CASE r.side WHEN 'baseline' THEN CASE WHEN usual.ug < 0 THEN 0 ELSE usual.ug END / 86400
               WHEN 'project' THEN r.ug_per_h / 3600
               WHEN 'both' THEN greatest(usual.ug / 86400, r.ug_per_h / 3600) END AS ug_per_s
    FROM project_device m
    JOIN project p ON p.id = m.project_id
    LEFT JOIN silence_rate r ON r.project_id = m.project_id AND r.device_id = m.device_id
    CROSS JOIN LATERAL (SELECT greatest(h.last_reading, lower(m.during)) AS since) s
    CROSS JOIN LATERAL (
        SELECT avg(e.reduction_ug) AS ug FROM day_emission e
        WHERE e.project_id = m.project_id AND e.device_id = h.device_id AND e.timezone = p.timezone
          AND e.day >= (h.last_reading AT TIME ZONE p.timezone)::date - 28
          AND e.day < (h.last_reading AT TIME ZONE p.timezone)::date
    ) usual
    WHERE m.device_id = h.device_id AND m.during @> now()
    LIMIT 1
) cost ON true
WHERE h.state <> 'online';

-- A project as it stands now.  `silent_since` is set while none of its devices is heard; `missed_t` is
-- what was expected of it since then, or in all where it was never heard.  `month_begins` is the local
-- midnight at which the last 30 days begin, today among them.
CREATE VIEW v_project_state AS
SELECT p.id::text COLLATE "C" AS project_id, p.name, p.timezone, p.action,
       EXISTS (SELECT FROM v_counted_project c WHERE c.project_id = p.id) AS counted,
       heard.devices, heard.online, heard.last_reading,
       CASE WHEN heard.devices IS NULL THEN 'ended' WHEN heard.online > 0 THEN 'heard'
            WHEN heard.last_reading IS NULL THEN 'never heard' ELSE 'silent' END AS state,
       CASE WHEN heard.online = 0 THEN heard.last_reading END AS silent_since,
       CASE WHEN heard.online = 0 THEN tonne_expected_t(p.id, coalesce(heard.last_reading, '-infinity')) END AS missed_t,
       t.today, t.year_begins, t.month_begins,
       tonne_expected_t(p.id) AS expected_to_date_t,
       tonne_expected_t(p.id, t.year_begins) AS expected_this_year_t,
       tonne_expected_t(p.id, t.month_begins) AS expected_30_days_t
FROM project p
CROSS JOIN LATERAL (
    SELECT l.today, date_trunc('year', l.today::timestamp) AT TIME ZONE p.timezone AS year_begins,
           (l.today - 29)::timestamp AT TIME ZONE p.timezone AS month_begins
    FROM (SELECT (now() AT TIME ZONE p.timezone)::date AS today) l
) t
LEFT JOIN (
    SELECT m.project_id, count(*) AS devices, count(*) FILTER (WHERE o.silence = 0) AS online,
           max(o.last_reading) AS last_reading
    FROM project_device m JOIN v_device_own o ON o.device_id = m.device_id
    WHERE m.during @> now()
    GROUP BY m.project_id
) heard ON heard.project_id = p.id;

-- The same with its account, by days.
CREATE VIEW v_project_now AS
SELECT s.*, made.monitored_t, made.this_year_t, made.last_30_days_t, made.today_t
FROM v_project_state s
LEFT JOIN (
    SELECT a.project_id, sum(a.avoided_t) AS monitored_t,
           sum(a.avoided_t) FILTER (WHERE extract(year FROM a.day) = extract(year FROM now() AT TIME ZONE a.timezone)) AS this_year_t,
           sum(a.avoided_t) FILTER (WHERE a.day > (now() AT TIME ZONE a.timezone)::date - 30) AS last_30_days_t,
           sum(a.avoided_t) FILTER (WHERE a.day = (now() AT TIME ZONE a.timezone)::date) AS today_t
    FROM v_account_day a GROUP BY a.project_id
) made ON made.project_id = s.project_id;
COMMENT ON COLUMN v_project_now.last_30_days_t IS 'today and the 29 local days before it, whether anything came or not';

-- By action, as before, from the account's days.
CREATE OR REPLACE VIEW v_programme_now AS
WITH by_project AS (
    SELECT project_id, sum(avoided_t) AS monitored_t,
           sum(avoided_t) FILTER (WHERE extract(year FROM day) = extract(year FROM now() AT TIME ZONE timezone)) AS this_year_t
    FROM v_account_day GROUP BY project_id
), issued AS (
    SELECT c.project_id, sum(s.credit_t) AS issued_t
    FROM claim c JOIN statement s ON s.id = c.statement_id GROUP BY c.project_id
)
SELECT a.id AS action, a.name, a.position, a.target_kt * 1000 AS target_t_per_year, a.target_year,
       count(m.project_id) AS projects, sum(b.monitored_t) AS monitored_t, sum(b.this_year_t) AS this_year_t,
       sum(i.issued_t) AS issued_t, sum((p.expected ->> 'reduction_t_per_year')::numeric) AS expected_t_per_year,
       sum(tonne_expected_t(p.id, date_trunc('year', now() AT TIME ZONE p.timezone) AT TIME ZONE p.timezone)) AS expected_this_year_t
FROM programme_action a
LEFT JOIN v_programme_member m ON m.action = a.id
LEFT JOIN project p ON p.id = m.project_id
LEFT JOIN by_project b ON b.project_id = m.project_id
LEFT JOIN issued i ON i.project_id = m.project_id
GROUP BY a.id, a.name, a.position, a.target_kt, a.target_year;

-- A clock is behind by more than a quarter of an hour only where two days say the same: readings that a
-- device kept and sent later come late by another time each day, and tell nothing of its clock.
-- `offset_s` is null where it is not known.  Ahead of the time of receipt is ahead at once.
CREATE OR REPLACE VIEW v_device_clock AS
SELECT d.id AS device_id, newest.day,
       CASE WHEN said.known THEN -newest.least_us / 1e6::double precision END AS offset_s,
       CASE WHEN said.known THEN drift.s_per_day END AS drift_s_per_day,
       CASE
           WHEN newest.least_us < -60e6 THEN 'ahead'
           WHEN NOT said.known THEN 'not known'
           WHEN newest.least_us > 300e6 THEN 'behind'
           WHEN drift.days >= 5 AND abs(drift.s_per_day) > 10 THEN 'drifting'
           ELSE 'good'
       END AS clock
FROM device d
CROSS JOIN LATERAL (
    SELECT l.day, l.least_us FROM clock_lag l WHERE l.device_id = d.id ORDER BY l.day DESC LIMIT 1
) newest
CROSS JOIN LATERAL (
    SELECT newest.least_us <= 900e6 OR EXISTS (
        SELECT FROM clock_lag l WHERE l.device_id = d.id AND l.day < newest.day AND l.day >= newest.day - 14
          AND abs(l.least_us - newest.least_us) <= greatest(60e6, 30e6 * (newest.day - l.day))
    ) AS known
) said
CROSS JOIN LATERAL (
    SELECT count(*) AS days, regr_slope(-l.least_us / 1e6::double precision, l.day - newest.day) AS s_per_day
    FROM clock_lag l WHERE l.device_id = d.id AND l.day > newest.day - 14
) drift;

GRANT EXECUTE ON FUNCTION tonne_expected_t TO tonne_mrv, tonne_api, tonne_grafana;
GRANT SELECT ON v_account_interval, v_account_day, v_counted_project, v_counted_device, v_silence_cost, v_project_state, v_project_now
    TO tonne_mrv, tonne_api, tonne_grafana;
