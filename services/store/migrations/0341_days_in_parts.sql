-- Days are added up some at a time: a chunk of ten thousand devices is 29 million rows, which a busy server
-- did not add up in the 15 minutes that a statement has, and then began again.  What was done stays done.
SET LOCAL ROLE tonne_owner;

-- Where a round through a chunk stands: the first day that is still to be made (null: all are), and of which
-- devices (null: all; else those whose clock changed after this count).  `writes` and `clock` are those of
-- the round's begin, so that what is written meanwhile has another round.
ALTER TABLE day_made ADD COLUMN next_day date, ADD COLUMN since_clock bigint;

DROP FUNCTION tonne_refresh_days(interval);
DROP FUNCTION tonne_make_days(text, timestamptz, timestamptz, text[]);

-- Make these days, in the site's or project's own clock, whole; only those of some devices (of some projects
-- for emissions), where they are named.  Only the days that came out otherwise are written: the chunk of now
-- is added up every few minutes, and nearly all of its days are as before.  A reading of an inverter counts
-- as long as the device's cadence says, so that a plant that sends each hour has its ratio.
CREATE FUNCTION tonne_make_days(relation text, first_day date, last_day date, chosen text[] DEFAULT NULL)
RETURNS void LANGUAGE plpgsql SET plan_cache_mode = 'force_custom_plan' AS $$
DECLARE
    -- clocks are at most 14 hours from UTC
    since timestamptz := (first_day - 1)::timestamp AT TIME ZONE 'UTC';
    until timestamptz := (last_day + 2)::timestamp AT TIME ZONE 'UTC';
    archived tstzmultirange;
BEGIN
    IF relation = 'interval_quantity' THEN
        WITH fresh AS MATERIALIZED (
            SELECT i.device_id, i.quantity, tonne_clock(s.timezone, i.start)::date AS day, s.timezone,
                   sum(i.value) AS value, sum(i.measured_us)::bigint AS measured_us
            FROM interval_quantity i JOIN device d ON d.id = i.device_id JOIN site s ON s.id = d.site
            WHERE i.start >= since AND i.start < until AND (chosen IS NULL OR i.device_id = ANY (chosen))
              AND tonne_clock(s.timezone, i.start)::date BETWEEN first_day AND last_day
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
            SELECT e.project_id, e.device_id, tonne_clock(p.timezone, e.start)::date AS day, p.timezone,
                   sum(e.baseline_ug) AS baseline_ug, sum(e.project_ug) AS project_ug,
                   sum(e.leakage_ug) AS leakage_ug, sum(e.reduction_ug) AS reduction_ug
            FROM interval_emission e JOIN project p ON p.id = e.project_id
            WHERE e.start >= since AND e.start < until AND (chosen IS NULL OR e.project_id = ANY (chosen))
              AND tonne_clock(p.timezone, e.start)::date BETWEEN first_day AND last_day
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
                   sum(r.step_s) FILTER (WHERE r.active_power_w >= 0.98 * r.rated_power_w) AS clipped_s,
                   sum(r.irradiance_w_m2 * r.step_s) FILTER (WHERE r.module_temperature_c IS NOT NULL) / 3600 AS warm_wh_m2,
                   sum(r.irradiance_w_m2 * (r.module_temperature_c - 25) * r.step_s) / 3600 AS heat_wh_k_m2,
                   sum(r.step_s) FILTER (WHERE r.irradiance_w_m2 >= 100 AND r.active_power_w IS NOT NULL) AS lit_s,
                   sum(r.step_s) FILTER (WHERE r.irradiance_w_m2 >= 100 AND r.active_power_w > 0) AS running_s,
                   sum(r.irradiance_w_m2 * r.step_s) FILTER (WHERE r.irradiance_w_m2 >= 100 AND r.active_power_w <= 0) / 3600 AS standing_wh_m2,
                   sum(r.irradiance_w_m2 * r.step_s) FILTER (WHERE r.active_power_w >= 0.98 * r.rated_power_w) / 3600 AS clipped_wh_m2,
                   sum(r.active_power_w * r.step_s) FILTER (WHERE r.active_power_w >= 0.98 * r.rated_power_w) / 3600 AS clipped_wh
            FROM (
                SELECT d.id::text COLLATE "C" AS device_id, s.timezone, tonne_clock(s.timezone, p.time)::date AS day,
                       CASE WHEN p.irradiance_w_m2 < 0 THEN 0 ELSE p.irradiance_w_m2 END AS irradiance_w_m2, p.active_power_w, p.module_temperature_c, d.rated_power_w,
                       least(extract(epoch FROM p.next_time - p.time),
                             greatest(900, CASE WHEN jsonb_typeof(d.attributes -> 'cadence_s') = 'number'
                                 THEN (d.attributes ->> 'cadence_s')::numeric END))
                           ::double precision AS step_s
                FROM device d JOIN site s ON s.id = d.site
                -- a device at a time, in the order of its key: no sort of all readings, and of a few days
                -- in a long chunk no other days are read
                CROSS JOIN LATERAL (
                    SELECT q.time, q.irradiance_w_m2, q.active_power_w, q.module_temperature_c,
                           lead(q.time) OVER (ORDER BY q.time) AS next_time
                    FROM reading_pv_inverter q
                    WHERE q.device_id = d.id AND q.time >= since AND q.time < until
                ) p
                WHERE d.class = 'pv_inverter' AND (chosen IS NULL OR d.id = ANY (chosen))
            ) r
            WHERE r.day BETWEEN first_day AND last_day
            GROUP BY 1, 2, 3
            HAVING NOT archived && tstzrange(tonne_clock(r.timezone, r.day::timestamp), tonne_clock(r.timezone, (r.day + 1)::timestamp))
        ), gone AS (
            DELETE FROM day_pv q
            WHERE q.day BETWEEN first_day AND last_day AND (chosen IS NULL OR q.device_id = ANY (chosen))
              AND NOT archived && tstzrange(tonne_clock(q.timezone, q.day::timestamp), tonne_clock(q.timezone, (q.day + 1)::timestamp))
              AND NOT EXISTS (SELECT FROM fresh f WHERE (f.device_id, f.day) = (q.device_id, q.day))
        )
        INSERT INTO day_pv AS q (device_id, day, timezone, insolation_wh_m2, sunny_s, clipped_s, warm_wh_m2, heat_wh_k_m2, lit_s, running_s, standing_wh_m2, clipped_wh_m2, clipped_wh)
        SELECT device_id, day, timezone, insolation_wh_m2, sunny_s, clipped_s,
               warm_wh_m2, heat_wh_k_m2, lit_s, running_s, standing_wh_m2, clipped_wh_m2, clipped_wh FROM fresh
        -- made by a clock of before, and half in the archive now: it stays, and no view shows it
        ON CONFLICT ON CONSTRAINT day_pv_pkey DO UPDATE
            SET timezone = excluded.timezone, insolation_wh_m2 = excluded.insolation_wh_m2,
                sunny_s = excluded.sunny_s, clipped_s = excluded.clipped_s,
                warm_wh_m2 = excluded.warm_wh_m2, heat_wh_k_m2 = excluded.heat_wh_k_m2, lit_s = excluded.lit_s, running_s = excluded.running_s,
                standing_wh_m2 = excluded.standing_wh_m2, clipped_wh_m2 = excluded.clipped_wh_m2, clipped_wh = excluded.clipped_wh
            WHERE NOT archived && tstzrange(tonne_clock(q.timezone, q.day::timestamp), tonne_clock(q.timezone, (q.day + 1)::timestamp))
              AND (q.timezone, q.insolation_wh_m2, q.sunny_s, q.clipped_s, q.warm_wh_m2, q.heat_wh_k_m2, q.lit_s, q.running_s, q.standing_wh_m2, q.clipped_wh_m2, q.clipped_wh) IS DISTINCT FROM
                  (excluded.timezone, excluded.insolation_wh_m2, excluded.sunny_s, excluded.clipped_s,
                   excluded.warm_wh_m2, excluded.heat_wh_k_m2, excluded.lit_s, excluded.running_s, excluded.standing_wh_m2, excluded.clipped_wh_m2, excluded.clipped_wh);
    END IF;
END $$;

-- Make the days again of chunks that were written to, and of devices whose clock is another, what was never
-- made first; returns how many chunks were looked through.  Ends once `budget` is over and the days at hand
-- are made, `days_at_once` of them, or as many as thirty thousand device days (six thousand of inverters,
-- which are added up from readings): who has more to do calls again, and goes on there.  One caller at a
-- time; a second returns 0 at once.
CREATE FUNCTION tonne_refresh_days(budget interval DEFAULT '1 minute', days_at_once integer DEFAULT NULL) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    chunk record;
    moved text[];
    devices bigint;
    now_clock bigint;
    day date;
    last_day date;
    upto date;
    made integer := 0;
BEGIN
    IF NOT pg_try_advisory_xact_lock(7210080) THEN
        RETURN 0;
    END IF;
    now_clock := tonne_note_clocks();
    FOR chunk IN
        SELECT c.hypertable_name AS relation, c.chunk_name AS name, c.range_start, c.range_end,
               s.n_tup_ins + s.n_tup_upd + s.n_tup_del AS writes, m.writes AS known, m.clock, m.next_day, m.since_clock
        FROM timescaledb_information.chunks c
        JOIN pg_stat_all_tables s ON s.schemaname = c.chunk_schema AND s.relname = c.chunk_name
        LEFT JOIN day_made m ON m.chunk = c.chunk_name
        WHERE c.hypertable_schema = 'public'
          AND c.hypertable_name IN ('interval_quantity', 'interval_emission', 'reading_pv_inverter')
          AND (m.chunk IS NULL OR m.next_day IS NOT NULL OR m.clock < now_clock
               OR m.writes <> s.n_tup_ins + s.n_tup_upd + s.n_tup_del)
        ORDER BY m.made NULLS FIRST, c.range_start DESC
    LOOP
        day := coalesce(chunk.next_day, (chunk.range_start - INTERVAL '1 day')::date);
        last_day := (chunk.range_end + INTERVAL '1 day')::date;
        IF chunk.next_day IS NULL THEN
            chunk.since_clock := CASE WHEN chunk.known = chunk.writes THEN chunk.clock END;
            chunk.known := chunk.writes;
            chunk.clock := now_clock;
        END IF;
        moved := NULL;
        IF chunk.since_clock IS NOT NULL THEN
            SELECT coalesce(array_agg(id), '{}') INTO moved FROM day_clock
            WHERE changed > chunk.since_clock
              AND kind = CASE chunk.relation WHEN 'interval_emission' THEN 'project' ELSE 'device' END;
        END IF;
        SELECT count(*) INTO devices FROM device
        WHERE class = 'pv_inverter' OR chunk.relation <> 'reading_pv_inverter';
        WHILE day IS NOT NULL LOOP
            upto := least(last_day, day - 1 + coalesce(days_at_once, greatest(1,
                CASE chunk.relation WHEN 'reading_pv_inverter' THEN 6000 ELSE 30000 END / greatest(devices, 1))::integer));
            IF moved IS DISTINCT FROM '{}' THEN
                PERFORM tonne_make_days(chunk.relation, day, upto, moved);
            END IF;
            day := CASE WHEN upto < last_day THEN upto + 1 END;
            EXIT WHEN clock_timestamp() - statement_timestamp() > budget;
        END LOOP;
        INSERT INTO day_made (chunk, writes, made, clock, next_day, since_clock)
            VALUES (chunk.name, chunk.known, clock_timestamp(), chunk.clock, day, CASE WHEN day IS NOT NULL THEN chunk.since_clock END)
            ON CONFLICT ON CONSTRAINT day_made_pkey
            DO UPDATE SET writes = excluded.writes, made = excluded.made, clock = excluded.clock,
                          next_day = excluded.next_day, since_clock = excluded.since_clock;
        made := made + 1;
        EXIT WHEN clock_timestamp() - statement_timestamp() > budget;
    END LOOP;
    -- chunks that went to the archive are not looked at again
    DELETE FROM day_made m WHERE NOT EXISTS (SELECT FROM timescaledb_information.chunks c WHERE c.chunk_name = m.chunk);
    RETURN made;
END $$;

REVOKE EXECUTE ON FUNCTION tonne_make_days, tonne_refresh_days FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tonne_refresh_days TO tonne_ingest, tonne_mrv, tonne_watch;
