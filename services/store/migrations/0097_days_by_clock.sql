-- Days follow the clock of their site or project, also when that is corrected or a device
-- moves: what was added up by another clock is not shown, and added up again for just
-- those devices.  Until now any change of the registry added all years up again.
-- A call stops after a minute and goes on with the next, so that years of a large fleet
-- neither hold one transaction open nor begin from the start when it ends.
SET LOCAL ROLE tonne_owner;

-- Whose days were made by which clock; `changed` counts up with each round that found a change.
CREATE TABLE day_clock (
    kind     text COLLATE "C" NOT NULL CHECK (kind IN ('device', 'project')),
    id       text COLLATE "C" NOT NULL,
    timezone text NOT NULL,
    changed  bigint NOT NULL,
    PRIMARY KEY (kind, id)
);

-- what the registry changed since, in the way of 0080, is made again whole
DELETE FROM day_made WHERE registry IS DISTINCT FROM (SELECT max(version) FROM registry_version);
ALTER TABLE day_made DROP COLUMN registry, ADD COLUMN clock bigint NOT NULL DEFAULT 0;

-- Note the clocks of now; returns the count of changes so far.
CREATE FUNCTION tonne_note_clocks() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    round bigint := (SELECT coalesce(max(changed), 0) + 1 FROM day_clock);
BEGIN
    INSERT INTO day_clock AS known (kind, id, timezone, changed)
    SELECT 'device', d.id, s.timezone, 0 FROM device d JOIN site s ON s.id = d.site
    UNION ALL SELECT 'project', p.id, p.timezone, 0 FROM project p
    ON CONFLICT ON CONSTRAINT day_clock_pkey DO UPDATE SET timezone = excluded.timezone, changed = round
    WHERE known.timezone <> excluded.timezone;
    RETURN (SELECT coalesce(max(changed), 0) FROM day_clock);
END $$;

DROP FUNCTION tonne_refresh_days();
DROP FUNCTION tonne_make_days(text, timestamptz, timestamptz);

-- Days that lie between these two times in the site's or project's own clock, whole; only those
-- of some devices (of some projects for emissions), where they are named.
CREATE FUNCTION tonne_make_days(relation text, begins timestamptz, ends timestamptz, chosen text[] DEFAULT NULL)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    first_day date := (begins - INTERVAL '1 day')::date;
    last_day  date := (ends + INTERVAL '1 day')::date;
    since timestamptz := begins - INTERVAL '3 days';
    until timestamptz := ends + INTERVAL '3 days';
    archived tstzmultirange;
BEGIN
    IF relation = 'interval_quantity' THEN
        DELETE FROM day_quantity WHERE day BETWEEN first_day AND last_day AND (chosen IS NULL OR device_id = ANY (chosen));
        INSERT INTO day_quantity (device_id, quantity, day, timezone, value, measured_us)
        SELECT i.device_id, i.quantity, (i.start AT TIME ZONE s.timezone)::date, s.timezone, sum(i.value), sum(i.measured_us)
        FROM interval_quantity i JOIN device d ON d.id = i.device_id JOIN site s ON s.id = d.site
        WHERE i.start >= since AND i.start < until AND (chosen IS NULL OR i.device_id = ANY (chosen))
          AND (i.start AT TIME ZONE s.timezone)::date BETWEEN first_day AND last_day
        GROUP BY 1, 2, 3, 4;
    ELSIF relation = 'interval_emission' THEN
        DELETE FROM day_emission WHERE day BETWEEN first_day AND last_day AND (chosen IS NULL OR project_id = ANY (chosen));
        INSERT INTO day_emission
        SELECT e.project_id, e.device_id, (e.start AT TIME ZONE p.timezone)::date, p.timezone, sum(e.baseline_ug),
               sum(e.project_ug), sum(e.leakage_ug), sum(e.reduction_ug)
        FROM interval_emission e JOIN project p ON p.id = e.project_id
        WHERE e.start >= since AND e.start < until AND (chosen IS NULL OR e.project_id = ANY (chosen))
          AND (e.start AT TIME ZONE p.timezone)::date BETWEEN first_day AND last_day
        GROUP BY 1, 2, 3, 4;
    ELSE
        -- a day whose readings moved to the archive, all or some, stays as it was added up before
        SELECT range_agg(tstzrange(from_time, to_time)) INTO archived
        FROM archive_drop WHERE class_id = 'pv_inverter' AND from_time < until AND to_time > since;
        archived := coalesce(archived, '{}');
        DELETE FROM day_pv WHERE day BETWEEN first_day AND last_day AND (chosen IS NULL OR device_id = ANY (chosen))
          AND NOT archived && tstzrange(day::timestamp AT TIME ZONE timezone, (day + 1)::timestamp AT TIME ZONE timezone);
        INSERT INTO day_pv
        SELECT r.device_id, r.day, r.timezone, sum(r.irradiance_w_m2 * r.step_s) / 3600,
               sum(r.step_s) FILTER (WHERE r.irradiance_w_m2 > 50),
               sum(r.step_s) FILTER (WHERE r.active_power_w >= 0.98 * r.rated_power_w)
        FROM (
            SELECT p.device_id, s.timezone, (p.time AT TIME ZONE s.timezone)::date AS day,
                   p.irradiance_w_m2, p.active_power_w, d.rated_power_w,
                   least(extract(epoch FROM lead(p.time) OVER (PARTITION BY p.device_id ORDER BY p.time) - p.time), 900)
                       ::double precision AS step_s
            FROM reading_pv_inverter p JOIN device d ON d.id = p.device_id JOIN site s ON s.id = d.site
            WHERE p.time >= since AND p.time < until AND (chosen IS NULL OR p.device_id = ANY (chosen))
        ) r
        WHERE r.day BETWEEN first_day AND last_day
        GROUP BY 1, 2, 3
        HAVING NOT archived && tstzrange(r.day::timestamp AT TIME ZONE r.timezone, (r.day + 1)::timestamp AT TIME ZONE r.timezone)
        -- made by a clock of before, and half in the archive now: it stays, and no view shows it
        ON CONFLICT ON CONSTRAINT day_pv_pkey DO NOTHING;
    END IF;
END $$;

-- Make the days again of chunks that were written to, and of devices whose clock is another,
-- what was never made first; returns how many chunks were looked through.  Ends after `budget`:
-- who was away for longer than that calls again.  One caller at a time; a second returns 0 at once.
CREATE FUNCTION tonne_refresh_days(budget interval DEFAULT '1 minute') RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    chunk record;
    moved text[];
    now_clock bigint;
    made integer := 0;
BEGIN
    IF NOT pg_try_advisory_xact_lock(7210080) THEN
        RETURN 0;
    END IF;
    now_clock := tonne_note_clocks();
    FOR chunk IN
        SELECT c.hypertable_name AS relation, c.chunk_name AS name, c.range_start, c.range_end,
               s.n_tup_ins + s.n_tup_upd + s.n_tup_del AS writes, m.writes AS known, m.clock
        FROM timescaledb_information.chunks c
        JOIN pg_stat_all_tables s ON s.schemaname = c.chunk_schema AND s.relname = c.chunk_name
        LEFT JOIN day_made m ON m.chunk = c.chunk_name
        WHERE c.hypertable_schema = 'public'
          AND c.hypertable_name IN ('interval_quantity', 'interval_emission', 'reading_pv_inverter')
          AND (m.chunk IS NULL OR m.clock < now_clock OR m.writes <> s.n_tup_ins + s.n_tup_upd + s.n_tup_del)
        ORDER BY m.made NULLS FIRST, c.range_start DESC
    LOOP
        moved := NULL;
        IF chunk.known = chunk.writes THEN
            SELECT coalesce(array_agg(id), '{}') INTO moved FROM day_clock
            WHERE changed > chunk.clock
              AND kind = CASE chunk.relation WHEN 'interval_emission' THEN 'project' ELSE 'device' END;
        END IF;
        IF moved IS DISTINCT FROM '{}' THEN
            PERFORM tonne_make_days(chunk.relation, chunk.range_start, chunk.range_end, moved);
        END IF;
        INSERT INTO day_made (chunk, writes, made, clock) VALUES (chunk.name, chunk.writes, clock_timestamp(), now_clock)
            ON CONFLICT ON CONSTRAINT day_made_pkey
            DO UPDATE SET writes = excluded.writes, made = excluded.made, clock = excluded.clock;
        made := made + 1;
        EXIT WHEN clock_timestamp() - statement_timestamp() > budget;
    END LOOP;
    -- chunks that went to the archive are not looked at again
    DELETE FROM day_made m WHERE NOT EXISTS (SELECT FROM timescaledb_information.chunks c WHERE c.chunk_name = m.chunk);
    RETURN made;
END $$;
REVOKE EXECUTE ON FUNCTION tonne_note_clocks, tonne_make_days, tonne_refresh_days FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tonne_refresh_days TO tonne_ingest, tonne_mrv;
GRANT SELECT ON day_clock TO tonne_mrv, tonne_api, tonne_grafana;

CREATE OR REPLACE VIEW v_day_quantity AS
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

CREATE OR REPLACE VIEW v_day_avoided_t AS
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

CREATE OR REPLACE VIEW v_day_pv AS
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
