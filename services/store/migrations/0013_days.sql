-- Sums by local day, for dashboards alone: a year of many devices is too much to add up while
-- somebody watches.  Statements, the API and `tonne verify` never read them.  One function
-- makes them from interval rows, again for every chunk that was written to since.  Views add
-- up the last two days when they are asked.
-- Days follow the clock of their site or project, also when that is corrected or a device
-- moves: what was added up by another clock is not shown, and added up again for just those
-- devices.
SET LOCAL ROLE tonne_owner;

-- `begins` is local midnight: dashboards ask by time, and an index finds it.
CREATE TABLE day_quantity (
    device_id   text COLLATE "C" NOT NULL,
    quantity    text COLLATE "C" NOT NULL,
    day         date NOT NULL,
    timezone    text NOT NULL,
    value       numeric NOT NULL,
    measured_us bigint NOT NULL,
    begins      timestamptz GENERATED ALWAYS AS (day::timestamp AT TIME ZONE timezone) STORED,
    PRIMARY KEY (device_id, quantity, day)
);
CREATE INDEX day_quantity_day ON day_quantity (day);
CREATE INDEX day_quantity_begins ON day_quantity (begins, quantity);

CREATE TABLE day_emission (
    project_id   text COLLATE "C" NOT NULL,
    device_id    text COLLATE "C" NOT NULL,
    day          date NOT NULL,
    timezone     text NOT NULL,
    baseline_ug  numeric NOT NULL,
    project_ug   numeric NOT NULL,
    leakage_ug   numeric NOT NULL,
    reduction_ug numeric NOT NULL,
    begins       timestamptz GENERATED ALWAYS AS (day::timestamp AT TIME ZONE timezone) STORED,
    PRIMARY KEY (project_id, day, device_id)
);
CREATE INDEX day_emission_begins ON day_emission (begins);

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

-- What a chunk had been through when its days were made: rows written, changed and deleted so far, and
-- the count of clock changes.  After a crash PostgreSQL counts from nothing again: that is another
-- number, and the chunk's days are made again.
CREATE TABLE day_made (
    chunk  text COLLATE "C" PRIMARY KEY,
    writes bigint NOT NULL,
    made   timestamptz NOT NULL,
    clock  bigint NOT NULL DEFAULT 0
);

-- Whose days were made by which clock; `changed` counts up with each round that found a change.
CREATE TABLE day_clock (
    kind     text COLLATE "C" NOT NULL CHECK (kind IN ('device', 'project')),
    id       text COLLATE "C" NOT NULL,
    timezone text NOT NULL,
    changed  bigint NOT NULL,
    PRIMARY KEY (kind, id)
);

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

-- Make the days that lie between these two times in the site's or project's own clock, whole; only
-- those of some devices (of some projects for emissions), where they are named.  Of a month that was
-- written to, only the days that came out otherwise are written: the month of now is added up every
-- few minutes, and nearly all of its days are as before.
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
        WITH fresh AS MATERIALIZED (
            SELECT i.device_id, i.quantity, (i.start AT TIME ZONE s.timezone)::date AS day, s.timezone,
                   sum(i.value) AS value, sum(i.measured_us)::bigint AS measured_us
            FROM interval_quantity i JOIN device d ON d.id = i.device_id JOIN site s ON s.id = d.site
            WHERE i.start >= since AND i.start < until AND (chosen IS NULL OR i.device_id = ANY (chosen))
              AND (i.start AT TIME ZONE s.timezone)::date BETWEEN first_day AND last_day
            GROUP BY 1, 2, 3, 4
        ), gone AS (
            DELETE FROM day_quantity q
            WHERE q.day BETWEEN first_day AND last_day AND (chosen IS NULL OR q.device_id = ANY (chosen))
              AND NOT EXISTS (SELECT FROM fresh f
                              WHERE (f.device_id, f.quantity, f.day) = (q.device_id, q.quantity, q.day))
        )
        INSERT INTO day_quantity AS q (device_id, quantity, day, timezone, value, measured_us)
        SELECT device_id, quantity, day, timezone, value, measured_us FROM fresh
        ON CONFLICT ON CONSTRAINT day_quantity_pkey DO UPDATE
            SET timezone = excluded.timezone, value = excluded.value, measured_us = excluded.measured_us
            WHERE (q.timezone, q.value, q.measured_us) IS DISTINCT FROM (excluded.timezone, excluded.value, excluded.measured_us);
    ELSIF relation = 'interval_emission' THEN
        WITH fresh AS MATERIALIZED (
            SELECT e.project_id, e.device_id, (e.start AT TIME ZONE p.timezone)::date AS day, p.timezone,
                   sum(e.baseline_ug) AS baseline_ug, sum(e.project_ug) AS project_ug,
                   sum(e.leakage_ug) AS leakage_ug, sum(e.reduction_ug) AS reduction_ug
            FROM interval_emission e JOIN project p ON p.id = e.project_id
            WHERE e.start >= since AND e.start < until AND (chosen IS NULL OR e.project_id = ANY (chosen))
              AND (e.start AT TIME ZONE p.timezone)::date BETWEEN first_day AND last_day
            GROUP BY 1, 2, 3, 4
        ), gone AS (
            DELETE FROM day_emission q
            WHERE q.day BETWEEN first_day AND last_day AND (chosen IS NULL OR q.project_id = ANY (chosen))
              AND NOT EXISTS (SELECT FROM fresh f
                              WHERE (f.project_id, f.day, f.device_id) = (q.project_id, q.day, q.device_id))
        )
        INSERT INTO day_emission AS q (project_id, device_id, day, timezone, baseline_ug, project_ug, leakage_ug, reduction_ug)
        SELECT project_id, device_id, day, timezone, baseline_ug, project_ug, leakage_ug, reduction_ug FROM fresh
        ON CONFLICT ON CONSTRAINT day_emission_pkey DO UPDATE
            SET timezone = excluded.timezone, baseline_ug = excluded.baseline_ug, project_ug = excluded.project_ug,
                leakage_ug = excluded.leakage_ug, reduction_ug = excluded.reduction_ug
            WHERE (q.timezone, q.baseline_ug, q.project_ug, q.leakage_ug, q.reduction_ug) IS DISTINCT FROM
                  (excluded.timezone, excluded.baseline_ug, excluded.project_ug, excluded.leakage_ug, excluded.reduction_ug);
    ELSE
        -- a day whose readings moved to the archive, all or some, stays as it was added up before
        SELECT range_agg(tstzrange(from_time, to_time)) INTO archived
        FROM archive_drop WHERE class_id = 'pv_inverter' AND from_time < until AND to_time > since;
        archived := coalesce(archived, '{}');
        WITH fresh AS MATERIALIZED (
            SELECT r.device_id, r.day, r.timezone, sum(r.irradiance_w_m2 * r.step_s) / 3600 AS insolation_wh_m2,
                   sum(r.step_s) FILTER (WHERE r.irradiance_w_m2 > 50) AS sunny_s,
                   sum(r.step_s) FILTER (WHERE r.active_power_w >= 0.98 * r.rated_power_w) AS clipped_s
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
        ), gone AS (
            DELETE FROM day_pv q
            WHERE q.day BETWEEN first_day AND last_day AND (chosen IS NULL OR q.device_id = ANY (chosen))
              AND NOT archived && tstzrange(q.day::timestamp AT TIME ZONE q.timezone, (q.day + 1)::timestamp AT TIME ZONE q.timezone)
              AND NOT EXISTS (SELECT FROM fresh f WHERE (f.device_id, f.day) = (q.device_id, q.day))
        )
        INSERT INTO day_pv AS q (device_id, day, timezone, insolation_wh_m2, sunny_s, clipped_s)
        SELECT device_id, day, timezone, insolation_wh_m2, sunny_s, clipped_s FROM fresh
        -- made by a clock of before, and half in the archive now: it stays, and no view shows it
        ON CONFLICT ON CONSTRAINT day_pv_pkey DO UPDATE
            SET timezone = excluded.timezone, insolation_wh_m2 = excluded.insolation_wh_m2,
                sunny_s = excluded.sunny_s, clipped_s = excluded.clipped_s
            WHERE NOT archived && tstzrange(q.day::timestamp AT TIME ZONE q.timezone, (q.day + 1)::timestamp AT TIME ZONE q.timezone)
              AND (q.timezone, q.insolation_wh_m2, q.sunny_s, q.clipped_s) IS DISTINCT FROM
                  (excluded.timezone, excluded.insolation_wh_m2, excluded.sunny_s, excluded.clipped_s);
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
GRANT SELECT ON day_quantity, day_emission, day_pv, day_made, day_clock TO tonne_mrv, tonne_api, tonne_grafana;
