--
-- PostgreSQL database dump
--

-- Dumped from database version 17.12 (Debian 17.12-0+deb13u1)
-- Dumped by pg_dump version 17.12 (Debian 17.12-0+deb13u1)

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: public; Type: SCHEMA; Schema: -; Owner: pg_database_owner
--

ALTER SCHEMA public OWNER TO pg_database_owner;

--
-- Name: SCHEMA public; Type: COMMENT; Schema: -; Owner: pg_database_owner
--

COMMENT ON SCHEMA public IS 'standard public schema';

--
-- Name: tonne_id; Type: DOMAIN; Schema: public; Owner: tonne_owner
--

CREATE DOMAIN public.tonne_id AS text COLLATE pg_catalog."C"
	CONSTRAINT tonne_id_check CHECK ((VALUE ~ '^[A-Za-z0-9_-]{1,64}$'::text));

ALTER DOMAIN public.tonne_id OWNER TO tonne_owner;

--
-- Name: tonne_period; Type: DOMAIN; Schema: public; Owner: tonne_owner
--

CREATE DOMAIN public.tonne_period AS tstzrange
	CONSTRAINT tonne_period_check CHECK (((NOT isempty(VALUE)) AND (NOT lower_inf(VALUE)) AND (NOT upper_inf(VALUE)) AND lower_inc(VALUE) AND (NOT upper_inc(VALUE))));

ALTER DOMAIN public.tonne_period OWNER TO tonne_owner;

--
-- Name: tonne_append_only(); Type: FUNCTION; Schema: public; Owner: tonne_owner
--

CREATE FUNCTION public.tonne_append_only() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION 'append-only: % on % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege',
              HINT = 'A correction is a new row with its author and reason.';
END $$;

ALTER FUNCTION public.tonne_append_only() OWNER TO tonne_owner;

--
-- Name: tonne_append_or_expire(); Type: FUNCTION; Schema: public; Owner: tonne_owner
--

CREATE FUNCTION public.tonne_append_or_expire() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_user = 'tonne_retention' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'append-only: % on % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege',
              HINT = 'Old dead letters are removed by policy: tonne deadletter expire.';
END $$;

ALTER FUNCTION public.tonne_append_or_expire() OWNER TO tonne_owner;

--
-- Name: tonne_drop_archived(text, timestamp with time zone, timestamp with time zone); Type: FUNCTION; Schema: public; Owner: tonne_owner
--

CREATE FUNCTION public.tonne_drop_archived(class text, begins timestamp with time zone, ends timestamp with time zone) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $_$
DECLARE
    hyper regclass := ('public.reading_' || class)::regclass;
    chunk regclass;
    stray record;
BEGIN
    SELECT format('%I.%I', c.chunk_schema, c.chunk_name)::regclass INTO chunk
    FROM timescaledb_information.chunks c
    WHERE c.hypertable_schema = 'public' AND c.hypertable_name = 'reading_' || class
      AND c.range_start = begins AND c.range_end = ends;
    IF chunk IS NULL THEN
        RETURN '';
    END IF;
    IF ends > now() - INTERVAL '7 days' THEN
        RAISE EXCEPTION 'readings younger than 7 days stay, those until % do', ends
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- whoever reads or writes old rows holds it shared until the transaction ends
    IF NOT pg_try_advisory_xact_lock(hashtextextended('tonne archived readings', 0)) THEN
        RETURN 'readers';
    END IF;
    EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', chunk);
    IF EXISTS (SELECT FROM late_day l JOIN device d ON d.id = l.device_id
               WHERE d.class = tonne_drop_archived.class
                 AND l.day BETWEEN begins::date - 2 AND ends::date + 2) THEN
        RETURN 'late';
    END IF;
    IF EXISTS (SELECT FROM archive_hold h
               WHERE h.until > now() AND h.from_time < ends AND h.to_time > begins) THEN
        RETURN 'held';
    END IF;
    IF EXISTS (
        SELECT FROM data_seal s
        WHERE s.from_time < ends AND s.to_time > begins
          AND s.sequence = (SELECT max(n.sequence) FROM data_seal n
                            WHERE n.project_id = s.project_id AND n.day = s.day)
          AND NOT EXISTS (SELECT FROM archive_day a
                          WHERE (a.project_id, a.day, a.seal_index) = (s.project_id, s.day, s.index))
    ) THEN
        RETURN 'sealed again';
    END IF;
    -- no row may stand outside of what the parts hold of its device
    EXECUTE format(
        'WITH RECURSIVE d (id) AS ('
        '  (SELECT device_id FROM %1$s ORDER BY device_id LIMIT 1)'
        '  UNION ALL SELECT (SELECT r.device_id FROM %1$s r WHERE r.device_id > d.id ORDER BY r.device_id LIMIT 1)'
        '  FROM d WHERE d.id IS NOT NULL),'
        ' held AS ('
        '  SELECT u.id, range_agg(tstzrange(p.from_time, p.to_time)) AS spans'
        '  FROM archive_part p CROSS JOIN LATERAL unnest(p.devices) AS u (id)'
        '  WHERE p.class_id = $1 AND p.from_time < $3 AND p.to_time > $2 GROUP BY u.id)'
        ' SELECT r.device_id, r.time FROM d LEFT JOIN held ON held.id = d.id'
        ' CROSS JOIN LATERAL unnest(tstzmultirange(tstzrange($2, $3)) - coalesce(held.spans, ''{}'')) AS gap'
        ' CROSS JOIN LATERAL (SELECT device_id, time FROM %1$s o WHERE o.device_id = d.id'
        '  AND o.time >= lower(gap) AND o.time < upper(gap) ORDER BY time LIMIT 1) r'
        ' WHERE d.id IS NOT NULL LIMIT 1', chunk)
    INTO stray USING class, begins, ends;
    IF stray.device_id IS NOT NULL THEN
        RETURN format('device %s has a reading at %s that no archived part holds', stray.device_id, stray.time);
    END IF;
    INSERT INTO archive_drop (class_id, from_time, to_time, bytes)
    VALUES (class, begins, ends, pg_total_relation_size(chunk));
    -- by its times: what was created within these bounds is this chunk alone
    PERFORM drop_chunks(hyper, older_than => ends, newer_than => begins);
    RETURN '';
END $_$;

ALTER FUNCTION public.tonne_drop_archived(class text, begins timestamp with time zone, ends timestamp with time zone) OWNER TO tonne_owner;

--
-- Name: tonne_expire_dead_letters(timestamp with time zone, text); Type: FUNCTION; Schema: public; Owner: tonne_retention
--

CREATE FUNCTION public.tonne_expire_dead_letters(older_than timestamp with time zone, by_whom text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
DECLARE
    going bigint[];
BEGIN
    IF older_than > now() - INTERVAL '30 days' THEN
        RAISE EXCEPTION 'dead letters are kept for 30 days at least, not only since %', older_than
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('tonne_expire_dead_letters'));
    SELECT array_agg(d.id) INTO going FROM dead_letter d WHERE d.received < older_than;
    IF going IS NULL THEN
        RETURN 0;
    END IF;
    INSERT INTO dead_letter_removal (author, before, letters, reasons, ids, sha256)
    SELECT by_whom, older_than, count(*),
           (SELECT jsonb_object_agg(r.reason, r.count) FROM (
               SELECT e.reason, count(*) FROM dead_letter e WHERE e.id = ANY (going) GROUP BY e.reason) r),
           range_agg(int8range(d.id, d.id, '[]')),
           sha256(string_agg(d.sha256, ''::bytea ORDER BY d.id))
    FROM dead_letter d WHERE d.id = ANY (going);
    DELETE FROM dead_letter_replay r WHERE r.dead_letter_id = ANY (going);
    DELETE FROM dead_letter d WHERE d.id = ANY (going);
    RETURN cardinality(going);
END $$;

ALTER FUNCTION public.tonne_expire_dead_letters(older_than timestamp with time zone, by_whom text) OWNER TO tonne_retention;

--
-- Name: tonne_fill_only(); Type: FUNCTION; Schema: public; Owner: tonne_owner
--

CREATE FUNCTION public.tonne_fill_only() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF jsonb_strip_nulls(to_jsonb(OLD) - 'flags') <@ to_jsonb(NEW)
       AND coalesce(OLD.flags, '{}') <@ coalesce(NEW.flags, '{}') THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'append-only: % holds another value for device % at %', TG_TABLE_NAME, OLD.device_id, OLD.time
        USING ERRCODE = 'insufficient_privilege',
              HINT = 'Readings are never changed; only an empty channel may be filled.';
END $$;

ALTER FUNCTION public.tonne_fill_only() OWNER TO tonne_owner;

--
-- Name: tonne_finding_step(); Type: FUNCTION; Schema: public; Owner: tonne_owner
--

CREATE FUNCTION public.tonne_finding_step() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    now_in text;
    before finding_event;
    holder enrolled_key;
BEGIN
    PERFORM FROM statement WHERE id = NEW.statement_id FOR NO KEY UPDATE;
    SELECT e.state INTO now_in FROM statement_event e
        WHERE e.statement_id = NEW.statement_id ORDER BY e.sequence DESC LIMIT 1;
    SELECT * INTO before FROM finding_event f
        WHERE f.statement_id = NEW.statement_id AND f.finding = NEW.finding ORDER BY f.number DESC LIMIT 1;
    SELECT * INTO holder FROM enrolled_key k WHERE k.multikey = NEW.multikey
        AND k.valid_from <= NEW.at AND (k.valid_until IS NULL OR NEW.at < k.valid_until);
    IF now_in IS DISTINCT FROM 'under_verification'
        OR NEW.number <> coalesce(before.number, 0) + 1
        OR (NEW.event = 'raised') <> (before.number IS NULL)
        OR before.event = 'closed'
        OR holder.role IS DISTINCT FROM (CASE NEW.event WHEN 'answered' THEN 'operator' ELSE 'verifier' END)
        OR EXISTS (SELECT FROM statement_event e JOIN enrolled_key k USING (multikey)
            WHERE e.statement_id = NEW.statement_id AND e.state = 'submitted'
            AND NEW.event <> 'answered' AND (k.name = holder.name OR e.principal = NEW.principal))
    THEN
        RAISE EXCEPTION 'finding % of statement %, which is %, cannot be % by key %',
            NEW.finding, NEW.statement_id, coalesce(now_in, 'new'), NEW.event, NEW.multikey
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;

ALTER FUNCTION public.tonne_finding_step() OWNER TO tonne_owner;

--
-- Name: tonne_make_days(text, timestamp with time zone, timestamp with time zone, text[]); Type: FUNCTION; Schema: public; Owner: tonne_owner
--

CREATE FUNCTION public.tonne_make_days(relation text, begins timestamp with time zone, ends timestamp with time zone, chosen text[] DEFAULT NULL::text[]) RETURNS void
    LANGUAGE plpgsql
    AS $$
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

ALTER FUNCTION public.tonne_make_days(relation text, begins timestamp with time zone, ends timestamp with time zone, chosen text[]) OWNER TO tonne_owner;

--
-- Name: tonne_note_clocks(); Type: FUNCTION; Schema: public; Owner: tonne_owner
--

CREATE FUNCTION public.tonne_note_clocks() RETURNS bigint
    LANGUAGE plpgsql
    AS $$
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

ALTER FUNCTION public.tonne_note_clocks() OWNER TO tonne_owner;

--
-- Name: tonne_refresh_days(interval); Type: FUNCTION; Schema: public; Owner: tonne_owner
--

CREATE FUNCTION public.tonne_refresh_days(budget interval DEFAULT '00:01:00'::interval) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    AS $$
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

ALTER FUNCTION public.tonne_refresh_days(budget interval) OWNER TO tonne_owner;

--
-- Name: tonne_request_remake(); Type: FUNCTION; Schema: public; Owner: tonne_owner
--

CREATE FUNCTION public.tonne_request_remake() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public'
    AS $$
BEGIN
    IF TG_TABLE_NAME = 'device' THEN
        INSERT INTO remake_request (device_id) VALUES (NEW.id)
            ON CONFLICT (device_id) DO UPDATE SET requested = excluded.requested;
    ELSIF TG_TABLE_NAME = 'project' THEN
        INSERT INTO remake_request (device_id)
            SELECT DISTINCT device_id FROM project_device WHERE project_id = NEW.id ORDER BY device_id
            ON CONFLICT (device_id) DO UPDATE SET requested = excluded.requested;
    ELSE
        INSERT INTO remake_request (device_id)
            SELECT device_id FROM (VALUES ((to_jsonb(OLD) ->> 'device_id')), ((to_jsonb(NEW) ->> 'device_id'))) AS d (device_id)
            WHERE device_id IS NOT NULL GROUP BY device_id ORDER BY device_id
            ON CONFLICT (device_id) DO UPDATE SET requested = excluded.requested;
    END IF;
    RETURN NULL;
END $$;

ALTER FUNCTION public.tonne_request_remake() OWNER TO tonne_owner;

--
-- Name: tonne_revoke_only(); Type: FUNCTION; Schema: public; Owner: tonne_owner
--

CREATE FUNCTION public.tonne_revoke_only() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF OLD.revoked IS NOT NULL OR NEW.revoked IS NULL OR
       (OLD.id, OLD.principal, OLD.kind, OLD.serial, OLD.fingerprint, OLD.issued, OLD.expires, OLD.author)
       IS DISTINCT FROM (NEW.id, NEW.principal, NEW.kind, NEW.serial, NEW.fingerprint, NEW.issued, NEW.expires, NEW.author) THEN
        RAISE EXCEPTION 'a credential can be revoked once and is not otherwise changed';
    END IF;
    RETURN NEW;
END $$;

ALTER FUNCTION public.tonne_revoke_only() OWNER TO tonne_owner;

--
-- Name: tonne_sampling_step(); Type: FUNCTION; Schema: public; Owner: tonne_owner
--

CREATE FUNCTION public.tonne_sampling_step() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    now_in text;
    holder enrolled_key;
BEGIN
    PERFORM FROM statement WHERE id = NEW.statement_id FOR NO KEY UPDATE;
    SELECT e.state INTO now_in FROM statement_event e
        WHERE e.statement_id = NEW.statement_id ORDER BY e.sequence DESC LIMIT 1;
    SELECT * INTO holder FROM enrolled_key k WHERE k.multikey = NEW.multikey
        AND k.valid_from <= NEW.at AND (k.valid_until IS NULL OR NEW.at < k.valid_until);
    IF now_in IS DISTINCT FROM 'under_verification' OR holder.role IS DISTINCT FROM 'verifier'
        OR EXISTS (SELECT FROM statement_event e JOIN enrolled_key k USING (multikey)
            WHERE e.statement_id = NEW.statement_id AND e.state = 'submitted'
            AND (k.name = holder.name OR e.principal = NEW.principal))
    THEN
        RAISE EXCEPTION 'no sample of statement %, which is %, can be drawn by key %',
            NEW.statement_id, coalesce(now_in, 'new'), NEW.multikey
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;

ALTER FUNCTION public.tonne_sampling_step() OWNER TO tonne_owner;

--
-- Name: tonne_see_devices(); Type: FUNCTION; Schema: public; Owner: tonne_owner
--

CREATE FUNCTION public.tonne_see_devices() RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public'
    AS $$
DECLARE
    class_name text;
    found bigint := 0;
    n bigint;
BEGIN
    FOR class_name IN SELECT DISTINCT class FROM device ORDER BY 1 LOOP
        CONTINUE WHEN to_regclass('reading_' || class_name) IS NULL;
        EXECUTE format(
            'INSERT INTO device_seen AS s (device_id, last_reading, received, day, quarters)
             SELECT d.id, r.time, r.time, ''-infinity'', repeat(''0'', 100)::bit(100) FROM device d CROSS JOIN LATERAL
                 (SELECT time FROM %I WHERE device_id = d.id ORDER BY time DESC LIMIT 1) r
             WHERE d.class = %L ORDER BY d.id
             ON CONFLICT (device_id) DO UPDATE SET last_reading = excluded.last_reading
             WHERE excluded.last_reading > s.last_reading',
            'reading_' || class_name, class_name);
        GET DIAGNOSTICS n = ROW_COUNT;
        found := found + n;
    END LOOP;
    RETURN found;
END $$;

ALTER FUNCTION public.tonne_see_devices() OWNER TO tonne_owner;

--
-- Name: tonne_site_clock_changed(); Type: FUNCTION; Schema: public; Owner: tonne_owner
--

CREATE FUNCTION public.tonne_site_clock_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public'
    AS $$
BEGIN
    INSERT INTO remake_request (device_id)
        SELECT id FROM device WHERE site = NEW.id ORDER BY id
        ON CONFLICT (device_id) DO UPDATE SET requested = excluded.requested;
    RETURN NULL;
END $$;

ALTER FUNCTION public.tonne_site_clock_changed() OWNER TO tonne_owner;

--
-- Name: tonne_site_moved(); Type: FUNCTION; Schema: public; Owner: tonne_owner
--

CREATE FUNCTION public.tonne_site_moved() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public'
    AS $$
BEGIN
    INSERT INTO remake_request (device_id) SELECT id FROM device WHERE site = NEW.id ORDER BY id
        ON CONFLICT (device_id) DO UPDATE SET requested = excluded.requested;
    RETURN NULL;
END $$;

ALTER FUNCTION public.tonne_site_moved() OWNER TO tonne_owner;

--
-- Name: tonne_statement_step(); Type: FUNCTION; Schema: public; Owner: tonne_owner
--

CREATE FUNCTION public.tonne_statement_step() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    now_in   text;
    preparer record;
    holder   enrolled_key;
BEGIN
    PERFORM FROM statement WHERE id = NEW.statement_id FOR NO KEY UPDATE;  -- one step at a time
    SELECT e.state INTO now_in FROM statement_event e
        WHERE e.statement_id = NEW.statement_id ORDER BY e.sequence DESC LIMIT 1;
    IF (coalesce(now_in, ''), NEW.state) NOT IN (
        ('', 'draft'), ('draft', 'submitted'), ('submitted', 'under_verification'),
        ('submitted', 'verified'), ('submitted', 'rejected'),
        ('under_verification', 'verified'), ('under_verification', 'rejected'),
        ('verified', 'issued'), ('issued', 'superseded'), ('issued', 'revoked')
    ) THEN
        RAISE EXCEPTION 'statement % is %, it cannot become %', NEW.statement_id, coalesce(now_in, 'new'), NEW.state
            USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.state = 'revoked' AND coalesce(NEW.reason, '') = '' THEN
        RAISE EXCEPTION 'statement % cannot be revoked without a reason', NEW.statement_id
            USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.state IN ('submitted', 'under_verification', 'verified', 'rejected') THEN
        SELECT * INTO holder FROM enrolled_key k WHERE k.multikey = NEW.multikey
            AND k.valid_from <= NEW.at AND (k.valid_until IS NULL OR NEW.at < k.valid_until);
        IF holder.role IS DISTINCT FROM (CASE NEW.state WHEN 'submitted' THEN 'operator' ELSE 'verifier' END) THEN
            RAISE EXCEPTION 'statement % cannot become % by key %: its role is %',
                NEW.statement_id, NEW.state, coalesce(NEW.multikey, 'none'), coalesce(holder.role, 'not enrolled')
                USING ERRCODE = 'check_violation';
        END IF;
        SELECT k.name, e.principal INTO preparer FROM statement_event e JOIN enrolled_key k USING (multikey)
            WHERE e.statement_id = NEW.statement_id AND e.state = 'submitted';
        IF preparer.name = holder.name OR preparer.principal = NEW.principal THEN
            RAISE EXCEPTION 'statement % was prepared by %, who cannot verify it', NEW.statement_id, preparer.name
                USING ERRCODE = 'check_violation';
        END IF;
    END IF;
    RETURN NEW;
END $$;

ALTER FUNCTION public.tonne_statement_step() OWNER TO tonne_owner;

SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: indicator_value; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.indicator_value (
    device_id text NOT NULL COLLATE pg_catalog."C",
    indicator text NOT NULL COLLATE pg_catalog."C",
    start timestamp with time zone NOT NULL,
    value double precision,
    grade text,
    detail jsonb,
    period text DEFAULT 'hour'::text NOT NULL,
    covered double precision,
    CONSTRAINT indicator_value_covered_check CHECK (((covered >= (0)::double precision) AND (covered <= (1)::double precision))),
    CONSTRAINT indicator_value_period_check CHECK ((period = ANY (ARRAY['hour'::text, 'day'::text])))
)
WITH (fillfactor='80');

ALTER TABLE public.indicator_value OWNER TO tonne_owner;

--
-- Name: quality_flag; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.quality_flag (
    device_id text NOT NULL COLLATE pg_catalog."C",
    "time" timestamp with time zone NOT NULL,
    channel text NOT NULL COLLATE pg_catalog."C",
    test text NOT NULL COLLATE pg_catalog."C"
);

ALTER TABLE public.quality_flag OWNER TO tonne_owner;

--
-- Name: reading_weighbridge; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.reading_weighbridge (
    device_id text NOT NULL COLLATE pg_catalog."C",
    "time" timestamp with time zone NOT NULL,
    net_total_g bigint,
    net_kg double precision,
    gross_kg double precision,
    tare_kg double precision,
    ticket double precision,
    flags jsonb
);

ALTER TABLE public.reading_weighbridge OWNER TO tonne_owner;

--
-- Name: reading_compost_windrow; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.reading_compost_windrow (
    device_id text NOT NULL COLLATE pg_catalog."C",
    "time" timestamp with time zone NOT NULL,
    temperature_c double precision,
    oxygen_percent double precision,
    moisture_percent double precision,
    turnings double precision,
    flags jsonb
);

ALTER TABLE public.reading_compost_windrow OWNER TO tonne_owner;

--
-- Name: reading_waste_heat_turbine; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.reading_waste_heat_turbine (
    device_id text NOT NULL COLLATE pg_catalog."C",
    "time" timestamp with time zone NOT NULL,
    energy_export_wh bigint,
    energy_import_wh bigint,
    active_power_w double precision,
    gas_temperature_c double precision,
    gas_flow_nm3_h double precision,
    flags jsonb
);

ALTER TABLE public.reading_waste_heat_turbine OWNER TO tonne_owner;

--
-- Name: reading_steam_meter; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.reading_steam_meter (
    device_id text NOT NULL COLLATE pg_catalog."C",
    "time" timestamp with time zone NOT NULL,
    steam_total_g bigint,
    heat_wh bigint,
    temperature_c double precision,
    pressure_kpa double precision,
    flow_t_h double precision,
    flags jsonb
);

ALTER TABLE public.reading_steam_meter OWNER TO tonne_owner;

--
-- Name: reading_recycling_line; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.reading_recycling_line (
    device_id text NOT NULL COLLATE pg_catalog."C",
    "time" timestamp with time zone NOT NULL,
    output_total_g bigint,
    pieces_count bigint,
    throughput_kg_h double precision,
    reject_percent double precision,
    flags jsonb
);

ALTER TABLE public.reading_recycling_line OWNER TO tonne_owner;

--
-- Name: reading_passenger_counter; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.reading_passenger_counter (
    device_id text NOT NULL COLLATE pg_catalog."C",
    "time" timestamp with time zone NOT NULL,
    boarded_count bigint,
    alighted double precision,
    on_board double precision,
    flags jsonb
);

ALTER TABLE public.reading_passenger_counter OWNER TO tonne_owner;

--
-- Name: reading_fuel_meter; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.reading_fuel_meter (
    device_id text NOT NULL COLLATE pg_catalog."C",
    "time" timestamp with time zone NOT NULL,
    fuel_total_ml bigint,
    rate_l_h double precision,
    flags jsonb
);

ALTER TABLE public.reading_fuel_meter OWNER TO tonne_owner;

--
-- Name: reading_chiller; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.reading_chiller (
    device_id text NOT NULL COLLATE pg_catalog."C",
    "time" timestamp with time zone NOT NULL,
    energy_import_wh bigint,
    cooling_wh bigint,
    active_power_w double precision,
    supply_temperature_c double precision,
    return_temperature_c double precision,
    flags jsonb
);

ALTER TABLE public.reading_chiller OWNER TO tonne_owner;

--
-- Name: reading_pv_inverter; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.reading_pv_inverter (
    device_id text NOT NULL COLLATE pg_catalog."C",
    "time" timestamp with time zone NOT NULL,
    energy_export_wh bigint,
    energy_import_wh bigint,
    active_power_w double precision,
    irradiance_w_m2 double precision,
    module_temperature_c double precision,
    dc_power_w double precision,
    dc_voltage_v double precision,
    dc_current_a double precision,
    voltage_v double precision,
    frequency_hz double precision,
    inverter_temperature_c double precision,
    state double precision,
    flags jsonb
);

ALTER TABLE public.reading_pv_inverter OWNER TO tonne_owner;

--
-- Name: reading_lamp_controller; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.reading_lamp_controller (
    device_id text NOT NULL COLLATE pg_catalog."C",
    "time" timestamp with time zone NOT NULL,
    operating_s bigint,
    energy_import_wh bigint,
    dimming_percent double precision,
    lamps_on double precision,
    flags jsonb
);

ALTER TABLE public.reading_lamp_controller OWNER TO tonne_owner;

--
-- Name: reading_weather_station; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.reading_weather_station (
    device_id text NOT NULL COLLATE pg_catalog."C",
    "time" timestamp with time zone NOT NULL,
    cooling_degree_ks bigint,
    temperature_c double precision,
    humidity_percent double precision,
    irradiance_w_m2 double precision,
    wind_speed_m_s double precision,
    rain_mm_h double precision,
    flags jsonb
);

ALTER TABLE public.reading_weather_station OWNER TO tonne_owner;

--
-- Name: reading_wind_turbine; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.reading_wind_turbine (
    device_id text NOT NULL COLLATE pg_catalog."C",
    "time" timestamp with time zone NOT NULL,
    energy_export_wh bigint,
    energy_import_wh bigint,
    active_power_w double precision,
    wind_speed_m_s double precision,
    rotor_rpm double precision,
    state double precision,
    flags jsonb
);

ALTER TABLE public.reading_wind_turbine OWNER TO tonne_owner;

--
-- Name: reading_waterworks; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.reading_waterworks (
    device_id text NOT NULL COLLATE pg_catalog."C",
    "time" timestamp with time zone NOT NULL,
    flow_total_ml bigint,
    nh4_n_in_mg_l double precision,
    nh4_n_out_mg_l double precision,
    turbidity_ntu double precision,
    chlorine_mg_l double precision,
    pressure_kpa double precision,
    flags jsonb
);

ALTER TABLE public.reading_waterworks OWNER TO tonne_owner;

--
-- Name: reading_pump; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.reading_pump (
    device_id text NOT NULL COLLATE pg_catalog."C",
    "time" timestamp with time zone NOT NULL,
    energy_import_wh bigint,
    flow_total_ml bigint,
    active_power_w double precision,
    head_m double precision,
    speed_percent double precision,
    flags jsonb
);

ALTER TABLE public.reading_pump OWNER TO tonne_owner;

--
-- Name: reading_water_station; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.reading_water_station (
    device_id text NOT NULL COLLATE pg_catalog."C",
    "time" timestamp with time zone NOT NULL,
    ph double precision,
    temperature_c double precision,
    do_mg_l double precision,
    bod5_mg_l double precision,
    cod_mg_l double precision,
    nh4_n_mg_l double precision,
    no3_n_mg_l double precision,
    po4_p_mg_l double precision,
    coliform_mpn_100ml double precision,
    turbidity_ntu double precision,
    level_m double precision,
    flags jsonb
);

ALTER TABLE public.reading_water_station OWNER TO tonne_owner;

--
-- Name: reading_furnace; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.reading_furnace (
    device_id text NOT NULL COLLATE pg_catalog."C",
    "time" timestamp with time zone NOT NULL,
    energy_import_wh bigint,
    active_power_w double precision,
    melt_temperature_c double precision,
    charge_kg double precision,
    flags jsonb
);

ALTER TABLE public.reading_furnace OWNER TO tonne_owner;

--
-- Name: reading_water_tube; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.reading_water_tube (
    device_id text NOT NULL COLLATE pg_catalog."C",
    "time" timestamp with time zone NOT NULL,
    season_s bigint,
    level_cm double precision,
    battery_v double precision,
    flags jsonb
);

ALTER TABLE public.reading_water_tube OWNER TO tonne_owner;

--
-- Name: reading_sewer_level; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.reading_sewer_level (
    device_id text NOT NULL COLLATE pg_catalog."C",
    "time" timestamp with time zone NOT NULL,
    overflow_s bigint,
    level_m double precision,
    flow_l_s double precision,
    battery_v double precision,
    flags jsonb
);

ALTER TABLE public.reading_sewer_level OWNER TO tonne_owner;

--
-- Name: reading_ev_charger; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.reading_ev_charger (
    device_id text NOT NULL COLLATE pg_catalog."C",
    "time" timestamp with time zone NOT NULL,
    energy_import_wh bigint,
    active_power_w double precision,
    session_energy_wh double precision,
    soc_percent double precision,
    connector_state double precision,
    flags jsonb
);

ALTER TABLE public.reading_ev_charger OWNER TO tonne_owner;

--
-- Name: reading_vehicle; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.reading_vehicle (
    device_id text NOT NULL COLLATE pg_catalog."C",
    "time" timestamp with time zone NOT NULL,
    odometer_m bigint,
    soc_percent double precision,
    speed_km_h double precision,
    flags jsonb
);

ALTER TABLE public.reading_vehicle OWNER TO tonne_owner;

--
-- Name: reading_energy_meter; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.reading_energy_meter (
    device_id text NOT NULL COLLATE pg_catalog."C",
    "time" timestamp with time zone NOT NULL,
    energy_import_wh bigint,
    energy_export_wh bigint,
    active_power_w double precision,
    voltage_v double precision,
    frequency_hz double precision,
    flags jsonb,
    active_power_l1_w double precision,
    active_power_l2_w double precision,
    active_power_l3_w double precision
);

ALTER TABLE public.reading_energy_meter OWNER TO tonne_owner;

--
-- Name: reading_air_station; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.reading_air_station (
    device_id text NOT NULL COLLATE pg_catalog."C",
    "time" timestamp with time zone NOT NULL,
    pm2_5_ug_m3 double precision,
    pm10_ug_m3 double precision,
    so2_ug_m3 double precision,
    no2_ug_m3 double precision,
    co_ug_m3 double precision,
    o3_ug_m3 double precision,
    temperature_c double precision,
    humidity_percent double precision,
    wind_speed_m_s double precision,
    flags jsonb
);

ALTER TABLE public.reading_air_station OWNER TO tonne_owner;

--
-- Name: reading_noise_station; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.reading_noise_station (
    device_id text NOT NULL COLLATE pg_catalog."C",
    "time" timestamp with time zone NOT NULL,
    laeq_dba double precision,
    lamax_dba double precision,
    flags jsonb
);

ALTER TABLE public.reading_noise_station OWNER TO tonne_owner;

--
-- Name: reading_wastewater_plant; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.reading_wastewater_plant (
    device_id text NOT NULL COLLATE pg_catalog."C",
    "time" timestamp with time zone NOT NULL,
    flow_total_ml bigint,
    biogas_total_nml bigint,
    energy_import_wh bigint,
    cod_in_mg_l double precision,
    cod_out_mg_l double precision,
    bod5_mg_l double precision,
    tss_mg_l double precision,
    nh4_n_mg_l double precision,
    tn_mg_l double precision,
    tp_mg_l double precision,
    ph double precision,
    temperature_c double precision,
    ch4_percent double precision,
    flags jsonb
);

ALTER TABLE public.reading_wastewater_plant OWNER TO tonne_owner;

--
-- Name: interval_quantity; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.interval_quantity (
    device_id text NOT NULL COLLATE pg_catalog."C",
    quantity text NOT NULL COLLATE pg_catalog."C",
    start timestamp with time zone NOT NULL,
    value bigint NOT NULL,
    measured_us bigint NOT NULL,
    estimated_us bigint NOT NULL,
    unknown_us bigint NOT NULL,
    register_value bigint,
    register_read timestamp with time zone,
    register_changed timestamp with time zone
)
WITH (fillfactor='80');

ALTER TABLE public.interval_quantity OWNER TO tonne_owner;

--
-- Name: interval_emission; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.interval_emission (
    project_id text NOT NULL COLLATE pg_catalog."C",
    device_id text NOT NULL COLLATE pg_catalog."C",
    start timestamp with time zone NOT NULL,
    baseline_ug bigint NOT NULL,
    project_ug bigint NOT NULL,
    leakage_ug bigint NOT NULL,
    reduction_ug bigint NOT NULL,
    methodology text NOT NULL,
    factor text NOT NULL
)
WITH (fillfactor='80');

ALTER TABLE public.interval_emission OWNER TO tonne_owner;

--
-- Name: api_answer; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.api_answer (
    principal text NOT NULL,
    key text NOT NULL,
    request bytea NOT NULL,
    status integer NOT NULL,
    body bytea NOT NULL,
    given timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT api_answer_request_check CHECK ((length(request) = 32))
);

ALTER TABLE public.api_answer OWNER TO tonne_owner;

--
-- Name: api_audit; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.api_audit (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    principal text NOT NULL,
    role text NOT NULL,
    method text NOT NULL,
    path text NOT NULL,
    status integer NOT NULL,
    request text NOT NULL
);

ALTER TABLE public.api_audit OWNER TO tonne_owner;

--
-- Name: api_audit_id_seq; Type: SEQUENCE; Schema: public; Owner: tonne_owner
--

ALTER TABLE public.api_audit ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.api_audit_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: api_cursor_secret; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.api_cursor_secret (
    only_one boolean DEFAULT true NOT NULL,
    secret bytea NOT NULL,
    CONSTRAINT api_cursor_secret_only_one_check CHECK (only_one),
    CONSTRAINT api_cursor_secret_secret_check CHECK ((length(secret) = 32))
);

ALTER TABLE public.api_cursor_secret OWNER TO tonne_owner;

--
-- Name: api_key; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.api_key (
    id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL,
    role text NOT NULL,
    projects text[],
    secret_sha256 bytea NOT NULL,
    created timestamp with time zone DEFAULT now() NOT NULL,
    created_by text NOT NULL,
    expires timestamp with time zone,
    revoked timestamp with time zone,
    CONSTRAINT api_key_check CHECK ((expires > created)),
    CONSTRAINT api_key_id_check CHECK ((id ~ '^[a-z0-9]{12}$'::text)),
    CONSTRAINT api_key_role_check CHECK ((role = ANY (ARRAY['operator'::text, 'verifier'::text, 'auditor'::text, 'admin'::text]))),
    CONSTRAINT api_key_secret_sha256_check CHECK ((length(secret_sha256) = 32))
);

ALTER TABLE public.api_key OWNER TO tonne_owner;

--
-- Name: archive_day; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.archive_day (
    project_id text NOT NULL COLLATE pg_catalog."C",
    day date NOT NULL,
    seal_index bigint NOT NULL,
    recorded timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

ALTER TABLE public.archive_day OWNER TO tonne_owner;

--
-- Name: archive_drop; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.archive_drop (
    id bigint NOT NULL,
    class_id text NOT NULL COLLATE pg_catalog."C",
    from_time timestamp with time zone NOT NULL,
    to_time timestamp with time zone NOT NULL,
    bytes bigint NOT NULL,
    dropped timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    login text DEFAULT SESSION_USER NOT NULL
);

ALTER TABLE public.archive_drop OWNER TO tonne_owner;

--
-- Name: archive_drop_id_seq; Type: SEQUENCE; Schema: public; Owner: tonne_owner
--

ALTER TABLE public.archive_drop ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.archive_drop_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: archive_hold; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.archive_hold (
    id bigint NOT NULL,
    from_time timestamp with time zone NOT NULL,
    to_time timestamp with time zone NOT NULL,
    until timestamp with time zone NOT NULL,
    reason text NOT NULL,
    made timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    login text DEFAULT SESSION_USER NOT NULL,
    CONSTRAINT archive_hold_check CHECK ((to_time > from_time))
);

ALTER TABLE public.archive_hold OWNER TO tonne_owner;

--
-- Name: archive_hold_id_seq; Type: SEQUENCE; Schema: public; Owner: tonne_owner
--

ALTER TABLE public.archive_hold ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.archive_hold_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: archive_part; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.archive_part (
    id bigint NOT NULL,
    class_id text NOT NULL COLLATE pg_catalog."C",
    site text NOT NULL COLLATE pg_catalog."C",
    project_id text NOT NULL COLLATE pg_catalog."C",
    day date NOT NULL,
    timezone text NOT NULL,
    from_time timestamp with time zone NOT NULL,
    to_time timestamp with time zone NOT NULL,
    seal_index bigint NOT NULL,
    path text NOT NULL COLLATE pg_catalog."C",
    bytes bigint NOT NULL,
    sha256 bytea NOT NULL,
    manifest bytea NOT NULL,
    rows bigint NOT NULL,
    devices text[] NOT NULL,
    counts integer[] NOT NULL,
    leaves bytea NOT NULL,
    recorded timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    login text DEFAULT SESSION_USER NOT NULL,
    CONSTRAINT archive_part_bytes_check CHECK ((bytes > 0)),
    CONSTRAINT archive_part_check CHECK ((to_time > from_time)),
    CONSTRAINT archive_part_check1 CHECK ((cardinality(counts) = cardinality(devices))),
    CONSTRAINT archive_part_check2 CHECK ((length(leaves) = (32 * cardinality(devices)))),
    CONSTRAINT archive_part_devices_check CHECK ((cardinality(devices) > 0)),
    CONSTRAINT archive_part_manifest_check CHECK ((length(manifest) = 32)),
    CONSTRAINT archive_part_rows_check CHECK ((rows > 0)),
    CONSTRAINT archive_part_sha256_check CHECK ((length(sha256) = 32))
);

ALTER TABLE public.archive_part OWNER TO tonne_owner;

--
-- Name: archive_part_id_seq; Type: SEQUENCE; Schema: public; Owner: tonne_owner
--

ALTER TABLE public.archive_part ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.archive_part_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: archive_place; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.archive_place (
    id uuid NOT NULL,
    url text NOT NULL,
    made timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    login text DEFAULT SESSION_USER NOT NULL
);

ALTER TABLE public.archive_place OWNER TO tonne_owner;

--
-- Name: archive_reach; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.archive_reach (
    device_id text NOT NULL COLLATE pg_catalog."C",
    class_id text NOT NULL COLLATE pg_catalog."C",
    first_time timestamp with time zone NOT NULL,
    last_time timestamp with time zone NOT NULL
);

ALTER TABLE public.archive_reach OWNER TO tonne_owner;

--
-- Name: calibration; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.calibration (
    device_id public.tonne_id NOT NULL,
    performed date NOT NULL,
    valid_until date NOT NULL,
    certificate text NOT NULL,
    accuracy_class text,
    max_error_percent numeric,
    CONSTRAINT calibration_check CHECK ((valid_until > performed)),
    CONSTRAINT calibration_max_error_percent_check CHECK (((max_error_percent >= (0)::numeric) AND (max_error_percent <= (100)::numeric)))
);

ALTER TABLE public.calibration OWNER TO tonne_owner;

--
-- Name: claim; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.claim (
    statement_id text NOT NULL COLLATE pg_catalog."C",
    project_id public.tonne_id NOT NULL,
    period public.tonne_period NOT NULL
);

ALTER TABLE public.claim OWNER TO tonne_owner;

--
-- Name: clock_lag; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.clock_lag (
    device_id text NOT NULL COLLATE pg_catalog."C",
    day date NOT NULL,
    least_us bigint NOT NULL
)
WITH (fillfactor='80');

ALTER TABLE public.clock_lag OWNER TO tonne_owner;

--
-- Name: credential; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.credential (
    id bigint NOT NULL,
    principal public.tonne_id NOT NULL,
    kind text NOT NULL,
    serial text COLLATE pg_catalog."C",
    fingerprint text COLLATE pg_catalog."C",
    issued timestamp with time zone DEFAULT now() NOT NULL,
    expires timestamp with time zone,
    author text DEFAULT SESSION_USER NOT NULL,
    revoked timestamp with time zone,
    revoked_by text,
    reason text,
    CONSTRAINT credential_check CHECK (((kind = 'certificate'::text) = ((serial IS NOT NULL) AND (fingerprint IS NOT NULL) AND (expires IS NOT NULL)))),
    CONSTRAINT credential_check1 CHECK ((((revoked IS NULL) = (reason IS NULL)) AND ((revoked IS NULL) = (revoked_by IS NULL)))),
    CONSTRAINT credential_fingerprint_check CHECK ((fingerprint ~ '^[0-9a-f]{64}$'::text)),
    CONSTRAINT credential_kind_check CHECK ((kind = ANY (ARRAY['certificate'::text, 'password'::text]))),
    CONSTRAINT credential_serial_check CHECK ((serial ~ '^[0-9a-f]{1,40}$'::text))
);

ALTER TABLE public.credential OWNER TO tonne_owner;

--
-- Name: credential_id_seq; Type: SEQUENCE; Schema: public; Owner: tonne_owner
--

ALTER TABLE public.credential ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.credential_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: data_seal; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.data_seal (
    project_id text NOT NULL COLLATE pg_catalog."C",
    day date NOT NULL,
    sequence integer NOT NULL,
    index bigint NOT NULL,
    from_time timestamp with time zone NOT NULL,
    to_time timestamp with time zone NOT NULL,
    CONSTRAINT data_seal_check CHECK ((to_time > from_time)),
    CONSTRAINT data_seal_sequence_check CHECK ((sequence > 0))
);

ALTER TABLE public.data_seal OWNER TO tonne_owner;

--
-- Name: day_clock; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.day_clock (
    kind text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    timezone text NOT NULL,
    changed bigint NOT NULL,
    CONSTRAINT day_clock_kind_check CHECK ((kind = ANY (ARRAY['device'::text, 'project'::text])))
);

ALTER TABLE public.day_clock OWNER TO tonne_owner;

--
-- Name: day_emission; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.day_emission (
    project_id text NOT NULL COLLATE pg_catalog."C",
    device_id text NOT NULL COLLATE pg_catalog."C",
    day date NOT NULL,
    timezone text NOT NULL,
    baseline_ug numeric NOT NULL,
    project_ug numeric NOT NULL,
    leakage_ug numeric NOT NULL,
    reduction_ug numeric NOT NULL,
    begins timestamp with time zone GENERATED ALWAYS AS (((day)::timestamp without time zone AT TIME ZONE timezone)) STORED
);

ALTER TABLE public.day_emission OWNER TO tonne_owner;

--
-- Name: day_made; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.day_made (
    chunk text NOT NULL COLLATE pg_catalog."C",
    writes bigint NOT NULL,
    made timestamp with time zone NOT NULL,
    clock bigint DEFAULT 0 NOT NULL
);

ALTER TABLE public.day_made OWNER TO tonne_owner;

--
-- Name: day_pv; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.day_pv (
    device_id text NOT NULL COLLATE pg_catalog."C",
    day date NOT NULL,
    timezone text NOT NULL,
    insolation_wh_m2 double precision,
    sunny_s double precision,
    clipped_s double precision
);

ALTER TABLE public.day_pv OWNER TO tonne_owner;

--
-- Name: day_quantity; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.day_quantity (
    device_id text NOT NULL COLLATE pg_catalog."C",
    quantity text NOT NULL COLLATE pg_catalog."C",
    day date NOT NULL,
    timezone text NOT NULL,
    value numeric NOT NULL,
    measured_us bigint NOT NULL,
    begins timestamp with time zone GENERATED ALWAYS AS (((day)::timestamp without time zone AT TIME ZONE timezone)) STORED
);

ALTER TABLE public.day_quantity OWNER TO tonne_owner;

--
-- Name: dead_letter; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.dead_letter (
    id bigint NOT NULL,
    received timestamp with time zone NOT NULL,
    topic text NOT NULL,
    principal text NOT NULL,
    device_id text,
    reason text NOT NULL,
    detail text NOT NULL,
    payload bytea NOT NULL,
    content_type text,
    sha256 bytea NOT NULL,
    CONSTRAINT dead_letter_sha256_check CHECK ((length(sha256) = 32))
);

ALTER TABLE public.dead_letter OWNER TO tonne_owner;

--
-- Name: dead_letter_id_seq; Type: SEQUENCE; Schema: public; Owner: tonne_owner
--

ALTER TABLE public.dead_letter ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.dead_letter_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: dead_letter_removal; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.dead_letter_removal (
    id bigint NOT NULL,
    removed timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    author text NOT NULL,
    login text DEFAULT SESSION_USER NOT NULL,
    before timestamp with time zone NOT NULL,
    letters bigint NOT NULL,
    reasons jsonb NOT NULL,
    ids int8multirange NOT NULL,
    sha256 bytea NOT NULL,
    CONSTRAINT dead_letter_removal_letters_check CHECK ((letters > 0)),
    CONSTRAINT dead_letter_removal_sha256_check CHECK ((length(sha256) = 32))
);

ALTER TABLE public.dead_letter_removal OWNER TO tonne_owner;

--
-- Name: dead_letter_removal_id_seq; Type: SEQUENCE; Schema: public; Owner: tonne_owner
--

ALTER TABLE public.dead_letter_removal ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.dead_letter_removal_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: dead_letter_replay; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.dead_letter_replay (
    dead_letter_id bigint NOT NULL,
    replayed timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    author text DEFAULT SESSION_USER NOT NULL
);

ALTER TABLE public.dead_letter_replay OWNER TO tonne_owner;

--
-- Name: device; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.device (
    id public.tonne_id NOT NULL,
    site public.tonne_id NOT NULL,
    class text NOT NULL,
    profile text NOT NULL,
    gateway public.tonne_id,
    rated_power_w bigint,
    installed timestamp with time zone NOT NULL,
    removed timestamp with time zone,
    serial text,
    attributes jsonb DEFAULT '{}'::jsonb NOT NULL,
    check_of public.tonne_id,
    check_percent numeric DEFAULT 2 NOT NULL,
    CONSTRAINT device_check CHECK (((gateway)::text <> (id)::text)),
    CONSTRAINT device_check1 CHECK ((removed > installed)),
    CONSTRAINT device_check2 CHECK (((check_of)::text <> (id)::text)),
    CONSTRAINT device_check_percent_check CHECK (((check_percent > (0)::numeric) AND (check_percent <= (100)::numeric))),
    CONSTRAINT device_rated_power_w_check CHECK ((rated_power_w > 0))
);

ALTER TABLE public.device OWNER TO tonne_owner;

--
-- Name: device_quality; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.device_quality (
    device_id public.tonne_id NOT NULL,
    channel text NOT NULL,
    begins timestamp with time zone NOT NULL,
    limits jsonb NOT NULL,
    reason text NOT NULL,
    author text DEFAULT SESSION_USER NOT NULL,
    recorded timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE public.device_quality OWNER TO tonne_owner;

--
-- Name: device_replacement; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.device_replacement (
    device_id public.tonne_id NOT NULL,
    channel text NOT NULL,
    at timestamp with time zone NOT NULL,
    last_value bigint NOT NULL,
    first_value bigint NOT NULL,
    reason text NOT NULL,
    author text DEFAULT SESSION_USER NOT NULL
);

ALTER TABLE public.device_replacement OWNER TO tonne_owner;

--
-- Name: device_seen; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.device_seen (
    device_id text NOT NULL COLLATE pg_catalog."C",
    last_reading timestamp with time zone NOT NULL,
    received timestamp with time zone NOT NULL,
    day date NOT NULL,
    quarters bit(100) NOT NULL
)
WITH (fillfactor='60');

ALTER TABLE public.device_seen OWNER TO tonne_owner;

--
-- Name: COLUMN device_seen.quarters; Type: COMMENT; Schema: public; Owner: tonne_owner
--

COMMENT ON COLUMN public.device_seen.quarters IS 'quarter hours of that local day with a reading; the longest day has 100';

--
-- Name: enrolled_key; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.enrolled_key (
    multikey text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL,
    role text NOT NULL,
    valid_from timestamp with time zone DEFAULT now() NOT NULL,
    valid_until timestamp with time zone,
    CONSTRAINT enrolled_key_check CHECK ((valid_until > valid_from)),
    CONSTRAINT enrolled_key_role_check CHECK ((role = ANY (ARRAY['operator'::text, 'verifier'::text, 'log'::text, 'witness'::text])))
);

ALTER TABLE public.enrolled_key OWNER TO tonne_owner;

--
-- Name: finding_event; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.finding_event (
    sequence bigint NOT NULL,
    statement_id text NOT NULL COLLATE pg_catalog."C",
    finding text NOT NULL COLLATE pg_catalog."C",
    number integer NOT NULL,
    event text NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    actor text NOT NULL,
    multikey text NOT NULL COLLATE pg_catalog."C",
    principal text,
    reason text NOT NULL,
    document bytea NOT NULL,
    CONSTRAINT finding_event_event_check CHECK ((event = ANY (ARRAY['raised'::text, 'answered'::text, 'closed'::text]))),
    CONSTRAINT finding_event_finding_check CHECK ((finding ~ '^(CAR|CL|OBS|FAR)-[1-9][0-9]{0,3}$'::text)),
    CONSTRAINT finding_event_number_check CHECK ((number > 0)),
    CONSTRAINT finding_event_reason_check CHECK ((reason <> ''::text))
);

ALTER TABLE public.finding_event OWNER TO tonne_owner;

--
-- Name: finding_event_sequence_seq; Type: SEQUENCE; Schema: public; Owner: tonne_owner
--

ALTER TABLE public.finding_event ALTER COLUMN sequence ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.finding_event_sequence_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: invoice; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.invoice (
    id public.tonne_id NOT NULL,
    project_id public.tonne_id NOT NULL,
    document jsonb NOT NULL,
    corrects public.tonne_id,
    reason text,
    author text DEFAULT SESSION_USER NOT NULL,
    imported timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT invoice_check CHECK (((corrects)::text <> (id)::text)),
    CONSTRAINT invoice_check1 CHECK (((corrects IS NULL) = (reason IS NULL)))
);

ALTER TABLE public.invoice OWNER TO tonne_owner;

--
-- Name: knock_refused; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.knock_refused (
    principal text NOT NULL COLLATE pg_catalog."C",
    device text NOT NULL COLLATE pg_catalog."C",
    refused timestamp with time zone DEFAULT now() NOT NULL,
    author text DEFAULT SESSION_USER NOT NULL,
    reason text NOT NULL
);

ALTER TABLE public.knock_refused OWNER TO tonne_owner;

--
-- Name: late_day; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.late_day (
    device_id text NOT NULL COLLATE pg_catalog."C",
    day date NOT NULL,
    noted timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

ALTER TABLE public.late_day OWNER TO tonne_owner;

--
-- Name: log_checkpoint; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.log_checkpoint (
    size bigint NOT NULL,
    root bytea NOT NULL,
    note text NOT NULL,
    signed timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT log_checkpoint_root_check CHECK ((length(root) = 32)),
    CONSTRAINT log_checkpoint_size_check CHECK ((size > 0))
);

ALTER TABLE public.log_checkpoint OWNER TO tonne_owner;

--
-- Name: log_cosignature; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.log_cosignature (
    size bigint NOT NULL,
    multikey text NOT NULL COLLATE pg_catalog."C",
    line text NOT NULL,
    received timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE public.log_cosignature OWNER TO tonne_owner;

--
-- Name: log_detail; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.log_detail (
    index bigint NOT NULL,
    content bytea NOT NULL
);

ALTER TABLE public.log_detail OWNER TO tonne_owner;

--
-- Name: log_entry; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.log_entry (
    index bigint NOT NULL,
    kind text NOT NULL,
    statement_id text COLLATE pg_catalog."C",
    body bytea NOT NULL,
    leaf bytea NOT NULL,
    appended timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT log_entry_index_check CHECK ((index >= 0)),
    CONSTRAINT log_entry_leaf_check CHECK ((length(leaf) = 32))
);

ALTER TABLE public.log_entry OWNER TO tonne_owner;

--
-- Name: monitoring_period; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.monitoring_period (
    id bigint NOT NULL,
    project_id public.tonne_id NOT NULL,
    period public.tonne_period NOT NULL,
    local_from date NOT NULL,
    local_to date NOT NULL,
    timezone text NOT NULL,
    baseline_ug numeric NOT NULL,
    project_ug numeric NOT NULL,
    leakage_ug numeric NOT NULL,
    reduction_ug numeric NOT NULL,
    credit_t bigint NOT NULL,
    coverage numeric NOT NULL,
    detail jsonb NOT NULL,
    closed timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT monitoring_period_check CHECK ((local_to > local_from)),
    CONSTRAINT monitoring_period_coverage_check CHECK (((coverage >= (0)::numeric) AND (coverage <= (1)::numeric)))
);

ALTER TABLE public.monitoring_period OWNER TO tonne_owner;

--
-- Name: monitoring_period_id_seq; Type: SEQUENCE; Schema: public; Owner: tonne_owner
--

ALTER TABLE public.monitoring_period ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.monitoring_period_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: monitoring_plan; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.monitoring_plan (
    project_id public.tonne_id NOT NULL,
    version text NOT NULL COLLATE pg_catalog."C",
    "position" integer NOT NULL,
    begins date NOT NULL,
    document jsonb NOT NULL,
    author text DEFAULT SESSION_USER NOT NULL,
    imported timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT monitoring_plan_version_check CHECK ((version <> ''::text))
);

ALTER TABLE public.monitoring_plan OWNER TO tonne_owner;

--
-- Name: principal_status; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.principal_status (
    principal text NOT NULL COLLATE pg_catalog."C",
    said text NOT NULL,
    at timestamp with time zone NOT NULL,
    firmware text,
    clock_ahead_s double precision,
    CONSTRAINT principal_status_said_check CHECK ((said = ANY (ARRAY['online'::text, 'offline'::text])))
);

ALTER TABLE public.principal_status OWNER TO tonne_owner;

--
-- Name: programme; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.programme (
    only_one boolean DEFAULT true NOT NULL,
    name text NOT NULL,
    target_kt numeric,
    area jsonb,
    CONSTRAINT programme_only_one_check CHECK (only_one),
    CONSTRAINT programme_target_kt_check CHECK ((target_kt >= (0)::numeric))
);

ALTER TABLE public.programme OWNER TO tonne_owner;

--
-- Name: programme_action; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.programme_action (
    id text NOT NULL,
    name text NOT NULL,
    target_kt numeric,
    "position" integer NOT NULL,
    target_year integer,
    CONSTRAINT programme_action_target_kt_check CHECK ((target_kt >= (0)::numeric)),
    CONSTRAINT programme_action_target_year_check CHECK (((target_year >= 1990) AND (target_year <= 2200)))
);

ALTER TABLE public.programme_action OWNER TO tonne_owner;

--
-- Name: programme_reported; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.programme_reported (
    action_id text NOT NULL,
    year integer NOT NULL,
    kt numeric NOT NULL,
    source text NOT NULL,
    CONSTRAINT programme_reported_kt_check CHECK ((kt >= (0)::numeric)),
    CONSTRAINT programme_reported_year_check CHECK (((year >= 1990) AND (year <= 2200)))
);

ALTER TABLE public.programme_reported OWNER TO tonne_owner;

--
-- Name: project; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.project (
    id public.tonne_id NOT NULL,
    name text NOT NULL,
    methodology text NOT NULL,
    version text NOT NULL,
    timezone text NOT NULL,
    crediting public.tonne_period NOT NULL,
    crediting_from date NOT NULL,
    crediting_to date NOT NULL,
    parameters jsonb DEFAULT '{}'::jsonb NOT NULL,
    expected jsonb DEFAULT '{}'::jsonb NOT NULL,
    modules jsonb,
    action text,
    transfer jsonb,
    system text
);

ALTER TABLE public.project OWNER TO tonne_owner;

--
-- Name: project_device; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.project_device (
    project_id public.tonne_id NOT NULL,
    device_id public.tonne_id NOT NULL,
    role text NOT NULL,
    params jsonb DEFAULT '{}'::jsonb NOT NULL,
    "position" integer NOT NULL,
    during public.tonne_period NOT NULL
);

ALTER TABLE public.project_device OWNER TO tonne_owner;

--
-- Name: published_factor; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.published_factor (
    id text NOT NULL COLLATE pg_catalog."C",
    record jsonb NOT NULL
);

ALTER TABLE public.published_factor OWNER TO tonne_owner;

--
-- Name: registry_version; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.registry_version (
    version bigint NOT NULL,
    imported timestamp with time zone DEFAULT now() NOT NULL,
    author text DEFAULT SESSION_USER NOT NULL,
    changes jsonb NOT NULL
);

ALTER TABLE public.registry_version OWNER TO tonne_owner;

--
-- Name: registry_version_version_seq; Type: SEQUENCE; Schema: public; Owner: tonne_owner
--

ALTER TABLE public.registry_version ALTER COLUMN version ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.registry_version_version_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: remake_request; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.remake_request (
    device_id text NOT NULL COLLATE pg_catalog."C",
    requested timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE public.remake_request OWNER TO tonne_owner;

--
-- Name: schema_migration; Type: TABLE; Schema: public; Owner: tonne
--

CREATE TABLE public.schema_migration (
    version integer NOT NULL,
    name text NOT NULL,
    sha256 text NOT NULL,
    applied timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE public.schema_migration OWNER TO CURRENT_USER;

--
-- Name: sewer_asset; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.sewer_asset (
    id public.tonne_id NOT NULL,
    kind text NOT NULL,
    path double precision[] NOT NULL,
    extent box NOT NULL,
    from_node public.tonne_id,
    to_node public.tonne_id,
    pressurised boolean DEFAULT false NOT NULL,
    material text,
    diameter_mm double precision,
    level_m double precision,
    level_to_m double precision,
    cover_m double precision,
    year integer,
    condition integer,
    sensor public.tonne_id,
    updated timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT sewer_asset_check CHECK (((kind = 'pipe'::text) = ((from_node IS NOT NULL) AND (to_node IS NOT NULL)))),
    CONSTRAINT sewer_asset_condition_check CHECK (((condition >= 1) AND (condition <= 5))),
    CONSTRAINT sewer_asset_diameter_mm_check CHECK ((diameter_mm > (0)::double precision)),
    CONSTRAINT sewer_asset_kind_check CHECK ((kind = ANY (ARRAY['pipe'::text, 'manhole'::text, 'pumping_station'::text, 'outfall'::text]))),
    CONSTRAINT sewer_asset_path_check CHECK (((cardinality(path) >= 2) AND ((cardinality(path) % 2) = 0))),
    CONSTRAINT sewer_asset_year_check CHECK (((year >= 1850) AND (year <= 2200)))
);

ALTER TABLE public.sewer_asset OWNER TO tonne_owner;

--
-- Name: COLUMN sewer_asset.condition; Type: COMMENT; Schema: public; Owner: tonne_owner
--

COMMENT ON COLUMN public.sewer_asset.condition IS '1 as new, 5 about to fail';

--
-- Name: sewer_event; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.sewer_event (
    asset_id public.tonne_id NOT NULL,
    day date NOT NULL,
    what text NOT NULL,
    kind text NOT NULL,
    condition integer,
    note text DEFAULT ''::text NOT NULL,
    author text NOT NULL,
    written timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT sewer_event_condition_check CHECK (((condition >= 1) AND (condition <= 5))),
    CONSTRAINT sewer_event_what_check CHECK ((what = ANY (ARRAY['inspection'::text, 'work'::text])))
);

ALTER TABLE public.sewer_event OWNER TO tonne_owner;

--
-- Name: signed_value; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.signed_value (
    id bigint NOT NULL,
    received timestamp with time zone NOT NULL,
    topic text NOT NULL,
    device_id text COLLATE pg_catalog."C",
    "time" timestamp with time zone NOT NULL,
    channel text NOT NULL,
    context text,
    data text NOT NULL,
    method text NOT NULL,
    encoding text NOT NULL,
    public_key text NOT NULL,
    payload bytea NOT NULL,
    sha256 bytea NOT NULL,
    CONSTRAINT signed_value_sha256_check CHECK ((length(sha256) = 32))
);

ALTER TABLE public.signed_value OWNER TO tonne_owner;

--
-- Name: signed_value_id_seq; Type: SEQUENCE; Schema: public; Owner: tonne_owner
--

ALTER TABLE public.signed_value ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.signed_value_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: site; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.site (
    id public.tonne_id NOT NULL,
    name text NOT NULL,
    latitude double precision NOT NULL,
    longitude double precision NOT NULL,
    timezone text NOT NULL,
    park public.tonne_id,
    CONSTRAINT site_latitude_check CHECK (((latitude >= ('-90'::integer)::double precision) AND (latitude <= (90)::double precision))),
    CONSTRAINT site_longitude_check CHECK (((longitude >= ('-180'::integer)::double precision) AND (longitude <= (180)::double precision)))
);

ALTER TABLE public.site OWNER TO tonne_owner;

--
-- Name: sparkplug_birth; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.sparkplug_birth (
    node public.tonne_id NOT NULL,
    device text NOT NULL COLLATE pg_catalog."C",
    born_ms bigint NOT NULL,
    certain_ms bigint,
    asked boolean NOT NULL,
    tags jsonb NOT NULL
);

ALTER TABLE public.sparkplug_birth OWNER TO tonne_owner;

--
-- Name: sparkplug_held; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.sparkplug_held (
    id text NOT NULL COLLATE pg_catalog."C",
    node public.tonne_id NOT NULL,
    received timestamp with time zone NOT NULL,
    topic text NOT NULL,
    payload bytea NOT NULL,
    seq smallint DEFAULT 0 NOT NULL,
    sent_ms bigint DEFAULT 0 NOT NULL
);

ALTER TABLE public.sparkplug_held OWNER TO tonne_owner;

--
-- Name: sparkplug_node; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.sparkplug_node (
    node public.tonne_id NOT NULL,
    group_id text NOT NULL,
    online boolean NOT NULL,
    changed timestamp with time zone NOT NULL,
    bd_seq bigint,
    next_seq smallint,
    born_ms bigint NOT NULL,
    certain_ms bigint NOT NULL,
    gap_since timestamp with time zone,
    wanted timestamp with time zone,
    rebirth_sent timestamp with time zone,
    CONSTRAINT sparkplug_node_next_seq_check CHECK (((next_seq >= 0) AND (next_seq <= 255)))
);

ALTER TABLE public.sparkplug_node OWNER TO tonne_owner;

--
-- Name: COLUMN sparkplug_node.wanted; Type: COMMENT; Schema: public; Owner: tonne_owner
--

COMMENT ON COLUMN public.sparkplug_node.wanted IS 'when a rebirth was last needed; empty once a birth came';

--
-- Name: statement; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.statement (
    id text NOT NULL COLLATE pg_catalog."C",
    project_id public.tonne_id NOT NULL,
    period_id bigint NOT NULL,
    period public.tonne_period NOT NULL,
    sequence integer NOT NULL,
    credit_t bigint NOT NULL,
    body bytea NOT NULL,
    sha256 bytea NOT NULL,
    document jsonb NOT NULL,
    supersedes text COLLATE pg_catalog."C",
    created timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT statement_check CHECK ((sha256 = sha256(body))),
    CONSTRAINT statement_sequence_check CHECK ((sequence > 0))
);

ALTER TABLE public.statement OWNER TO tonne_owner;

--
-- Name: statement_event; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.statement_event (
    sequence bigint NOT NULL,
    statement_id text NOT NULL COLLATE pg_catalog."C",
    state text NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    actor text NOT NULL,
    multikey text COLLATE pg_catalog."C",
    reason text,
    document bytea,
    principal text,
    CONSTRAINT statement_event_state_check CHECK ((state = ANY (ARRAY['draft'::text, 'submitted'::text, 'under_verification'::text, 'verified'::text, 'rejected'::text, 'issued'::text, 'superseded'::text, 'revoked'::text])))
);

ALTER TABLE public.statement_event OWNER TO tonne_owner;

--
-- Name: statement_event_sequence_seq; Type: SEQUENCE; Schema: public; Owner: tonne_owner
--

ALTER TABLE public.statement_event ALTER COLUMN sequence ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.statement_event_sequence_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: statement_evidence; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.statement_evidence (
    statement_id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    content bytea,
    archived text COLLATE pg_catalog."C",
    CONSTRAINT kept_here_or_archived CHECK ((num_nonnulls(content, archived) = 1))
);
ALTER TABLE ONLY public.statement_evidence ALTER COLUMN content SET STORAGE EXTERNAL;

ALTER TABLE public.statement_evidence OWNER TO tonne_owner;

--
-- Name: COLUMN statement_evidence.archived; Type: COMMENT; Schema: public; Owner: tonne_owner
--

COMMENT ON COLUMN public.statement_evidence.archived IS 'path of the archived file that is this file of the pack, as it is';

--
-- Name: statement_sampling; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.statement_sampling (
    statement_id text NOT NULL COLLATE pg_catalog."C",
    at timestamp with time zone DEFAULT now() NOT NULL,
    actor text NOT NULL,
    multikey text NOT NULL COLLATE pg_catalog."C",
    principal text,
    document bytea NOT NULL
);

ALTER TABLE public.statement_sampling OWNER TO tonne_owner;

--
-- Name: stream_offset; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.stream_offset (
    topic text NOT NULL COLLATE pg_catalog."C",
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    epoch bigint DEFAULT 0 NOT NULL,
    visits bigint DEFAULT 0 NOT NULL
);

ALTER TABLE public.stream_offset OWNER TO tonne_owner;

--
-- Name: stream_source; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.stream_source (
    single boolean DEFAULT true NOT NULL,
    topic text NOT NULL COLLATE pg_catalog."C",
    partitions integer NOT NULL,
    CONSTRAINT stream_source_partitions_check CHECK ((partitions > 0)),
    CONSTRAINT stream_source_single_check CHECK (single)
);

ALTER TABLE public.stream_source OWNER TO tonne_owner;

--
-- Name: topic_template; Type: TABLE; Schema: public; Owner: tonne_owner
--

CREATE TABLE public.topic_template (
    id public.tonne_id NOT NULL,
    template text NOT NULL,
    active boolean NOT NULL
);

ALTER TABLE public.topic_template OWNER TO tonne_owner;

--
-- Name: v_avoided_t_day; Type: VIEW; Schema: public; Owner: tonne_owner
--

CREATE VIEW public.v_avoided_t_day AS
 SELECT ((day)::timestamp without time zone AT TIME ZONE timezone) AS "time",
    day,
    timezone,
    project_id,
    baseline_t,
    project_t,
    leakage_t,
    avoided_t
   FROM ( SELECT ((e.start AT TIME ZONE p.timezone))::date AS day,
            p.timezone,
            e.project_id,
            (sum(e.baseline_ug) * 0.000000000001) AS baseline_t,
            (sum(e.project_ug) * 0.000000000001) AS project_t,
            (sum(e.leakage_ug) * 0.000000000001) AS leakage_t,
            (sum(e.reduction_ug) * 0.000000000001) AS avoided_t
           FROM (public.interval_emission e
             JOIN public.project p ON (((p.id)::text = e.project_id)))
          GROUP BY (((e.start AT TIME ZONE p.timezone))::date), p.timezone, e.project_id) days;

ALTER VIEW public.v_avoided_t_day OWNER TO tonne_owner;

--
-- Name: v_avoided_t_interval; Type: VIEW; Schema: public; Owner: tonne_owner
--

CREATE VIEW public.v_avoided_t_interval AS
 SELECT start AS "time",
    project_id,
    (sum(baseline_ug) * 0.000000000001) AS baseline_t,
    (sum(project_ug) * 0.000000000001) AS project_t,
    (sum(leakage_ug) * 0.000000000001) AS leakage_t,
    (sum(reduction_ug) * 0.000000000001) AS avoided_t
   FROM public.interval_emission
  GROUP BY start, project_id;

ALTER VIEW public.v_avoided_t_interval OWNER TO tonne_owner;

--
-- Name: v_calibration_due; Type: VIEW; Schema: public; Owner: tonne_owner
--

CREATE VIEW public.v_calibration_due AS
 SELECT project_id,
    device_id,
    site,
    class,
    role,
    valid_until,
    (valid_until - today) AS days_left,
        CASE
            WHEN (valid_until IS NULL) THEN 'missing'::text
            WHEN (valid_until < today) THEN 'expired'::text
            WHEN (valid_until < (today + 60)) THEN 'expiring'::text
            ELSE 'valid'::text
        END AS state
   FROM ( SELECT m.project_id,
            m.device_id,
            d.site,
            d.class,
            m.role,
            ((now() AT TIME ZONE p.timezone))::date AS today,
            ( SELECT max(c.valid_until) AS max
                   FROM public.calibration c
                  WHERE ((c.device_id)::text = (m.device_id)::text)) AS valid_until
           FROM ((public.project_device m
             JOIN public.project p ON (((p.id)::text = (m.project_id)::text)))
             JOIN public.device d ON (((d.id)::text = (m.device_id)::text)))
          WHERE ((m.during)::tstzrange @> now())) due;

ALTER VIEW public.v_calibration_due OWNER TO tonne_owner;

--
-- Name: v_day_avoided_t; Type: VIEW; Schema: public; Owner: tonne_owner
--

CREATE VIEW public.v_day_avoided_t AS
 SELECT e.begins AS "time",
    e.day,
    e.timezone,
    e.project_id,
    e.device_id,
    (e.baseline_ug * 0.000000000001) AS baseline_t,
    (e.project_ug * 0.000000000001) AS project_t,
    (e.leakage_ug * 0.000000000001) AS leakage_t,
    (e.reduction_ug * 0.000000000001) AS avoided_t
   FROM (public.day_emission e
     JOIN public.project p ON ((((p.id)::text = e.project_id) AND (p.timezone = e.timezone))))
  WHERE (e.day < (((now() AT TIME ZONE e.timezone))::date - 1))
UNION ALL
 SELECT ((i.day)::timestamp without time zone AT TIME ZONE known.timezone) AS "time",
    i.day,
    known.timezone,
    known.project_id,
    known.device_id,
    (i.baseline_ug * 0.000000000001) AS baseline_t,
    (i.project_ug * 0.000000000001) AS project_t,
    (i.leakage_ug * 0.000000000001) AS leakage_t,
    (i.reduction_ug * 0.000000000001) AS avoided_t
   FROM (( SELECT DISTINCT ((m.project_id)::text COLLATE "C") AS project_id,
            ((m.device_id)::text COLLATE "C") AS device_id,
            p.timezone
           FROM (public.project_device m
             JOIN public.project p ON (((p.id)::text = (m.project_id)::text)))
          WHERE ((m.during)::tstzrange && tstzrange((now() - '50:00:00'::interval), now()))) known
     CROSS JOIN LATERAL ( SELECT ((r.start AT TIME ZONE known.timezone))::date AS day,
            sum(r.baseline_ug) AS baseline_ug,
            sum(r.project_ug) AS project_ug,
            sum(r.leakage_ug) AS leakage_ug,
            sum(r.reduction_ug) AS reduction_ug
           FROM public.interval_emission r
          WHERE ((r.device_id = known.device_id) AND (r.project_id = known.project_id) AND (r.start >= (now() - '50:00:00'::interval)) AND (((r.start AT TIME ZONE known.timezone))::date >= (((now() AT TIME ZONE known.timezone))::date - 1)))
          GROUP BY (((r.start AT TIME ZONE known.timezone))::date)) i);

ALTER VIEW public.v_day_avoided_t OWNER TO tonne_owner;

--
-- Name: v_day_quantity; Type: VIEW; Schema: public; Owner: tonne_owner
--

CREATE VIEW public.v_day_quantity AS
 SELECT q.begins AS "time",
    q.day,
    q.timezone,
    q.device_id,
    d.site,
    d.class,
    q.quantity,
    q.value,
    q.measured_us
   FROM ((public.day_quantity q
     JOIN public.device d ON (((d.id)::text = q.device_id)))
     JOIN public.site s ON ((((s.id)::text = (d.site)::text) AND (s.timezone = q.timezone))))
  WHERE (q.day < (((now() AT TIME ZONE q.timezone))::date - 1))
UNION ALL
 SELECT ((i.day)::timestamp without time zone AT TIME ZONE s.timezone) AS "time",
    i.day,
    s.timezone,
    known.device_id,
    d.site,
    d.class,
    known.quantity,
    i.value,
    i.measured_us
   FROM (((( SELECT DISTINCT day_quantity.device_id,
            day_quantity.quantity
           FROM public.day_quantity
          WHERE (day_quantity.day >= ((now() - '4 days'::interval))::date)) known
     JOIN public.device d ON (((d.id)::text = known.device_id)))
     JOIN public.site s ON (((s.id)::text = (d.site)::text)))
     CROSS JOIN LATERAL ( SELECT ((r.start AT TIME ZONE s.timezone))::date AS day,
            sum(r.value) AS value,
            (sum(r.measured_us))::bigint AS measured_us
           FROM public.interval_quantity r
          WHERE ((r.device_id = known.device_id) AND (r.quantity = known.quantity) AND (r.start >= (now() - '50:00:00'::interval)) AND (((r.start AT TIME ZONE s.timezone))::date >= (((now() AT TIME ZONE s.timezone))::date - 1)))
          GROUP BY (((r.start AT TIME ZONE s.timezone))::date)) i);

ALTER VIEW public.v_day_quantity OWNER TO tonne_owner;

--
-- Name: v_day_distance_km; Type: VIEW; Schema: public; Owner: tonne_owner
--

CREATE VIEW public.v_day_distance_km AS
 SELECT "time",
    day,
    timezone,
    device_id,
    site,
    class,
    (value * 0.001) AS distance_km
   FROM public.v_day_quantity
  WHERE (quantity = 'distance'::text);

ALTER VIEW public.v_day_distance_km OWNER TO tonne_owner;

--
-- Name: v_day_energy_kwh; Type: VIEW; Schema: public; Owner: tonne_owner
--

CREATE VIEW public.v_day_energy_kwh AS
 SELECT "time",
    day,
    timezone,
    device_id,
    site,
    class,
    quantity,
    (value * 0.001) AS energy_kwh,
    LEAST((1)::numeric, ((measured_us)::numeric / ('1000000'::numeric * EXTRACT(epoch FROM (LEAST(now(), (((day + 1))::timestamp without time zone AT TIME ZONE timezone)) - "time"))))) AS measured_share
   FROM public.v_day_quantity
  WHERE (quantity = ANY (ARRAY['energy_export'::text, 'energy_import'::text]));

ALTER VIEW public.v_day_energy_kwh OWNER TO tonne_owner;

--
-- Name: v_day_pv; Type: VIEW; Schema: public; Owner: tonne_owner
--

CREATE VIEW public.v_day_pv AS
 SELECT q."time",
    q.day,
    q.device_id,
    q.site,
    q.energy_kwh,
    (p.insolation_wh_m2 / (1000)::double precision) AS insolation_kwh_m2,
    (q.energy_kwh / ((d.rated_power_w)::numeric / 1000.0)) AS yield_h,
    (p.clipped_s / (3600)::double precision) AS clipped_h,
    (((((d.rated_power_w)::numeric / 1000.0))::double precision * p.insolation_wh_m2) / (1000)::double precision) AS reference_kwh,
        CASE
            WHEN ((p.sunny_s >= ((8 * 3600))::double precision) AND (p.insolation_wh_m2 > (500)::double precision)) THEN (((q.energy_kwh / ((d.rated_power_w)::numeric / 1000.0)))::double precision / (p.insolation_wh_m2 / (1000)::double precision))
            ELSE NULL::double precision
        END AS performance_ratio
   FROM ((public.v_day_energy_kwh q
     JOIN public.device d ON (((d.id)::text = q.device_id)))
     LEFT JOIN public.day_pv p ON (((p.device_id = q.device_id) AND (p.day = q.day) AND (p.timezone = q.timezone))))
  WHERE ((q.class = 'pv_inverter'::text) AND (q.quantity = 'energy_export'::text) AND (q.day < ((now() AT TIME ZONE q.timezone))::date));

ALTER VIEW public.v_day_pv OWNER TO tonne_owner;

--
-- Name: v_day_volume_m3; Type: VIEW; Schema: public; Owner: tonne_owner
--

CREATE VIEW public.v_day_volume_m3 AS
 SELECT "time",
    day,
    timezone,
    device_id,
    site,
    class,
    quantity,
    (value * 0.000001) AS volume_m3
   FROM public.v_day_quantity
  WHERE (quantity = ANY (ARRAY['flow'::text, 'biogas'::text]));

ALTER VIEW public.v_day_volume_m3 OWNER TO tonne_owner;

--
-- Name: v_device_clock; Type: VIEW; Schema: public; Owner: tonne_owner
--

CREATE VIEW public.v_device_clock AS
 SELECT d.id AS device_id,
    newest.day,
    (((- newest.least_us))::double precision / ('1000000'::numeric)::double precision) AS offset_s,
    drift.s_per_day AS drift_s_per_day,
        CASE
            WHEN ((newest.least_us)::numeric < '-60000000'::numeric) THEN 'ahead'::text
            WHEN ((newest.least_us)::numeric > '300000000'::numeric) THEN 'behind'::text
            WHEN ((drift.days >= 5) AND (abs(drift.s_per_day) > (10)::double precision)) THEN 'drifting'::text
            ELSE 'good'::text
        END AS clock
   FROM ((public.device d
     CROSS JOIN LATERAL ( SELECT l.day,
            l.least_us
           FROM public.clock_lag l
          WHERE (l.device_id = (d.id)::text)
          ORDER BY l.day DESC
         LIMIT 1) newest)
     CROSS JOIN LATERAL ( SELECT count(*) AS days,
            regr_slope((((- l.least_us))::double precision / ('1000000'::numeric)::double precision), ((l.day - newest.day))::double precision) AS s_per_day
           FROM public.clock_lag l
          WHERE ((l.device_id = (d.id)::text) AND (l.day > (newest.day - 14)))) drift);

ALTER VIEW public.v_device_clock OWNER TO tonne_owner;

--
-- Name: v_device_own; Type: VIEW; Schema: public; Owner: tonne_owner
--

CREATE VIEW public.v_device_own AS
 SELECT d.id AS device_id,
    d.site,
    d.class,
    d.gateway,
    s.last_reading,
    s.received,
    e.expected_s,
    p.said,
    p.at AS said_at,
    p.firmware,
        CASE
            WHEN ((p.said = 'offline'::text) AND (p.at >= COALESCE(s.received, '-infinity'::timestamp with time zone))) THEN 2
            WHEN ((s.last_reading IS NULL) OR (s.last_reading < (now() - (((8)::double precision * e.expected_s) * '00:00:01'::interval)))) THEN 2
            WHEN (s.last_reading < (now() - (((2)::double precision * e.expected_s) * '00:00:01'::interval))) THEN 1
            ELSE 0
        END AS silence,
    COALESCE(((p.said = 'offline'::text) AND (p.at >= COALESCE(s.received, '-infinity'::timestamp with time zone))), false) AS said_offline,
    ((
        CASE
            WHEN (s.day = t.today) THEN bit_count(s.quarters)
            ELSE (0)::bigint
        END)::double precision / t.quarters) AS completeness_today
   FROM ((((public.device d
     JOIN ( SELECT site.id,
            ((now() AT TIME ZONE site.timezone))::date AS today,
            (ceil((GREATEST(EXTRACT(epoch FROM (now() - ((((now() AT TIME ZONE site.timezone))::date)::timestamp without time zone AT TIME ZONE site.timezone))), (1)::numeric) / (900)::numeric)))::double precision AS quarters
           FROM public.site
         OFFSET 0) t ON (((t.id)::text = (d.site)::text)))
     LEFT JOIN public.device_seen s ON ((s.device_id = (d.id)::text)))
     LEFT JOIN public.principal_status p ON ((p.principal = (d.id)::text)))
     CROSS JOIN LATERAL ( SELECT
                CASE
                    WHEN (jsonb_typeof((d.attributes -> 'cadence_s'::text)) = 'number'::text) THEN ((d.attributes ->> 'cadence_s'::text))::double precision
                    ELSE (900)::double precision
                END AS expected_s) e)
  WHERE ((d.removed IS NULL) OR (d.removed > now()));

ALTER VIEW public.v_device_own OWNER TO tonne_owner;

--
-- Name: v_device_health; Type: VIEW; Schema: public; Owner: tonne_owner
--

CREATE VIEW public.v_device_health AS
 WITH RECURSIVE own AS MATERIALIZED (
         SELECT v_device_own.device_id,
            v_device_own.site,
            v_device_own.class,
            v_device_own.gateway,
            v_device_own.last_reading,
            v_device_own.received,
            v_device_own.expected_s,
            v_device_own.said,
            v_device_own.said_at,
            v_device_own.firmware,
            v_device_own.silence,
            v_device_own.said_offline,
            v_device_own.completeness_today
           FROM public.v_device_own
        ), behind AS (
         SELECT own.device_id,
            own.gateway AS above,
            own.silence
           FROM own
          WHERE (own.gateway IS NOT NULL)
        UNION ALL
         SELECT b.device_id,
            o_1.gateway,
            b.silence
           FROM (behind b
             JOIN own o_1 ON (((o_1.device_id)::text = (b.above)::text)))
          WHERE (o_1.gateway IS NOT NULL)
        ), gateway AS MATERIALIZED (
         SELECT o_1.device_id,
                CASE
                    WHEN o_1.said_offline THEN 2
                    ELSE LEAST(o_1.silence, b.silence)
                END AS silence
           FROM (own o_1
             JOIN ( SELECT behind.above,
                    min(behind.silence) AS silence
                   FROM behind
                  GROUP BY behind.above) b ON (((b.above)::text = (o_1.device_id)::text)))
        )
 SELECT o.device_id,
    o.site,
    o.class,
    o.gateway,
    o.last_reading,
    (EXTRACT(epoch FROM (now() - o.last_reading)))::double precision AS silent_s,
    (ARRAY['online'::text, 'late'::text, 'offline'::text])[(1 + o.shown)] AS state,
    c.offset_s AS clock_offset_s,
    c.drift_s_per_day AS clock_drift_s_per_day,
    c.clock,
    COALESCE(f.flags, (0)::bigint) AS flags_last_day,
    o.received,
    o.expected_s,
    o.said,
    o.said_at,
    o.firmware,
    o.completeness_today,
    o.dark AS gateway_dark,
    ((o.shown > 0) AND (NOT o.dark)) AS alarm
   FROM ((( SELECT own.device_id,
            own.site,
            own.class,
            own.gateway,
            own.last_reading,
            own.received,
            own.expected_s,
            own.said,
            own.said_at,
            own.firmware,
            own.silence,
            own.said_offline,
            own.completeness_today,
            COALESCE((up.silence > 0), false) AS dark,
                CASE
                    WHEN ((me.silence IS NOT NULL) AND (own.last_reading IS NULL)) THEN me.silence
                    ELSE own.silence
                END AS shown
           FROM ((own
             LEFT JOIN gateway me ON (((me.device_id)::text = (own.device_id)::text)))
             LEFT JOIN gateway up ON (((up.device_id)::text = (own.gateway)::text)))) o
     LEFT JOIN public.v_device_clock c ON (((c.device_id)::text = (o.device_id)::text)))
     LEFT JOIN ( SELECT quality_flag.device_id,
            count(*) AS flags
           FROM public.quality_flag
          WHERE (quality_flag."time" > (now() - '1 day'::interval))
          GROUP BY quality_flag.device_id) f ON ((f.device_id = (o.device_id)::text)));

ALTER VIEW public.v_device_health OWNER TO tonne_owner;

--
-- Name: COLUMN v_device_health.alarm; Type: COMMENT; Schema: public; Owner: tonne_owner
--

COMMENT ON COLUMN public.v_device_health.alarm IS 'not online, and not because its gateway is dark: one alarm a cause';

--
-- Name: v_energy_kwh_day; Type: VIEW; Schema: public; Owner: tonne_owner
--

CREATE VIEW public.v_energy_kwh_day AS
 SELECT ((day)::timestamp without time zone AT TIME ZONE timezone) AS "time",
    day,
    timezone,
    device_id,
    site,
    class,
    quantity,
    energy_kwh,
    measured_share
   FROM ( SELECT ((i.start AT TIME ZONE s.timezone))::date AS day,
            s.timezone,
            i.device_id,
            d.site,
            d.class,
            i.quantity,
            (sum(i.value) * 0.001) AS energy_kwh,
            (sum(i.measured_us) / ('1000000'::numeric * EXTRACT(epoch FROM ((((((i.start AT TIME ZONE s.timezone))::date + 1))::timestamp without time zone AT TIME ZONE s.timezone) - ((((i.start AT TIME ZONE s.timezone))::date)::timestamp without time zone AT TIME ZONE s.timezone))))) AS measured_share
           FROM ((public.interval_quantity i
             JOIN public.device d ON (((d.id)::text = i.device_id)))
             JOIN public.site s ON (((s.id)::text = (d.site)::text)))
          WHERE (i.quantity = ANY (ARRAY['energy_export'::text, 'energy_import'::text]))
          GROUP BY (((i.start AT TIME ZONE s.timezone))::date), s.timezone, i.device_id, d.site, d.class, i.quantity) days;

ALTER VIEW public.v_energy_kwh_day OWNER TO tonne_owner;

--
-- Name: v_energy_kwh_interval; Type: VIEW; Schema: public; Owner: tonne_owner
--

CREATE VIEW public.v_energy_kwh_interval AS
 SELECT i.start AS "time",
    i.device_id,
    d.site,
    d.class,
    i.quantity,
    ((i.value)::numeric * 0.001) AS energy_kwh,
        CASE
            WHEN (i.unknown_us > 0) THEN 'suspect'::text
            WHEN (i.estimated_us > 0) THEN 'estimated'::text
            ELSE 'measured'::text
        END AS quality,
    ((i.measured_us)::numeric / '900000000'::numeric) AS measured_share
   FROM (public.interval_quantity i
     JOIN public.device d ON (((d.id)::text = i.device_id)))
  WHERE (i.quantity = ANY (ARRAY['energy_export'::text, 'energy_import'::text]));

ALTER VIEW public.v_energy_kwh_interval OWNER TO tonne_owner;

--
-- Name: v_gateway_health; Type: VIEW; Schema: public; Owner: tonne_owner
--

CREATE VIEW public.v_gateway_health AS
 WITH health AS MATERIALIZED (
         SELECT v_device_health.device_id,
            v_device_health.site,
            v_device_health.gateway,
            v_device_health.last_reading,
            v_device_health.gateway_dark
           FROM public.v_device_health
        )
 SELECT h.gateway,
    min((h.site)::text) AS site,
    count(*) AS devices,
    GREATEST(max(h.last_reading), max(g.last_reading)) AS last_heard,
    (EXTRACT(epoch FROM (now() - GREATEST(max(h.last_reading), max(g.last_reading)))))::double precision AS silent_s,
        CASE
            WHEN bool_or(h.gateway_dark) THEN 'dark'::text
            ELSE 'online'::text
        END AS state
   FROM (health h
     LEFT JOIN health g ON (((g.device_id)::text = (h.gateway)::text)))
  WHERE (h.gateway IS NOT NULL)
  GROUP BY h.gateway;

ALTER VIEW public.v_gateway_health OWNER TO tonne_owner;

--
-- Name: v_indicator_day; Type: VIEW; Schema: public; Owner: tonne_owner
--

CREATE VIEW public.v_indicator_day AS
 SELECT v.start AS "time",
    ((v.start AT TIME ZONE s.timezone))::date AS day,
    v.device_id,
    d.site,
    v.indicator,
    v.value,
    v.grade,
    v.covered,
    v.detail
   FROM ((public.indicator_value v
     JOIN public.device d ON (((d.id)::text = v.device_id)))
     JOIN public.site s ON (((s.id)::text = (d.site)::text)))
  WHERE (v.period = 'day'::text);

ALTER VIEW public.v_indicator_day OWNER TO tonne_owner;

--
-- Name: v_indicator_hour; Type: VIEW; Schema: public; Owner: tonne_owner
--

CREATE VIEW public.v_indicator_hour AS
 SELECT v.start AS "time",
    v.device_id,
    d.site,
    v.indicator,
    v.value,
    v.grade,
    v.covered
   FROM (public.indicator_value v
     JOIN public.device d ON (((d.id)::text = v.device_id)))
  WHERE (v.period = 'hour'::text);

ALTER VIEW public.v_indicator_hour OWNER TO tonne_owner;

--
-- Name: v_meter_check_day; Type: VIEW; Schema: public; Owner: tonne_owner
--

CREATE VIEW public.v_meter_check_day AS
 SELECT day,
    device_id,
    check_of,
    quantity,
    quarters,
    main_value,
    check_value,
    (abs((main_value - check_value)) > GREATEST(((check_percent / (100)::numeric) * GREATEST(main_value, check_value)), (200)::numeric)) AS differs
   FROM ( SELECT ((a.start AT TIME ZONE s.timezone))::date AS day,
            a.device_id,
            d.check_of,
            d.check_percent,
            a.quantity,
            count(*) AS quarters,
            sum(m.value) AS main_value,
            sum(a.value) AS check_value
           FROM (((public.device d
             JOIN public.site s ON (((s.id)::text = (d.site)::text)))
             JOIN public.interval_quantity a ON ((a.device_id = (d.id)::text)))
             JOIN public.interval_quantity m ON (((m.device_id = (d.check_of)::text) AND (m.quantity = a.quantity) AND (m.start = a.start))))
          WHERE ((d.check_of IS NOT NULL) AND (a.quantity = ANY (ARRAY['energy_import'::text, 'energy_export'::text])) AND (a.measured_us = 900000000) AND (m.measured_us = 900000000))
          GROUP BY (((a.start AT TIME ZONE s.timezone))::date), a.device_id, d.check_of, d.check_percent, a.quantity) days;

ALTER VIEW public.v_meter_check_day OWNER TO tonne_owner;

--
-- Name: v_meter_check_hour; Type: VIEW; Schema: public; Owner: tonne_owner
--

CREATE VIEW public.v_meter_check_hour AS
 SELECT date_trunc('hour'::text, a.start) AS "time",
    a.device_id,
    d.check_of,
    a.quantity,
    count(*) AS quarters,
    sum(m.value) AS main_value,
    sum(a.value) AS check_value,
    (abs((sum(m.value) - sum(a.value))) > GREATEST(((d.check_percent / (100)::numeric) * GREATEST(sum(m.value), sum(a.value))), (200)::numeric)) AS differs
   FROM ((public.device d
     JOIN public.interval_quantity a ON ((a.device_id = (d.id)::text)))
     JOIN public.interval_quantity m ON (((m.device_id = (d.check_of)::text) AND (m.quantity = a.quantity) AND (m.start = a.start))))
  WHERE ((d.check_of IS NOT NULL) AND (a.quantity = ANY (ARRAY['energy_import'::text, 'energy_export'::text])) AND (a.measured_us = 900000000) AND (m.measured_us = 900000000))
  GROUP BY (date_trunc('hour'::text, a.start)), a.device_id, d.check_of, d.check_percent, a.quantity;

ALTER VIEW public.v_meter_check_hour OWNER TO tonne_owner;

--
-- Name: v_power_kw; Type: VIEW; Schema: public; Owner: tonne_owner
--

CREATE VIEW public.v_power_kw AS
 SELECT r."time",
    r.device_id,
    d.site,
    d.class,
    (r.active_power_w / (1000)::double precision) AS power_kw
   FROM (( SELECT reading_pv_inverter."time",
            reading_pv_inverter.device_id,
            reading_pv_inverter.active_power_w
           FROM public.reading_pv_inverter
        UNION ALL
         SELECT reading_ev_charger."time",
            reading_ev_charger.device_id,
            reading_ev_charger.active_power_w
           FROM public.reading_ev_charger
        UNION ALL
         SELECT reading_energy_meter."time",
            reading_energy_meter.device_id,
            reading_energy_meter.active_power_w
           FROM public.reading_energy_meter
        UNION ALL
         SELECT reading_waste_heat_turbine."time",
            reading_waste_heat_turbine.device_id,
            reading_waste_heat_turbine.active_power_w
           FROM public.reading_waste_heat_turbine
        UNION ALL
         SELECT reading_chiller."time",
            reading_chiller.device_id,
            reading_chiller.active_power_w
           FROM public.reading_chiller
        UNION ALL
         SELECT reading_wind_turbine."time",
            reading_wind_turbine.device_id,
            reading_wind_turbine.active_power_w
           FROM public.reading_wind_turbine
        UNION ALL
         SELECT reading_pump."time",
            reading_pump.device_id,
            reading_pump.active_power_w
           FROM public.reading_pump
        UNION ALL
         SELECT reading_furnace."time",
            reading_furnace.device_id,
            reading_furnace.active_power_w
           FROM public.reading_furnace) r
     JOIN public.device d ON (((d.id)::text = r.device_id)))
  WHERE (r.active_power_w IS NOT NULL);

ALTER VIEW public.v_power_kw OWNER TO tonne_owner;

--
-- Name: v_programme_member; Type: VIEW; Schema: public; Owner: tonne_owner
--

CREATE VIEW public.v_programme_member AS
 SELECT a.id AS action,
    p.id AS project_id
   FROM (public.programme_action a
     JOIN public.project p ON (((p.action = a.id) OR starts_with(p.action, (a.id || '-'::text)))));

ALTER VIEW public.v_programme_member OWNER TO tonne_owner;

--
-- Name: v_programme_now; Type: VIEW; Schema: public; Owner: tonne_owner
--

CREATE VIEW public.v_programme_now AS
 WITH by_project AS (
         SELECT days.project_id,
            sum(days.avoided_t) AS monitored_t,
            sum(days.avoided_t) FILTER (WHERE (EXTRACT(year FROM days.day) = EXTRACT(year FROM (now() AT TIME ZONE days.timezone)))) AS this_year_t
           FROM ( SELECT v_day_avoided_t.project_id,
                    v_day_avoided_t.timezone,
                    v_day_avoided_t.day,
                    sum(v_day_avoided_t.avoided_t) AS avoided_t
                   FROM public.v_day_avoided_t
                  GROUP BY v_day_avoided_t.project_id, v_day_avoided_t.timezone, v_day_avoided_t.day) days
          GROUP BY days.project_id
        ), issued AS (
         SELECT c.project_id,
            sum(s.credit_t) AS issued_t
           FROM (public.claim c
             JOIN public.statement s ON ((s.id = c.statement_id)))
          GROUP BY c.project_id
        )
 SELECT a.id AS action,
    a.name,
    a."position",
    (a.target_kt * (1000)::numeric) AS target_t_per_year,
    a.target_year,
    count(m.project_id) AS projects,
    sum(b.monitored_t) AS monitored_t,
    sum(b.this_year_t) AS this_year_t,
    sum(i.issued_t) AS issued_t,
    sum(((p.expected ->> 'reduction_t_per_year'::text))::numeric) AS expected_t_per_year
   FROM ((((public.programme_action a
     LEFT JOIN public.v_programme_member m ON ((m.action = a.id)))
     LEFT JOIN public.project p ON (((p.id)::text = (m.project_id)::text)))
     LEFT JOIN by_project b ON ((b.project_id = (m.project_id)::text)))
     LEFT JOIN issued i ON (((i.project_id)::text = (m.project_id)::text)))
  GROUP BY a.id, a.name, a."position", a.target_kt, a.target_year;

ALTER VIEW public.v_programme_now OWNER TO tonne_owner;

--
-- Name: v_programme_progress; Type: VIEW; Schema: public; Owner: tonne_owner
--

CREATE VIEW public.v_programme_progress AS
 WITH monitored AS (
         SELECT m.action,
            (sum(e.reduction_ug) * 0.000000000001) AS monitored_t
           FROM (public.interval_emission e
             JOIN public.v_programme_member m ON (((m.project_id)::text = e.project_id)))
          GROUP BY m.action
        ), issued AS (
         SELECT m.action,
            sum(s.credit_t) AS issued_t
           FROM ((public.claim c
             JOIN public.statement s ON ((s.id = c.statement_id)))
             JOIN public.v_programme_member m ON (((m.project_id)::text = (c.project_id)::text)))
          GROUP BY m.action
        ), planned AS (
         SELECT m.action,
            count(*) AS projects,
            sum(((p.expected ->> 'reduction_t_per_year'::text))::numeric) AS expected_t
           FROM (public.v_programme_member m
             JOIN public.project p ON (((p.id)::text = (m.project_id)::text)))
          GROUP BY m.action
        )
 SELECT g.name AS programme,
    a.id AS action,
    a.name,
    (a.target_kt * (1000)::numeric) AS target_t_per_year,
    COALESCE(planned.projects, (0)::bigint) AS projects,
    monitored.monitored_t,
    COALESCE(issued.issued_t, (0)::numeric) AS issued_t,
    ( SELECT b.id
           FROM public.programme_action b
          WHERE starts_with(a.id, (b.id || '-'::text))
          ORDER BY (length(b.id)) DESC
         LIMIT 1) AS part_of,
    a.target_year,
    planned.expected_t AS expected_t_per_year
   FROM ((((public.programme_action a
     CROSS JOIN public.programme g)
     LEFT JOIN monitored ON ((monitored.action = a.id)))
     LEFT JOIN issued ON ((issued.action = a.id)))
     LEFT JOIN planned ON ((planned.action = a.id)))
  ORDER BY a."position";

ALTER VIEW public.v_programme_progress OWNER TO tonne_owner;

--
-- Name: v_programme_year; Type: VIEW; Schema: public; Owner: tonne_owner
--

CREATE VIEW public.v_programme_year AS
 WITH monitored AS (
         SELECT m.action,
            (EXTRACT(year FROM (e.start AT TIME ZONE p.timezone)))::integer AS year,
            (sum(e.reduction_ug) * 0.000000000001) AS monitored_t
           FROM ((public.interval_emission e
             JOIN public.project p ON (((p.id)::text = e.project_id)))
             JOIN public.v_programme_member m ON (((m.project_id)::text = (p.id)::text)))
          GROUP BY m.action, ((EXTRACT(year FROM (e.start AT TIME ZONE p.timezone)))::integer)
        ), issued AS (
         SELECT m.action,
            ((v.vintage ->> 'year'::text))::integer AS year,
            sum(((v.vintage ->> 'credited_t'::text))::numeric) AS issued_t
           FROM (((public.claim c
             JOIN public.statement s ON ((s.id = c.statement_id)))
             JOIN public.v_programme_member m ON (((m.project_id)::text = (c.project_id)::text)))
             CROSS JOIN LATERAL jsonb_array_elements((s.document #> '{credentialSubject,credited,vintages}'::text[])) v(vintage))
          GROUP BY m.action, ((v.vintage ->> 'year'::text))::integer
        ), years AS (
         SELECT monitored_1.action,
            monitored_1.year
           FROM monitored monitored_1
        UNION
         SELECT issued_1.action,
            issued_1.year
           FROM issued issued_1
        UNION
         SELECT programme_reported.action_id,
            programme_reported.year
           FROM public.programme_reported
        )
 SELECT y.action,
    y.year,
    (r.kt * (1000)::numeric) AS city_reported_t,
    monitored.monitored_t,
    issued.issued_t
   FROM (((years y
     LEFT JOIN public.programme_reported r ON (((r.action_id = y.action) AND (r.year = y.year))))
     LEFT JOIN monitored ON (((monitored.action = y.action) AND (monitored.year = y.year))))
     LEFT JOIN issued ON (((issued.action = y.action) AND (issued.year = y.year))));

ALTER VIEW public.v_programme_year OWNER TO tonne_owner;

--
-- Name: v_quality_day; Type: VIEW; Schema: public; Owner: tonne_owner
--

CREATE VIEW public.v_quality_day AS
 SELECT ((f."time" AT TIME ZONE s.timezone))::date AS day,
    f.device_id,
    d.site,
    d.class,
    f.channel,
    f.test,
    count(*) AS readings
   FROM ((public.quality_flag f
     JOIN public.device d ON (((d.id)::text = f.device_id)))
     JOIN public.site s ON (((s.id)::text = (d.site)::text)))
  GROUP BY (((f."time" AT TIME ZONE s.timezone))::date), f.device_id, d.site, d.class, f.channel, f.test;

ALTER VIEW public.v_quality_day OWNER TO tonne_owner;

--
-- Name: v_silence_cost; Type: VIEW; Schema: public; Owner: tonne_owner
--

CREATE VIEW public.v_silence_cost AS
 SELECT h.device_id,
    h.site,
    h.class,
    h.gateway,
    g.state AS gateway_state,
    h.last_reading,
    h.silent_s,
    cost.project_id,
    cost.avoided_t_per_day,
    ((cost.avoided_t_per_day * h.silent_s) / (86400)::double precision) AS cost_t
   FROM ((public.v_device_health h
     LEFT JOIN public.v_gateway_health g ON (((g.gateway)::text = (h.gateway)::text)))
     LEFT JOIN LATERAL ( SELECT m.project_id,
            (( SELECT ((sum(e.reduction_ug) * 0.000000000001) / (28)::numeric)
                   FROM public.day_emission e
                  WHERE ((e.project_id = (m.project_id)::text) AND (e.device_id = (h.device_id)::text) AND (e.timezone = p.timezone) AND (e.day >= (((h.last_reading AT TIME ZONE p.timezone))::date - 28)) AND (e.day < ((h.last_reading AT TIME ZONE p.timezone))::date))))::double precision AS avoided_t_per_day
           FROM (public.project_device m
             JOIN public.project p ON (((p.id)::text = (m.project_id)::text)))
          WHERE (((m.device_id)::text = (h.device_id)::text) AND ((m.during)::tstzrange @> now()))
         LIMIT 1) cost ON (true))
  WHERE (h.state <> 'online'::text);

ALTER VIEW public.v_silence_cost OWNER TO tonne_owner;

--
-- Name: v_sparkplug_device; Type: VIEW; Schema: public; Owner: tonne_owner
--

CREATE VIEW public.v_sparkplug_device AS
 SELECT
        CASE
            WHEN (b.device = ''::text) THEN (n.node)::text
            ELSE b.device
        END AS device_id,
    (n.node)::text AS node,
    n.group_id,
    (bool_or((b.certain_ms IS NULL)) AND n.online) AS alive,
    to_timestamp((((max(b.born_ms))::numeric / 1000.0))::double precision) AS born,
        CASE
            WHEN n.online THEN NULL::timestamp with time zone
            ELSE n.changed
        END AS offline_since
   FROM (public.sparkplug_node n
     JOIN public.sparkplug_birth b ON (((b.node)::text = (n.node)::text)))
  GROUP BY n.node, n.group_id, n.online, n.changed, b.device;

ALTER VIEW public.v_sparkplug_device OWNER TO tonne_owner;

--
-- Name: v_statement_gap; Type: VIEW; Schema: public; Owner: tonne_owner
--

CREATE VIEW public.v_statement_gap AS
 SELECT s.id AS statement_id,
    s.project_id,
    (g.gap ->> 'device'::text) AS device_id,
    ((g.gap ->> 'from'::text))::timestamp with time zone AS from_time,
    ((g.gap ->> 'to'::text))::timestamp with time zone AS to_time,
    (g.gap ->> 'kind'::text) AS kind,
    (g.gap ->> 'rule'::text) AS rule,
    ((g.gap ->> 'cost_t'::text))::numeric AS cost_t
   FROM (public.statement s
     CROSS JOIN LATERAL jsonb_array_elements((s.document #> '{credentialSubject,gaps}'::text[])) g(gap))
  WHERE (NOT (EXISTS ( SELECT
           FROM public.statement n
          WHERE (n.supersedes = s.id))))
UNION ALL
 SELECT s.id AS statement_id,
    s.project_id,
    (d.cut ->> 'device'::text) AS device_id,
    ((d.cut ->> 'from'::text))::timestamp with time zone AS from_time,
    ((d.cut ->> 'to'::text))::timestamp with time zone AS to_time,
    'calibration'::text AS kind,
    (d.cut ->> 'reason'::text) AS rule,
    ((d.cut ->> 'cost_t'::text))::numeric AS cost_t
   FROM (public.statement s
     CROSS JOIN LATERAL jsonb_array_elements((s.document #> '{credentialSubject,deductions}'::text[])) d(cut))
  WHERE (NOT (EXISTS ( SELECT
           FROM public.statement n
          WHERE (n.supersedes = s.id))));

ALTER VIEW public.v_statement_gap OWNER TO tonne_owner;

--
-- Name: v_statement_state; Type: VIEW; Schema: public; Owner: tonne_owner
--

CREATE VIEW public.v_statement_state AS
 SELECT s.id AS statement_id,
    s.project_id,
    p.name AS project,
    m.local_from,
    m.local_to,
    s.credit_t,
    m.coverage,
    (m.reduction_ug * 0.000000000001) AS reduction_t,
    last.state,
    last.at AS since,
    last.actor
   FROM (((public.statement s
     JOIN public.project p ON (((p.id)::text = (s.project_id)::text)))
     JOIN public.monitoring_period m ON ((m.id = s.period_id)))
     JOIN LATERAL ( SELECT e.state,
            e.at,
            e.actor
           FROM public.statement_event e
          WHERE (e.statement_id = s.id)
          ORDER BY e.sequence DESC
         LIMIT 1) last ON (true));

ALTER VIEW public.v_statement_state OWNER TO tonne_owner;

--
-- Name: api_answer api_answer_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.api_answer
    ADD CONSTRAINT api_answer_pkey PRIMARY KEY (principal, key);

--
-- Name: api_audit api_audit_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.api_audit
    ADD CONSTRAINT api_audit_pkey PRIMARY KEY (id);

--
-- Name: api_cursor_secret api_cursor_secret_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.api_cursor_secret
    ADD CONSTRAINT api_cursor_secret_pkey PRIMARY KEY (only_one);

--
-- Name: api_key api_key_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.api_key
    ADD CONSTRAINT api_key_pkey PRIMARY KEY (id);

--
-- Name: archive_day archive_day_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.archive_day
    ADD CONSTRAINT archive_day_pkey PRIMARY KEY (project_id, day, seal_index);

--
-- Name: archive_drop archive_drop_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.archive_drop
    ADD CONSTRAINT archive_drop_pkey PRIMARY KEY (id);

--
-- Name: archive_hold archive_hold_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.archive_hold
    ADD CONSTRAINT archive_hold_pkey PRIMARY KEY (id);

--
-- Name: archive_part archive_part_path_key; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.archive_part
    ADD CONSTRAINT archive_part_path_key UNIQUE (path);

--
-- Name: archive_part archive_part_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.archive_part
    ADD CONSTRAINT archive_part_pkey PRIMARY KEY (id);

--
-- Name: archive_place archive_place_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.archive_place
    ADD CONSTRAINT archive_place_pkey PRIMARY KEY (id);

--
-- Name: archive_reach archive_reach_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.archive_reach
    ADD CONSTRAINT archive_reach_pkey PRIMARY KEY (device_id);

--
-- Name: calibration calibration_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.calibration
    ADD CONSTRAINT calibration_pkey PRIMARY KEY (device_id, performed, certificate);

--
-- Name: claim claim_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.claim
    ADD CONSTRAINT claim_pkey PRIMARY KEY (statement_id);

--
-- Name: clock_lag clock_lag_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.clock_lag
    ADD CONSTRAINT clock_lag_pkey PRIMARY KEY (device_id, day);

--
-- Name: credential credential_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.credential
    ADD CONSTRAINT credential_pkey PRIMARY KEY (id);

--
-- Name: credential credential_serial_key; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.credential
    ADD CONSTRAINT credential_serial_key UNIQUE (serial);

--
-- Name: data_seal data_seal_index_key; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.data_seal
    ADD CONSTRAINT data_seal_index_key UNIQUE (index);

--
-- Name: data_seal data_seal_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.data_seal
    ADD CONSTRAINT data_seal_pkey PRIMARY KEY (project_id, day, sequence);

--
-- Name: day_clock day_clock_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.day_clock
    ADD CONSTRAINT day_clock_pkey PRIMARY KEY (kind, id);

--
-- Name: day_emission day_emission_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.day_emission
    ADD CONSTRAINT day_emission_pkey PRIMARY KEY (project_id, day, device_id);

--
-- Name: day_made day_made_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.day_made
    ADD CONSTRAINT day_made_pkey PRIMARY KEY (chunk);

--
-- Name: day_pv day_pv_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.day_pv
    ADD CONSTRAINT day_pv_pkey PRIMARY KEY (device_id, day);

--
-- Name: day_quantity day_quantity_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.day_quantity
    ADD CONSTRAINT day_quantity_pkey PRIMARY KEY (device_id, quantity, day);

--
-- Name: dead_letter dead_letter_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.dead_letter
    ADD CONSTRAINT dead_letter_pkey PRIMARY KEY (id);

--
-- Name: dead_letter_removal dead_letter_removal_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.dead_letter_removal
    ADD CONSTRAINT dead_letter_removal_pkey PRIMARY KEY (id);

--
-- Name: dead_letter_replay dead_letter_replay_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.dead_letter_replay
    ADD CONSTRAINT dead_letter_replay_pkey PRIMARY KEY (dead_letter_id, replayed);

--
-- Name: device device_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.device
    ADD CONSTRAINT device_pkey PRIMARY KEY (id);

--
-- Name: device_quality device_quality_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.device_quality
    ADD CONSTRAINT device_quality_pkey PRIMARY KEY (device_id, channel, begins);

--
-- Name: device_replacement device_replacement_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.device_replacement
    ADD CONSTRAINT device_replacement_pkey PRIMARY KEY (device_id, channel, at);

--
-- Name: device_seen device_seen_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.device_seen
    ADD CONSTRAINT device_seen_pkey PRIMARY KEY (device_id);

--
-- Name: project_device device_serves_one_project; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.project_device
    ADD CONSTRAINT device_serves_one_project EXCLUDE USING gist (device_id WITH =, during WITH &&) DEFERRABLE INITIALLY DEFERRED;

--
-- Name: enrolled_key enrolled_key_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.enrolled_key
    ADD CONSTRAINT enrolled_key_pkey PRIMARY KEY (multikey);

--
-- Name: finding_event finding_event_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.finding_event
    ADD CONSTRAINT finding_event_pkey PRIMARY KEY (sequence);

--
-- Name: finding_event finding_event_statement_id_finding_number_key; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.finding_event
    ADD CONSTRAINT finding_event_statement_id_finding_number_key UNIQUE (statement_id, finding, number);

--
-- Name: indicator_value indicator_value_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.indicator_value
    ADD CONSTRAINT indicator_value_pkey PRIMARY KEY (device_id, start, indicator);

--
-- Name: interval_emission interval_emission_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.interval_emission
    ADD CONSTRAINT interval_emission_pkey PRIMARY KEY (device_id, project_id, start);

--
-- Name: interval_quantity interval_quantity_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.interval_quantity
    ADD CONSTRAINT interval_quantity_pkey PRIMARY KEY (device_id, quantity, start);

--
-- Name: invoice invoice_corrects_key; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.invoice
    ADD CONSTRAINT invoice_corrects_key UNIQUE (corrects);

--
-- Name: invoice invoice_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.invoice
    ADD CONSTRAINT invoice_pkey PRIMARY KEY (id);

--
-- Name: knock_refused knock_refused_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.knock_refused
    ADD CONSTRAINT knock_refused_pkey PRIMARY KEY (principal, device);

--
-- Name: late_day late_day_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.late_day
    ADD CONSTRAINT late_day_pkey PRIMARY KEY (device_id, day);

--
-- Name: log_checkpoint log_checkpoint_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.log_checkpoint
    ADD CONSTRAINT log_checkpoint_pkey PRIMARY KEY (size);

--
-- Name: log_cosignature log_cosignature_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.log_cosignature
    ADD CONSTRAINT log_cosignature_pkey PRIMARY KEY (size, multikey);

--
-- Name: log_detail log_detail_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.log_detail
    ADD CONSTRAINT log_detail_pkey PRIMARY KEY (index);

--
-- Name: log_entry log_entry_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.log_entry
    ADD CONSTRAINT log_entry_pkey PRIMARY KEY (index);

--
-- Name: monitoring_period monitoring_period_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.monitoring_period
    ADD CONSTRAINT monitoring_period_pkey PRIMARY KEY (id);

--
-- Name: monitoring_plan monitoring_plan_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.monitoring_plan
    ADD CONSTRAINT monitoring_plan_pkey PRIMARY KEY (project_id, version);

--
-- Name: claim period_claimed_once; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.claim
    ADD CONSTRAINT period_claimed_once EXCLUDE USING gist (project_id WITH =, period WITH &&);

--
-- Name: principal_status principal_status_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.principal_status
    ADD CONSTRAINT principal_status_pkey PRIMARY KEY (principal);

--
-- Name: programme_action programme_action_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.programme_action
    ADD CONSTRAINT programme_action_pkey PRIMARY KEY (id);

--
-- Name: programme programme_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.programme
    ADD CONSTRAINT programme_pkey PRIMARY KEY (only_one);

--
-- Name: programme_reported programme_reported_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.programme_reported
    ADD CONSTRAINT programme_reported_pkey PRIMARY KEY (action_id, year);

--
-- Name: project_device project_device_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.project_device
    ADD CONSTRAINT project_device_pkey PRIMARY KEY (project_id, device_id, during);

--
-- Name: project project_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.project
    ADD CONSTRAINT project_pkey PRIMARY KEY (id);

--
-- Name: published_factor published_factor_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.published_factor
    ADD CONSTRAINT published_factor_pkey PRIMARY KEY (id);

--
-- Name: quality_flag quality_flag_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.quality_flag
    ADD CONSTRAINT quality_flag_pkey PRIMARY KEY (device_id, "time", channel, test);

--
-- Name: reading_air_station reading_air_station_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.reading_air_station
    ADD CONSTRAINT reading_air_station_pkey PRIMARY KEY (device_id, "time");

--
-- Name: reading_chiller reading_chiller_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.reading_chiller
    ADD CONSTRAINT reading_chiller_pkey PRIMARY KEY (device_id, "time");

--
-- Name: reading_compost_windrow reading_compost_windrow_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.reading_compost_windrow
    ADD CONSTRAINT reading_compost_windrow_pkey PRIMARY KEY (device_id, "time");

--
-- Name: reading_energy_meter reading_energy_meter_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.reading_energy_meter
    ADD CONSTRAINT reading_energy_meter_pkey PRIMARY KEY (device_id, "time");

--
-- Name: reading_ev_charger reading_ev_charger_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.reading_ev_charger
    ADD CONSTRAINT reading_ev_charger_pkey PRIMARY KEY (device_id, "time");

--
-- Name: reading_fuel_meter reading_fuel_meter_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.reading_fuel_meter
    ADD CONSTRAINT reading_fuel_meter_pkey PRIMARY KEY (device_id, "time");

--
-- Name: reading_furnace reading_furnace_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.reading_furnace
    ADD CONSTRAINT reading_furnace_pkey PRIMARY KEY (device_id, "time");

--
-- Name: reading_lamp_controller reading_lamp_controller_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.reading_lamp_controller
    ADD CONSTRAINT reading_lamp_controller_pkey PRIMARY KEY (device_id, "time");

--
-- Name: reading_noise_station reading_noise_station_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.reading_noise_station
    ADD CONSTRAINT reading_noise_station_pkey PRIMARY KEY (device_id, "time");

--
-- Name: reading_passenger_counter reading_passenger_counter_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.reading_passenger_counter
    ADD CONSTRAINT reading_passenger_counter_pkey PRIMARY KEY (device_id, "time");

--
-- Name: reading_pump reading_pump_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.reading_pump
    ADD CONSTRAINT reading_pump_pkey PRIMARY KEY (device_id, "time");

--
-- Name: reading_pv_inverter reading_pv_inverter_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.reading_pv_inverter
    ADD CONSTRAINT reading_pv_inverter_pkey PRIMARY KEY (device_id, "time");

--
-- Name: reading_recycling_line reading_recycling_line_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.reading_recycling_line
    ADD CONSTRAINT reading_recycling_line_pkey PRIMARY KEY (device_id, "time");

--
-- Name: reading_sewer_level reading_sewer_level_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.reading_sewer_level
    ADD CONSTRAINT reading_sewer_level_pkey PRIMARY KEY (device_id, "time");

--
-- Name: reading_steam_meter reading_steam_meter_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.reading_steam_meter
    ADD CONSTRAINT reading_steam_meter_pkey PRIMARY KEY (device_id, "time");

--
-- Name: reading_vehicle reading_vehicle_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.reading_vehicle
    ADD CONSTRAINT reading_vehicle_pkey PRIMARY KEY (device_id, "time");

--
-- Name: reading_waste_heat_turbine reading_waste_heat_turbine_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.reading_waste_heat_turbine
    ADD CONSTRAINT reading_waste_heat_turbine_pkey PRIMARY KEY (device_id, "time");

--
-- Name: reading_wastewater_plant reading_wastewater_plant_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.reading_wastewater_plant
    ADD CONSTRAINT reading_wastewater_plant_pkey PRIMARY KEY (device_id, "time");

--
-- Name: reading_water_station reading_water_station_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.reading_water_station
    ADD CONSTRAINT reading_water_station_pkey PRIMARY KEY (device_id, "time");

--
-- Name: reading_water_tube reading_water_tube_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.reading_water_tube
    ADD CONSTRAINT reading_water_tube_pkey PRIMARY KEY (device_id, "time");

--
-- Name: reading_waterworks reading_waterworks_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.reading_waterworks
    ADD CONSTRAINT reading_waterworks_pkey PRIMARY KEY (device_id, "time");

--
-- Name: reading_weather_station reading_weather_station_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.reading_weather_station
    ADD CONSTRAINT reading_weather_station_pkey PRIMARY KEY (device_id, "time");

--
-- Name: reading_weighbridge reading_weighbridge_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.reading_weighbridge
    ADD CONSTRAINT reading_weighbridge_pkey PRIMARY KEY (device_id, "time");

--
-- Name: reading_wind_turbine reading_wind_turbine_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.reading_wind_turbine
    ADD CONSTRAINT reading_wind_turbine_pkey PRIMARY KEY (device_id, "time");

--
-- Name: registry_version registry_version_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.registry_version
    ADD CONSTRAINT registry_version_pkey PRIMARY KEY (version);

--
-- Name: remake_request remake_request_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.remake_request
    ADD CONSTRAINT remake_request_pkey PRIMARY KEY (device_id);

--
-- Name: schema_migration schema_migration_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne
--

ALTER TABLE ONLY public.schema_migration
    ADD CONSTRAINT schema_migration_pkey PRIMARY KEY (version);

--
-- Name: sewer_asset sewer_asset_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.sewer_asset
    ADD CONSTRAINT sewer_asset_pkey PRIMARY KEY (id);

--
-- Name: sewer_event sewer_event_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.sewer_event
    ADD CONSTRAINT sewer_event_pkey PRIMARY KEY (asset_id, day, what, kind);

--
-- Name: signed_value signed_value_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.signed_value
    ADD CONSTRAINT signed_value_pkey PRIMARY KEY (id);

--
-- Name: site site_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.site
    ADD CONSTRAINT site_pkey PRIMARY KEY (id);

--
-- Name: sparkplug_birth sparkplug_birth_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.sparkplug_birth
    ADD CONSTRAINT sparkplug_birth_pkey PRIMARY KEY (node, device, born_ms);

--
-- Name: sparkplug_held sparkplug_held_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.sparkplug_held
    ADD CONSTRAINT sparkplug_held_pkey PRIMARY KEY (id);

--
-- Name: sparkplug_node sparkplug_node_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.sparkplug_node
    ADD CONSTRAINT sparkplug_node_pkey PRIMARY KEY (node);

--
-- Name: statement_event statement_event_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.statement_event
    ADD CONSTRAINT statement_event_pkey PRIMARY KEY (sequence);

--
-- Name: statement_event statement_event_statement_id_state_key; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.statement_event
    ADD CONSTRAINT statement_event_statement_id_state_key UNIQUE (statement_id, state);

--
-- Name: statement_evidence statement_evidence_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.statement_evidence
    ADD CONSTRAINT statement_evidence_pkey PRIMARY KEY (statement_id, name);

--
-- Name: statement statement_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.statement
    ADD CONSTRAINT statement_pkey PRIMARY KEY (id);

--
-- Name: statement_sampling statement_sampling_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.statement_sampling
    ADD CONSTRAINT statement_sampling_pkey PRIMARY KEY (statement_id);

--
-- Name: stream_offset stream_offset_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.stream_offset
    ADD CONSTRAINT stream_offset_pkey PRIMARY KEY (topic, partition);

--
-- Name: stream_source stream_source_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.stream_source
    ADD CONSTRAINT stream_source_pkey PRIMARY KEY (single);

--
-- Name: topic_template topic_template_pkey; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.topic_template
    ADD CONSTRAINT topic_template_pkey PRIMARY KEY (id);

--
-- Name: topic_template topic_template_template_key; Type: CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.topic_template
    ADD CONSTRAINT topic_template_template_key UNIQUE (template) DEFERRABLE INITIALLY DEFERRED;

--
-- Name: archive_part_by_day; Type: INDEX; Schema: public; Owner: tonne_owner
--

CREATE INDEX archive_part_by_day ON public.archive_part USING btree (project_id, day);

--
-- Name: archive_part_by_time; Type: INDEX; Schema: public; Owner: tonne_owner
--

CREATE INDEX archive_part_by_time ON public.archive_part USING btree (class_id, from_time);

--
-- Name: archive_place_only_one; Type: INDEX; Schema: public; Owner: tonne_owner
--

CREATE UNIQUE INDEX archive_place_only_one ON public.archive_place USING btree ((true));

--
-- Name: credential_principal; Type: INDEX; Schema: public; Owner: tonne_owner
--

CREATE INDEX credential_principal ON public.credential USING btree (principal);

--
-- Name: day_emission_begins; Type: INDEX; Schema: public; Owner: tonne_owner
--

CREATE INDEX day_emission_begins ON public.day_emission USING btree (begins);

--
-- Name: day_pv_day; Type: INDEX; Schema: public; Owner: tonne_owner
--

CREATE INDEX day_pv_day ON public.day_pv USING btree (day);

--
-- Name: day_quantity_begins; Type: INDEX; Schema: public; Owner: tonne_owner
--

CREATE INDEX day_quantity_begins ON public.day_quantity USING btree (begins, quantity);

--
-- Name: day_quantity_day; Type: INDEX; Schema: public; Owner: tonne_owner
--

CREATE INDEX day_quantity_day ON public.day_quantity USING btree (day);

--
-- Name: dead_letter_reason; Type: INDEX; Schema: public; Owner: tonne_owner
--

CREATE INDEX dead_letter_reason ON public.dead_letter USING btree (reason, id);

--
-- Name: dead_letter_received; Type: INDEX; Schema: public; Owner: tonne_owner
--

CREATE INDEX dead_letter_received ON public.dead_letter USING brin (received);

--
-- Name: dead_letter_sha256; Type: INDEX; Schema: public; Owner: tonne_owner
--

CREATE INDEX dead_letter_sha256 ON public.dead_letter USING btree (sha256);

--
-- Name: device_site; Type: INDEX; Schema: public; Owner: tonne_owner
--

CREATE INDEX device_site ON public.device USING btree (site);

--
-- Name: interval_emission_project; Type: INDEX; Schema: public; Owner: tonne_owner
--

CREATE INDEX interval_emission_project ON public.interval_emission USING btree (project_id, start);

--
-- Name: invoice_project; Type: INDEX; Schema: public; Owner: tonne_owner
--

CREATE INDEX invoice_project ON public.invoice USING btree (project_id);

--
-- Name: monitoring_period_project; Type: INDEX; Schema: public; Owner: tonne_owner
--

CREATE INDEX monitoring_period_project ON public.monitoring_period USING btree (project_id, local_from);

--
-- Name: sewer_asset_extent; Type: INDEX; Schema: public; Owner: tonne_owner
--

CREATE INDEX sewer_asset_extent ON public.sewer_asset USING gist (extent);

--
-- Name: sewer_asset_sensor; Type: INDEX; Schema: public; Owner: tonne_owner
--

CREATE INDEX sewer_asset_sensor ON public.sewer_asset USING btree (sensor) WHERE (sensor IS NOT NULL);

--
-- Name: signed_value_device; Type: INDEX; Schema: public; Owner: tonne_owner
--

CREATE INDEX signed_value_device ON public.signed_value USING btree (device_id, "time");

--
-- Name: signed_value_once; Type: INDEX; Schema: public; Owner: tonne_owner
--

CREATE UNIQUE INDEX signed_value_once ON public.signed_value USING btree (sha256, topic, "time", channel, COALESCE(context, ''::text));

--
-- Name: sparkplug_held_node; Type: INDEX; Schema: public; Owner: tonne_owner
--

CREATE INDEX sparkplug_held_node ON public.sparkplug_held USING btree (node);

--
-- Name: api_audit append_only; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.api_audit FOR EACH ROW EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: archive_day append_only; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.archive_day FOR EACH ROW EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: archive_drop append_only; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.archive_drop FOR EACH ROW EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: archive_hold append_only; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.archive_hold FOR EACH ROW EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: archive_part append_only; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.archive_part FOR EACH ROW EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: archive_place append_only; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.archive_place FOR EACH ROW EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: data_seal append_only; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.data_seal FOR EACH ROW EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: dead_letter append_only; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.dead_letter FOR EACH ROW EXECUTE FUNCTION public.tonne_append_or_expire();

--
-- Name: dead_letter_removal append_only; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.dead_letter_removal FOR EACH ROW EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: dead_letter_replay append_only; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.dead_letter_replay FOR EACH ROW EXECUTE FUNCTION public.tonne_append_or_expire();

--
-- Name: finding_event append_only; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.finding_event FOR EACH ROW EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: invoice append_only; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.invoice FOR EACH ROW EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: log_checkpoint append_only; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.log_checkpoint FOR EACH ROW EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: log_cosignature append_only; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.log_cosignature FOR EACH ROW EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: log_detail append_only; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.log_detail FOR EACH ROW EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: log_entry append_only; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.log_entry FOR EACH ROW EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: monitoring_period append_only; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.monitoring_period FOR EACH ROW EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: monitoring_plan append_only; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.monitoring_plan FOR EACH ROW EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: signed_value append_only; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.signed_value FOR EACH ROW EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: statement append_only; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.statement FOR EACH ROW EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: statement_event append_only; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.statement_event FOR EACH ROW EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: statement_evidence append_only; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.statement_evidence FOR EACH ROW EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: statement_sampling append_only; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.statement_sampling FOR EACH ROW EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: site clock_changed; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER clock_changed AFTER UPDATE ON public.site FOR EACH ROW WHEN ((old.timezone IS DISTINCT FROM new.timezone)) EXECUTE FUNCTION public.tonne_site_clock_changed();

--
-- Name: reading_air_station fill_only; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER fill_only BEFORE UPDATE ON public.reading_air_station FOR EACH ROW EXECUTE FUNCTION public.tonne_fill_only();

--
-- Name: reading_chiller fill_only; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER fill_only BEFORE UPDATE ON public.reading_chiller FOR EACH ROW EXECUTE FUNCTION public.tonne_fill_only();

--
-- Name: reading_compost_windrow fill_only; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER fill_only BEFORE UPDATE ON public.reading_compost_windrow FOR EACH ROW EXECUTE FUNCTION public.tonne_fill_only();

--
-- Name: reading_energy_meter fill_only; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER fill_only BEFORE UPDATE ON public.reading_energy_meter FOR EACH ROW EXECUTE FUNCTION public.tonne_fill_only();

--
-- Name: reading_ev_charger fill_only; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER fill_only BEFORE UPDATE ON public.reading_ev_charger FOR EACH ROW EXECUTE FUNCTION public.tonne_fill_only();

--
-- Name: reading_fuel_meter fill_only; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER fill_only BEFORE UPDATE ON public.reading_fuel_meter FOR EACH ROW EXECUTE FUNCTION public.tonne_fill_only();

--
-- Name: reading_furnace fill_only; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER fill_only BEFORE UPDATE ON public.reading_furnace FOR EACH ROW EXECUTE FUNCTION public.tonne_fill_only();

--
-- Name: reading_lamp_controller fill_only; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER fill_only BEFORE UPDATE ON public.reading_lamp_controller FOR EACH ROW EXECUTE FUNCTION public.tonne_fill_only();

--
-- Name: reading_noise_station fill_only; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER fill_only BEFORE UPDATE ON public.reading_noise_station FOR EACH ROW EXECUTE FUNCTION public.tonne_fill_only();

--
-- Name: reading_passenger_counter fill_only; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER fill_only BEFORE UPDATE ON public.reading_passenger_counter FOR EACH ROW EXECUTE FUNCTION public.tonne_fill_only();

--
-- Name: reading_pump fill_only; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER fill_only BEFORE UPDATE ON public.reading_pump FOR EACH ROW EXECUTE FUNCTION public.tonne_fill_only();

--
-- Name: reading_pv_inverter fill_only; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER fill_only BEFORE UPDATE ON public.reading_pv_inverter FOR EACH ROW EXECUTE FUNCTION public.tonne_fill_only();

--
-- Name: reading_recycling_line fill_only; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER fill_only BEFORE UPDATE ON public.reading_recycling_line FOR EACH ROW EXECUTE FUNCTION public.tonne_fill_only();

--
-- Name: reading_sewer_level fill_only; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER fill_only BEFORE UPDATE ON public.reading_sewer_level FOR EACH ROW EXECUTE FUNCTION public.tonne_fill_only();

--
-- Name: reading_steam_meter fill_only; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER fill_only BEFORE UPDATE ON public.reading_steam_meter FOR EACH ROW EXECUTE FUNCTION public.tonne_fill_only();

--
-- Name: reading_vehicle fill_only; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER fill_only BEFORE UPDATE ON public.reading_vehicle FOR EACH ROW EXECUTE FUNCTION public.tonne_fill_only();

--
-- Name: reading_waste_heat_turbine fill_only; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER fill_only BEFORE UPDATE ON public.reading_waste_heat_turbine FOR EACH ROW EXECUTE FUNCTION public.tonne_fill_only();

--
-- Name: reading_wastewater_plant fill_only; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER fill_only BEFORE UPDATE ON public.reading_wastewater_plant FOR EACH ROW EXECUTE FUNCTION public.tonne_fill_only();

--
-- Name: reading_water_station fill_only; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER fill_only BEFORE UPDATE ON public.reading_water_station FOR EACH ROW EXECUTE FUNCTION public.tonne_fill_only();

--
-- Name: reading_water_tube fill_only; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER fill_only BEFORE UPDATE ON public.reading_water_tube FOR EACH ROW EXECUTE FUNCTION public.tonne_fill_only();

--
-- Name: reading_waterworks fill_only; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER fill_only BEFORE UPDATE ON public.reading_waterworks FOR EACH ROW EXECUTE FUNCTION public.tonne_fill_only();

--
-- Name: reading_weather_station fill_only; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER fill_only BEFORE UPDATE ON public.reading_weather_station FOR EACH ROW EXECUTE FUNCTION public.tonne_fill_only();

--
-- Name: reading_weighbridge fill_only; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER fill_only BEFORE UPDATE ON public.reading_weighbridge FOR EACH ROW EXECUTE FUNCTION public.tonne_fill_only();

--
-- Name: reading_wind_turbine fill_only; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER fill_only BEFORE UPDATE ON public.reading_wind_turbine FOR EACH ROW EXECUTE FUNCTION public.tonne_fill_only();

--
-- Name: credential no_delete; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_delete BEFORE DELETE ON public.credential FOR EACH ROW EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: reading_air_station no_delete; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_delete BEFORE DELETE ON public.reading_air_station FOR EACH ROW EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: reading_chiller no_delete; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_delete BEFORE DELETE ON public.reading_chiller FOR EACH ROW EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: reading_compost_windrow no_delete; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_delete BEFORE DELETE ON public.reading_compost_windrow FOR EACH ROW EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: reading_energy_meter no_delete; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_delete BEFORE DELETE ON public.reading_energy_meter FOR EACH ROW EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: reading_ev_charger no_delete; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_delete BEFORE DELETE ON public.reading_ev_charger FOR EACH ROW EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: reading_fuel_meter no_delete; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_delete BEFORE DELETE ON public.reading_fuel_meter FOR EACH ROW EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: reading_furnace no_delete; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_delete BEFORE DELETE ON public.reading_furnace FOR EACH ROW EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: reading_lamp_controller no_delete; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_delete BEFORE DELETE ON public.reading_lamp_controller FOR EACH ROW EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: reading_noise_station no_delete; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_delete BEFORE DELETE ON public.reading_noise_station FOR EACH ROW EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: reading_passenger_counter no_delete; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_delete BEFORE DELETE ON public.reading_passenger_counter FOR EACH ROW EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: reading_pump no_delete; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_delete BEFORE DELETE ON public.reading_pump FOR EACH ROW EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: reading_pv_inverter no_delete; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_delete BEFORE DELETE ON public.reading_pv_inverter FOR EACH ROW EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: reading_recycling_line no_delete; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_delete BEFORE DELETE ON public.reading_recycling_line FOR EACH ROW EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: reading_sewer_level no_delete; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_delete BEFORE DELETE ON public.reading_sewer_level FOR EACH ROW EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: reading_steam_meter no_delete; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_delete BEFORE DELETE ON public.reading_steam_meter FOR EACH ROW EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: reading_vehicle no_delete; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_delete BEFORE DELETE ON public.reading_vehicle FOR EACH ROW EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: reading_waste_heat_turbine no_delete; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_delete BEFORE DELETE ON public.reading_waste_heat_turbine FOR EACH ROW EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: reading_wastewater_plant no_delete; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_delete BEFORE DELETE ON public.reading_wastewater_plant FOR EACH ROW EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: reading_water_station no_delete; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_delete BEFORE DELETE ON public.reading_water_station FOR EACH ROW EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: reading_water_tube no_delete; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_delete BEFORE DELETE ON public.reading_water_tube FOR EACH ROW EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: reading_waterworks no_delete; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_delete BEFORE DELETE ON public.reading_waterworks FOR EACH ROW EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: reading_weather_station no_delete; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_delete BEFORE DELETE ON public.reading_weather_station FOR EACH ROW EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: reading_weighbridge no_delete; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_delete BEFORE DELETE ON public.reading_weighbridge FOR EACH ROW EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: reading_wind_turbine no_delete; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_delete BEFORE DELETE ON public.reading_wind_turbine FOR EACH ROW EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: api_audit no_truncate; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.api_audit FOR EACH STATEMENT EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: archive_day no_truncate; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.archive_day FOR EACH STATEMENT EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: archive_drop no_truncate; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.archive_drop FOR EACH STATEMENT EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: archive_hold no_truncate; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.archive_hold FOR EACH STATEMENT EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: archive_part no_truncate; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.archive_part FOR EACH STATEMENT EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: archive_place no_truncate; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.archive_place FOR EACH STATEMENT EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: credential no_truncate; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.credential FOR EACH STATEMENT EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: data_seal no_truncate; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.data_seal FOR EACH STATEMENT EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: dead_letter no_truncate; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.dead_letter FOR EACH STATEMENT EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: dead_letter_removal no_truncate; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.dead_letter_removal FOR EACH STATEMENT EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: dead_letter_replay no_truncate; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.dead_letter_replay FOR EACH STATEMENT EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: finding_event no_truncate; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.finding_event FOR EACH STATEMENT EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: invoice no_truncate; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.invoice FOR EACH STATEMENT EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: log_checkpoint no_truncate; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.log_checkpoint FOR EACH STATEMENT EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: log_cosignature no_truncate; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.log_cosignature FOR EACH STATEMENT EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: log_detail no_truncate; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.log_detail FOR EACH STATEMENT EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: log_entry no_truncate; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.log_entry FOR EACH STATEMENT EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: monitoring_period no_truncate; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.monitoring_period FOR EACH STATEMENT EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: monitoring_plan no_truncate; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.monitoring_plan FOR EACH STATEMENT EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: reading_air_station no_truncate; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.reading_air_station FOR EACH STATEMENT EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: reading_chiller no_truncate; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.reading_chiller FOR EACH STATEMENT EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: reading_compost_windrow no_truncate; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.reading_compost_windrow FOR EACH STATEMENT EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: reading_energy_meter no_truncate; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.reading_energy_meter FOR EACH STATEMENT EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: reading_ev_charger no_truncate; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.reading_ev_charger FOR EACH STATEMENT EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: reading_fuel_meter no_truncate; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.reading_fuel_meter FOR EACH STATEMENT EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: reading_furnace no_truncate; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.reading_furnace FOR EACH STATEMENT EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: reading_lamp_controller no_truncate; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.reading_lamp_controller FOR EACH STATEMENT EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: reading_noise_station no_truncate; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.reading_noise_station FOR EACH STATEMENT EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: reading_passenger_counter no_truncate; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.reading_passenger_counter FOR EACH STATEMENT EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: reading_pump no_truncate; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.reading_pump FOR EACH STATEMENT EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: reading_pv_inverter no_truncate; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.reading_pv_inverter FOR EACH STATEMENT EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: reading_recycling_line no_truncate; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.reading_recycling_line FOR EACH STATEMENT EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: reading_sewer_level no_truncate; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.reading_sewer_level FOR EACH STATEMENT EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: reading_steam_meter no_truncate; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.reading_steam_meter FOR EACH STATEMENT EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: reading_vehicle no_truncate; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.reading_vehicle FOR EACH STATEMENT EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: reading_waste_heat_turbine no_truncate; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.reading_waste_heat_turbine FOR EACH STATEMENT EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: reading_wastewater_plant no_truncate; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.reading_wastewater_plant FOR EACH STATEMENT EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: reading_water_station no_truncate; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.reading_water_station FOR EACH STATEMENT EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: reading_water_tube no_truncate; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.reading_water_tube FOR EACH STATEMENT EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: reading_waterworks no_truncate; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.reading_waterworks FOR EACH STATEMENT EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: reading_weather_station no_truncate; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.reading_weather_station FOR EACH STATEMENT EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: reading_weighbridge no_truncate; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.reading_weighbridge FOR EACH STATEMENT EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: reading_wind_turbine no_truncate; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.reading_wind_turbine FOR EACH STATEMENT EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: sewer_event no_truncate; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.sewer_event FOR EACH STATEMENT EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: signed_value no_truncate; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.signed_value FOR EACH STATEMENT EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: statement no_truncate; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.statement FOR EACH STATEMENT EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: statement_event no_truncate; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.statement_event FOR EACH STATEMENT EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: statement_evidence no_truncate; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.statement_evidence FOR EACH STATEMENT EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: statement_sampling no_truncate; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.statement_sampling FOR EACH STATEMENT EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: sewer_event no_update; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER no_update BEFORE DELETE OR UPDATE ON public.sewer_event FOR EACH ROW EXECUTE FUNCTION public.tonne_append_only();

--
-- Name: device request_remake; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER request_remake AFTER UPDATE ON public.device FOR EACH ROW WHEN ((old.* IS DISTINCT FROM new.*)) EXECUTE FUNCTION public.tonne_request_remake();

--
-- Name: device_quality request_remake; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER request_remake AFTER INSERT OR DELETE OR UPDATE ON public.device_quality FOR EACH ROW EXECUTE FUNCTION public.tonne_request_remake();

--
-- Name: device_replacement request_remake; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER request_remake AFTER INSERT OR DELETE OR UPDATE ON public.device_replacement FOR EACH ROW EXECUTE FUNCTION public.tonne_request_remake();

--
-- Name: project request_remake; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER request_remake AFTER UPDATE ON public.project FOR EACH ROW WHEN ((old.* IS DISTINCT FROM new.*)) EXECUTE FUNCTION public.tonne_request_remake();

--
-- Name: project_device request_remake; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER request_remake AFTER INSERT OR DELETE OR UPDATE ON public.project_device FOR EACH ROW EXECUTE FUNCTION public.tonne_request_remake();

--
-- Name: site request_remake; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER request_remake AFTER UPDATE ON public.site FOR EACH ROW WHEN (((old.latitude IS DISTINCT FROM new.latitude) OR (old.longitude IS DISTINCT FROM new.longitude))) EXECUTE FUNCTION public.tonne_site_moved();

--
-- Name: credential revoke_only; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER revoke_only BEFORE UPDATE ON public.credential FOR EACH ROW EXECUTE FUNCTION public.tonne_revoke_only();

--
-- Name: finding_event step; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER step BEFORE INSERT ON public.finding_event FOR EACH ROW EXECUTE FUNCTION public.tonne_finding_step();

--
-- Name: statement_event step; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER step BEFORE INSERT ON public.statement_event FOR EACH ROW EXECUTE FUNCTION public.tonne_statement_step();

--
-- Name: statement_sampling step; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

CREATE TRIGGER step BEFORE INSERT ON public.statement_sampling FOR EACH ROW EXECUTE FUNCTION public.tonne_sampling_step();

--
-- Name: indicator_value ts_insert_blocker; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

--
-- Name: interval_emission ts_insert_blocker; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

--
-- Name: interval_quantity ts_insert_blocker; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

--
-- Name: quality_flag ts_insert_blocker; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

--
-- Name: reading_air_station ts_insert_blocker; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

--
-- Name: reading_chiller ts_insert_blocker; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

--
-- Name: reading_compost_windrow ts_insert_blocker; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

--
-- Name: reading_energy_meter ts_insert_blocker; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

--
-- Name: reading_ev_charger ts_insert_blocker; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

--
-- Name: reading_fuel_meter ts_insert_blocker; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

--
-- Name: reading_furnace ts_insert_blocker; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

--
-- Name: reading_lamp_controller ts_insert_blocker; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

--
-- Name: reading_noise_station ts_insert_blocker; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

--
-- Name: reading_passenger_counter ts_insert_blocker; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

--
-- Name: reading_pump ts_insert_blocker; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

--
-- Name: reading_pv_inverter ts_insert_blocker; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

--
-- Name: reading_recycling_line ts_insert_blocker; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

--
-- Name: reading_sewer_level ts_insert_blocker; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

--
-- Name: reading_steam_meter ts_insert_blocker; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

--
-- Name: reading_vehicle ts_insert_blocker; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

--
-- Name: reading_waste_heat_turbine ts_insert_blocker; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

--
-- Name: reading_wastewater_plant ts_insert_blocker; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

--
-- Name: reading_water_station ts_insert_blocker; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

--
-- Name: reading_water_tube ts_insert_blocker; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

--
-- Name: reading_waterworks ts_insert_blocker; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

--
-- Name: reading_weather_station ts_insert_blocker; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

--
-- Name: reading_weighbridge ts_insert_blocker; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

--
-- Name: reading_wind_turbine ts_insert_blocker; Type: TRIGGER; Schema: public; Owner: tonne_owner
--

--
-- Name: archive_day archive_day_seal_index_fkey; Type: FK CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.archive_day
    ADD CONSTRAINT archive_day_seal_index_fkey FOREIGN KEY (seal_index) REFERENCES public.log_entry(index);

--
-- Name: archive_part archive_part_seal_index_fkey; Type: FK CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.archive_part
    ADD CONSTRAINT archive_part_seal_index_fkey FOREIGN KEY (seal_index) REFERENCES public.log_entry(index);

--
-- Name: calibration calibration_device_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.calibration
    ADD CONSTRAINT calibration_device_id_fkey FOREIGN KEY (device_id) REFERENCES public.device(id);

--
-- Name: claim claim_project_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.claim
    ADD CONSTRAINT claim_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id);

--
-- Name: claim claim_statement_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.claim
    ADD CONSTRAINT claim_statement_id_fkey FOREIGN KEY (statement_id) REFERENCES public.statement(id);

--
-- Name: data_seal data_seal_index_fkey; Type: FK CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.data_seal
    ADD CONSTRAINT data_seal_index_fkey FOREIGN KEY (index) REFERENCES public.log_entry(index);

--
-- Name: dead_letter_replay dead_letter_replay_dead_letter_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.dead_letter_replay
    ADD CONSTRAINT dead_letter_replay_dead_letter_id_fkey FOREIGN KEY (dead_letter_id) REFERENCES public.dead_letter(id);

--
-- Name: device device_check_of_fkey; Type: FK CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.device
    ADD CONSTRAINT device_check_of_fkey FOREIGN KEY (check_of) REFERENCES public.device(id) DEFERRABLE INITIALLY DEFERRED;

--
-- Name: device device_gateway_fkey; Type: FK CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.device
    ADD CONSTRAINT device_gateway_fkey FOREIGN KEY (gateway) REFERENCES public.device(id) DEFERRABLE INITIALLY DEFERRED;

--
-- Name: device_quality device_quality_device_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.device_quality
    ADD CONSTRAINT device_quality_device_id_fkey FOREIGN KEY (device_id) REFERENCES public.device(id);

--
-- Name: device_replacement device_replacement_device_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.device_replacement
    ADD CONSTRAINT device_replacement_device_id_fkey FOREIGN KEY (device_id) REFERENCES public.device(id);

--
-- Name: device device_site_fkey; Type: FK CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.device
    ADD CONSTRAINT device_site_fkey FOREIGN KEY (site) REFERENCES public.site(id);

--
-- Name: finding_event finding_event_multikey_fkey; Type: FK CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.finding_event
    ADD CONSTRAINT finding_event_multikey_fkey FOREIGN KEY (multikey) REFERENCES public.enrolled_key(multikey);

--
-- Name: finding_event finding_event_statement_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.finding_event
    ADD CONSTRAINT finding_event_statement_id_fkey FOREIGN KEY (statement_id) REFERENCES public.statement(id);

--
-- Name: invoice invoice_corrects_fkey; Type: FK CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.invoice
    ADD CONSTRAINT invoice_corrects_fkey FOREIGN KEY (corrects) REFERENCES public.invoice(id);

--
-- Name: invoice invoice_project_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.invoice
    ADD CONSTRAINT invoice_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id);

--
-- Name: log_cosignature log_cosignature_multikey_fkey; Type: FK CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.log_cosignature
    ADD CONSTRAINT log_cosignature_multikey_fkey FOREIGN KEY (multikey) REFERENCES public.enrolled_key(multikey);

--
-- Name: log_cosignature log_cosignature_size_fkey; Type: FK CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.log_cosignature
    ADD CONSTRAINT log_cosignature_size_fkey FOREIGN KEY (size) REFERENCES public.log_checkpoint(size);

--
-- Name: log_detail log_detail_index_fkey; Type: FK CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.log_detail
    ADD CONSTRAINT log_detail_index_fkey FOREIGN KEY (index) REFERENCES public.log_entry(index);

--
-- Name: log_entry log_entry_statement_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.log_entry
    ADD CONSTRAINT log_entry_statement_id_fkey FOREIGN KEY (statement_id) REFERENCES public.statement(id);

--
-- Name: monitoring_period monitoring_period_project_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.monitoring_period
    ADD CONSTRAINT monitoring_period_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id);

--
-- Name: monitoring_plan monitoring_plan_project_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.monitoring_plan
    ADD CONSTRAINT monitoring_plan_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id);

--
-- Name: programme_reported programme_reported_action_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.programme_reported
    ADD CONSTRAINT programme_reported_action_id_fkey FOREIGN KEY (action_id) REFERENCES public.programme_action(id) ON DELETE CASCADE;

--
-- Name: project_device project_device_device_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.project_device
    ADD CONSTRAINT project_device_device_id_fkey FOREIGN KEY (device_id) REFERENCES public.device(id);

--
-- Name: project_device project_device_project_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.project_device
    ADD CONSTRAINT project_device_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id);

--
-- Name: sewer_asset sewer_asset_sensor_fkey; Type: FK CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.sewer_asset
    ADD CONSTRAINT sewer_asset_sensor_fkey FOREIGN KEY (sensor) REFERENCES public.device(id);

--
-- Name: sewer_event sewer_event_asset_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.sewer_event
    ADD CONSTRAINT sewer_event_asset_id_fkey FOREIGN KEY (asset_id) REFERENCES public.sewer_asset(id);

--
-- Name: sparkplug_birth sparkplug_birth_node_fkey; Type: FK CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.sparkplug_birth
    ADD CONSTRAINT sparkplug_birth_node_fkey FOREIGN KEY (node) REFERENCES public.sparkplug_node(node);

--
-- Name: sparkplug_held sparkplug_held_node_fkey; Type: FK CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.sparkplug_held
    ADD CONSTRAINT sparkplug_held_node_fkey FOREIGN KEY (node) REFERENCES public.sparkplug_node(node);

--
-- Name: statement_event statement_event_multikey_fkey; Type: FK CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.statement_event
    ADD CONSTRAINT statement_event_multikey_fkey FOREIGN KEY (multikey) REFERENCES public.enrolled_key(multikey);

--
-- Name: statement_event statement_event_statement_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.statement_event
    ADD CONSTRAINT statement_event_statement_id_fkey FOREIGN KEY (statement_id) REFERENCES public.statement(id);

--
-- Name: statement_evidence statement_evidence_archived_fkey; Type: FK CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.statement_evidence
    ADD CONSTRAINT statement_evidence_archived_fkey FOREIGN KEY (archived) REFERENCES public.archive_part(path);

--
-- Name: statement_evidence statement_evidence_statement_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.statement_evidence
    ADD CONSTRAINT statement_evidence_statement_id_fkey FOREIGN KEY (statement_id) REFERENCES public.statement(id);

--
-- Name: statement statement_period_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.statement
    ADD CONSTRAINT statement_period_id_fkey FOREIGN KEY (period_id) REFERENCES public.monitoring_period(id);

--
-- Name: statement statement_project_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.statement
    ADD CONSTRAINT statement_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id);

--
-- Name: statement_sampling statement_sampling_multikey_fkey; Type: FK CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.statement_sampling
    ADD CONSTRAINT statement_sampling_multikey_fkey FOREIGN KEY (multikey) REFERENCES public.enrolled_key(multikey);

--
-- Name: statement_sampling statement_sampling_statement_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.statement_sampling
    ADD CONSTRAINT statement_sampling_statement_id_fkey FOREIGN KEY (statement_id) REFERENCES public.statement(id);

--
-- Name: statement statement_supersedes_fkey; Type: FK CONSTRAINT; Schema: public; Owner: tonne_owner
--

ALTER TABLE ONLY public.statement
    ADD CONSTRAINT statement_supersedes_fkey FOREIGN KEY (supersedes) REFERENCES public.statement(id);

--
-- Name: SCHEMA public; Type: ACL; Schema: -; Owner: pg_database_owner
--

GRANT ALL ON SCHEMA public TO tonne_owner;
GRANT USAGE ON SCHEMA public TO tonne_ingest;
GRANT USAGE ON SCHEMA public TO tonne_mrv;
GRANT USAGE ON SCHEMA public TO tonne_api;
GRANT USAGE ON SCHEMA public TO tonne_grafana;
GRANT USAGE ON SCHEMA public TO tonne_retention;
GRANT USAGE ON SCHEMA public TO tonne_archive;

--
-- Name: FUNCTION tonne_drop_archived(class text, begins timestamp with time zone, ends timestamp with time zone); Type: ACL; Schema: public; Owner: tonne_owner
--

REVOKE ALL ON FUNCTION public.tonne_drop_archived(class text, begins timestamp with time zone, ends timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION public.tonne_drop_archived(class text, begins timestamp with time zone, ends timestamp with time zone) TO tonne_archive;

--
-- Name: FUNCTION tonne_expire_dead_letters(older_than timestamp with time zone, by_whom text); Type: ACL; Schema: public; Owner: tonne_retention
--

REVOKE ALL ON FUNCTION public.tonne_expire_dead_letters(older_than timestamp with time zone, by_whom text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.tonne_expire_dead_letters(older_than timestamp with time zone, by_whom text) TO tonne_ingest;
GRANT ALL ON FUNCTION public.tonne_expire_dead_letters(older_than timestamp with time zone, by_whom text) TO tonne_owner;

--
-- Name: FUNCTION tonne_make_days(relation text, begins timestamp with time zone, ends timestamp with time zone, chosen text[]); Type: ACL; Schema: public; Owner: tonne_owner
--

REVOKE ALL ON FUNCTION public.tonne_make_days(relation text, begins timestamp with time zone, ends timestamp with time zone, chosen text[]) FROM PUBLIC;

--
-- Name: FUNCTION tonne_note_clocks(); Type: ACL; Schema: public; Owner: tonne_owner
--

REVOKE ALL ON FUNCTION public.tonne_note_clocks() FROM PUBLIC;

--
-- Name: FUNCTION tonne_refresh_days(budget interval); Type: ACL; Schema: public; Owner: tonne_owner
--

REVOKE ALL ON FUNCTION public.tonne_refresh_days(budget interval) FROM PUBLIC;
GRANT ALL ON FUNCTION public.tonne_refresh_days(budget interval) TO tonne_ingest;
GRANT ALL ON FUNCTION public.tonne_refresh_days(budget interval) TO tonne_mrv;

--
-- Name: FUNCTION tonne_see_devices(); Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT ALL ON FUNCTION public.tonne_see_devices() TO tonne_ingest;

--
-- Name: TABLE indicator_value; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.indicator_value TO tonne_ingest;
GRANT SELECT ON TABLE public.indicator_value TO tonne_mrv;
GRANT SELECT ON TABLE public.indicator_value TO tonne_api;
GRANT SELECT ON TABLE public.indicator_value TO tonne_grafana;

--
-- Name: TABLE quality_flag; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT,DELETE ON TABLE public.quality_flag TO tonne_ingest;
GRANT SELECT ON TABLE public.quality_flag TO tonne_mrv;
GRANT SELECT ON TABLE public.quality_flag TO tonne_api;
GRANT SELECT ON TABLE public.quality_flag TO tonne_grafana;

--
-- Name: TABLE reading_weighbridge; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT,UPDATE ON TABLE public.reading_weighbridge TO tonne_ingest;
GRANT SELECT ON TABLE public.reading_weighbridge TO tonne_mrv;
GRANT SELECT ON TABLE public.reading_weighbridge TO tonne_api;
GRANT SELECT ON TABLE public.reading_weighbridge TO tonne_grafana;
GRANT SELECT ON TABLE public.reading_weighbridge TO tonne_archive;

--
-- Name: TABLE reading_compost_windrow; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT,UPDATE ON TABLE public.reading_compost_windrow TO tonne_ingest;
GRANT SELECT ON TABLE public.reading_compost_windrow TO tonne_mrv;
GRANT SELECT ON TABLE public.reading_compost_windrow TO tonne_api;
GRANT SELECT ON TABLE public.reading_compost_windrow TO tonne_grafana;

--
-- Name: TABLE reading_waste_heat_turbine; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT,UPDATE ON TABLE public.reading_waste_heat_turbine TO tonne_ingest;
GRANT SELECT ON TABLE public.reading_waste_heat_turbine TO tonne_mrv;
GRANT SELECT ON TABLE public.reading_waste_heat_turbine TO tonne_api;
GRANT SELECT ON TABLE public.reading_waste_heat_turbine TO tonne_grafana;

--
-- Name: TABLE reading_steam_meter; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT,UPDATE ON TABLE public.reading_steam_meter TO tonne_ingest;
GRANT SELECT ON TABLE public.reading_steam_meter TO tonne_mrv;
GRANT SELECT ON TABLE public.reading_steam_meter TO tonne_api;
GRANT SELECT ON TABLE public.reading_steam_meter TO tonne_grafana;

--
-- Name: TABLE reading_recycling_line; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT,UPDATE ON TABLE public.reading_recycling_line TO tonne_ingest;
GRANT SELECT ON TABLE public.reading_recycling_line TO tonne_mrv;
GRANT SELECT ON TABLE public.reading_recycling_line TO tonne_api;
GRANT SELECT ON TABLE public.reading_recycling_line TO tonne_grafana;

--
-- Name: TABLE reading_passenger_counter; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT,UPDATE ON TABLE public.reading_passenger_counter TO tonne_ingest;
GRANT SELECT ON TABLE public.reading_passenger_counter TO tonne_mrv;
GRANT SELECT ON TABLE public.reading_passenger_counter TO tonne_api;
GRANT SELECT ON TABLE public.reading_passenger_counter TO tonne_grafana;

--
-- Name: TABLE reading_fuel_meter; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT,UPDATE ON TABLE public.reading_fuel_meter TO tonne_ingest;
GRANT SELECT ON TABLE public.reading_fuel_meter TO tonne_mrv;
GRANT SELECT ON TABLE public.reading_fuel_meter TO tonne_api;
GRANT SELECT ON TABLE public.reading_fuel_meter TO tonne_grafana;

--
-- Name: TABLE reading_chiller; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT,UPDATE ON TABLE public.reading_chiller TO tonne_ingest;
GRANT SELECT ON TABLE public.reading_chiller TO tonne_mrv;
GRANT SELECT ON TABLE public.reading_chiller TO tonne_api;
GRANT SELECT ON TABLE public.reading_chiller TO tonne_grafana;

--
-- Name: TABLE reading_pv_inverter; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT,UPDATE ON TABLE public.reading_pv_inverter TO tonne_ingest;
GRANT SELECT ON TABLE public.reading_pv_inverter TO tonne_mrv;
GRANT SELECT ON TABLE public.reading_pv_inverter TO tonne_api;
GRANT SELECT ON TABLE public.reading_pv_inverter TO tonne_grafana;
GRANT SELECT ON TABLE public.reading_pv_inverter TO tonne_archive;

--
-- Name: TABLE reading_lamp_controller; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT,UPDATE ON TABLE public.reading_lamp_controller TO tonne_ingest;
GRANT SELECT ON TABLE public.reading_lamp_controller TO tonne_mrv;
GRANT SELECT ON TABLE public.reading_lamp_controller TO tonne_api;
GRANT SELECT ON TABLE public.reading_lamp_controller TO tonne_grafana;

--
-- Name: TABLE reading_weather_station; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT,UPDATE ON TABLE public.reading_weather_station TO tonne_ingest;
GRANT SELECT ON TABLE public.reading_weather_station TO tonne_mrv;
GRANT SELECT ON TABLE public.reading_weather_station TO tonne_api;
GRANT SELECT ON TABLE public.reading_weather_station TO tonne_grafana;

--
-- Name: TABLE reading_wind_turbine; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT,UPDATE ON TABLE public.reading_wind_turbine TO tonne_ingest;
GRANT SELECT ON TABLE public.reading_wind_turbine TO tonne_mrv;
GRANT SELECT ON TABLE public.reading_wind_turbine TO tonne_api;
GRANT SELECT ON TABLE public.reading_wind_turbine TO tonne_grafana;

--
-- Name: TABLE reading_waterworks; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT,UPDATE ON TABLE public.reading_waterworks TO tonne_ingest;
GRANT SELECT ON TABLE public.reading_waterworks TO tonne_mrv;
GRANT SELECT ON TABLE public.reading_waterworks TO tonne_api;
GRANT SELECT ON TABLE public.reading_waterworks TO tonne_grafana;

--
-- Name: TABLE reading_pump; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT,UPDATE ON TABLE public.reading_pump TO tonne_ingest;
GRANT SELECT ON TABLE public.reading_pump TO tonne_mrv;
GRANT SELECT ON TABLE public.reading_pump TO tonne_api;
GRANT SELECT ON TABLE public.reading_pump TO tonne_grafana;

--
-- Name: TABLE reading_water_station; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT,UPDATE ON TABLE public.reading_water_station TO tonne_ingest;
GRANT SELECT ON TABLE public.reading_water_station TO tonne_mrv;
GRANT SELECT ON TABLE public.reading_water_station TO tonne_api;
GRANT SELECT ON TABLE public.reading_water_station TO tonne_grafana;

--
-- Name: TABLE reading_furnace; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT,UPDATE ON TABLE public.reading_furnace TO tonne_ingest;
GRANT SELECT ON TABLE public.reading_furnace TO tonne_mrv;
GRANT SELECT ON TABLE public.reading_furnace TO tonne_api;
GRANT SELECT ON TABLE public.reading_furnace TO tonne_grafana;

--
-- Name: TABLE reading_water_tube; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT,UPDATE ON TABLE public.reading_water_tube TO tonne_ingest;
GRANT SELECT ON TABLE public.reading_water_tube TO tonne_mrv;
GRANT SELECT ON TABLE public.reading_water_tube TO tonne_api;
GRANT SELECT ON TABLE public.reading_water_tube TO tonne_grafana;

--
-- Name: TABLE reading_sewer_level; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT,UPDATE ON TABLE public.reading_sewer_level TO tonne_ingest;
GRANT SELECT ON TABLE public.reading_sewer_level TO tonne_mrv;
GRANT SELECT ON TABLE public.reading_sewer_level TO tonne_api;
GRANT SELECT ON TABLE public.reading_sewer_level TO tonne_grafana;

--
-- Name: TABLE reading_ev_charger; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT,UPDATE ON TABLE public.reading_ev_charger TO tonne_ingest;
GRANT SELECT ON TABLE public.reading_ev_charger TO tonne_mrv;
GRANT SELECT ON TABLE public.reading_ev_charger TO tonne_api;
GRANT SELECT ON TABLE public.reading_ev_charger TO tonne_grafana;
GRANT SELECT ON TABLE public.reading_ev_charger TO tonne_archive;

--
-- Name: TABLE reading_vehicle; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT,UPDATE ON TABLE public.reading_vehicle TO tonne_ingest;
GRANT SELECT ON TABLE public.reading_vehicle TO tonne_mrv;
GRANT SELECT ON TABLE public.reading_vehicle TO tonne_api;
GRANT SELECT ON TABLE public.reading_vehicle TO tonne_grafana;
GRANT SELECT ON TABLE public.reading_vehicle TO tonne_archive;

--
-- Name: TABLE reading_energy_meter; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT,UPDATE ON TABLE public.reading_energy_meter TO tonne_ingest;
GRANT SELECT ON TABLE public.reading_energy_meter TO tonne_mrv;
GRANT SELECT ON TABLE public.reading_energy_meter TO tonne_api;
GRANT SELECT ON TABLE public.reading_energy_meter TO tonne_grafana;
GRANT SELECT ON TABLE public.reading_energy_meter TO tonne_archive;

--
-- Name: TABLE reading_air_station; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT,UPDATE ON TABLE public.reading_air_station TO tonne_ingest;
GRANT SELECT ON TABLE public.reading_air_station TO tonne_mrv;
GRANT SELECT ON TABLE public.reading_air_station TO tonne_api;
GRANT SELECT ON TABLE public.reading_air_station TO tonne_grafana;
GRANT SELECT ON TABLE public.reading_air_station TO tonne_archive;

--
-- Name: TABLE reading_noise_station; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT,UPDATE ON TABLE public.reading_noise_station TO tonne_ingest;
GRANT SELECT ON TABLE public.reading_noise_station TO tonne_mrv;
GRANT SELECT ON TABLE public.reading_noise_station TO tonne_api;
GRANT SELECT ON TABLE public.reading_noise_station TO tonne_grafana;
GRANT SELECT ON TABLE public.reading_noise_station TO tonne_archive;

--
-- Name: TABLE reading_wastewater_plant; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT,UPDATE ON TABLE public.reading_wastewater_plant TO tonne_ingest;
GRANT SELECT ON TABLE public.reading_wastewater_plant TO tonne_mrv;
GRANT SELECT ON TABLE public.reading_wastewater_plant TO tonne_api;
GRANT SELECT ON TABLE public.reading_wastewater_plant TO tonne_grafana;
GRANT SELECT ON TABLE public.reading_wastewater_plant TO tonne_archive;

--
-- Name: TABLE interval_quantity; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.interval_quantity TO tonne_ingest;
GRANT SELECT ON TABLE public.interval_quantity TO tonne_mrv;
GRANT SELECT ON TABLE public.interval_quantity TO tonne_api;
GRANT SELECT ON TABLE public.interval_quantity TO tonne_grafana;

--
-- Name: TABLE interval_emission; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.interval_emission TO tonne_ingest;
GRANT SELECT ON TABLE public.interval_emission TO tonne_mrv;
GRANT SELECT ON TABLE public.interval_emission TO tonne_api;
GRANT SELECT ON TABLE public.interval_emission TO tonne_grafana;

--
-- Name: TABLE api_answer; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT,DELETE ON TABLE public.api_answer TO tonne_api;

--
-- Name: TABLE api_audit; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT ON TABLE public.api_audit TO tonne_api;
GRANT SELECT ON TABLE public.api_audit TO tonne_grafana;
GRANT SELECT ON TABLE public.api_audit TO tonne_mrv;

--
-- Name: TABLE api_cursor_secret; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.api_cursor_secret TO tonne_api;

--
-- Name: TABLE api_key; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT ON TABLE public.api_key TO tonne_api;

--
-- Name: COLUMN api_key.revoked; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT UPDATE(revoked) ON TABLE public.api_key TO tonne_api;

--
-- Name: TABLE archive_day; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.archive_day TO tonne_ingest;
GRANT SELECT ON TABLE public.archive_day TO tonne_mrv;
GRANT SELECT ON TABLE public.archive_day TO tonne_api;
GRANT SELECT ON TABLE public.archive_day TO tonne_grafana;
GRANT SELECT,INSERT ON TABLE public.archive_day TO tonne_archive;

--
-- Name: TABLE archive_drop; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.archive_drop TO tonne_ingest;
GRANT SELECT ON TABLE public.archive_drop TO tonne_mrv;
GRANT SELECT ON TABLE public.archive_drop TO tonne_api;
GRANT SELECT ON TABLE public.archive_drop TO tonne_grafana;
GRANT SELECT ON TABLE public.archive_drop TO tonne_archive;

--
-- Name: TABLE archive_hold; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT ON TABLE public.archive_hold TO tonne_ingest;
GRANT SELECT ON TABLE public.archive_hold TO tonne_mrv;
GRANT SELECT ON TABLE public.archive_hold TO tonne_api;
GRANT SELECT ON TABLE public.archive_hold TO tonne_grafana;
GRANT SELECT ON TABLE public.archive_hold TO tonne_archive;

--
-- Name: TABLE archive_part; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.archive_part TO tonne_ingest;
GRANT SELECT ON TABLE public.archive_part TO tonne_mrv;
GRANT SELECT ON TABLE public.archive_part TO tonne_api;
GRANT SELECT ON TABLE public.archive_part TO tonne_grafana;
GRANT SELECT,INSERT ON TABLE public.archive_part TO tonne_archive;

--
-- Name: TABLE archive_place; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.archive_place TO tonne_ingest;
GRANT SELECT ON TABLE public.archive_place TO tonne_mrv;
GRANT SELECT ON TABLE public.archive_place TO tonne_api;
GRANT SELECT ON TABLE public.archive_place TO tonne_grafana;
GRANT SELECT,INSERT ON TABLE public.archive_place TO tonne_archive;

--
-- Name: TABLE archive_reach; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.archive_reach TO tonne_ingest;
GRANT SELECT ON TABLE public.archive_reach TO tonne_mrv;
GRANT SELECT ON TABLE public.archive_reach TO tonne_api;
GRANT SELECT ON TABLE public.archive_reach TO tonne_grafana;
GRANT SELECT,INSERT,UPDATE ON TABLE public.archive_reach TO tonne_archive;

--
-- Name: TABLE calibration; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.calibration TO tonne_ingest;
GRANT SELECT ON TABLE public.calibration TO tonne_mrv;
GRANT SELECT ON TABLE public.calibration TO tonne_api;
GRANT SELECT ON TABLE public.calibration TO tonne_grafana;

--
-- Name: TABLE claim; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT,DELETE ON TABLE public.claim TO tonne_mrv;
GRANT SELECT ON TABLE public.claim TO tonne_api;
GRANT SELECT ON TABLE public.claim TO tonne_grafana;

--
-- Name: TABLE clock_lag; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT,UPDATE ON TABLE public.clock_lag TO tonne_ingest;
GRANT SELECT ON TABLE public.clock_lag TO tonne_mrv;
GRANT SELECT ON TABLE public.clock_lag TO tonne_api;
GRANT SELECT ON TABLE public.clock_lag TO tonne_grafana;

--
-- Name: TABLE credential; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.credential TO tonne_mrv;
GRANT SELECT ON TABLE public.credential TO tonne_api;
GRANT SELECT ON TABLE public.credential TO tonne_grafana;

--
-- Name: TABLE data_seal; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT ON TABLE public.data_seal TO tonne_mrv;
GRANT SELECT ON TABLE public.data_seal TO tonne_api;
GRANT SELECT ON TABLE public.data_seal TO tonne_grafana;
GRANT SELECT ON TABLE public.data_seal TO tonne_ingest;
GRANT SELECT ON TABLE public.data_seal TO tonne_archive;

--
-- Name: TABLE day_clock; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.day_clock TO tonne_mrv;
GRANT SELECT ON TABLE public.day_clock TO tonne_api;
GRANT SELECT ON TABLE public.day_clock TO tonne_grafana;

--
-- Name: TABLE day_emission; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.day_emission TO tonne_mrv;
GRANT SELECT ON TABLE public.day_emission TO tonne_api;
GRANT SELECT ON TABLE public.day_emission TO tonne_grafana;

--
-- Name: TABLE day_made; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.day_made TO tonne_mrv;
GRANT SELECT ON TABLE public.day_made TO tonne_api;
GRANT SELECT ON TABLE public.day_made TO tonne_grafana;

--
-- Name: TABLE day_pv; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.day_pv TO tonne_mrv;
GRANT SELECT ON TABLE public.day_pv TO tonne_api;
GRANT SELECT ON TABLE public.day_pv TO tonne_grafana;

--
-- Name: TABLE day_quantity; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.day_quantity TO tonne_mrv;
GRANT SELECT ON TABLE public.day_quantity TO tonne_api;
GRANT SELECT ON TABLE public.day_quantity TO tonne_grafana;

--
-- Name: TABLE dead_letter; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT ON TABLE public.dead_letter TO tonne_ingest;
GRANT SELECT ON TABLE public.dead_letter TO tonne_mrv;
GRANT SELECT ON TABLE public.dead_letter TO tonne_api;
GRANT SELECT ON TABLE public.dead_letter TO tonne_grafana;
GRANT SELECT,DELETE ON TABLE public.dead_letter TO tonne_retention;

--
-- Name: TABLE dead_letter_removal; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT ON TABLE public.dead_letter_removal TO tonne_retention;
GRANT SELECT ON TABLE public.dead_letter_removal TO tonne_ingest;
GRANT SELECT ON TABLE public.dead_letter_removal TO tonne_mrv;
GRANT SELECT ON TABLE public.dead_letter_removal TO tonne_api;
GRANT SELECT ON TABLE public.dead_letter_removal TO tonne_grafana;

--
-- Name: TABLE dead_letter_replay; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT ON TABLE public.dead_letter_replay TO tonne_ingest;
GRANT SELECT ON TABLE public.dead_letter_replay TO tonne_mrv;
GRANT SELECT ON TABLE public.dead_letter_replay TO tonne_api;
GRANT SELECT ON TABLE public.dead_letter_replay TO tonne_grafana;
GRANT SELECT,DELETE ON TABLE public.dead_letter_replay TO tonne_retention;

--
-- Name: TABLE device; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.device TO tonne_ingest;
GRANT SELECT ON TABLE public.device TO tonne_mrv;
GRANT SELECT ON TABLE public.device TO tonne_api;
GRANT SELECT ON TABLE public.device TO tonne_grafana;
GRANT SELECT ON TABLE public.device TO tonne_archive;

--
-- Name: TABLE device_quality; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.device_quality TO tonne_ingest;
GRANT SELECT ON TABLE public.device_quality TO tonne_mrv;
GRANT SELECT ON TABLE public.device_quality TO tonne_api;
GRANT SELECT ON TABLE public.device_quality TO tonne_grafana;
GRANT SELECT ON TABLE public.device_quality TO tonne_archive;

--
-- Name: TABLE device_replacement; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.device_replacement TO tonne_ingest;
GRANT SELECT ON TABLE public.device_replacement TO tonne_mrv;
GRANT SELECT ON TABLE public.device_replacement TO tonne_api;
GRANT SELECT ON TABLE public.device_replacement TO tonne_grafana;
GRANT SELECT ON TABLE public.device_replacement TO tonne_archive;

--
-- Name: TABLE device_seen; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT,UPDATE ON TABLE public.device_seen TO tonne_ingest;
GRANT SELECT ON TABLE public.device_seen TO tonne_mrv;
GRANT SELECT ON TABLE public.device_seen TO tonne_api;
GRANT SELECT ON TABLE public.device_seen TO tonne_grafana;

--
-- Name: TABLE enrolled_key; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT ON TABLE public.enrolled_key TO tonne_mrv;
GRANT SELECT ON TABLE public.enrolled_key TO tonne_api;
GRANT SELECT ON TABLE public.enrolled_key TO tonne_grafana;

--
-- Name: COLUMN enrolled_key.valid_until; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT UPDATE(valid_until) ON TABLE public.enrolled_key TO tonne_mrv;

--
-- Name: TABLE finding_event; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT ON TABLE public.finding_event TO tonne_mrv;
GRANT SELECT ON TABLE public.finding_event TO tonne_api;
GRANT SELECT ON TABLE public.finding_event TO tonne_grafana;

--
-- Name: TABLE invoice; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.invoice TO tonne_ingest;
GRANT SELECT,INSERT ON TABLE public.invoice TO tonne_mrv;
GRANT SELECT ON TABLE public.invoice TO tonne_api;
GRANT SELECT ON TABLE public.invoice TO tonne_grafana;

--
-- Name: TABLE knock_refused; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.knock_refused TO tonne_mrv;
GRANT SELECT ON TABLE public.knock_refused TO tonne_api;
GRANT SELECT ON TABLE public.knock_refused TO tonne_grafana;

--
-- Name: TABLE late_day; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,DELETE ON TABLE public.late_day TO tonne_mrv;
GRANT SELECT ON TABLE public.late_day TO tonne_api;
GRANT SELECT ON TABLE public.late_day TO tonne_grafana;
GRANT SELECT,INSERT,UPDATE ON TABLE public.late_day TO tonne_ingest;
GRANT SELECT ON TABLE public.late_day TO tonne_archive;

--
-- Name: TABLE log_checkpoint; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT ON TABLE public.log_checkpoint TO tonne_mrv;
GRANT SELECT ON TABLE public.log_checkpoint TO tonne_api;
GRANT SELECT ON TABLE public.log_checkpoint TO tonne_grafana;

--
-- Name: TABLE log_cosignature; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT ON TABLE public.log_cosignature TO tonne_mrv;
GRANT SELECT ON TABLE public.log_cosignature TO tonne_api;
GRANT SELECT ON TABLE public.log_cosignature TO tonne_grafana;

--
-- Name: TABLE log_detail; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT ON TABLE public.log_detail TO tonne_mrv;
GRANT SELECT ON TABLE public.log_detail TO tonne_api;
GRANT SELECT ON TABLE public.log_detail TO tonne_grafana;
GRANT SELECT ON TABLE public.log_detail TO tonne_archive;

--
-- Name: TABLE log_entry; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT ON TABLE public.log_entry TO tonne_mrv;
GRANT SELECT ON TABLE public.log_entry TO tonne_api;
GRANT SELECT ON TABLE public.log_entry TO tonne_grafana;
GRANT SELECT ON TABLE public.log_entry TO tonne_archive;

--
-- Name: TABLE monitoring_period; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT ON TABLE public.monitoring_period TO tonne_mrv;
GRANT SELECT ON TABLE public.monitoring_period TO tonne_api;
GRANT SELECT ON TABLE public.monitoring_period TO tonne_grafana;

--
-- Name: TABLE monitoring_plan; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.monitoring_plan TO tonne_ingest;
GRANT SELECT ON TABLE public.monitoring_plan TO tonne_mrv;
GRANT SELECT ON TABLE public.monitoring_plan TO tonne_api;
GRANT SELECT ON TABLE public.monitoring_plan TO tonne_grafana;

--
-- Name: TABLE principal_status; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT,UPDATE ON TABLE public.principal_status TO tonne_ingest;
GRANT SELECT ON TABLE public.principal_status TO tonne_mrv;
GRANT SELECT ON TABLE public.principal_status TO tonne_api;
GRANT SELECT ON TABLE public.principal_status TO tonne_grafana;

--
-- Name: TABLE programme; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.programme TO tonne_ingest;
GRANT SELECT ON TABLE public.programme TO tonne_mrv;
GRANT SELECT ON TABLE public.programme TO tonne_api;
GRANT SELECT ON TABLE public.programme TO tonne_grafana;

--
-- Name: TABLE programme_action; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.programme_action TO tonne_ingest;
GRANT SELECT ON TABLE public.programme_action TO tonne_mrv;
GRANT SELECT ON TABLE public.programme_action TO tonne_api;
GRANT SELECT ON TABLE public.programme_action TO tonne_grafana;

--
-- Name: TABLE programme_reported; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.programme_reported TO tonne_ingest;
GRANT SELECT ON TABLE public.programme_reported TO tonne_mrv;
GRANT SELECT ON TABLE public.programme_reported TO tonne_api;
GRANT SELECT ON TABLE public.programme_reported TO tonne_grafana;

--
-- Name: TABLE project; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.project TO tonne_ingest;
GRANT SELECT ON TABLE public.project TO tonne_mrv;
GRANT SELECT ON TABLE public.project TO tonne_api;
GRANT SELECT ON TABLE public.project TO tonne_grafana;

--
-- Name: TABLE project_device; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.project_device TO tonne_ingest;
GRANT SELECT ON TABLE public.project_device TO tonne_mrv;
GRANT SELECT ON TABLE public.project_device TO tonne_api;
GRANT SELECT ON TABLE public.project_device TO tonne_grafana;

--
-- Name: TABLE published_factor; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.published_factor TO tonne_ingest;
GRANT SELECT ON TABLE public.published_factor TO tonne_mrv;
GRANT SELECT ON TABLE public.published_factor TO tonne_api;
GRANT SELECT ON TABLE public.published_factor TO tonne_grafana;

--
-- Name: TABLE registry_version; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.registry_version TO tonne_ingest;
GRANT SELECT ON TABLE public.registry_version TO tonne_mrv;
GRANT SELECT ON TABLE public.registry_version TO tonne_api;
GRANT SELECT ON TABLE public.registry_version TO tonne_grafana;
GRANT SELECT ON TABLE public.registry_version TO tonne_archive;

--
-- Name: TABLE remake_request; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,DELETE,UPDATE ON TABLE public.remake_request TO tonne_ingest;
GRANT SELECT ON TABLE public.remake_request TO tonne_mrv;
GRANT SELECT ON TABLE public.remake_request TO tonne_api;
GRANT SELECT ON TABLE public.remake_request TO tonne_grafana;

--
-- Name: TABLE schema_migration; Type: ACL; Schema: public; Owner: tonne
--

GRANT SELECT ON TABLE public.schema_migration TO PUBLIC;

--
-- Name: TABLE sewer_asset; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.sewer_asset TO tonne_ingest;
GRANT SELECT ON TABLE public.sewer_asset TO tonne_mrv;
GRANT SELECT ON TABLE public.sewer_asset TO tonne_api;
GRANT SELECT ON TABLE public.sewer_asset TO tonne_grafana;

--
-- Name: TABLE sewer_event; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.sewer_event TO tonne_ingest;
GRANT SELECT ON TABLE public.sewer_event TO tonne_mrv;
GRANT SELECT ON TABLE public.sewer_event TO tonne_api;
GRANT SELECT ON TABLE public.sewer_event TO tonne_grafana;

--
-- Name: TABLE signed_value; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT ON TABLE public.signed_value TO tonne_ingest;
GRANT SELECT ON TABLE public.signed_value TO tonne_mrv;
GRANT SELECT ON TABLE public.signed_value TO tonne_api;

--
-- Name: TABLE site; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.site TO tonne_ingest;
GRANT SELECT ON TABLE public.site TO tonne_mrv;
GRANT SELECT ON TABLE public.site TO tonne_api;
GRANT SELECT ON TABLE public.site TO tonne_grafana;
GRANT SELECT ON TABLE public.site TO tonne_archive;

--
-- Name: TABLE sparkplug_birth; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.sparkplug_birth TO tonne_ingest;
GRANT SELECT ON TABLE public.sparkplug_birth TO tonne_mrv;
GRANT SELECT ON TABLE public.sparkplug_birth TO tonne_api;
GRANT SELECT ON TABLE public.sparkplug_birth TO tonne_grafana;

--
-- Name: TABLE sparkplug_held; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.sparkplug_held TO tonne_ingest;
GRANT SELECT ON TABLE public.sparkplug_held TO tonne_mrv;
GRANT SELECT ON TABLE public.sparkplug_held TO tonne_api;
GRANT SELECT ON TABLE public.sparkplug_held TO tonne_grafana;

--
-- Name: TABLE sparkplug_node; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT,UPDATE ON TABLE public.sparkplug_node TO tonne_ingest;
GRANT SELECT ON TABLE public.sparkplug_node TO tonne_mrv;
GRANT SELECT ON TABLE public.sparkplug_node TO tonne_api;
GRANT SELECT ON TABLE public.sparkplug_node TO tonne_grafana;

--
-- Name: TABLE statement; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT ON TABLE public.statement TO tonne_mrv;
GRANT SELECT ON TABLE public.statement TO tonne_api;
GRANT SELECT ON TABLE public.statement TO tonne_grafana;

--
-- Name: COLUMN statement.id; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT UPDATE(id) ON TABLE public.statement TO tonne_mrv;

--
-- Name: TABLE statement_event; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT ON TABLE public.statement_event TO tonne_mrv;
GRANT SELECT ON TABLE public.statement_event TO tonne_api;
GRANT SELECT ON TABLE public.statement_event TO tonne_grafana;

--
-- Name: TABLE statement_evidence; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT ON TABLE public.statement_evidence TO tonne_mrv;
GRANT SELECT ON TABLE public.statement_evidence TO tonne_api;

--
-- Name: TABLE statement_sampling; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT ON TABLE public.statement_sampling TO tonne_mrv;
GRANT SELECT ON TABLE public.statement_sampling TO tonne_api;
GRANT SELECT ON TABLE public.statement_sampling TO tonne_grafana;

--
-- Name: TABLE stream_offset; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT,UPDATE ON TABLE public.stream_offset TO tonne_ingest;
GRANT SELECT ON TABLE public.stream_offset TO tonne_mrv;
GRANT SELECT ON TABLE public.stream_offset TO tonne_api;
GRANT SELECT ON TABLE public.stream_offset TO tonne_grafana;

--
-- Name: TABLE stream_source; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT,INSERT,UPDATE ON TABLE public.stream_source TO tonne_ingest;
GRANT SELECT ON TABLE public.stream_source TO tonne_mrv;
GRANT SELECT ON TABLE public.stream_source TO tonne_api;
GRANT SELECT ON TABLE public.stream_source TO tonne_grafana;

--
-- Name: TABLE topic_template; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.topic_template TO tonne_ingest;
GRANT SELECT ON TABLE public.topic_template TO tonne_mrv;
GRANT SELECT ON TABLE public.topic_template TO tonne_api;
GRANT SELECT ON TABLE public.topic_template TO tonne_grafana;
GRANT SELECT ON TABLE public.topic_template TO tonne_archive;

--
-- Name: TABLE v_avoided_t_day; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.v_avoided_t_day TO tonne_mrv;
GRANT SELECT ON TABLE public.v_avoided_t_day TO tonne_api;
GRANT SELECT ON TABLE public.v_avoided_t_day TO tonne_grafana;

--
-- Name: TABLE v_avoided_t_interval; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.v_avoided_t_interval TO tonne_mrv;
GRANT SELECT ON TABLE public.v_avoided_t_interval TO tonne_api;
GRANT SELECT ON TABLE public.v_avoided_t_interval TO tonne_grafana;

--
-- Name: TABLE v_calibration_due; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.v_calibration_due TO tonne_mrv;
GRANT SELECT ON TABLE public.v_calibration_due TO tonne_api;
GRANT SELECT ON TABLE public.v_calibration_due TO tonne_grafana;

--
-- Name: TABLE v_day_avoided_t; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.v_day_avoided_t TO tonne_mrv;
GRANT SELECT ON TABLE public.v_day_avoided_t TO tonne_api;
GRANT SELECT ON TABLE public.v_day_avoided_t TO tonne_grafana;

--
-- Name: TABLE v_day_quantity; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.v_day_quantity TO tonne_mrv;
GRANT SELECT ON TABLE public.v_day_quantity TO tonne_api;
GRANT SELECT ON TABLE public.v_day_quantity TO tonne_grafana;

--
-- Name: TABLE v_day_distance_km; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.v_day_distance_km TO tonne_mrv;
GRANT SELECT ON TABLE public.v_day_distance_km TO tonne_api;
GRANT SELECT ON TABLE public.v_day_distance_km TO tonne_grafana;

--
-- Name: TABLE v_day_energy_kwh; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.v_day_energy_kwh TO tonne_mrv;
GRANT SELECT ON TABLE public.v_day_energy_kwh TO tonne_api;
GRANT SELECT ON TABLE public.v_day_energy_kwh TO tonne_grafana;

--
-- Name: TABLE v_day_pv; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.v_day_pv TO tonne_mrv;
GRANT SELECT ON TABLE public.v_day_pv TO tonne_api;
GRANT SELECT ON TABLE public.v_day_pv TO tonne_grafana;

--
-- Name: TABLE v_day_volume_m3; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.v_day_volume_m3 TO tonne_mrv;
GRANT SELECT ON TABLE public.v_day_volume_m3 TO tonne_api;
GRANT SELECT ON TABLE public.v_day_volume_m3 TO tonne_grafana;

--
-- Name: TABLE v_device_clock; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.v_device_clock TO tonne_mrv;
GRANT SELECT ON TABLE public.v_device_clock TO tonne_api;
GRANT SELECT ON TABLE public.v_device_clock TO tonne_grafana;

--
-- Name: TABLE v_device_own; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.v_device_own TO tonne_ingest;
GRANT SELECT ON TABLE public.v_device_own TO tonne_mrv;
GRANT SELECT ON TABLE public.v_device_own TO tonne_api;
GRANT SELECT ON TABLE public.v_device_own TO tonne_grafana;

--
-- Name: TABLE v_device_health; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.v_device_health TO tonne_mrv;
GRANT SELECT ON TABLE public.v_device_health TO tonne_api;
GRANT SELECT ON TABLE public.v_device_health TO tonne_grafana;
GRANT SELECT ON TABLE public.v_device_health TO tonne_ingest;

--
-- Name: TABLE v_energy_kwh_day; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.v_energy_kwh_day TO tonne_mrv;
GRANT SELECT ON TABLE public.v_energy_kwh_day TO tonne_api;
GRANT SELECT ON TABLE public.v_energy_kwh_day TO tonne_grafana;

--
-- Name: TABLE v_energy_kwh_interval; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.v_energy_kwh_interval TO tonne_mrv;
GRANT SELECT ON TABLE public.v_energy_kwh_interval TO tonne_api;
GRANT SELECT ON TABLE public.v_energy_kwh_interval TO tonne_grafana;

--
-- Name: TABLE v_gateway_health; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.v_gateway_health TO tonne_mrv;
GRANT SELECT ON TABLE public.v_gateway_health TO tonne_api;
GRANT SELECT ON TABLE public.v_gateway_health TO tonne_grafana;

--
-- Name: TABLE v_indicator_day; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.v_indicator_day TO tonne_mrv;
GRANT SELECT ON TABLE public.v_indicator_day TO tonne_api;
GRANT SELECT ON TABLE public.v_indicator_day TO tonne_grafana;

--
-- Name: TABLE v_indicator_hour; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.v_indicator_hour TO tonne_mrv;
GRANT SELECT ON TABLE public.v_indicator_hour TO tonne_api;
GRANT SELECT ON TABLE public.v_indicator_hour TO tonne_grafana;

--
-- Name: TABLE v_meter_check_day; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.v_meter_check_day TO tonne_mrv;
GRANT SELECT ON TABLE public.v_meter_check_day TO tonne_api;
GRANT SELECT ON TABLE public.v_meter_check_day TO tonne_grafana;

--
-- Name: TABLE v_meter_check_hour; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.v_meter_check_hour TO tonne_mrv;
GRANT SELECT ON TABLE public.v_meter_check_hour TO tonne_api;
GRANT SELECT ON TABLE public.v_meter_check_hour TO tonne_grafana;

--
-- Name: TABLE v_power_kw; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.v_power_kw TO tonne_mrv;
GRANT SELECT ON TABLE public.v_power_kw TO tonne_api;
GRANT SELECT ON TABLE public.v_power_kw TO tonne_grafana;

--
-- Name: TABLE v_programme_member; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.v_programme_member TO tonne_mrv;
GRANT SELECT ON TABLE public.v_programme_member TO tonne_api;
GRANT SELECT ON TABLE public.v_programme_member TO tonne_grafana;

--
-- Name: TABLE v_programme_now; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.v_programme_now TO tonne_mrv;
GRANT SELECT ON TABLE public.v_programme_now TO tonne_api;
GRANT SELECT ON TABLE public.v_programme_now TO tonne_grafana;

--
-- Name: TABLE v_programme_progress; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.v_programme_progress TO tonne_mrv;
GRANT SELECT ON TABLE public.v_programme_progress TO tonne_api;
GRANT SELECT ON TABLE public.v_programme_progress TO tonne_grafana;

--
-- Name: TABLE v_programme_year; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.v_programme_year TO tonne_mrv;
GRANT SELECT ON TABLE public.v_programme_year TO tonne_api;
GRANT SELECT ON TABLE public.v_programme_year TO tonne_grafana;

--
-- Name: TABLE v_quality_day; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.v_quality_day TO tonne_mrv;
GRANT SELECT ON TABLE public.v_quality_day TO tonne_api;
GRANT SELECT ON TABLE public.v_quality_day TO tonne_grafana;

--
-- Name: TABLE v_silence_cost; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.v_silence_cost TO tonne_mrv;
GRANT SELECT ON TABLE public.v_silence_cost TO tonne_api;
GRANT SELECT ON TABLE public.v_silence_cost TO tonne_grafana;

--
-- Name: TABLE v_sparkplug_device; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.v_sparkplug_device TO tonne_ingest;
GRANT SELECT ON TABLE public.v_sparkplug_device TO tonne_mrv;
GRANT SELECT ON TABLE public.v_sparkplug_device TO tonne_api;
GRANT SELECT ON TABLE public.v_sparkplug_device TO tonne_grafana;

--
-- Name: TABLE v_statement_gap; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.v_statement_gap TO tonne_mrv;
GRANT SELECT ON TABLE public.v_statement_gap TO tonne_api;
GRANT SELECT ON TABLE public.v_statement_gap TO tonne_grafana;

--
-- Name: TABLE v_statement_state; Type: ACL; Schema: public; Owner: tonne_owner
--

GRANT SELECT ON TABLE public.v_statement_state TO tonne_mrv;
GRANT SELECT ON TABLE public.v_statement_state TO tonne_api;
GRANT SELECT ON TABLE public.v_statement_state TO tonne_grafana;

--
-- PostgreSQL database dump complete
--

