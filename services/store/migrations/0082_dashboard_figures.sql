-- Figures of operation that dashboards show: sunshine and clipping of a PV plant's days,
-- what silence costs, and the programme's progress.  None of them is an account.
SET LOCAL ROLE tonne_owner;

-- Insolation: irradiance times the time to the next reading, at most a quarter hour.
-- Clipped: the time during which the inverter gave 98 % of its rated power or more.
CREATE TABLE day_pv (
    device_id        text COLLATE "C" NOT NULL,
    day              date NOT NULL,
    timezone         text NOT NULL,
    insolation_wh_m2 double precision,
    sunny_s          double precision,
    clipped_s        double precision,
    PRIMARY KEY (device_id, day)
);
CREATE INDEX day_pv_day ON day_pv (day);

CREATE OR REPLACE FUNCTION tonne_make_days(relation text, begins timestamptz, ends timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    first_day date := (begins - INTERVAL '1 day')::date;
    last_day  date := (ends + INTERVAL '1 day')::date;
    since timestamptz := begins - INTERVAL '3 days';
    until timestamptz := ends + INTERVAL '3 days';
BEGIN
    IF relation = 'interval_quantity' THEN
        DELETE FROM day_quantity WHERE day BETWEEN first_day AND last_day;
        INSERT INTO day_quantity (device_id, quantity, day, timezone, value, measured_us)
        SELECT i.device_id, i.quantity, (i.start AT TIME ZONE s.timezone)::date, s.timezone, sum(i.value), sum(i.measured_us)
        FROM interval_quantity i JOIN device d ON d.id = i.device_id JOIN site s ON s.id = d.site
        WHERE i.start >= since AND i.start < until
          AND (i.start AT TIME ZONE s.timezone)::date BETWEEN first_day AND last_day
        GROUP BY 1, 2, 3, 4;
    ELSIF relation = 'interval_emission' THEN
        DELETE FROM day_emission WHERE day BETWEEN first_day AND last_day;
        INSERT INTO day_emission
        SELECT e.project_id, e.device_id, (e.start AT TIME ZONE p.timezone)::date, p.timezone, sum(e.baseline_ug),
               sum(e.project_ug), sum(e.leakage_ug), sum(e.reduction_ug)
        FROM interval_emission e JOIN project p ON p.id = e.project_id
        WHERE e.start >= since AND e.start < until
          AND (e.start AT TIME ZONE p.timezone)::date BETWEEN first_day AND last_day
        GROUP BY 1, 2, 3, 4;
    ELSE
        DELETE FROM day_pv WHERE day BETWEEN first_day AND last_day;
        INSERT INTO day_pv
        SELECT r.device_id, (r.time AT TIME ZONE r.timezone)::date, r.timezone,
               sum(r.irradiance_w_m2 * r.step_s) / 3600,
               sum(r.step_s) FILTER (WHERE r.irradiance_w_m2 > 50),
               sum(r.step_s) FILTER (WHERE r.active_power_w >= 0.98 * r.rated_power_w)
        FROM (
            SELECT p.device_id, p.time, s.timezone, p.irradiance_w_m2, p.active_power_w, d.rated_power_w,
                   least(extract(epoch FROM lead(p.time) OVER (PARTITION BY p.device_id ORDER BY p.time) - p.time), 900)
                       ::double precision AS step_s
            FROM reading_pv_inverter p JOIN device d ON d.id = p.device_id JOIN site s ON s.id = d.site
            WHERE p.time >= since AND p.time < until
        ) r
        WHERE (r.time AT TIME ZONE r.timezone)::date BETWEEN first_day AND last_day
        GROUP BY 1, 2, 3;
    END IF;
END $$;

CREATE OR REPLACE FUNCTION tonne_refresh_days() RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public SET timezone = 'UTC' AS $$
DECLARE
    chunk record;
    now_registry bigint := (SELECT coalesce(max(version), 0) FROM registry_version);
    made integer := 0;
BEGIN
    IF NOT pg_try_advisory_xact_lock(7210080) THEN
        RETURN 0;
    END IF;
    FOR chunk IN
        SELECT c.hypertable_name AS relation, c.chunk_name AS name, c.range_start, c.range_end,
               s.n_tup_ins + s.n_tup_upd + s.n_tup_del AS writes
        FROM timescaledb_information.chunks c
        JOIN pg_stat_all_tables s ON s.schemaname = c.chunk_schema AND s.relname = c.chunk_name
        WHERE c.hypertable_schema = 'public'
          AND c.hypertable_name IN ('interval_quantity', 'interval_emission', 'reading_pv_inverter')
        ORDER BY c.range_start
    LOOP
        IF NOT EXISTS (SELECT FROM day_made m WHERE m.chunk = chunk.name
                       AND m.writes = chunk.writes AND m.registry = now_registry) THEN
            PERFORM tonne_make_days(chunk.relation, chunk.range_start, chunk.range_end);
            INSERT INTO day_made VALUES (chunk.name, chunk.writes, now_registry, now())
                ON CONFLICT ON CONSTRAINT day_made_pkey
                DO UPDATE SET writes = excluded.writes, registry = excluded.registry, made = excluded.made;
            made := made + 1;
        END IF;
    END LOOP;
    RETURN made;
END $$;

-- Performance ratio by IEC 61724-1: the yield (kWh by kW of rated power) over the reference
-- yield (insolation over 1 kW/m2).  Rated power stands for the DC rating, which the registry
-- does not hold: a plant with more panels than inverter shows a ratio above its true one.
-- Days before today; a day whose sunshine was not measured for 8 hours has no ratio.
CREATE VIEW v_day_pv AS
SELECT q.time, q.day, q.device_id, q.site, q.energy_kwh, p.insolation_wh_m2 / 1000 AS insolation_kwh_m2,
       q.energy_kwh / (d.rated_power_w / 1000.0) AS yield_h, p.clipped_s / 3600 AS clipped_h,
       d.rated_power_w / 1000.0 * p.insolation_wh_m2 / 1000 AS reference_kwh,
       CASE WHEN p.sunny_s >= 8 * 3600 AND p.insolation_wh_m2 > 500 THEN
           q.energy_kwh / (d.rated_power_w / 1000.0) / (p.insolation_wh_m2 / 1000) END AS performance_ratio
FROM v_day_energy_kwh q
JOIN device d ON d.id = q.device_id
LEFT JOIN day_pv p ON p.device_id = q.device_id AND p.day = q.day
WHERE q.class = 'pv_inverter' AND q.quantity = 'energy_export'
  AND q.day < (now() AT TIME ZONE q.timezone)::date;

-- What silence costs: a silent device's mean avoided tonnes of the four weeks before it fell
-- silent, for as long as it has been.  A gap counts nothing for the claimant until readings come.
CREATE VIEW v_silence_cost AS
SELECT h.device_id, h.site, h.class, h.gateway, g.state AS gateway_state, h.last_reading, h.silent_s,
       cost.project_id, cost.avoided_t_per_day, cost.avoided_t_per_day * h.silent_s / 86400 AS cost_t
FROM v_device_health h
LEFT JOIN v_gateway_health g ON g.gateway = h.gateway
LEFT JOIN LATERAL (
    SELECT m.project_id, (
        SELECT sum(e.reduction_ug) * 0.000000000001 / 28 FROM day_emission e
        WHERE e.project_id = m.project_id AND e.device_id = h.device_id
          AND e.day >= h.last_reading::date - 28 AND e.day < h.last_reading::date
    )::double precision AS avoided_t_per_day
    FROM project_device m WHERE m.device_id = h.device_id AND m.during @> now()
    LIMIT 1
) cost ON true
WHERE h.state <> 'online';

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

GRANT SELECT ON day_pv, v_day_pv, v_silence_cost, v_programme_now, v_statement_gap
    TO tonne_mrv, tonne_api, tonne_grafana;
