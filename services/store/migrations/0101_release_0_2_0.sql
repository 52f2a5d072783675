-- The schema of 0.2.0 over that of 0.1.0: tables, functions and triggers by subject, then views.
-- Made of the files by which it grew; what a later one replaced is left out.
SET LOCAL check_function_bodies = off;  -- functions stand before the views that they read


-- METERING
SET LOCAL ROLE tonne_owner;

-- Rules of metering have a version: rows that stand here were made by the first, and stay.
-- A register remembers the line beside the one that it stands on: one that waits for readings
-- that confirm it (other_count not 0), or the one that it left (other_first below 0: one of several).
ALTER TABLE interval_quantity
    ADD COLUMN other_value bigint,
    ADD COLUMN other_read  timestamptz,
    ADD COLUMN other_count bigint,
    ADD COLUMN other_first bigint,
    ADD COLUMN metering    smallint NOT NULL DEFAULT 1;


-- METERS AND RATINGS

-- Physical meters: who made them and which model, the serial that a certificate names, the document
-- that a replacement rests on.  Rated powers with the time from which they count.  What lies outside
-- of a project's boundary, and why.  What was registered before has none of them, and stays.
ALTER TABLE device ADD COLUMN maker text, ADD COLUMN model text;
ALTER TABLE calibration ADD COLUMN serial text;
ALTER TABLE device_replacement ADD COLUMN document text, ADD COLUMN same_meter boolean;
-- Two registers whose readings arrived under each other's name for some time.
CREATE TABLE device_exchange (
    device_id tonne_id NOT NULL REFERENCES device,
    channel   text NOT NULL,
    other     text NOT NULL CHECK (other <> channel),
    begins    timestamptz NOT NULL,
    ends      timestamptz NOT NULL CHECK (ends > begins),
    reason    text NOT NULL,
    document  text NOT NULL,
    author    text NOT NULL DEFAULT session_user,
    PRIMARY KEY (device_id, channel, begins)
);
CREATE TRIGGER request_remake AFTER INSERT OR UPDATE OR DELETE ON device_exchange
    FOR EACH ROW EXECUTE FUNCTION tonne_request_remake();
GRANT SELECT ON device_exchange TO tonne_ingest, tonne_mrv, tonne_api, tonne_grafana, tonne_archive;
-- empty where nothing is said, so that the hashes of rows that are sealed stay
ALTER TABLE project ADD COLUMN boundary jsonb, ADD COLUMN documents jsonb;

-- What laboratories found, never changed; a corrected report has a number of its own.
CREATE TABLE laboratory_result (
    project_id tonne_id NOT NULL REFERENCES project,
    laboratory text COLLATE "C" NOT NULL CHECK (laboratory <> ''),
    sample     text COLLATE "C" NOT NULL CHECK (sample <> ''),
    parameter  text COLLATE "C" NOT NULL,
    taken      date NOT NULL,
    value      numeric NOT NULL CHECK (value >= 0),
    method     text NOT NULL,
    sha256     text COLLATE "C" CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    author     text NOT NULL DEFAULT session_user,
    recorded   timestamptz NOT NULL DEFAULT now(),
    signed     text,  -- empty where nothing is signed, so that the hashes of rows that are sealed stay
    PRIMARY KEY (project_id, laboratory, sample, parameter)
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON laboratory_result
    FOR EACH ROW EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON laboratory_result
    FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only();

-- A rating is never changed: another one stands beside it from its own time on.
CREATE TABLE device_rating (
    device_id     tonne_id NOT NULL REFERENCES device,
    begins        timestamptz NOT NULL,
    rated_power_w bigint NOT NULL CHECK (rated_power_w > 0),
    document      text,
    author        text NOT NULL DEFAULT session_user,
    recorded      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (device_id, begins)
);
INSERT INTO device_rating (device_id, begins, rated_power_w)
    SELECT id, installed, rated_power_w FROM device WHERE rated_power_w IS NOT NULL;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON device_rating
    FOR EACH ROW EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON device_rating
    FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only();
GRANT SELECT ON device_rating, laboratory_result TO tonne_ingest, tonne_mrv, tonne_api, tonne_grafana;


-- KEY BOUNDS

-- Whose a key is, and what it may sign: organisation, projects, accreditation, its end in the log.
ALTER TABLE enrolled_key ADD COLUMN bounds jsonb CHECK (jsonb_typeof(bounds) = 'object');
GRANT UPDATE (bounds) ON enrolled_key TO tonne_mrv;


-- COLUMNSTORE

-- New chunks of intervals and emissions hold a week, as those of readings do: a month is compressed
-- a tenth denser, but stays as rows for longer, and locked for longer while it is compressed.
SELECT set_chunk_time_interval(name, INTERVAL '7 days')
FROM unnest(ARRAY['interval_quantity', 'interval_emission']::regclass[]) AS name;

-- Chunks are compressed by tonne's own processes; what is written again and again is kept tidy.
-- Compress a chunk that is old enough, or what came into it since.  Only the owner of a table may,
-- and that role cannot log in; so this function stands between.  A chunk that others write to is
-- left for another time.
CREATE FUNCTION tonne_compress(chunk regclass) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '5s' AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM timescaledb_information.chunks c
        WHERE format('%I.%I', c.chunk_schema, c.chunk_name)::regclass = tonne_compress.chunk
          AND c.hypertable_schema = 'public' AND c.range_end < now() - INTERVAL '7 days'
          AND (c.hypertable_name LIKE 'reading\_%'
               OR c.hypertable_name IN ('interval_quantity', 'interval_emission'))
    ) THEN
        RAISE EXCEPTION '% is no chunk of readings, intervals or emissions that ended 7 days ago', chunk
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM compress_chunk(chunk, true);
END $$;
REVOKE EXECUTE ON FUNCTION tonne_compress(regclass) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tonne_compress(regclass) TO tonne_mrv;

-- Bytes of a dropped chunk as the server counts them: a compressed chunk's rows lie in another table.
CREATE OR REPLACE FUNCTION tonne_drop_archived(class text, begins timestamptz, ends timestamptz) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
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
    VALUES (class, begins, ends, coalesce(
        (SELECT d.total_bytes FROM chunks_detailed_size(hyper) d
         WHERE format('%I.%I', d.chunk_schema, d.chunk_name)::regclass = chunk),
        pg_total_relation_size(chunk)));
    -- by its times: what was created within these bounds is this chunk alone
    PERFORM drop_chunks(hyper, older_than => ends, newer_than => begins);
    RETURN '';
END $$;

-- Open intervals are written by each batch.  Room in the page keeps these updates off the index, and
-- a vacuum that comes after a fiftieth of the rows keeps that room free.
ALTER TABLE interval_quantity SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.02);
ALTER TABLE interval_emission SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.02);
ALTER TABLE device_seen SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_analyze_scale_factor = 0.05);


-- SPANS

-- What a device's derived rows lack is made in spans, each in a commit of its own.
-- `from_time`: everything before stands; readings from here on are still to be metered.  `last_time`:
-- the last one that changed; what follows it is made again until it comes out as it stands.  `whole`:
-- it began with the device's first reading, so flags and stations' values are made again too.  The
-- registry asks for the whole; a pipeline that has more to derive than one commit may hold puts off
-- the rest by a row of its own.  `held`: what comes of the device meanwhile is only stored.
ALTER TABLE remake_request
    ADD COLUMN from_time timestamptz NOT NULL DEFAULT '-infinity',
    ADD COLUMN last_time timestamptz NOT NULL DEFAULT 'infinity',
    ADD COLUMN whole boolean NOT NULL DEFAULT true,
    ADD COLUMN held boolean NOT NULL DEFAULT false;
GRANT INSERT ON remake_request TO tonne_ingest;

-- Whoever asks for the whole begins anew, whatever was done already.
CREATE FUNCTION tonne_remake_whole() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.from_time := '-infinity';
    NEW.last_time := 'infinity';
    NEW.whole := true;
    RETURN NEW;
END $$;
CREATE TRIGGER asked_again BEFORE UPDATE OF requested ON remake_request
    FOR EACH ROW EXECUTE FUNCTION tonne_remake_whole();

-- How many bytes of dead letters a principal has left today, and what came beyond that: counted, with
-- the beginning of one message for each reason and day.
CREATE TABLE dead_letter_day (
    principal text COLLATE "C" PRIMARY KEY,
    day       date NOT NULL,
    bytes     bigint NOT NULL
) WITH (fillfactor = 80);
CREATE TABLE dead_letter_excess (
    principal text COLLATE "C" NOT NULL,
    day       date NOT NULL,
    reason    text COLLATE "C" NOT NULL,
    letters   bigint NOT NULL,
    bytes     bigint NOT NULL,
    last      timestamptz NOT NULL,
    topic     text NOT NULL,
    detail    text NOT NULL,
    beginning bytea NOT NULL CHECK (length(beginning) <= 1000),
    PRIMARY KEY (principal, day, reason)
) WITH (fillfactor = 80);
COMMENT ON COLUMN dead_letter_excess.beginning IS 'of the last message, a thousand bytes at most';
GRANT SELECT ON dead_letter_day, dead_letter_excess TO tonne_ingest, tonne_mrv, tonne_api, tonne_grafana;
GRANT INSERT, UPDATE ON dead_letter_day, dead_letter_excess TO tonne_ingest;

-- What is written again and again keeps room in its pages, and is vacuumed early.
CREATE INDEX indicator_value_start ON indicator_value (start);  -- the newest of all stations
ALTER TABLE indicator_value SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.02);
ALTER TABLE clock_lag SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);
ALTER TABLE remake_request SET (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.02);
SET LOCAL ROLE tonne_retention;

-- Whoever watches lets old dead letters go; the function itself keeps thirty days of them.
GRANT EXECUTE ON FUNCTION tonne_expire_dead_letters(timestamptz, text) TO tonne_mrv;


-- ACCOUNT
SET LOCAL ROLE tonne_owner;

-- What a project is expected to avoid between each edge and the next: up to now, and from now on.
-- Without a search path of its own, it is planned as a part of the query that asks: planned alone, it took
-- a millisecond for each project.
CREATE FUNCTION tonne_expected_spans(project text, edges timestamptz[])
RETURNS TABLE (span int, so_far numeric, ahead numeric) LANGUAGE sql STABLE AS $$
    -- a quotient has about 20 digits: rounded to 12 places first, six microtonnes stay six
    SELECT e.span, trunc(round(y.t * tonne_part_of_year(y.months, y.timezone, greatest(e.begins, y.since), least(e.ends, y.until, y.now)), 12), 6),
        trunc(round(y.t * tonne_part_of_year(y.months, y.timezone, greatest(e.begins, y.since, y.now), least(e.ends, y.until)), 12), 6)
    FROM (
        SELECT (p.expected ->> 'reduction_t_per_year')::numeric AS t, v.months, p.timezone,
            greatest(lower(p.crediting), s.since) AS since, upper(p.crediting) AS until, date_bin('15 minutes', now(), '2000-01-01Z') AS now
        FROM project p
        JOIN v_project_months v ON v.project_id = p.id
        JOIN v_project_begins s ON s.project_id = p.id
        WHERE p.id = tonne_expected_spans.project AND s.since IS NOT NULL OFFSET 0
    ) y
    CROSS JOIN LATERAL (SELECT i AS span, edges[i] AS begins, edges[i + 1] AS ends FROM generate_series(1, cardinality(edges) - 1) i) e
$$;
GRANT EXECUTE ON FUNCTION tonne_expected_spans TO tonne_mrv, tonne_api, tonne_grafana;

CREATE OR REPLACE FUNCTION tonne_expected_t(project text, begins timestamptz DEFAULT '-infinity', ends timestamptz DEFAULT 'infinity')
RETURNS numeric LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT so_far FROM tonne_expected_spans(project, ARRAY[begins, ends])
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

GRANT EXECUTE ON FUNCTION tonne_expected_t TO tonne_mrv, tonne_api, tonne_grafana;


-- REFUSED OF A DEVICE

-- A device's page asks for the newest messages that were refused of it, or of the principal that
-- bears its name: without an index that is a scan of all that was ever refused.
CREATE INDEX dead_letter_device ON dead_letter (device_id, id) WHERE device_id IS NOT NULL;
CREATE INDEX dead_letter_principal ON dead_letter (principal, id);


-- ARRIVAL

-- When readings came: how many of a device and an hour were stored in which hour of arrival.
-- Written in the transaction that stores the readings; entered in the log with each day's seal.
CREATE TABLE arrival_count (
    device_id text COLLATE "C" NOT NULL,
    made      timestamptz NOT NULL,
    arrived   timestamptz NOT NULL,
    readings  bigint NOT NULL CHECK (readings > 0),
    PRIMARY KEY (device_id, made, arrived)
) WITH (fillfactor = 70);
  -- a row of the hour that it is now is counted up with each batch
GRANT SELECT ON arrival_count TO tonne_mrv, tonne_api, tonne_grafana;
GRANT SELECT, INSERT, UPDATE ON arrival_count TO tonne_ingest;


-- STATUS LIST

-- Status lists as their operators signed them; the API serves the newest of a project.
CREATE TABLE status_list (
    sequence   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project_id tonne_id NOT NULL REFERENCES project,
    signed     timestamptz NOT NULL,
    multikey   text COLLATE "C" NOT NULL REFERENCES enrolled_key,
    document   bytea NOT NULL,
    stored     timestamptz NOT NULL DEFAULT now(),
    principal  text
);
CREATE INDEX status_list_project ON status_list (project_id, signed DESC, sequence DESC);

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON status_list FOR EACH ROW EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON status_list FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only();

GRANT SELECT ON status_list TO tonne_mrv, tonne_api, tonne_grafana;
GRANT INSERT ON status_list TO tonne_mrv;


-- APPROVALS

-- Who approved the issue of a statement, and how many have to.
CREATE TABLE statement_approval (
    statement_id text COLLATE "C" NOT NULL REFERENCES statement,
    multikey     text COLLATE "C" NOT NULL REFERENCES enrolled_key,
    actor        text NOT NULL,
    document     bytea NOT NULL,
    at           timestamptz NOT NULL DEFAULT now(),
    principal    text,
    PRIMARY KEY (statement_id, multikey)
);

-- Approved is what was verified and is not issued yet, by an operator's valid key.
CREATE FUNCTION tonne_approval_step() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    now_in text;
    holder enrolled_key;
BEGIN
    PERFORM FROM statement WHERE id = NEW.statement_id FOR NO KEY UPDATE;
    SELECT e.state INTO now_in FROM statement_event e
        WHERE e.statement_id = NEW.statement_id ORDER BY e.sequence DESC LIMIT 1;
    SELECT * INTO holder FROM enrolled_key k WHERE k.multikey = NEW.multikey
        AND k.valid_from <= NEW.at AND (k.valid_until IS NULL OR NEW.at < k.valid_until);
    IF now_in IS DISTINCT FROM 'verified' OR holder.role IS DISTINCT FROM 'operator'
        OR EXISTS (SELECT FROM statement_approval a JOIN enrolled_key k USING (multikey)
            WHERE a.statement_id = NEW.statement_id AND k.name = holder.name)
    THEN
        RAISE EXCEPTION 'statement %, which is %, cannot be approved by key %',
            NEW.statement_id, coalesce(now_in, 'new'), NEW.multikey
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER step BEFORE INSERT ON statement_approval FOR EACH ROW EXECUTE FUNCTION tonne_approval_step();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON statement_approval FOR EACH ROW EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON statement_approval FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only();

GRANT SELECT ON statement_approval TO tonne_mrv, tonne_api, tonne_grafana;
GRANT INSERT ON statement_approval TO tonne_mrv;

-- NULL: one suffices, and it is the preparer's own.
-- public_url: where the programme's API is, for readers of its reports.
ALTER TABLE programme ADD COLUMN public_url text;
ALTER TABLE programme ADD COLUMN issue_signatures integer CHECK (issue_signatures BETWEEN 1 AND 9);


-- LAST RECORD

-- Which record of a partition was stored last: a topic that was made again under its name, or a
-- log that was cut, has another one in its place.
-- SHA-256 of the record at "offset" - 1; null where nothing was stored since this column came.
ALTER TABLE stream_offset ADD COLUMN last_sha256 bytea CHECK (octet_length(last_sha256) = 32);


-- API SESSIONS

-- Who is signed in to the console, and how often somebody failed to.
-- The browser holds the secret; only its hash is kept.  A session ends by itself, by its
-- end here, or with its key.
CREATE TABLE api_session (
    secret_sha256 bytea PRIMARY KEY CHECK (length(secret_sha256) = 32),
    key_id        text COLLATE "C" NOT NULL REFERENCES api_key,
    opened        timestamptz NOT NULL DEFAULT now(),
    until         timestamptz NOT NULL CHECK (until > opened),
    ended         timestamptz
);
CREATE INDEX api_session_until ON api_session (until);

-- Attempts of those who could not say who they are, counted by the hour: nobody without a
-- key can make a table grow.
CREATE TABLE api_refusal (
    hour   timestamptz NOT NULL,
    method text NOT NULL,
    path   text NOT NULL,
    status integer NOT NULL,
    times  bigint NOT NULL CHECK (times > 0),
    first  timestamptz NOT NULL DEFAULT clock_timestamp(),
    last   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (hour, method, path, status)
);

GRANT SELECT, INSERT, DELETE ON api_session TO tonne_api;
GRANT UPDATE (ended) ON api_session TO tonne_api;
GRANT SELECT, INSERT, DELETE ON api_refusal TO tonne_api;
GRANT UPDATE (times, last) ON api_refusal TO tonne_api;
GRANT SELECT ON api_refusal TO tonne_grafana;


-- UNITS

-- Units after issue: whole tonnes of a statement's vintage, numbered from 1 to what it credited, and
-- what became of them.  A number is issued once, first transferred once and ended once; what ended
-- has no further event.  So there are never more units than tonnes that were issued.
CREATE TABLE unit_event (
    sequence     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    statement_id text COLLATE "C" NOT NULL REFERENCES statement,
    vintage      integer NOT NULL,
    units        int8range NOT NULL
        CHECK (NOT isempty(units) AND lower(units) >= 1 AND upper(units) IS NOT NULL),
    event        text NOT NULL
        CHECK (event IN ('issued', 'first transferred', 'transferred', 'cancelled', 'retired')),
    day          date NOT NULL,
    document     text NOT NULL CHECK (document <> ''),
    holder       text,
    author       text NOT NULL DEFAULT session_user,
    recorded     timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT unit_issued_once
        EXCLUDE USING gist (statement_id WITH =, vintage WITH =, units WITH &&) WHERE (event = 'issued'),
    CONSTRAINT unit_first_transferred_once
        EXCLUDE USING gist (statement_id WITH =, vintage WITH =, units WITH &&)
        WHERE (event = 'first transferred'),
    CONSTRAINT unit_ended_once
        EXCLUDE USING gist (statement_id WITH =, vintage WITH =, units WITH &&)
        WHERE (event IN ('cancelled', 'retired'))
);

CREATE FUNCTION tonne_unit_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    mine     statement;
    credited bigint;
    said     text := format('units %s to %s of vintage %s of %s',
                            lower(NEW.units), upper(NEW.units) - 1, NEW.vintage, NEW.statement_id);
BEGIN
    -- one event of a statement at a time
    SELECT * INTO mine FROM statement WHERE id = NEW.statement_id FOR NO KEY UPDATE;
    IF NEW.event = 'issued' THEN
        IF NOT EXISTS (SELECT FROM claim c WHERE c.statement_id = NEW.statement_id) THEN
            RAISE EXCEPTION '% cannot be issued: the statement is not issued, or counts no more', said
                USING ERRCODE = 'check_violation';
        END IF;
        SELECT (v ->> 'credited_t')::bigint INTO credited
            FROM jsonb_array_elements(mine.document #> '{credentialSubject,credited,vintages}') v
            WHERE (v ->> 'year')::integer = NEW.vintage;
        IF upper(NEW.units) - 1 > coalesce(credited, 0) THEN
            RAISE EXCEPTION '% cannot be issued: it credits % t of that vintage', said, coalesce(credited, 0)
                USING ERRCODE = 'check_violation';
        END IF;
        -- a statement that was replaced must have given its units back
        IF EXISTS (
            SELECT FROM unit_event o JOIN statement s ON s.id = o.statement_id
            WHERE o.event = 'issued' AND s.project_id = mine.project_id AND s.id <> mine.id
              AND s.period && mine.period
              AND NOT int8multirange(o.units) <@ coalesce((
                  SELECT range_agg(c.units) FROM unit_event c WHERE c.event = 'cancelled'
                  AND c.statement_id = o.statement_id AND c.vintage = o.vintage), '{}')
        ) THEN
            RAISE EXCEPTION '% cannot be issued: units of another statement of that time are not cancelled', said
                USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END IF;
    IF NOT int8multirange(NEW.units) <@ coalesce((
        SELECT range_agg(o.units) FROM unit_event o
        WHERE o.statement_id = NEW.statement_id AND o.vintage = NEW.vintage
          AND o.event = CASE NEW.event WHEN 'transferred' THEN 'first transferred' ELSE 'issued' END
    ), '{}') THEN
        RAISE EXCEPTION '% cannot be %: not all of them are %', said, NEW.event,
            CASE NEW.event WHEN 'transferred' THEN 'first transferred' ELSE 'issued' END
            USING ERRCODE = 'check_violation';
    END IF;
    IF EXISTS (
        SELECT FROM unit_event o
        WHERE o.statement_id = NEW.statement_id AND o.vintage = NEW.vintage AND o.units && NEW.units
          AND (o.event IN ('cancelled', 'retired') OR o.day > NEW.day)
    ) THEN
        RAISE EXCEPTION '% cannot be % on %: some are cancelled or retired, or have a later event',
            said, NEW.event, NEW.day USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER unit_event BEFORE INSERT ON unit_event FOR EACH ROW EXECUTE FUNCTION tonne_unit_event();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON unit_event
    FOR EACH ROW EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON unit_event
    FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only();

GRANT SELECT ON unit_event TO tonne_mrv, tonne_api, tonne_grafana;
GRANT INSERT ON unit_event TO tonne_mrv;


-- METER KEYS

-- Public keys with which meters sign their values: from a time on, as a meter that is replaced
-- brings another one.  A key is never changed: another one stands beside it from its own time on.
CREATE TABLE meter_key (
    device_id tonne_id NOT NULL REFERENCES device,
    begins    timestamptz NOT NULL,
    key       text COLLATE "C" NOT NULL CHECK (key ~ '^([0-9a-f]{2})+$'),
    document  text,
    author    text NOT NULL DEFAULT session_user,
    recorded  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (device_id, begins)
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON meter_key
    FOR EACH ROW EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON meter_key
    FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only();
GRANT SELECT ON meter_key TO tonne_ingest, tonne_mrv, tonne_api, tonne_grafana;


-- ALARMS

-- Alarms: what is wrong in the field, since when, what it costs and who took it up.  The watcher raises
-- and clears them by the rules of services/registry/alarm_rules.toml; people acknowledge and comment.
-- The rules as the watcher last read them, a row a kind and class; class '' is that of gateways and
-- projects.  An alarm is raised when its cause has lasted `after_s`, and cleared when it has been away
-- for `clear_s`.
CREATE TABLE alarm_rule (
    kind        text COLLATE "C" NOT NULL,
    class       text COLLATE "C" NOT NULL,
    severity    text NOT NULL CHECK (severity IN ('critical', 'major', 'minor')),
    after_s     bigint NOT NULL CHECK (after_s >= 0),
    clear_s     bigint NOT NULL CHECK (clear_s >= 0),
    raise_below numeric,
    clear_above numeric CHECK (clear_above >= raise_below),
    days        integer CHECK (days > 0),
    PRIMARY KEY (kind, class)
);

-- `part` tells two causes of one device apart: a channel, an indicator.  `ending_since` is set while
-- the cause is away and the alarm not yet cleared.
CREATE TABLE alarm (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind           text COLLATE "C" NOT NULL,
    subject_type   text NOT NULL CHECK (subject_type IN ('device', 'gateway', 'project')),
    subject        text COLLATE "C" NOT NULL,
    part           text COLLATE "C" NOT NULL DEFAULT '',
    class          text COLLATE "C",
    site           text COLLATE "C",
    projects       text[] NOT NULL,
    severity       text NOT NULL CHECK (severity IN ('critical', 'major', 'minor')),
    since          timestamptz NOT NULL,
    raised         timestamptz NOT NULL DEFAULT now(),
    cause          text NOT NULL,
    detail         jsonb NOT NULL DEFAULT '{}',
    devices        bigint NOT NULL DEFAULT 1,
    cost_t_per_day numeric CHECK (cost_t_per_day >= 0),
    clear_s        bigint NOT NULL,
    ending_since   timestamptz,
    cleared        timestamptz CHECK (cleared >= raised)
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX alarm_one_a_cause ON alarm (kind, subject_type, subject, part) WHERE cleared IS NULL;
CREATE INDEX alarm_subject ON alarm (subject, raised);

CREATE TABLE alarm_event (
    sequence  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alarm_id  bigint NOT NULL REFERENCES alarm,
    event     text NOT NULL CHECK (event IN ('raised', 'acknowledged', 'commented', 'cleared')),
    at        timestamptz NOT NULL DEFAULT now(),
    actor     text NOT NULL CHECK (actor <> ''),
    principal text,
    text      text NOT NULL DEFAULT '',
    CHECK (event <> 'commented' OR text <> '')
);
CREATE INDEX alarm_event_alarm ON alarm_event (alarm_id, sequence);
CREATE UNIQUE INDEX alarm_event_once ON alarm_event (alarm_id, event) WHERE event <> 'commented';

-- What was raised stays as it was; an alarm that is cleared is over.
CREATE FUNCTION tonne_alarm_life() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.cleared IS NOT NULL OR
       (OLD.id, OLD.kind, OLD.subject_type, OLD.subject, OLD.part, OLD.severity, OLD.since, OLD.raised, OLD.cause)
       IS DISTINCT FROM (NEW.id, NEW.kind, NEW.subject_type, NEW.subject, NEW.part, NEW.severity, NEW.since, NEW.raised, NEW.cause) THEN
        RAISE EXCEPTION 'append-only: alarm % is cleared once and is not otherwise changed', OLD.id
            USING ERRCODE = 'insufficient_privilege', HINT = 'Write a comment.';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER alarm_life BEFORE UPDATE ON alarm FOR EACH ROW EXECUTE FUNCTION tonne_alarm_life();
CREATE TRIGGER no_delete BEFORE DELETE ON alarm FOR EACH ROW EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON alarm FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON alarm_event FOR EACH ROW EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON alarm_event FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only();

-- The cost of a silence reads four weeks of one device: by the project first, that was every device's.
CREATE INDEX day_emission_device ON day_emission (device_id, project_id, day);

-- A number that the registry sets for one device, `attributes.alarms.<kind>.<name>`, else the rule's.
CREATE FUNCTION tonne_alarm_number(attributes jsonb, kind text, name text, rule numeric) RETURNS numeric
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN jsonb_typeof(attributes #> ARRAY['alarms', kind, name]) = 'number'
        THEN (attributes #>> ARRAY['alarms', kind, name])::numeric ELSE rule END
$$;
GRANT EXECUTE ON FUNCTION tonne_alarm_number TO tonne_mrv, tonne_api, tonne_grafana;
GRANT INSERT, UPDATE, DELETE ON alarm_rule TO tonne_mrv;
GRANT INSERT, UPDATE ON alarm TO tonne_mrv;
GRANT INSERT ON alarm_event TO tonne_mrv;


-- AUTHORITY

-- What authorities and registries said: registrations, authorizations under Article 6, yearly
-- submissions.  The last row of a name counts; none is changed.  Tables of a submission that was filed
-- are kept as they were filed.
CREATE TABLE authority_entry (
    sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind     text COLLATE "C" NOT NULL CHECK (kind IN ('registration', 'authorization', 'submission')),
    id       text COLLATE "C" NOT NULL,
    record   jsonb NOT NULL,
    author   text NOT NULL DEFAULT session_user,
    recorded timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX authority_entry_last ON authority_entry (kind, id, sequence DESC);

CREATE TABLE filed_submission (
    party    text COLLATE "C" NOT NULL,
    year     integer NOT NULL,
    version  integer NOT NULL,
    sha256   text COLLATE "C" NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    tables   jsonb NOT NULL,
    author   text NOT NULL DEFAULT session_user,
    recorded timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (party, year, version)
);

CREATE FUNCTION tonne_authority_entry() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.kind = 'submission' AND EXISTS (
        SELECT FROM filed_submission f
        WHERE NEW.id = format('%s %s version %s', f.party, f.year, f.version)
    ) THEN
        RAISE EXCEPTION 'submission % is filed and does not change', NEW.id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER authority_entry BEFORE INSERT ON authority_entry
    FOR EACH ROW EXECUTE FUNCTION tonne_authority_entry();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON authority_entry
    FOR EACH ROW EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON authority_entry
    FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON filed_submission
    FOR EACH ROW EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON filed_submission
    FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only();

GRANT SELECT ON authority_entry, filed_submission TO tonne_mrv, tonne_api, tonne_grafana;


-- FACILITIES

-- Facilities that report a greenhouse gas inventory stand beside what authorities said.
ALTER TABLE authority_entry DROP CONSTRAINT authority_entry_kind_check;
ALTER TABLE authority_entry ADD CONSTRAINT authority_entry_kind_check
    CHECK (kind IN ('registration', 'authorization', 'submission', 'facility'));


-- SIGNER
RESET ROLE;
-- What the web process asks of the process that holds the log's key, and what came of it.
-- The web's login (tonne_api) may ask; who answers is tonne_mrv.  Rows are only added.
DO $$
BEGIN
    BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'tonne_watch') THEN
            CREATE ROLE tonne_watch NOLOGIN;
        END IF;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
        NULL;
    END;
    BEGIN
        -- whoever may account may watch: a login of an older release goes on
        IF NOT pg_has_role('tonne_mrv', 'tonne_watch', 'MEMBER') THEN
            GRANT tonne_watch TO tonne_mrv;
        END IF;
        -- it reads whatever dashboards may read, also tables of device classes that come later
        IF NOT pg_has_role('tonne_watch', 'tonne_grafana', 'MEMBER') THEN
            GRANT tonne_grafana TO tonne_watch;
        END IF;
    EXCEPTION WHEN unique_violation OR internal_error THEN
        NULL;  -- another database grants the same at this moment
    END;
END $$;
GRANT USAGE ON SCHEMA public TO tonne_watch;
SET LOCAL ROLE tonne_owner;

CREATE TABLE signer_request (
    id        uuid PRIMARY KEY,
    number    bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    kind      text COLLATE "C" NOT NULL CHECK (kind IN ('close', 'supersede', 'submit', 'sample', 'finding',
                                                        'verify', 'approve', 'issue', 'revoke', 'status-list', 'registry')),
    subject   text COLLATE "C" NOT NULL CHECK (length(subject) BETWEEN 1 AND 200),
    said      bytea NOT NULL CHECK (length(said) <= CASE kind WHEN 'registry' THEN 8388608 ELSE 1048576 END),
    actor     text NOT NULL CHECK (length(actor) <= 500),
    principal text CHECK (length(principal) <= 500),
    asked     timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX signer_request_subject ON signer_request (subject, number);

-- A row each time that the signer begins: one that ends the process is not tried for ever.
CREATE TABLE signer_attempt (
    request_id uuid NOT NULL REFERENCES signer_request,
    number     integer NOT NULL CHECK (number > 0),
    began      timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (request_id, number)
);

-- In the same transaction as what was done: the key makes sure that it is done once.
CREATE TABLE signer_answer (
    request_id uuid PRIMARY KEY REFERENCES signer_request,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    created    boolean NOT NULL,
    result     jsonb,
    error      text,
    detail     text,
    CHECK ((result IS NULL) <> (error IS NULL))
);

CREATE FUNCTION tonne_signer_asked() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('tonne_signer', NEW.id::text);
    RETURN NULL;
END $$;
CREATE TRIGGER asked AFTER INSERT ON signer_request FOR EACH ROW EXECUTE FUNCTION tonne_signer_asked();

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['signer_request', 'signer_attempt', 'signer_answer'] LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION tonne_append_only()', name);
        EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only()', name);
    END LOOP;
END $$;

GRANT SELECT ON signer_request, signer_attempt, signer_answer TO tonne_mrv, tonne_api, tonne_watch;
GRANT INSERT (id, kind, subject, said, actor, principal) ON signer_request TO tonne_mrv, tonne_api;
GRANT INSERT ON signer_attempt, signer_answer TO tonne_mrv;

-- What the web process writes itself, for no signature stands under it: invoices, and that
-- somebody took an alarm up.
GRANT INSERT ON invoice, alarm_event TO tonne_api;
CREATE FUNCTION tonne_alarm_remark() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.event NOT IN ('acknowledged', 'commented') AND NOT pg_has_role(current_user, 'tonne_watch', 'MEMBER') THEN
        RAISE EXCEPTION 'alarms are raised and cleared by tonne watch, not by %', current_user
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER remark BEFORE INSERT ON alarm_event FOR EACH ROW EXECUTE FUNCTION tonne_alarm_remark();

-- What `tonne watch` does: it reads what statements rest on, and writes nothing of it.
GRANT SELECT ON signed_value, statement_evidence TO tonne_watch;
GRANT INSERT, UPDATE, DELETE ON alarm_rule, silence_rate, silence_rate_made TO tonne_watch;
GRANT INSERT, UPDATE ON alarm TO tonne_watch;
GRANT INSERT ON alarm_event TO tonne_watch;
GRANT EXECUTE ON FUNCTION tonne_alarm_number, tonne_expected_t TO tonne_watch;
GRANT EXECUTE ON FUNCTION tonne_compress(regclass) TO tonne_watch;
SET LOCAL ROLE tonne_retention;
GRANT EXECUTE ON FUNCTION tonne_expire_dead_letters(timestamptz, text) TO tonne_watch;


-- ENROLMENT
RESET ROLE;
-- Devices that fetch their certificate themselves (EST): one-time tokens, kept as digests.
DO $$
BEGIN
    BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'tonne_enrol') THEN
            CREATE ROLE tonne_enrol NOLOGIN;
        END IF;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
        NULL;
    END;
    BEGIN
        -- it reads the registry, as dashboards do
        IF NOT pg_has_role('tonne_enrol', 'tonne_grafana', 'MEMBER') THEN
            GRANT tonne_grafana TO tonne_enrol;
        END IF;
    EXCEPTION WHEN unique_violation OR internal_error THEN
        NULL;  -- another database grants the same at this moment
    END;
END $$;
GRANT USAGE ON SCHEMA public TO tonne_enrol;
SET LOCAL ROLE tonne_owner;

-- `key` is the digest of the public key that was enrolled with it, and `certificate` what was
-- answered: a device that lost the answer asks again with the same key.
CREATE TABLE enrolment_token (
    sha256      bytea PRIMARY KEY CHECK (length(sha256) = 32),
    principal   tonne_id NOT NULL,
    made        timestamptz NOT NULL DEFAULT now(),
    expires     timestamptz NOT NULL CHECK (expires > made),
    author      text NOT NULL,
    used        timestamptz,
    key         bytea CHECK (length(key) = 32),
    certificate bytea,
    CHECK ((used IS NULL) = (key IS NULL) AND (used IS NULL) = (certificate IS NULL))
);
CREATE FUNCTION tonne_use_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.used IS NOT NULL OR NEW.used IS NULL OR
       (OLD.sha256, OLD.principal, OLD.made, OLD.expires, OLD.author)
       IS DISTINCT FROM (NEW.sha256, NEW.principal, NEW.made, NEW.expires, NEW.author) THEN
        RAISE EXCEPTION 'a token is used once and is not otherwise changed';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER use_once BEFORE UPDATE ON enrolment_token FOR EACH ROW EXECUTE FUNCTION tonne_use_once();
CREATE TRIGGER no_delete BEFORE DELETE ON enrolment_token FOR EACH ROW EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON enrolment_token FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only();

GRANT SELECT, INSERT, UPDATE ON enrolment_token, credential TO tonne_enrol;


-- TIMESTAMP TOKENS

-- Tokens of time-stamp authorities (RFC 3161) over heads of the log and over signed statements, as
-- they came.  One of an authority for the same bytes is enough: a later one shows less.
CREATE TABLE timestamp_token (
    sequence     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest       bytea NOT NULL CHECK (length(digest) = 32),  -- SHA-256 of what was stamped
    size         bigint REFERENCES log_checkpoint,            -- a head of the log, by its text,
    statement_id text COLLATE "C" REFERENCES statement,       -- or a signed statement
    authority    text NOT NULL CHECK (authority <> ''),
    signer       text NOT NULL,
    url          text NOT NULL,
    time         timestamptz NOT NULL,
    token        bytea NOT NULL,
    chain        text NOT NULL,
    received     timestamptz NOT NULL DEFAULT now(),
    CHECK ((size IS NULL) <> (statement_id IS NULL)),
    UNIQUE (digest, authority)
);
CREATE INDEX timestamp_token_size ON timestamp_token (size) WHERE size IS NOT NULL;
CREATE INDEX timestamp_token_statement ON timestamp_token (statement_id) WHERE statement_id IS NOT NULL;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON timestamp_token
    FOR EACH ROW EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON timestamp_token
    FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only();

GRANT SELECT ON timestamp_token TO tonne_mrv, tonne_api, tonne_grafana;
GRANT INSERT ON timestamp_token TO tonne_mrv;


-- PV

-- PV as its operators know it: modules on an inverter as dated rows of the registry, and by them the
-- ratios of IEC 61724-1, availability, expected energy, and losses by cause.
-- Nameplate of the modules at standard test conditions, tilt from the horizontal, azimuth clockwise from
-- north, temperature coefficient of power.  A row is never changed: what it says of past days would change.
CREATE TABLE device_array (
    device_id     tonne_id NOT NULL REFERENCES device,
    begins        timestamptz NOT NULL,
    dc_power_w    bigint CHECK (dc_power_w > 0),
    tilt          numeric CHECK (tilt BETWEEN 0 AND 90),
    azimuth       numeric CHECK (azimuth BETWEEN 0 AND 360),
    temperature_coefficient_percent numeric CHECK (temperature_coefficient_percent BETWEEN -1 AND 0),
    document      text,
    author        text NOT NULL DEFAULT session_user,
    recorded      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (device_id, begins)
);
-- nameplates that stood among the attributes
INSERT INTO device_array (device_id, begins, dc_power_w)
    SELECT id, installed, (attributes ->> 'dc_power_w')::numeric::bigint FROM device
    WHERE class = 'pv_inverter' AND jsonb_typeof(attributes -> 'dc_power_w') = 'number'
      AND (attributes ->> 'dc_power_w')::numeric BETWEEN 1 AND 1e12;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON device_array
    FOR EACH ROW EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON device_array
    FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only();
GRANT SELECT ON device_array TO tonne_ingest, tonne_mrv, tonne_api, tonne_grafana;

-- What a ratio at 25 degrees, availability and losses need of a day's readings.  A reading counts until
-- the next one, a quarter hour at most; irradiance below zero is the offset of a sensor at night.
--   warm_wh_m2      insolation while the modules' temperature was measured
--   heat_wh_k_m2    the same times the degrees above 25
--   lit_s           time with 100 W/m2 or more and measured power: an inverter should run
--   running_s       of it, with power above zero
--   standing_wh_m2  insolation of the rest
--   clipped_wh_m2, clipped_wh   insolation, and energy given, at 98 % of rated power or more
ALTER TABLE day_pv
    ADD COLUMN warm_wh_m2 double precision, ADD COLUMN heat_wh_k_m2 double precision,
    ADD COLUMN lit_s double precision, ADD COLUMN running_s double precision,
    ADD COLUMN standing_wh_m2 double precision, ADD COLUMN clipped_wh_m2 double precision,
    ADD COLUMN clipped_wh double precision;

-- the chunks of inverters are gone through once more
DELETE FROM day_made m USING timescaledb_information.chunks c
WHERE c.chunk_name = m.chunk AND c.hypertable_name = 'reading_pv_inverter';

-- Energy expected of modules by the sun that was measured: PVWatts (Dobos 2014, NREL/TP-6A20-62641,
-- equations 7 and 9) with its losses of 14.08 % and an inverter of 96 %, before any limit of the
-- inverter.  Linear in irradiance and temperature, so that a day's sums give the day.  [kWh]
CREATE FUNCTION tonne_pv_expected_kwh(dc_kw numeric, wh_m2 double precision, wh_k_m2 double precision, percent_per_k numeric)
RETURNS double precision LANGUAGE sql IMMUTABLE AS $$
    SELECT dc_kw * (wh_m2 + wh_k_m2 * percent_per_k / 100) / 1000 * (1 - 0.1408) * 0.96
$$;

-- Tonnes that a kilowatt hour of an inverter avoids by its project's account: its last 28 metered days.
-- Asked for one device at a time.
CREATE FUNCTION tonne_pv_t_per_kwh(device text, project text) RETURNS numeric LANGUAGE sql STABLE SET search_path = public AS $$
    SELECT CASE WHEN sum(q.value) > 0 AND sum(e.reduction_ug) > 0
        THEN sum(e.reduction_ug) * 0.000000000001 / (sum(q.value) / 1000) END
    FROM day_emission e
    JOIN day_quantity q ON q.device_id = e.device_id AND q.day = e.day AND q.timezone = e.timezone AND q.quantity = 'energy_export'
    WHERE e.device_id = tonne_pv_t_per_kwh.device AND e.project_id = tonne_pv_t_per_kwh.project
      AND e.day > (SELECT max(n.day) FROM day_emission n
                   WHERE n.device_id = tonne_pv_t_per_kwh.device AND n.project_id = tonne_pv_t_per_kwh.project) - 28
$$;
COMMENT ON FUNCTION tonne_pv_t_per_kwh IS 'tonnes a kilowatt hour by the last 28 days of its project''s account; null where it avoids none';

-- Irradiance under a clear sky on the plane of an array, by quarter hours of a day in UTC [W/m2]: Ineichen
-- and Perez (2002) with the turbidity of the month, by pvlib; made by the watcher where pvlib is.
CREATE TABLE clear_sky_day (
    site    text COLLATE "C" NOT NULL,
    tilt    numeric NOT NULL,
    azimuth numeric NOT NULL,
    day     date NOT NULL,
    place   point NOT NULL,
    w_m2    real[] NOT NULL CHECK (cardinality(w_m2) = 96),
    PRIMARY KEY (site, tilt, azimuth, day)
);
CREATE INDEX clear_sky_day_day ON clear_sky_day (day);

-- How an inverter's ratio at 25 degrees changes from year to year [%/a], with its interval: median of the
-- pairs of days a year apart (mrv/performance.py).  Made by the watcher once a day; without a
-- rate where days with a ratio cover less than two years.
CREATE TABLE pv_trend (
    device_id   text COLLATE "C" PRIMARY KEY,
    made        date NOT NULL,
    first_day   date,
    last_day    date,
    pairs       integer NOT NULL CHECK (pairs >= 0),
    percent_per_year double precision CHECK ((percent_per_year IS NULL) = (pairs = 0)),
    low         double precision,
    high        double precision CHECK (high >= low)
);
GRANT SELECT ON clear_sky_day, pv_trend TO tonne_mrv, tonne_api, tonne_grafana;
GRANT INSERT, UPDATE, DELETE ON clear_sky_day, pv_trend TO tonne_mrv;
GRANT EXECUTE ON FUNCTION tonne_pv_expected_kwh, tonne_pv_t_per_kwh TO tonne_mrv, tonne_api, tonne_grafana;


-- ALARM COSTS

-- What an inverter below expectation and a furnace above its usual energy cost; a furnace's alarm is new.
-- Above one value, and cleared below another, both over what is usual.
ALTER TABLE alarm_rule ADD COLUMN raise_above numeric, ADD COLUMN clear_below numeric CHECK (clear_below <= raise_above);


-- EXPECTED AHEAD

-- What a project is expected to avoid in [begins, ends), what is ahead of now included: for the end of
-- a year.  Of time that has come `tonne_expected_t` tells; both follow the same yearly expectation.
CREATE OR REPLACE FUNCTION tonne_expected_ahead_t(project text, begins timestamptz, ends timestamptz)
RETURNS numeric LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT ahead FROM tonne_expected_spans(project, ARRAY[begins, ends])
$$;
GRANT EXECUTE ON FUNCTION tonne_expected_ahead_t TO tonne_mrv, tonne_api, tonne_grafana;


-- NAMES

-- Names of sites, projects, actions and responsible persons' roles in further languages, beside the name that documents carry.
-- No statement rests on them.
CREATE TABLE registry_names (
    kind  text COLLATE "C" NOT NULL CHECK (kind IN ('site', 'project', 'action', 'role')),
    id    text COLLATE "C" NOT NULL,
    names jsonb NOT NULL CHECK (jsonb_typeof(names) = 'object'),
    PRIMARY KEY (kind, id)
);
COMMENT ON TABLE registry_names IS 'names by language: {"vi": .., "ja": ..}';
GRANT SELECT ON registry_names TO tonne_ingest, tonne_mrv, tonne_api, tonne_grafana;
GRANT INSERT, UPDATE, DELETE ON registry_names TO tonne_mrv;


-- METHOD LIVES

-- Lives of methodologies in programmes, as this version's ledger has them, and which projects they
-- concern: for boards and console.  `tonne migrate` writes the rows anew.
CREATE TABLE method_life (
    programme      text NOT NULL,
    programmes     text[] NOT NULL,
    methodology    text COLLATE "C" NOT NULL,
    name           text NOT NULL,
    version        text,
    register_until date,
    credits_until  date,
    inactive       boolean NOT NULL,
    successor      text,
    source         text NOT NULL,
    PRIMARY KEY (programme, methodology)
);


-- ENERGY CERTIFICATES

-- Certificates of energy (granular certificates, I-REC): of a device's measured generation in a
-- quarter hour, certified plus credited never exceed what was measured.  What is certified is laid on
-- quarter hours here, first on those that have room; a device with certified energy in a period earns
-- nothing in it, and what a statement credits cannot be certified any more.
CREATE TABLE energy_certificate (
    id           text COLLATE "C" PRIMARY KEY CHECK (id ~ '^[A-Za-z0-9._:/-]{1,100}$'),
    scheme       text NOT NULL CHECK (scheme <> ''),
    device_id    tonne_id NOT NULL REFERENCES device,
    quantity     text COLLATE "C" NOT NULL DEFAULT 'energy_export' CHECK (quantity = 'energy_export'),
    period       tonne_period NOT NULL,
    wh           bigint NOT NULL CHECK (wh > 0),
    issuing_body text NOT NULL CHECK (issuing_body <> ''),
    owner        text,
    document     text NOT NULL CHECK (document <> ''),
    exported     boolean NOT NULL DEFAULT false,
    author       text NOT NULL DEFAULT session_user,
    recorded     timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE energy_certified (
    certificate_id text COLLATE "C" NOT NULL REFERENCES energy_certificate,
    start          timestamptz NOT NULL,
    device_id      tonne_id NOT NULL REFERENCES device,
    wh             bigint NOT NULL CHECK (wh > 0),
    recorded       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (certificate_id, start)
);
CREATE INDEX energy_certified_device ON energy_certified (device_id, start);

-- one certificate or issue of a device at a time
CREATE FUNCTION tonne_energy_lock(device text) RETURNS void LANGUAGE sql AS $$
    SELECT pg_advisory_xact_lock(2276, hashtext(device))
$$;

CREATE FUNCTION tonne_certify() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
DECLARE
    said    text := format('certificate %s, %s Wh of %s', NEW.id, NEW.wh, NEW.device_id);
    main    text;
    holder  text;
    placed  bigint;
    room    bigint;
BEGIN
    PERFORM tonne_energy_lock(NEW.device_id);
    IF upper(NEW.period) > now() THEN
        RAISE EXCEPTION '%: its period has not ended', said USING ERRCODE = 'check_violation';
    END IF;
    SELECT check_of INTO main FROM device WHERE id = NEW.device_id;
    IF main IS NOT NULL THEN
        RAISE EXCEPTION '%: the meter checks %, which measures the same energy; name that one', said, main
            USING ERRCODE = 'check_violation';
    END IF;
    SELECT s.id INTO holder FROM statement s
        JOIN project_device d ON d.project_id = s.project_id AND d.device_id = NEW.device_id
        WHERE s.period && NEW.period AND d.during && (s.period * NEW.period)
          AND (SELECT e.state FROM statement_event e WHERE e.statement_id = s.id ORDER BY e.sequence DESC LIMIT 1)
              IN ('submitted', 'under_verification', 'verified', 'issued')
        ORDER BY s.id LIMIT 1;
    IF holder IS NOT NULL THEN
        RAISE EXCEPTION '%: statement % credits its energy of that time; what is credited is not certified', said, holder
            USING ERRCODE = 'check_violation';
    END IF;
    WITH free AS (
        SELECT q.start, q.value - coalesce((SELECT sum(c.wh) FROM energy_certified c
            WHERE c.device_id = q.device_id AND c.start = q.start), 0) AS wh
        FROM interval_quantity q
        WHERE q.device_id = NEW.device_id AND q.quantity = NEW.quantity
          AND q.start >= lower(NEW.period) AND q.start < upper(NEW.period)
    ), laid AS (
        SELECT start, wh, coalesce(sum(wh) OVER (ORDER BY start ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)
            AS before FROM free WHERE wh > 0
    ), done AS (
        INSERT INTO energy_certified (certificate_id, start, device_id, wh)
        SELECT NEW.id, start, NEW.device_id, least(wh, NEW.wh - before) FROM laid WHERE before < NEW.wh
        RETURNING wh
    )
    SELECT (SELECT sum(wh) FROM done), (SELECT sum(wh) FROM laid) INTO placed, room;
    IF coalesce(placed, 0) < NEW.wh THEN
        RAISE EXCEPTION '%: % Wh of that time are measured and not certified yet', said, coalesce(room, 0)
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER certify AFTER INSERT ON energy_certificate FOR EACH ROW EXECUTE FUNCTION tonne_certify();

CREATE OR REPLACE FUNCTION tonne_claim_certified() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
DECLARE
    unnamed record;
BEGIN
    PERFORM tonne_energy_lock(d.device_id) FROM (
        SELECT DISTINCT device_id FROM project_device WHERE project_id = NEW.project_id AND during && NEW.period
        ORDER BY device_id) d;
    SELECT c.certificate_id, c.device_id, c.scheme, c.wh INTO unnamed FROM (
        SELECT e.certificate_id, e.device_id, m.scheme, sum(e.wh)::bigint AS wh
        FROM energy_certified e JOIN energy_certificate m ON m.id = e.certificate_id
        WHERE NEW.period @> e.start
          AND EXISTS (SELECT FROM project_device d WHERE d.project_id = NEW.project_id
                      AND d.device_id = e.device_id AND d.during && NEW.period)
        GROUP BY 1, 2, 3) c
        JOIN statement s ON s.id = NEW.statement_id
        WHERE NOT EXISTS (
            SELECT FROM jsonb_array_elements(s.document #> '{credentialSubject,applicability}') a
            WHERE a ->> 'rule' = 'CLM-01'
              AND a -> 'texts' @> jsonb_build_array(jsonb_build_object('code', 'CLM-01.certified', 'values',
                  jsonb_build_object('device', c.device_id, 'certificate', c.certificate_id, 'scheme', c.scheme, 'wh', c.wh))))
        ORDER BY 1 LIMIT 1;
    IF unnamed.certificate_id IS NOT NULL THEN
        RAISE EXCEPTION 'statement %: certificate % is of energy that it credits, % Wh of %, and it does not name it; close the period again',
            NEW.statement_id, unnamed.certificate_id, unnamed.wh, unnamed.device_id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER certified BEFORE INSERT ON claim FOR EACH ROW EXECUTE FUNCTION tonne_claim_certified();

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON energy_certificate
    FOR EACH ROW EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON energy_certificate
    FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON energy_certified
    FOR EACH ROW EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON energy_certified
    FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only();
GRANT SELECT ON energy_certificate, energy_certified TO tonne_mrv, tonne_api, tonne_grafana;
GRANT INSERT ON energy_certificate TO tonne_mrv;


-- WATCH PV

-- `tonne watch` works as tonne_watch: what it makes for boards of PV is its own to write.
GRANT INSERT, UPDATE, DELETE ON clear_sky_day, pv_trend TO tonne_watch;
GRANT EXECUTE ON FUNCTION tonne_pv_expected_kwh TO tonne_watch;


-- COSIGNATURES

-- Cosignatures of heads by witnesses that are asked over HTTP (C2SP tlog-witness), and the heads that
-- the log's own policy calls cosigned enough.
-- `vkey` is the witness's key as it is handed out; `time_s` stands in the line and is signed there.
CREATE TABLE witness_cosignature (
    size     bigint NOT NULL REFERENCES log_checkpoint,
    vkey     text COLLATE "C" NOT NULL,
    time_s   bigint NOT NULL CHECK (time_s > 0),
    line     text NOT NULL,
    received timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (size, vkey)
);

CREATE TABLE witness_quorum (
    size          bigint PRIMARY KEY REFERENCES log_checkpoint,
    policy_sha256 bytea NOT NULL CHECK (length(policy_sha256) = 32),
    reached       timestamptz NOT NULL DEFAULT now()
);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['witness_cosignature', 'witness_quorum'] LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION tonne_append_only()', name);
        EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only()', name);
    END LOOP;
END $$;

GRANT SELECT ON witness_cosignature, witness_quorum TO tonne_mrv, tonne_api, tonne_grafana;
GRANT INSERT ON witness_cosignature, witness_quorum TO tonne_mrv;


-- FILE JOBS

-- Reports and packs that somebody asked for and does not wait for, and how far each job is.
-- Made by a process of the API, in its own folder; a row is removed a day after it was asked for.
CREATE TABLE file_job (
    id        uuid PRIMARY KEY,
    kind      text COLLATE "C" NOT NULL CHECK (kind IN ('pack', 'report')),
    statement text COLLATE "C" NOT NULL REFERENCES statement (id),
    format    text COLLATE "C" NOT NULL CHECK (format IN ('zip', 'pdf', 'xlsx')),
    language  text COLLATE "C" CHECK (language ~ '^[A-Za-z0-9-]{2,35}$'),
    principal text NOT NULL CHECK (length(principal) <= 500),
    asked     timestamptz NOT NULL DEFAULT clock_timestamp(),
    attempts  integer NOT NULL DEFAULT 0,
    began     timestamptz,
    ended     timestamptz,
    status    integer,
    detail    text,
    bytes     bigint,
    CHECK ((kind = 'pack') = (language IS NULL)),
    CHECK ((ended IS NULL) = (status IS NULL))
);
CREATE INDEX file_job_waiting ON file_job (asked) WHERE ended IS NULL;

-- Of these and of the signer's requests: steps done, of how many, and which one goes on.
CREATE TABLE job_progress (
    job   uuid PRIMARY KEY,
    done  integer NOT NULL CHECK (done >= 0),
    total integer CHECK (total >= done),
    step  text NOT NULL CHECK (length(step) <= 200),
    at    timestamptz NOT NULL DEFAULT clock_timestamp()
);

GRANT SELECT, INSERT, UPDATE, DELETE ON file_job TO tonne_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON job_progress TO tonne_api, tonne_mrv;
GRANT SELECT ON file_job, job_progress TO tonne_watch;


-- KEY ENDS

-- A meter's or gateway's signing key can end without another one: it was lost or stolen.
ALTER TABLE meter_key DROP CONSTRAINT meter_key_key_check;
ALTER TABLE meter_key ADD CONSTRAINT meter_key_key_check
    CHECK (key = 'ended' OR key ~ '^([0-9a-f]{2})+$');


-- VIEW COMMENTS
RESET ROLE;
COMMENT ON VIEW v_energy_kwh_interval IS 'Energy of a device and quantity by 15-minute interval. measured_share is the part of the interval covered by readings; quality is measured, estimated, or suspect if a part is unknown.';
COMMENT ON VIEW v_energy_kwh_day IS 'Energy of a device and quantity by local day of its site, the sum of 15-minute intervals.';
COMMENT ON VIEW v_power_kw IS 'Power readings of all device classes with a power channel, as received.';
COMMENT ON VIEW v_indicator_hour IS 'Indicators of air, noise and water by hour (VN_AQI, Leq, loads, limits); grade is the band or class of the standard; covered is the share of the hour with readings.';
COMMENT ON VIEW v_indicator_day IS 'Indicators of air, noise and water by local day; detail has further values that the standard requires.';
COMMENT ON VIEW v_quality_day IS 'Readings flagged by a quality test, by local day, device, channel and test.';
COMMENT ON VIEW v_meter_check_hour IS 'Comparison of a meter with its check meter by hour, over 15-minute intervals that both measured completely; differs is yes if the two values differ by more than check_percent of the greater one and by more than 0.2 kWh.';
COMMENT ON VIEW v_meter_check_day IS 'v_meter_check_hour by day; differs is yes if meter and check meter differ by more than check_percent of the greater one and by more than 0.2 kWh.';
COMMENT ON VIEW v_gateway_health IS 'State of every gateway: online, or dark if no data of the gateway and its devices arrive.';
COMMENT ON VIEW v_sparkplug_device IS 'Sparkplug B devices, and whether they are alive by their last birth and death certificates.';
COMMENT ON VIEW v_programme_member IS 'Projects of each action, including the projects of its sub-actions. Do not add the rows of an action and its sub-action.';
COMMENT ON VIEW v_statement_state IS 'Each statement with its state, period and tonnes.';
COMMENT ON VIEW v_statement_gap IS 'Gaps and deductions of the last statement of each project and period, with their tonnes.';


-- WEBHOOKS
-- Events of statements, findings and alarms for systems of others: who is told, what happened, and what
-- came of each delivery.  An event and its deliveries are written in the transaction of what happened.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'tonne_events') THEN
        CREATE ROLE tonne_events NOLOGIN;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;  -- another database makes the same at this moment
END $$;
GRANT USAGE ON SCHEMA public TO tonne_events;
SET LOCAL ROLE tonne_owner;

-- `topics` are of statement, finding, alarm; `projects` NULL is all of them.
CREATE TABLE webhook (
    id       text COLLATE "C" PRIMARY KEY CHECK (id ~ '^[a-z0-9][a-z0-9-]{0,63}$'),
    url      text NOT NULL CHECK (length(url) <= 2000),
    topics   text[] NOT NULL CHECK (cardinality(topics) > 0 AND topics <@ ARRAY['statement', 'finding', 'alarm']),
    projects text[] CHECK (cardinality(projects) > 0),
    author   text NOT NULL CHECK (author <> ''),
    created  timestamptz NOT NULL DEFAULT now(),
    ended    timestamptz,
    reason   text,
    CHECK ((ended IS NULL) = (reason IS NULL))
);

-- Until `ends` both the older and the newer secret sign.
CREATE TABLE webhook_secret (
    webhook_id text COLLATE "C" NOT NULL REFERENCES webhook,
    number     integer NOT NULL CHECK (number > 0),
    secret     text NOT NULL CHECK (secret ~ '^whsec_[A-Za-z0-9+/]{32,88}={0,2}$'),
    begins     timestamptz NOT NULL DEFAULT now(),
    ends       timestamptz,
    PRIMARY KEY (webhook_id, number)
);

CREATE TABLE webhook_event (
    sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id       uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
    type     text COLLATE "C" NOT NULL CHECK (type ~ '^tonne\.(statement|finding|alarm)\.[a-z_]+$'),
    subject  text COLLATE "C" NOT NULL,
    projects text[] NOT NULL,
    at       timestamptz NOT NULL,
    data     jsonb NOT NULL CHECK (octet_length(data::text) <= 65536)
);

CREATE TABLE webhook_delivery (
    webhook_id     text COLLATE "C" NOT NULL REFERENCES webhook,
    event_sequence bigint NOT NULL REFERENCES webhook_event,
    state          text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'dead')),
    attempts       integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    due            timestamptz NOT NULL DEFAULT now(),
    asked          timestamptz NOT NULL DEFAULT now(),
    tried          timestamptz,
    status         integer,
    error          text CHECK (length(error) <= 500),
    PRIMARY KEY (webhook_id, event_sequence)
) WITH (fillfactor = 80);
CREATE INDEX webhook_delivery_due ON webhook_delivery (webhook_id, due) WHERE state = 'waiting';
CREATE INDEX webhook_delivery_event ON webhook_delivery (event_sequence);

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON webhook_event
    FOR EACH ROW EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON webhook_event
    FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only();

CREATE FUNCTION tonne_utc(moment timestamptz) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;

CREATE FUNCTION tonne_webhook_event(type text, subject text, projects text[], at timestamptz, data jsonb)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    made bigint;
BEGIN
    INSERT INTO webhook_event (type, subject, projects, at, data)
        VALUES ($1, $2, $3, $4, jsonb_strip_nulls($5)) RETURNING sequence INTO made;
    INSERT INTO webhook_delivery (webhook_id, event_sequence)
        SELECT w.id, made FROM webhook w
        WHERE w.ended IS NULL AND split_part($1, '.', 2) = ANY (w.topics)
          AND (w.projects IS NULL OR w.projects && $3);
END $$;
REVOKE EXECUTE ON FUNCTION tonne_webhook_event FROM PUBLIC;

CREATE FUNCTION tonne_statement_told() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
DECLARE
    s statement;
BEGIN
    SELECT * INTO s FROM statement WHERE id = NEW.statement_id;
    PERFORM tonne_webhook_event('tonne.statement.' || NEW.state, s.id, ARRAY[s.project_id::text], NEW.at,
        jsonb_build_object('statement', s.id, 'project', s.project_id, 'state', NEW.state, 'at', tonne_utc(NEW.at),
            'period', jsonb_build_object('from', tonne_utc(lower(s.period)), 'to', tonne_utc(upper(s.period))),
            'credited_t', s.credit_t, 'sha256', encode(s.sha256, 'hex'), 'supersedes', s.supersedes,
            'reason', left(NEW.reason, 2000)));
    RETURN NULL;
END $$;
CREATE TRIGGER told AFTER INSERT ON statement_event FOR EACH ROW EXECUTE FUNCTION tonne_statement_told();

-- The texts of findings are between operator and verifier; who is told asks the API for them.
CREATE FUNCTION tonne_finding_told() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
DECLARE
    project text;
BEGIN
    SELECT project_id INTO project FROM statement WHERE id = NEW.statement_id;
    PERFORM tonne_webhook_event('tonne.finding.' || NEW.event, NEW.statement_id || '/' || NEW.finding, ARRAY[project],
        NEW.at, jsonb_build_object('statement', NEW.statement_id, 'project', project, 'finding', NEW.finding,
            'event', NEW.event, 'number', NEW.number, 'at', tonne_utc(NEW.at)));
    RETURN NULL;
END $$;
CREATE TRIGGER told AFTER INSERT ON finding_event FOR EACH ROW EXECUTE FUNCTION tonne_finding_told();

CREATE FUNCTION tonne_alarm_told() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
DECLARE
    a alarm;
BEGIN
    SELECT * INTO a FROM alarm WHERE id = NEW.alarm_id;
    PERFORM tonne_webhook_event('tonne.alarm.' || NEW.event, a.id::text, a.projects, NEW.at,
        jsonb_build_object('alarm', a.id, 'kind', a.kind, 'event', NEW.event, 'at', tonne_utc(NEW.at),
            'severity', a.severity, 'subject_type', a.subject_type, 'subject', a.subject, 'part', nullif(a.part, ''),
            'site', a.site, 'since', tonne_utc(a.since), 'cause', left(a.cause, 1000), 'devices', a.devices,
            'cost_t_per_day', a.cost_t_per_day::text));
    RETURN NULL;
END $$;
CREATE TRIGGER told AFTER INSERT ON alarm_event FOR EACH ROW EXECUTE FUNCTION tonne_alarm_told();

GRANT SELECT ON webhook, webhook_event, webhook_delivery TO tonne_mrv, tonne_api, tonne_watch, tonne_events;
GRANT INSERT, UPDATE (ended, reason) ON webhook TO tonne_mrv, tonne_api;
GRANT SELECT (webhook_id, number, begins, ends), INSERT, UPDATE (ends) ON webhook_secret TO tonne_mrv, tonne_api;
GRANT INSERT, UPDATE ON webhook_delivery TO tonne_mrv, tonne_api;
-- who sends: the one role that reads secrets
GRANT SELECT ON webhook_secret, programme TO tonne_events;
GRANT UPDATE (ended, reason) ON webhook TO tonne_events;
GRANT UPDATE ON webhook_delivery TO tonne_events;


-- WEBHOOK OPEN

-- What is not delivered is counted every half minute, however many were delivered.
CREATE INDEX webhook_delivery_open ON webhook_delivery (state, asked) WHERE state <> 'delivered';


-- DATED TIME ZONES

-- Time zones of a site are dated: `site.timezone` and `project.timezone` hold an IANA name, or names
-- with the first local date of each later one: 'Asia/Ho_Chi_Minh, from 2026-07-01 Asia/Kathmandu'.
-- A local date belongs to one zone and begins at its midnight; what the earlier clock shows beyond the
-- end of its last date is still of that date.  `mrv/calendar.py` says the same.
-- Zone that a local date belongs to.
CREATE FUNCTION tonne_zone_of(zones text, day date) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN n = 1 THEN part ELSE substr(part, 12) END
    FROM regexp_split_to_table(zones, ', from ') WITH ORDINALITY AS p (part, n)
    WHERE n = 1 OR substr(part, 1, 10)::date <= day
    ORDER BY n DESC LIMIT 1
$$;

CREATE FUNCTION tonne_dated_clock(zones text, at timestamptz) RETURNS timestamp LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    parts text[] := regexp_split_to_array(zones, ', from ');
    least_next timestamp := 'infinity';
    begins timestamp;
BEGIN
    FOR n IN REVERSE array_length(parts, 1)..2 LOOP
        begins := substr(parts[n], 1, 10)::date::timestamp;
        IF at >= begins AT TIME ZONE substr(parts[n], 12) THEN
            RETURN least(at AT TIME ZONE substr(parts[n], 12), least_next - INTERVAL '1 microsecond');
        END IF;
        least_next := begins;
    END LOOP;
    RETURN least(at AT TIME ZONE parts[1], least_next - INTERVAL '1 microsecond');
END $$;

-- `at AT TIME ZONE zones`, where zones may be dated; the second is its inverse, as AT TIME ZONE is.
CREATE FUNCTION tonne_clock(zones text, at timestamptz) RETURNS timestamp LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN zones LIKE '%,%' THEN tonne_dated_clock(zones, at) ELSE at AT TIME ZONE zones END
$$;
CREATE FUNCTION tonne_clock(zones text, at timestamp) RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN zones LIKE '%,%' THEN at AT TIME ZONE tonne_zone_of(zones, at::date) ELSE at AT TIME ZONE zones END
$$;

-- Sums by day note by which clock they were made, as before, and begin by it.
ALTER TABLE day_quantity ALTER COLUMN begins DROP EXPRESSION;
ALTER TABLE day_emission ALTER COLUMN begins DROP EXPRESSION;
CREATE FUNCTION tonne_day_begins() RETURNS trigger LANGUAGE plpgsql SET search_path = public AS $$
BEGIN
    NEW.begins := tonne_clock(NEW.timezone, NEW.day::timestamp);
    RETURN NEW;
END $$;
CREATE TRIGGER begins BEFORE INSERT OR UPDATE ON day_quantity FOR EACH ROW EXECUTE FUNCTION tonne_day_begins();
CREATE TRIGGER begins BEFORE INSERT OR UPDATE ON day_emission FOR EACH ROW EXECUTE FUNCTION tonne_day_begins();

-- Views, and what makes the sums by day, read the clock of a site, of a project or of a day's row by
-- `tonne_clock` from now on; nothing else of them changes.  A view writes it as `(.. AT TIME ZONE x.timezone)`.
CREATE FUNCTION pg_temp.clocked(source text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    found text[];
    depth int;
    at int;
    letter text;
BEGIN
    LOOP
        -- what stands before the first of them, its zone, and the rest
        found := regexp_match(source, '^(.*?) AT TIME ZONE ((?:[a-z_]+\.)?timezone)\M(.*)$');
        EXIT WHEN found IS NULL;
        depth := 0;
        at := length(found[1]);
        LOOP  -- back to where its operand begins
            letter := substr(found[1], at, 1);
            EXIT WHEN at = 0 OR depth = 0 AND letter IN ('(', ',');
            depth := depth + CASE letter WHEN ')' THEN 1 WHEN '(' THEN -1 ELSE 0 END;
            at := at - 1;
        END LOOP;
        source := left(found[1], at) || ' tonne_clock(' || found[2] || ', ' || trim(substr(found[1], at + 1)) || ')' || found[3];
    END LOOP;
    RETURN source;
END $$;


-- PUBLIC VERSIONS

-- Public versions of statements, as zip files, as their operators signed them; the API gives the newest.
CREATE TABLE public_version (
    sequence     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    statement_id text COLLATE "C" NOT NULL REFERENCES statement,
    signed       timestamptz NOT NULL,
    multikey     text COLLATE "C" NOT NULL REFERENCES enrolled_key,
    files        bytea NOT NULL CHECK (octet_length(files) <= 33554432),
    stored       timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX public_version_statement ON public_version (statement_id, sequence DESC);

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON public_version FOR EACH ROW EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public_version FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only();

GRANT SELECT ON public_version TO tonne_mrv, tonne_api;
GRANT INSERT ON public_version TO tonne_mrv;


-- LETTER ROOM

-- What is known of dead letters beside them goes as they do.
COMMENT ON TABLE dead_letter_excess IS
    'dead letters that found no room, by principal, day and reason; principal * is all of them together';

-- Room is counted by day: a principal that was not heard since yesterday needs no row.  How messages
-- without room began goes with the letters of that time; how many there were stays.
CREATE FUNCTION tonne_tidy_letters(older_than timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    DELETE FROM dead_letter_day WHERE principal IN (
        SELECT principal FROM dead_letter_day WHERE day < (now() AT TIME ZONE 'UTC')::date - 1
        FOR UPDATE SKIP LOCKED
    );
    UPDATE dead_letter_excess SET topic = '', detail = '', beginning = ''
    WHERE last < older_than AND (topic, detail, beginning) IS DISTINCT FROM ('', '', ''::bytea);
END $$;
REVOKE EXECUTE ON FUNCTION tonne_tidy_letters FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tonne_tidy_letters TO tonne_mrv, tonne_watch;


-- ARRIVAL DAYS

-- When readings came, of days that are over: a row a device and day in place of one an hour.  Ten years of
-- ten thousand devices are 876 million hours, 134 GB of arrival_count, and 37 million days.
-- Of a day in UTC, an element an hour with readings: `place` is its number, 0 to 23, and 32 times how many
-- hours of the clock later they came; `readings` how many.  What comes later for the same day is added at
-- the end, so that an hour may stand there twice, each time with what was counted then.
CREATE TABLE arrival_day (
    device_id text COLLATE "C" NOT NULL,
    day       date NOT NULL,
    place     integer[] NOT NULL,
    readings  integer[] NOT NULL,
    PRIMARY KEY (device_id, day),
    CHECK (cardinality(place) = cardinality(readings))
) WITH (fillfactor = 90);
GRANT SELECT ON arrival_day TO tonne_mrv, tonne_api, tonne_grafana;

-- Counts of these devices and times, half-open, wherever they are kept.
CREATE FUNCTION tonne_arrivals(ids text[], since timestamptz, until timestamptz)
RETURNS TABLE (device_id text, made timestamptz, arrived timestamptz, readings bigint)
LANGUAGE sql STABLE AS $$
    SELECT c.device_id, c.made, c.arrived, c.readings FROM arrival_count c
    WHERE c.device_id = ANY (ids) AND c.made >= since AND c.made < until
    UNION ALL
    SELECT h.* FROM (
        SELECT d.device_id, d.day::timestamp AT TIME ZONE 'UTC' + (r.place & 31) * INTERVAL '1 hour' AS made,
               d.day::timestamp AT TIME ZONE 'UTC' + ((r.place & 31) + (r.place >> 5)) * INTERVAL '1 hour' AS arrived,
               r.readings::bigint AS readings
        FROM arrival_day d CROSS JOIN LATERAL unnest(d.place, d.readings) AS r (place, readings)
        WHERE d.device_id = ANY (ids)
          AND d.day BETWEEN (since AT TIME ZONE 'UTC')::date AND (until AT TIME ZONE 'UTC')::date
    ) h WHERE h.made >= since AND h.made < until
$$;

-- Keep by day what is of before a day, of the next devices after `beyond` in the order of their ids; returns
-- the last of them, or null at the end.
CREATE FUNCTION tonne_pack_arrivals(before date, beyond text, devices integer) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    chosen text[];
BEGIN
    SELECT array_agg(d.id ORDER BY d.id) INTO chosen
    FROM (SELECT id FROM device WHERE id > beyond ORDER BY id LIMIT devices) d;
    WITH gone AS (
        DELETE FROM arrival_count WHERE device_id = ANY (chosen) AND made < before RETURNING *
    )
    INSERT INTO arrival_day AS a (device_id, day, place, readings)
    SELECT device_id, made::date,
           array_agg((extract(hour FROM made) + 32 * (extract(epoch FROM arrived - made) / 3600))::integer
                     ORDER BY made, arrived),
           array_agg(readings::integer ORDER BY made, arrived)
    FROM gone GROUP BY 1, 2 ORDER BY 1, 2
    ON CONFLICT ON CONSTRAINT arrival_day_pkey DO UPDATE SET
        place = a.place || excluded.place, readings = a.readings || excluded.readings;
    RETURN chosen[cardinality(chosen)];
END $$;
REVOKE EXECUTE ON FUNCTION tonne_pack_arrivals FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tonne_pack_arrivals TO tonne_mrv, tonne_watch;


-- ACCEPTANCES

-- What a programme accepted (factors of registry files, debts that stay behind) stands beside what
-- authorities said: rows are added and never changed.
ALTER TABLE authority_entry DROP CONSTRAINT authority_entry_kind_check;
ALTER TABLE authority_entry ADD CONSTRAINT authority_entry_kind_check
    CHECK (kind IN ('registration', 'authorization', 'submission', 'facility', 'acceptance'));


-- TODAY

-- Yesterday and today by device, for views that added them up from all quarter hours each time they
-- were asked.  Sums are kept of the quarter hours before `day_today_until`, an hour ago or more; a view
-- adds what came since.  A row before that which is written all the same, late data or a correction,
-- marks its device in the same transaction, and a marked device is added up from its quarter hours until
-- it is made again.  So the views say at every moment what the quarter hours say.
CREATE TABLE day_today_quantity (
    device_id   text COLLATE "C" NOT NULL,
    quantity    text COLLATE "C" NOT NULL,
    day         date NOT NULL,
    timezone    text NOT NULL,
    value       numeric NOT NULL,
    measured_us bigint NOT NULL,
    PRIMARY KEY (device_id, quantity, day)
) WITH (fillfactor = 70);
CREATE TABLE day_today_emission (
    project_id   text COLLATE "C" NOT NULL,
    device_id    text COLLATE "C" NOT NULL,
    day          date NOT NULL,
    timezone     text NOT NULL,
    baseline_ug  numeric NOT NULL,
    project_ug   numeric NOT NULL,
    leakage_ug   numeric NOT NULL,
    reduction_ug numeric NOT NULL,
    PRIMARY KEY (project_id, device_id, day)
) WITH (fillfactor = 70);

-- `until`: quarter hours that start before it are in the sums.  `next_until` takes its place once every
-- transaction that is older than `next_xid` has ended.
CREATE TABLE day_today_until (
    only_one   boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    until      timestamptz NOT NULL,
    next_until timestamptz NOT NULL,
    next_xid   xid8 NOT NULL
);
INSERT INTO day_today_until (until, next_until, next_xid) VALUES ('-infinity', '-infinity', '0');

-- Devices with a quarter hour of the last two days that was written more than an hour after it began.
CREATE TABLE day_today_late (
    device_id text COLLATE "C" NOT NULL,
    xid       xid8 NOT NULL DEFAULT pg_current_xact_id()
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
CREATE INDEX day_today_late_device ON day_today_late (device_id, xid);

-- Asked once for a scan, and known when a query is planned.
CREATE FUNCTION tonne_today_until() RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT coalesce((SELECT until FROM day_today_until), '-infinity')
$$;

-- Run for each row: it has no rights and no settings of its own, which would cost more than all it does.
-- Who has marked what it writes says so for as long as it writes (`tonne.marks`).
CREATE OR REPLACE FUNCTION tonne_mark_late() RETURNS trigger LANGUAGE plpgsql SECURITY INVOKER AS $$
DECLARE
    device text;
    at timestamptz;
    seconds bigint;
BEGIN
    IF TG_OP = 'DELETE' THEN
        device := OLD.device_id;
        at := OLD.start;
    ELSE
        device := NEW.device_id;
        at := NEW.start;
    END IF;
    IF pg_catalog.current_setting('tonne.marked', true) = device THEN
        seconds := extract(epoch FROM at)::bigint;
        IF seconds >= pg_catalog.current_setting('tonne.marked_from')::bigint
           AND seconds < pg_catalog.current_setting('tonne.marked_to')::bigint THEN
            RETURN NULL;
        END IF;
    END IF;
    PERFORM public.tonne_mark_row(device, at);
    RETURN NULL;
END $$;

-- Another clock has other days: all of them are made again.
CREATE OR REPLACE FUNCTION tonne_mark_moved() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    moved text[];
BEGIN
    IF TG_TABLE_NAME = 'site' THEN
        moved := ARRAY(SELECT d.id FROM device d WHERE d.site = NEW.id);
    ELSIF TG_TABLE_NAME = 'project' THEN
        moved := ARRAY(SELECT device_id FROM day_today_emission WHERE project_id = NEW.id
                       UNION SELECT device_id FROM day_emission WHERE project_id = NEW.id
                       UNION SELECT device_id FROM project_device WHERE project_id = NEW.id);
    ELSE
        moved := ARRAY[NEW.id::text];
    END IF;
    INSERT INTO day_mark (device_id, begins, ends) SELECT m.id, '1970-01-01 00:00+00', '2200-01-01 00:00+00' FROM unnest(moved) AS m (id) ON CONFLICT DO NOTHING;
    INSERT INTO day_today_late (device_id) SELECT m.id FROM unnest(moved) AS m (id);
    RETURN NULL;
END $$;
CREATE TRIGGER today_moved AFTER UPDATE OF timezone ON site
    FOR EACH ROW WHEN (NEW.timezone <> OLD.timezone) EXECUTE FUNCTION tonne_mark_moved();
CREATE TRIGGER today_moved AFTER UPDATE OF timezone ON project
    FOR EACH ROW WHEN (NEW.timezone <> OLD.timezone) EXECUTE FUNCTION tonne_mark_moved();
CREATE TRIGGER today_moved AFTER UPDATE OF site ON device
    FOR EACH ROW WHEN (NEW.site <> OLD.site) EXECUTE FUNCTION tonne_mark_moved();

-- For what came in the last hours, of all devices.
CREATE INDEX interval_quantity_start ON interval_quantity (start);

-- Make the sums again as of an hour ago; returns whether this call did, for one at a time does.
-- A transaction that this one does not see yet is younger than `next_xid`: whatever it writes, it writes
-- after `next_until` and an hour, so that rows which begin before `next_until` come with a mark.  Marks
-- that this statement does not see stay.
CREATE FUNCTION tonne_refresh_today() RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET timezone = 'UTC' SET work_mem = '128MB' AS $$
DECLARE
    asked timestamptz := now() - INTERVAL '1 hour';
    own xid8;
BEGIN
    IF NOT pg_try_advisory_xact_lock(7210081) THEN
        RETURN false;
    END IF;
    own := pg_current_xact_id();
    WITH mark AS MATERIALIZED (
        SELECT CASE WHEN pg_snapshot_xmin(pg_current_snapshot()) >= own THEN asked
                    WHEN pg_snapshot_xmin(pg_current_snapshot()) >= u.next_xid THEN u.next_until ELSE u.until END AS until,
               pg_snapshot_xmin(pg_current_snapshot()) >= least(own, u.next_xid) OR u.next_xid > own AS taken
        FROM day_today_until u
    ), clock AS MATERIALIZED (
        SELECT d.id::text COLLATE "C" AS device_id, s.timezone, tonne_clock(s.timezone, now())::date - 1 AS first_day
        FROM device d JOIN site s ON s.id = d.site
    ), quantity AS MATERIALIZED (
        SELECT i.device_id, i.quantity, tonne_clock(c.timezone, i.start)::date AS day, c.timezone,
               sum(i.value) AS value, sum(i.measured_us)::bigint AS measured_us
        FROM mark CROSS JOIN interval_quantity i JOIN clock c ON c.device_id = i.device_id
        WHERE i.start >= now() - INTERVAL '50 hours' AND i.start < mark.until
          AND tonne_clock(c.timezone, i.start)::date >= c.first_day
        GROUP BY 1, 2, 3, 4
    ), emission AS MATERIALIZED (
        SELECT e.project_id, e.device_id, tonne_clock(p.timezone, e.start)::date AS day, p.timezone,
               sum(e.baseline_ug) AS baseline_ug, sum(e.project_ug) AS project_ug,
               sum(e.leakage_ug) AS leakage_ug, sum(e.reduction_ug) AS reduction_ug
        FROM mark CROSS JOIN interval_emission e JOIN project p ON p.id = e.project_id
        WHERE e.start >= now() - INTERVAL '50 hours' AND e.start < mark.until
          AND tonne_clock(p.timezone, e.start)::date >= tonne_clock(p.timezone, now())::date - 1
        GROUP BY 1, 2, 3, 4
    ), no_quantity AS (
        DELETE FROM day_today_quantity q
        WHERE NOT EXISTS (SELECT FROM quantity f WHERE (f.device_id, f.quantity, f.day) = (q.device_id, q.quantity, q.day))
    ), no_emission AS (
        DELETE FROM day_today_emission q
        WHERE NOT EXISTS (SELECT FROM emission f WHERE (f.project_id, f.device_id, f.day) = (q.project_id, q.device_id, q.day))
    ), put_quantity AS (
        INSERT INTO day_today_quantity AS q SELECT * FROM quantity
        ON CONFLICT ON CONSTRAINT day_today_quantity_pkey DO UPDATE
            SET timezone = excluded.timezone, value = excluded.value, measured_us = excluded.measured_us
            WHERE (q.timezone, q.value, q.measured_us) IS DISTINCT FROM (excluded.timezone, excluded.value, excluded.measured_us)
    ), put_emission AS (
        INSERT INTO day_today_emission AS q SELECT * FROM emission
        ON CONFLICT ON CONSTRAINT day_today_emission_pkey DO UPDATE
            SET timezone = excluded.timezone, baseline_ug = excluded.baseline_ug, project_ug = excluded.project_ug,
                leakage_ug = excluded.leakage_ug, reduction_ug = excluded.reduction_ug
            WHERE (q.timezone, q.baseline_ug, q.project_ug, q.leakage_ug, q.reduction_ug) IS DISTINCT FROM
                  (excluded.timezone, excluded.baseline_ug, excluded.project_ug, excluded.leakage_ug, excluded.reduction_ug)
    ), made AS (
        DELETE FROM day_today_late
    )
    UPDATE day_today_until u SET until = mark.until,
        next_until = CASE WHEN mark.taken THEN asked ELSE u.next_until END,
        next_xid = CASE WHEN mark.taken THEN own ELSE u.next_xid END
    FROM mark;
    RETURN true;
END $$;

REVOKE EXECUTE ON FUNCTION tonne_refresh_today FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tonne_refresh_today TO tonne_ingest, tonne_mrv, tonne_watch;
GRANT SELECT ON day_today_quantity, day_today_emission, day_today_until, day_today_late
    TO tonne_ingest, tonne_mrv, tonne_api, tonne_grafana, tonne_watch;


-- EVENTS END

-- Events of webhooks go some time after they happened, told or not, and their deliveries with them: what
-- happened stays in tables of its own.  Younger ones are kept, whoever asks.
CREATE INDEX webhook_event_at ON webhook_event (at);
DROP TRIGGER append_only ON webhook_event;
CREATE TRIGGER append_only BEFORE UPDATE ON webhook_event
    FOR EACH ROW EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER young_ones_stay BEFORE DELETE ON webhook_event
    FOR EACH ROW WHEN (OLD.at > now() - INTERVAL '30 days') EXECUTE FUNCTION tonne_append_only();

CREATE OR REPLACE FUNCTION tonne_expire_events(older_than timestamptz, most integer, OUT events bigint, OUT undelivered bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    going bigint[];
BEGIN
    IF older_than > now() - INTERVAL '30 days' THEN
        RAISE EXCEPTION 'events are kept for 30 days at least, not only since %', older_than
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- who sends events again holds it shared
    PERFORM pg_advisory_xact_lock(2291, 2);
    SELECT array_agg(e.sequence) INTO going FROM (
        SELECT sequence FROM webhook_event w
        WHERE at < older_than AND NOT EXISTS (
            SELECT FROM webhook_delivery d
            WHERE d.event_sequence = w.sequence AND d.state = 'waiting' AND d.asked > now() - INTERVAL '1 day')
        ORDER BY at LIMIT most FOR UPDATE SKIP LOCKED) e;
    WITH gone AS (DELETE FROM webhook_delivery WHERE event_sequence = ANY (going) RETURNING state)
    SELECT count(*) FILTER (WHERE state <> 'delivered') INTO undelivered FROM gone;
    DELETE FROM webhook_event WHERE sequence = ANY (going);
    GET DIAGNOSTICS events = ROW_COUNT;
END $$;
REVOKE EXECUTE ON FUNCTION tonne_expire_events FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tonne_expire_events TO tonne_watch;


-- DAYS IN PARTS

-- Days are added up some at a time: a chunk of ten thousand devices is 29 million rows, which a busy server
-- did not add up in the 15 minutes that a statement has, and then began again.  What was done stays done.
-- Where a round through a chunk stands: the first day that is still to be made (null: all are), and of which
-- devices (null: all; else those whose clock changed after this count).  `writes` and `clock` are those of
-- the round's begin, so that what is written meanwhile has another round.
ALTER TABLE day_made ADD COLUMN next_day date, ADD COLUMN since_clock bigint;

DROP FUNCTION tonne_refresh_days(interval);
DROP FUNCTION tonne_make_days(text, timestamptz, timestamptz, text[]);


-- SILENCE BOUND

-- A project's silence costs at most what was expected of the project in that time.  The rule of each role
-- stands for itself: of ten silent chargers it charges ten highest plausible values, although a period
-- that would count less than nothing counts nothing.
-- What a yearly expectation comes to in [begins, ends): a year of 365 days, whole grams, rounded down.
CREATE FUNCTION tonne_share_of_year_t(yearly_t numeric, begins timestamptz, ends timestamptz)
RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT trunc(yearly_t * greatest(extract(epoch FROM ends - begins), 0) / (365 * 86400), 6)
$$;

-- A time to the minute by a site's or project's clock, with its offset, as pages show it.
CREATE FUNCTION tonne_clock_text(zones text, at timestamptz) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT to_char(local, 'YYYY-MM-DD HH24:MI') || CASE WHEN shift < INTERVAL '0' THEN '-' ELSE '+' END
        || to_char(greatest(shift, -shift), 'HH24:MI')
    FROM (SELECT l.local, l.local - (at AT TIME ZONE 'UTC') AS shift FROM (SELECT tonne_clock(zones, at) AS local) l) shown
$$;
GRANT EXECUTE ON FUNCTION tonne_share_of_year_t, tonne_clock_text TO tonne_mrv, tonne_api, tonne_grafana, tonne_watch;


-- LEFT AND DARK

-- A gateway or a device that said that it left, or of which its broker said so, is alarmed by that, and
-- what sleeps in the dark when the sun has shone for an hour and it is not heard: both without waiting for
-- as long as a night may last.
-- light_after_s: how long the sun has shone since the last reading, of classes that sleep in the dark;
-- will_after_s: how long ago the word came that it left.
ALTER TABLE alarm_rule ADD COLUMN light_after_s bigint CHECK (light_after_s % 300 = 0 AND light_after_s BETWEEN 0 AND 43200),
    ADD COLUMN will_after_s bigint CHECK (will_after_s >= 0);

-- Height of the sun above the horizon [deg], without refraction: low-precision formulas of the Astronomical
-- Almanac, right to 0.02 degrees between 1950 and 2050.
CREATE FUNCTION tonne_sun_elevation(latitude double precision, longitude double precision, at timestamptz)
RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT asind(least(1, greatest(-1, sind(latitude) * sine + cosd(latitude) * cosd(asind(sine))
        * cosd(15 * (18.697374558 + 24.06570982441908 * n) + longitude - ascension))))
    FROM (
        SELECT n, sind(23.439 - 0.0000004 * n) * sind(ecliptic) AS sine,
               atan2d(cosd(23.439 - 0.0000004 * n) * sind(ecliptic), cosd(ecliptic)) AS ascension
        FROM (
            SELECT n, 280.460 + 0.9856474 * n + 1.915 * sind(anomaly) + 0.020 * sind(2 * anomaly) AS ecliptic
            FROM (SELECT n, 357.528 + 0.9856003 * n AS anomaly
                  FROM (SELECT (extract(epoch FROM at)::double precision - 946728000) / 86400 AS n) days) sun
        ) place
    ) sky
$$;

GRANT EXECUTE ON FUNCTION tonne_sun_elevation TO tonne_ingest, tonne_mrv, tonne_api, tonne_grafana, tonne_watch;


-- DAYS OF THEIR ROWS

-- Adding a day up reads that day's rows.  It read a day more on either side, so that of ten thousand
-- inverters, whose days are made one at a time, three days were read for each; of emissions, which no index
-- finds by time, the whole chunk was read for every two days, and what was read was sorted on disk.
-- The three hours are for clocks that show an hour about midnight twice; after an inverter's last reading of
-- a day the next one is looked for, as long as a reading may count.
CREATE INDEX interval_emission_start ON interval_emission (start);


-- NO TEMPORARY TABLES


-- ENDED STAYS

-- What was revoked or ended stays so: with the web process's login a revoked key could be made good again,
-- and no list would show that it ever was.
CREATE FUNCTION tonne_ended_stays() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '% was ended at %, which is not taken back; make a new one',
        concat_ws(' ', TG_TABLE_NAME, to_jsonb(OLD) ->> 'id'), to_jsonb(OLD) ->> TG_ARGV[0] USING ERRCODE = 'check_violation';
END $$;

CREATE TRIGGER ended_stays BEFORE UPDATE ON api_key FOR EACH ROW
    WHEN (OLD.revoked IS NOT NULL AND NEW.revoked IS DISTINCT FROM OLD.revoked)
    EXECUTE FUNCTION tonne_ended_stays('revoked');
CREATE TRIGGER ended_stays BEFORE UPDATE ON api_session FOR EACH ROW
    WHEN (OLD.ended IS NOT NULL AND NEW.ended IS DISTINCT FROM OLD.ended)
    EXECUTE FUNCTION tonne_ended_stays('ended');
CREATE TRIGGER ended_stays BEFORE UPDATE ON webhook FOR EACH ROW
    WHEN (OLD.ended IS NOT NULL AND NEW.ended IS DISTINCT FROM OLD.ended)
    EXECUTE FUNCTION tonne_ended_stays('ended');


-- ENERGY PER KM


-- ANALYZE ALARMS

-- After many alarms at once PostgreSQL still plans by the count of before: a list of them took 2.3 s in place of
-- 0.35.  Its own look at the table comes when a tenth of it changed, a minute later at best, so the watcher asks
-- for one after a burst; ANALYZE is the owner's alone.
ALTER TABLE alarm SET (autovacuum_analyze_scale_factor = 0.02, autovacuum_analyze_threshold = 200);
ALTER TABLE alarm_event SET (autovacuum_analyze_scale_factor = 0.02, autovacuum_analyze_threshold = 200);

CREATE FUNCTION tonne_analyze_alarms() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    ANALYZE alarm, alarm_event;
END $$;
COMMENT ON FUNCTION tonne_analyze_alarms IS 'let plans know how many alarms there are';
REVOKE EXECUTE ON FUNCTION tonne_analyze_alarms FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tonne_analyze_alarms TO tonne_mrv, tonne_watch;


-- SOILING

-- Energy that dust took from an inverter's modules over all its days [%], with the interval that holds it with
-- 95 % (mrv/performance.py), made beside the change from year to year from a year of days on.
-- `soiling_missing` says why there is none: short, gaps or unclear.
ALTER TABLE pv_trend
    ADD COLUMN soiling_percent double precision,
    ADD COLUMN soiling_low double precision,
    ADD COLUMN soiling_high double precision CHECK (soiling_high >= soiling_low),
    ADD COLUMN soiling_intervals integer,
    ADD COLUMN soiling_missing text,
    ADD CHECK (soiling_percent IS NULL OR soiling_missing IS NULL);
-- made again with it today
UPDATE pv_trend SET made = made - 1;


-- DAY MARKS

-- Days are added up where something changed, and there alone.  Whoever writes a derived row of an hour ago
-- or older marks its device and day in the same transaction, whatever writes it: a late reading, a rebuild,
-- other factors, an archive that comes back, a hand.  Rows of the last hour need no mark: a day is marked
-- for all devices as it ends, and once more when every transaction that wrote without a mark has ended.
-- `tonne_refresh_days` takes marks and makes their days in one transaction.  So a view that reads sums of
-- days without a mark, and quarter hours of days with one, says at every moment what the quarter hours say.
-- Before, all days of a chunk were made again after each commit.
-- A span of a device's time: mostly one day of its site's clock; days of any clock that it touches are made
-- again.  Each transaction has its own marks, so that none waits for another, and what is written while
-- days are made keeps its mark.
CREATE TABLE day_mark (
    device_id text COLLATE "C" NOT NULL,
    begins    timestamptz NOT NULL,
    ends      timestamptz NOT NULL,
    xid       xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (device_id, begins, ends, xid)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
-- Of all devices of a site, where a transaction writes of many of them: a backlog that comes in the order of
-- time would mark each device with each commit.
CREATE TABLE day_mark_site (
    site   text COLLATE "C" NOT NULL,
    begins timestamptz NOT NULL,
    ends   timestamptz NOT NULL,
    xid    xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (site, begins, ends, xid)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- Days that ended before `until` are as their quarter hours say, or marked; `next_until` takes its place
-- once every transaction that is older than `next_xid` has ended.  `looked`: ends of days before it are marked.
CREATE TABLE day_until (
    only_one   boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    until      timestamptz NOT NULL,
    next_until timestamptz NOT NULL,
    next_xid   xid8 NOT NULL,
    looked     timestamptz NOT NULL
);
INSERT INTO day_until (until, next_until, next_xid, looked)
VALUES (now() - INTERVAL '1 hour', now() - INTERVAL '1 hour', '0', now());

-- For how long a reading of an inverter counts: until the next one, at most as long as this.
CREATE FUNCTION tonne_reading_counts(attributes jsonb) RETURNS interval LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT INTERVAL '1 s' * greatest(900, CASE WHEN jsonb_typeof(attributes -> 'cadence_s') = 'number'
        THEN least((attributes ->> 'cadence_s')::numeric, 86400)::double precision END)
$$;

-- Mark the days of devices, or of all devices of sites, from a time to another, both included.
CREATE FUNCTION tonne_mark_days(devices text[], firsts timestamptz[], lasts timestamptz[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO day_mark (device_id, begins, ends)
    SELECT m.device, tonne_clock(z.zone, tonne_clock(z.zone, m.first)::date::timestamp),
           tonne_clock(z.zone, (tonne_clock(z.zone, m.last)::date + 1)::timestamp)
    FROM unnest(devices, firsts, lasts) AS m (device, first, last)
    CROSS JOIN LATERAL (SELECT coalesce((SELECT s.timezone FROM device d JOIN site s ON s.id = d.site WHERE d.id = m.device), 'UTC') AS zone) z
    ON CONFLICT DO NOTHING;
    INSERT INTO day_today_late (device_id)
    SELECT DISTINCT m.device FROM unnest(devices, lasts) AS m (device, last)
    WHERE m.last > clock_timestamp() - INTERVAL '52 hours'
      AND NOT EXISTS (SELECT FROM day_today_late l WHERE l.device_id = m.device AND l.xid = pg_current_xact_id());
END $$;
CREATE FUNCTION tonne_mark_sites(sites text[], firsts timestamptz[], lasts timestamptz[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO day_mark_site (site, begins, ends)
    SELECT s.id, tonne_clock(s.timezone, tonne_clock(s.timezone, m.first)::date::timestamp),
           tonne_clock(s.timezone, (tonne_clock(s.timezone, m.last)::date + 1)::timestamp)
    FROM unnest(sites, firsts, lasts) AS m (site, first, last) JOIN site s ON s.id = m.site
    ON CONFLICT DO NOTHING;
    INSERT INTO day_today_late (device_id)
    SELECT d.id FROM device d
    WHERE d.site = ANY (ARRAY(SELECT m.site FROM unnest(sites, lasts) AS m (site, last) WHERE m.last > clock_timestamp() - INTERVAL '52 hours'))
      AND NOT EXISTS (SELECT FROM day_today_late l WHERE l.device_id = d.id AND l.xid = pg_current_xact_id());
END $$;

-- Mark the day of a derived row, for the sums of yesterday and today as well, and note it: rows of a device
-- and day come in a row.  What a savepoint takes back, it takes back from both.
CREATE FUNCTION tonne_mark_row(device text, at timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    zone text := coalesce((SELECT s.timezone FROM device d JOIN site s ON s.id = d.site WHERE d.id = device), 'UTC');
    day date := tonne_clock(zone, at)::date;
    day_begins timestamptz := tonne_clock(zone, day::timestamp);
    day_ends timestamptz := tonne_clock(zone, (day + 1)::timestamp);
    noted text;
BEGIN
    INSERT INTO day_mark (device_id, begins, ends) VALUES (device, day_begins, day_ends) ON CONFLICT DO NOTHING;
    IF at > clock_timestamp() - INTERVAL '52 hours' THEN
        INSERT INTO day_today_late (device_id) SELECT device
        WHERE NOT EXISTS (SELECT FROM day_today_late l WHERE l.device_id = device AND l.xid = pg_current_xact_id());
    END IF;
    noted := set_config('tonne.marked', device, true);
    noted := set_config('tonne.marked_from', extract(epoch FROM day_begins)::bigint::text, true);
    noted := set_config('tonne.marked_to', extract(epoch FROM day_ends)::bigint::text, true);
END $$;
DO $$
DECLARE
    relation text;
    event text;
BEGIN
    FOREACH relation IN ARRAY ARRAY['interval_quantity', 'interval_emission'] LOOP
        FOREACH event IN ARRAY ARRAY['insert', 'update', 'delete'] LOOP
            EXECUTE format('CREATE TRIGGER late_%1$s AFTER %1$s ON %2$I FOR EACH ROW WHEN ('
                '%3$s.start < clock_timestamp() - INTERVAL ''1 hour'' AND current_setting(''tonne.marks'', true) IS DISTINCT FROM ''made'')'
                ' EXECUTE FUNCTION tonne_mark_late()',
                event, relation, CASE event WHEN 'delete' THEN 'OLD' ELSE 'NEW' END);
        END LOOP;
    END LOOP;
END $$;

-- What was added up until now may be behind its quarter hours.
INSERT INTO day_mark (device_id, begins, ends) SELECT id, '1970-01-01 00:00+00', '2200-01-01 00:00+00' FROM device;

-- Mark the days that ended since the last time, of all devices: an hour before they end, so that they are
-- there at midnight, when they end, and when no transaction can write of them any more without a mark.
-- For a transaction that this one does not see yet is younger than `next_xid`: whatever it writes, it writes
-- after `next_until` and an hour.
CREATE FUNCTION tonne_mark_ended() RETURNS void LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    own xid8 := pg_current_xact_id();
    asked timestamptz := now() - INTERVAL '1 hour';
    held day_until;
    safe timestamptz;
    oldest xid8;
    slow boolean := EXISTS (SELECT FROM device d WHERE d.class = 'pv_inverter' AND tonne_reading_counts(d.attributes) > INTERVAL '1 hour');
BEGIN
    SELECT * INTO STRICT held FROM day_until FOR UPDATE;
    oldest := pg_snapshot_xmin(pg_current_snapshot());
    safe := greatest(held.until, CASE WHEN oldest >= own THEN asked WHEN oldest >= held.next_xid THEN held.next_until END);
    INSERT INTO day_mark_site (site, begins, ends)
    SELECT s.id, k.begins, k.ends
    FROM (
        SELECT z.timezone, min(tonne_clock(z.timezone, (e.day - 1)::timestamp)) AS begins, max(tonne_clock(z.timezone, e.day::timestamp)) AS ends
        FROM (SELECT timezone FROM site UNION SELECT timezone FROM project) z
        CROSS JOIN (VALUES (held.looked + INTERVAL '1 hour', now() + INTERVAL '1 hour'), (held.looked, now()), (held.until, safe),
                           -- of inverters that speak less than once an hour, the last reading of a day counts longer
                           (CASE WHEN slow THEN held.looked - INTERVAL '25 hours' END, now() - INTERVAL '25 hours')) AS part (since, upto)
        CROSS JOIN LATERAL (
            SELECT s.at::date AS day FROM generate_series(tonne_clock(z.timezone, part.since)::date::timestamp,
                tonne_clock(z.timezone, part.upto)::date + INTERVAL '1 day', INTERVAL '1 day') AS s (at)
        ) e
        WHERE tonne_clock(z.timezone, e.day::timestamp) > part.since AND tonne_clock(z.timezone, e.day::timestamp) <= part.upto
        GROUP BY z.timezone, part.since
    ) k
    JOIN site s ON s.timezone = k.timezone OR k.timezone IN (SELECT p.timezone FROM project p)
    ON CONFLICT DO NOTHING;
    UPDATE day_until SET until = safe, looked = greatest(looked, now()),
        next_until = CASE WHEN oldest >= least(own, held.next_xid) OR held.next_xid > own THEN asked ELSE held.next_until END,
        next_xid = CASE WHEN oldest >= least(own, held.next_xid) OR held.next_xid > own THEN own ELSE held.next_xid END;
END $$;
DROP FUNCTION tonne_note_clocks();
DROP TABLE day_made, day_clock;

CREATE OR REPLACE FUNCTION tonne_make_days(devices text[], spans tstzmultirange[])
RETURNS void LANGUAGE plpgsql SET plan_cache_mode = 'force_custom_plan' SET work_mem = '128MB' AS $$
DECLARE
    ids text[];
    zones text[];
    whole tstzmultirange[];
    begin_at timestamptz[];
    end_at timestamptz[];
    -- as two values: a span that comes out of a join is taken for short, and rows of all devices are read by time
    first_at timestamptz;
    last_at timestamptz;
    archived tstzmultirange;
    clocks text[] := ARRAY(SELECT DISTINCT p.timezone FROM project p);
BEGIN
    -- of an inverter that speaks less than once an hour, a reading changes what one of the day before counts
    SELECT array_agg(d.id::text), array_agg(s.timezone::text), array_agg(t.spans), array_agg(edge.since - INTERVAL '3 hours'),
           array_agg(edge.until + INTERVAL '3 hours'), min(edge.since) - INTERVAL '3 hours', max(edge.until) + INTERVAL '3 hours'
        INTO ids, zones, whole, begin_at, end_at, first_at, last_at
    FROM unnest(devices, spans) AS u (id, spans) JOIN device d ON d.id = u.id JOIN site s ON s.id = d.site
    CROSS JOIN LATERAL (
        SELECT CASE WHEN d.class = 'pv_inverter' AND tonne_reading_counts(d.attributes) > INTERVAL '1 hour' THEN (
            SELECT range_agg(tstzrange(lower(r) - tonne_reading_counts(d.attributes), upper(r))) FROM unnest(u.spans) r
        ) ELSE u.spans END AS spans
    ) t
    CROSS JOIN LATERAL (
        SELECT min(tonne_clock(z.timezone, tonne_clock(z.timezone, lower(t.spans))::date::timestamp)) AS since,
               max(tonne_clock(z.timezone, (tonne_clock(z.timezone, upper(t.spans) - INTERVAL '1 microsecond')::date + 1)::timestamp)) AS until
        FROM unnest(s.timezone || clocks) AS z (timezone)
    ) edge;
    WITH todo AS MATERIALIZED (
        SELECT t.device_id COLLATE "C" AS device_id, t.timezone, t.spans, t.since, t.until
        FROM unnest(ids, zones, whole, begin_at, end_at) AS t (device_id, timezone, spans, since, until)
    ), fresh AS MATERIALIZED (
        SELECT g.*, t.timezone
        FROM (
            SELECT t.device_id, i.quantity, tonne_clock(t.timezone, i.start)::date AS day,
                   sum(i.value) AS value, sum(i.measured_us)::bigint AS measured_us,
                   sum(i.estimated_us)::bigint AS estimated_us, sum(i.unknown_us)::bigint AS unknown_us
            FROM todo t CROSS JOIN LATERAL (
                SELECT r.quantity, r.start, r.value, r.measured_us, r.estimated_us, r.unknown_us FROM interval_quantity r
                WHERE r.device_id = t.device_id AND r.start >= first_at AND r.start < last_at
                OFFSET 0  -- a fence: by device
            ) i
            WHERE i.start >= t.since AND i.start < t.until
            GROUP BY 1, 2, 3
        ) g JOIN todo t ON t.device_id = g.device_id
        WHERE t.spans && tstzrange(tonne_clock(t.timezone, g.day::timestamp), tonne_clock(t.timezone, (g.day + 1)::timestamp))
    ), gone AS (
        DELETE FROM day_quantity q USING todo t
        WHERE q.device_id = t.device_id
          AND t.spans && tstzrange(tonne_clock(t.timezone, q.day::timestamp), tonne_clock(t.timezone, (q.day + 1)::timestamp))
          AND NOT EXISTS (SELECT FROM fresh f WHERE (f.device_id, f.quantity, f.day) = (q.device_id, q.quantity, q.day))
    )
    INSERT INTO day_quantity AS q (device_id, quantity, day, timezone, value, measured_us, estimated_us, unknown_us)
    SELECT device_id, quantity, day, timezone, value, measured_us, estimated_us, unknown_us FROM fresh
    ON CONFLICT ON CONSTRAINT day_quantity_pkey DO UPDATE
        SET timezone = excluded.timezone, value = excluded.value, measured_us = excluded.measured_us,
            estimated_us = excluded.estimated_us, unknown_us = excluded.unknown_us
        WHERE (q.timezone, q.value, q.measured_us, q.estimated_us, q.unknown_us)
            IS DISTINCT FROM (excluded.timezone, excluded.value, excluded.measured_us, excluded.estimated_us, excluded.unknown_us);

    WITH todo AS MATERIALIZED (
        SELECT t.device_id COLLATE "C" AS device_id, t.timezone, t.spans, t.since, t.until
        FROM unnest(ids, zones, whole, begin_at, end_at) AS t (device_id, timezone, spans, since, until)
    ), fresh AS MATERIALIZED (
        SELECT g.*
        FROM (
            SELECT i.project_id, t.device_id, tonne_clock(p.timezone, i.start)::date AS day, p.timezone,
                   sum(i.baseline_ug) AS baseline_ug, sum(i.project_ug) AS project_ug,
                   sum(i.leakage_ug) AS leakage_ug, sum(i.reduction_ug) AS reduction_ug
            FROM todo t CROSS JOIN LATERAL (
                SELECT r.project_id, r.start, r.baseline_ug, r.project_ug, r.leakage_ug, r.reduction_ug FROM interval_emission r
                WHERE r.device_id = t.device_id AND r.start >= first_at AND r.start < last_at
                OFFSET 0
            ) i JOIN project p ON p.id = i.project_id
            WHERE i.start >= t.since AND i.start < t.until
            GROUP BY 1, 2, 3, 4
        ) g JOIN todo t ON t.device_id = g.device_id
        WHERE t.spans && tstzrange(tonne_clock(g.timezone, g.day::timestamp), tonne_clock(g.timezone, (g.day + 1)::timestamp))
    ), gone AS (
        DELETE FROM day_emission q USING todo t, project p
        WHERE q.device_id = t.device_id AND p.id = q.project_id
          AND t.spans && tstzrange(tonne_clock(p.timezone, q.day::timestamp), tonne_clock(p.timezone, (q.day + 1)::timestamp))
          AND NOT EXISTS (SELECT FROM fresh f WHERE (f.project_id, f.day, f.device_id) = (q.project_id, q.day, q.device_id))
    )
    INSERT INTO day_emission AS q (project_id, device_id, day, timezone, baseline_ug, project_ug, leakage_ug, reduction_ug)
    SELECT project_id, device_id, day, timezone, baseline_ug, project_ug, leakage_ug, reduction_ug FROM fresh
    ON CONFLICT ON CONSTRAINT day_emission_pkey DO UPDATE
        SET timezone = excluded.timezone, baseline_ug = excluded.baseline_ug, project_ug = excluded.project_ug,
            leakage_ug = excluded.leakage_ug, reduction_ug = excluded.reduction_ug
        WHERE (q.timezone, q.baseline_ug, q.project_ug, q.leakage_ug, q.reduction_ug) IS DISTINCT FROM
              (excluded.timezone, excluded.baseline_ug, excluded.project_ug, excluded.leakage_ug, excluded.reduction_ug);

    -- a day whose readings moved to the archive, all or some, stays as it was added up before
    -- (days that a clock of before made lie elsewhere: up to a day more is looked through)
    SELECT range_agg(tstzrange(from_time, to_time)) INTO archived
    FROM archive_drop WHERE class_id = 'pv_inverter'
      AND from_time < last_at + INTERVAL '26 hours' AND to_time > first_at - INTERVAL '26 hours';
    archived := coalesce(archived, '{}');
    WITH todo AS MATERIALIZED (
        SELECT t.device_id COLLATE "C" AS device_id, t.timezone, t.spans, t.since, t.until
        FROM unnest(ids, zones, whole, begin_at, end_at) AS t (device_id, timezone, spans, since, until)
    ), fresh AS MATERIALIZED (
        SELECT g.*
        FROM (
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
                SELECT t.device_id, t.timezone, tonne_clock(t.timezone, p.time)::date AS day,
                       CASE WHEN p.irradiance_w_m2 < 0 THEN 0 ELSE p.irradiance_w_m2 END AS irradiance_w_m2, p.active_power_w, p.module_temperature_c, d.rated_power_w,
                       extract(epoch FROM least(p.next_time - p.time, tonne_reading_counts(d.attributes)))::double precision AS step_s
                FROM todo t JOIN device d ON d.id = t.device_id
                CROSS JOIN LATERAL (
                    SELECT q.time, q.irradiance_w_m2, q.active_power_w, q.module_temperature_c,
                           lead(q.time) OVER (ORDER BY q.time) AS next_time
                    FROM reading_pv_inverter q
                    -- as long as its last reading of the days may count, which is at most a day
                    WHERE q.device_id = t.device_id AND q.time >= t.since AND q.time < t.until + tonne_reading_counts(d.attributes)
                      AND q.time >= first_at AND q.time < last_at + INTERVAL '1 day'
                ) p
                WHERE d.class = 'pv_inverter'
            ) r
            GROUP BY 1, 2, 3
        ) g JOIN todo t ON t.device_id = g.device_id
        WHERE t.spans && tstzrange(tonne_clock(g.timezone, g.day::timestamp), tonne_clock(g.timezone, (g.day + 1)::timestamp))
          AND NOT archived && tstzrange(tonne_clock(g.timezone, g.day::timestamp), tonne_clock(g.timezone, (g.day + 1)::timestamp))
    ), gone AS (
        DELETE FROM day_pv q USING todo t
        WHERE q.device_id = t.device_id
          AND t.spans && tstzrange(tonne_clock(t.timezone, q.day::timestamp), tonne_clock(t.timezone, (q.day + 1)::timestamp))
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
END $$;

-- Take marks, oldest first, and make their days; returns of how many devices.  Ends once `budget` is over and
-- the days at hand are made, about `device_days` of them, or those of one device: who has more to do calls
-- again.  All of a call is one transaction: what is cut off leaves marks and days as they were.  One caller at
-- a time; a second returns 0 at once.
CREATE FUNCTION tonne_refresh_days(budget interval DEFAULT '1 minute', device_days integer DEFAULT 10000) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    batch text[];
    ids text[];
    spans tstzmultirange[];
    made integer := 0;
    grown regclass;
BEGIN
    IF NOT pg_try_advisory_xact_lock(7210080) THEN
        RETURN 0;
    END IF;
    PERFORM tonne_mark_ended();
    WITH gone AS (DELETE FROM day_mark_site RETURNING *)
    INSERT INTO day_mark (device_id, begins, ends, xid)
    SELECT d.id, m.begins, m.ends, m.first
    FROM (SELECT site, begins, ends, min(xid) AS first FROM gone GROUP BY 1, 2, 3) m JOIN device d ON d.site = m.site
    ON CONFLICT DO NOTHING;
    <<marks>>
    LOOP
        FOR batch IN
            WITH history AS (
                SELECT min(range_start) AS begins, max(range_end) AS ends FROM timescaledb_information.chunks
                WHERE hypertable_name IN ('interval_quantity', 'interval_emission', 'reading_pv_inverter')
            ), waiting AS (
                SELECT m.device_id, min(m.xid) AS first, min(m.begins) AS begins, max(m.ends) AS ends,
                       sum(greatest(extract(epoch FROM least(m.ends, h.ends) - greatest(m.begins, h.begins)) / 86400, 1)) AS days
                FROM day_mark m CROSS JOIN history h GROUP BY m.device_id
            ), oldest AS (
                SELECT begins - INTERVAL '1 day' AS begins, ends + INTERVAL '1 day' AS ends, (ends - begins) / 4 AS least
                FROM waiting ORDER BY first, device_id LIMIT 1
            )
            -- what is read of a device is the span of all; all marks are walked once, not for each part of them
            SELECT array_agg(c.device_id)
            FROM (SELECT w.device_id, div(sum(w.days) OVER (ORDER BY w.first, w.device_id) - w.days, device_days) AS part
                  FROM waiting w JOIN oldest o ON w.begins >= o.begins AND w.ends <= o.ends AND w.ends - w.begins >= o.least) c
            GROUP BY c.part ORDER BY c.part
        LOOP
            -- marks that this statement sees are of transactions whose rows the next ones see
            WITH taken AS (DELETE FROM day_mark WHERE device_id = ANY (batch) RETURNING device_id, begins, ends)
            SELECT array_agg(t.device_id), array_agg(t.spans) INTO ids, spans
            FROM (SELECT device_id, range_agg(tstzrange(begins, ends)) AS spans FROM taken GROUP BY device_id) t;
            PERFORM tonne_make_days(ids, spans);
            made := made + coalesce(cardinality(ids), 0);
            EXIT marks WHEN clock_timestamp() - statement_timestamp() > budget;
        END LOOP;
        EXIT WHEN NOT FOUND;
    END LOOP;
    -- many days at once, as of a first import or after an upgrade: until autovacuum comes, pages of a city would
    -- be planned without statistics, and take a hundred times as long
    FOR grown IN
        SELECT c.oid FROM pg_class c
        WHERE made > 0 AND c.oid IN ('day_quantity'::regclass, 'day_emission'::regclass, 'day_account'::regclass, 'day_pv'::regclass)
          AND pg_relation_size(c.oid) / current_setting('block_size')::int > 2 * c.relpages + 8
    LOOP
        EXECUTE format('ANALYZE (SKIP_LOCKED) %s', grown);
    END LOOP;
    RETURN made;
END $$;

REVOKE EXECUTE ON FUNCTION tonne_mark_days, tonne_mark_sites, tonne_mark_row, tonne_mark_ended, tonne_make_days, tonne_refresh_days FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tonne_mark_days, tonne_mark_sites, tonne_mark_row TO tonne_ingest;
GRANT EXECUTE ON FUNCTION tonne_refresh_days TO tonne_ingest, tonne_mrv, tonne_watch;
GRANT SELECT ON day_mark, day_mark_site, day_until TO tonne_ingest, tonne_mrv, tonne_api, tonne_grafana, tonne_watch;

-- Days of whole projects, by the clock they were made by: what pages and the API ask first would add up the
-- days of all devices.  Whatever writes `day_emission` adds the difference in the same transaction, so that
-- both say the same at every moment; the sums are whole numbers.  Of `devices` = 0 nothing is kept any more.
CREATE TABLE day_account (
    project_id   text COLLATE "C" NOT NULL,
    day          date NOT NULL,
    timezone     text NOT NULL,
    devices      bigint NOT NULL,
    baseline_ug  numeric NOT NULL,
    project_ug   numeric NOT NULL,
    leakage_ug   numeric NOT NULL,
    reduction_ug numeric NOT NULL,
    PRIMARY KEY (project_id, day, timezone)
) WITH (fillfactor = 70);
CREATE FUNCTION tonne_add_to_account() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        UPDATE day_account a SET devices = a.devices - g.devices, baseline_ug = a.baseline_ug - g.baseline_ug,
            project_ug = a.project_ug - g.project_ug, leakage_ug = a.leakage_ug - g.leakage_ug, reduction_ug = a.reduction_ug - g.reduction_ug
        FROM (SELECT project_id, day, timezone, count(*) AS devices, sum(baseline_ug) AS baseline_ug, sum(project_ug) AS project_ug,
                     sum(leakage_ug) AS leakage_ug, sum(reduction_ug) AS reduction_ug
              FROM gone GROUP BY project_id, day, timezone) g
        WHERE (a.project_id, a.day, a.timezone) = (g.project_id, g.day, g.timezone);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO day_account AS a
        SELECT project_id, day, timezone, count(*), sum(baseline_ug), sum(project_ug), sum(leakage_ug), sum(reduction_ug)
        FROM fresh GROUP BY project_id, day, timezone
        ON CONFLICT ON CONSTRAINT day_account_pkey DO UPDATE SET devices = a.devices + excluded.devices,
            baseline_ug = a.baseline_ug + excluded.baseline_ug, project_ug = a.project_ug + excluded.project_ug,
            leakage_ug = a.leakage_ug + excluded.leakage_ug, reduction_ug = a.reduction_ug + excluded.reduction_ug;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER account_insert AFTER INSERT ON day_emission REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION tonne_add_to_account();
CREATE TRIGGER account_update AFTER UPDATE ON day_emission REFERENCING OLD TABLE AS gone NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION tonne_add_to_account();
CREATE TRIGGER account_delete AFTER DELETE ON day_emission REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION tonne_add_to_account();
INSERT INTO day_account
SELECT project_id, day, timezone, count(*), sum(baseline_ug), sum(project_ug), sum(leakage_ug), sum(reduction_ug)
FROM day_emission GROUP BY project_id, day, timezone;
GRANT SELECT ON day_account TO tonne_mrv, tonne_api, tonne_grafana, tonne_watch;


-- COVERAGE OF DAYS

-- Days also know how much of their time was estimated, and how much is unknown: a project's page told it
-- from all quarter hours of a month.  Of a day that was made before, both are NULL until it is made again;
-- its coverage is then read from its quarter hours.
ALTER TABLE day_quantity ADD COLUMN estimated_us bigint, ADD COLUMN unknown_us bigint;

COMMENT ON COLUMN day_quantity.estimated_us IS 'Time of the day that was estimated, in microseconds; NULL where the day was made by an earlier version.';
COMMENT ON COLUMN day_quantity.unknown_us IS 'Time of the day of which nothing is known, in microseconds; NULL where the day was made by an earlier version.';


-- LATE READINGS

-- A commit of readings and a seal see each other.  How far days are sealed, or being sealed, stands in
-- `sealing` before a seal looks at them; a commit holds a shared lock, looks, and notes what it stores of
-- days before that.  A sealer waits for the commits that looked before it wrote, and for no others.
CREATE TABLE sealing (
    one   boolean PRIMARY KEY DEFAULT true CHECK (one),
    until timestamptz NOT NULL
);
INSERT INTO sealing (until) SELECT max(to_time) FROM data_seal HAVING count(*) > 0;

-- Call it in the transaction that stores readings: each statement sees what was committed before it, so
-- that the second one looks once the lock is held.
CREATE FUNCTION tonne_sealing_until() RETURNS timestamptz LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('tonne sealing', 0));
    RETURN (SELECT until FROM sealing);
END $$;

-- Which readings a commit stored of days that may be sealed; without any, that it made rows of that day
-- again.  The sealer empties it.  `late_day`, which 0.1.0 writes, names whole days.
CREATE TABLE late_reading (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    device_id text COLLATE "C" NOT NULL,
    day       date NOT NULL,                       -- of UTC
    added     bigint[] NOT NULL,                   -- times of new readings [us UTC]
    filled    jsonb,                               -- channel: times at which it was empty before [us UTC]
    sealed    text[] COLLATE "C" NOT NULL DEFAULT '{}',  -- days whose last seal holds them, as 'PROJECT DAY'
    noted     timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX late_reading_device ON late_reading (device_id, day);

GRANT SELECT ON sealing TO tonne_ingest, tonne_mrv, tonne_grafana;
GRANT INSERT, UPDATE ON sealing TO tonne_mrv;
GRANT INSERT ON late_reading TO tonne_ingest;
GRANT SELECT ON late_reading TO tonne_mrv, tonne_api, tonne_grafana, tonne_archive;
GRANT DELETE, UPDATE (sealed) ON late_reading TO tonne_mrv;


-- COMMISSIONED

-- A device that has not reported yet is not commissioned: its silence is no alarm, costs nothing and makes no
-- gateway dark.  It is expected from its first reading on that came on time, or from the day on that the
-- registry names as `commissioned`.  Readings of a file of earlier days are no device that reports.
ALTER TABLE device ADD COLUMN commissioned date;
COMMENT ON COLUMN device.commissioned IS 'local day from which on the device is expected to report, whether it did before or not';

-- An upgrade silences no alarm: what was heard before, if only late, stays expected.
ALTER TABLE device_seen ADD COLUMN expected boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN device_seen.expected IS 'heard before there were commissioning days: expected to report, whether some reading came on time or not';
UPDATE device_seen SET expected = true;


-- ACCOUNT OF PERIODS

-- One account of a project for any time: what a statement says of the time that it covers, what the close
-- would say of time that is still open where quarter hours do not add up to it, and the quarter hours else.
-- A time that was accounted as a whole: by a statement, or, without one, as the close accounts open time,
-- but for documents and invoices that are to come.  `before_evidence_ug` is the same of a statement.  `key`
-- is what it was made from; `problem` says why nothing could be.
CREATE TABLE account_span (
    id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project_id         text COLLATE "C" NOT NULL,
    statement_id       text COLLATE "C" UNIQUE REFERENCES statement,
    during             tstzrange NOT NULL CHECK (NOT isempty(during)),
    timezone           text NOT NULL,
    before_evidence_ug numeric,
    key                text NOT NULL,
    problem            text,
    made               timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX account_span_project ON account_span (project_id);
-- Its local days; they add up to it.  [ug CO2e]
CREATE TABLE account_span_day (
    span_id      bigint NOT NULL REFERENCES account_span ON DELETE CASCADE,
    project_id   text COLLATE "C" NOT NULL,
    day          date NOT NULL,
    begins       timestamptz NOT NULL,
    ends         timestamptz NOT NULL CHECK (ends > begins),
    baseline_ug  numeric NOT NULL,
    project_ug   numeric NOT NULL,
    leakage_ug   numeric NOT NULL,
    reduction_ug numeric NOT NULL,
    PRIMARY KEY (span_id, day)
);
CREATE INDEX account_span_day_project ON account_span_day (project_id, day);
GRANT SELECT ON account_span, account_span_day TO tonne_mrv, tonne_api, tonne_grafana, tonne_watch;
GRANT INSERT, DELETE ON account_span, account_span_day TO tonne_mrv, tonne_watch;

-- Quarter hours of wastewater had the project's side alone; they have no emissions now, and are made again.
INSERT INTO remake_request (device_id)
    SELECT DISTINCT m.device_id FROM project_device m JOIN project p ON p.id = m.project_id
    WHERE p.methodology IN ('ams-iii-h', 'ams-iii-i') ORDER BY 1
    ON CONFLICT (device_id) DO UPDATE SET requested = excluded.requested;


-- TWO ORGANISATIONS

-- Who verifies is accredited, and of another legal entity than who prepared: a branch is its entity's.
-- Statements by the rules of 0.1.0 name no version, and keys of then named nobody.
-- As mrv/signatures/organisations.py, for numbers alone: their digits, those of a Vietnamese branch as its
-- entity's.
CREATE FUNCTION tonne_legal_entity(said text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT ltrim(regexp_replace(digits, '^(0[0-9]{9})[0-9]{3}$', '\1'), '0')
    FROM regexp_replace(said, '[^0-9]', '', 'g') AS digits WHERE length(digits) >= 8
$$;

CREATE FUNCTION tonne_two_organisations() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    verifier enrolled_key;
    preparer enrolled_key;
BEGIN
    SELECT * INTO verifier FROM enrolled_key k WHERE k.multikey = NEW.multikey AND k.role = 'verifier';
    IF NOT FOUND THEN
        RETURN NEW;
    END IF;
    SELECT k.* INTO preparer FROM statement_event e JOIN enrolled_key k USING (multikey)
        WHERE e.statement_id = NEW.statement_id AND e.state = 'submitted';
    IF tonne_legal_entity(preparer.bounds ->> 'organisationId')
        = tonne_legal_entity(verifier.bounds ->> 'organisationId') THEN
        RAISE EXCEPTION 'statement % was prepared by %, of the legal entity of %, who cannot verify it',
            NEW.statement_id, preparer.name, verifier.name USING ERRCODE = 'check_violation';
    END IF;
    IF EXISTS (SELECT FROM statement s WHERE s.id = NEW.statement_id
            AND s.document -> 'credentialSubject' ?| ARRAY['metering', 'accounting'])
        AND NOT coalesce(preparer.bounds ? 'organisation'
            AND verifier.bounds ?& ARRAY['organisation', 'accreditation'], false) THEN
        RAISE EXCEPTION 'statement % cannot be verified by %: the keys have to name both organisations and the accreditation',
            NEW.statement_id, verifier.name USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER two_organisations BEFORE INSERT ON statement_event
    FOR EACH ROW EXECUTE FUNCTION tonne_two_organisations();
CREATE TRIGGER two_organisations BEFORE INSERT ON finding_event
    FOR EACH ROW EXECUTE FUNCTION tonne_two_organisations();
CREATE TRIGGER two_organisations BEFORE INSERT ON statement_sampling
    FOR EACH ROW EXECUTE FUNCTION tonne_two_organisations();


-- REGISTER STANDS STILL


-- CORRECTED RATINGS

-- A rated power that was typed wrong is corrected by a second row of the same time, with the hash of
-- the data sheet that shows it.  Rows of before have no hash, so that their own hashes stay.
ALTER TABLE device_rating ADD COLUMN sha256 text COLLATE "C" CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    DROP CONSTRAINT device_rating_pkey,
    ADD PRIMARY KEY (device_id, begins, recorded);


-- COUNTRY

-- The country of a site, by which its grid's factors are chosen.  Rows of before have none, so that
-- their hashes stay; the country of their time zone counts.
ALTER TABLE site ADD COLUMN country text COLLATE "C" CHECK (country ~ '^[A-Z]{2}$');
ALTER TABLE project ADD COLUMN country text COLLATE "C" CHECK (country ~ '^[A-Z]{2}$');
-- the grid of a country that has several
ALTER TABLE site ADD COLUMN grid text COLLATE "C" CHECK (grid ~ '^[a-z0-9-]+$');
ALTER TABLE project ADD COLUMN grid text COLLATE "C" CHECK (grid ~ '^[a-z0-9-]+$');

-- whether the document of a factor is a third party's
GRANT SELECT (name, role, bounds) ON enrolled_key TO tonne_ingest;


-- ONE ACCOUNT

-- One figure for one time: the account of any quarter hour adds up to that of its day.
-- Account of a project by quarter hour in [begins, ends).  Of time that was accounted as a whole (a statement's,
-- or open time as the close accounts it) each day is spread over its quarter hours, each side as these show it,
-- else by time; other time has its quarter hours as they are.  Whole micrograms; a day's add up to it.
CREATE FUNCTION tonne_account_quarters(project text, begins timestamptz, ends timestamptz)
RETURNS TABLE ("time" timestamptz, baseline_ug numeric, project_ug numeric, leakage_ug numeric, reduction_ug numeric)
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
WITH part AS MATERIALIZED (
    SELECT p.begins, p.ends, p.baseline_ug, p.project_ug, p.leakage_ug, p.reduction_ug, p.source,
           tonne_clock(p.timezone, p.day::timestamp) AS day_begins, tonne_clock(p.timezone, (p.day + 1)::timestamp) AS day_ends
    FROM v_account_part p
    WHERE p.project_id = tonne_account_quarters.project AND p.source IN ('issued', 'closed', 'open')
      AND p.begins < tonne_account_quarters.ends AND p.ends > tonne_account_quarters.begins
), raw AS MATERIALIZED (
    SELECT r.start, sum(r.baseline_ug) AS b, sum(r.project_ug) AS p, sum(r.leakage_ug) AS l, sum(r.reduction_ug) AS r
    FROM interval_emission r
    WHERE r.project_id = tonne_account_quarters.project
      AND r.start >= least(tonne_account_quarters.begins, (SELECT min(x.begins) FROM part x))
      AND r.start < greatest(tonne_account_quarters.ends, (SELECT max(x.ends) FROM part x))
    GROUP BY r.start
), quarter AS (
    SELECT a.begins, g.start, a.baseline_ug, a.project_ug, a.leakage_ug, a.reduction_ug,
           coalesce(w.b, 0) AS b, coalesce(w.p, 0) AS p, coalesce(w.l, 0) AS l
    FROM part a
    CROSS JOIN LATERAL generate_series(a.begins, a.ends - INTERVAL '15 minutes', INTERVAL '15 minutes') g (start)
    LEFT JOIN raw w ON w.start = g.start
), weighed AS (
    SELECT q.begins, q.start, q.baseline_ug, q.project_ug, q.leakage_ug, q.reduction_ug,
           CASE WHEN sum(q.b) OVER day = 0 THEN 1 ELSE q.b END AS b,
           CASE WHEN sum(q.p) OVER day = 0 THEN 1 ELSE q.p END AS p,
           CASE WHEN sum(q.l) OVER day = 0 THEN 1 ELSE q.l END AS l
    FROM quarter q WINDOW day AS (PARTITION BY q.begins)
), sided AS (
    SELECT w.begins, w.start, w.reduction_ug,
           div(w.baseline_ug * sum(w.b) OVER up_to, sum(w.b) OVER day)
               - div(w.baseline_ug * (sum(w.b) OVER up_to - w.b), sum(w.b) OVER day) AS b,
           div(w.project_ug * sum(w.p) OVER up_to, sum(w.p) OVER day)
               - div(w.project_ug * (sum(w.p) OVER up_to - w.p), sum(w.p) OVER day) AS p,
           div(w.leakage_ug * sum(w.l) OVER up_to, sum(w.l) OVER day)
               - div(w.leakage_ug * (sum(w.l) OVER up_to - w.l), sum(w.l) OVER day) AS l
    FROM weighed w WINDOW day AS (PARTITION BY w.begins), up_to AS (PARTITION BY w.begins ORDER BY w.start)
), rest AS (
    SELECT s.begins, s.start, s.reduction_ug, s.b, s.p, s.l, s.b - s.p - s.l AS kept,
           sum(s.b - s.p - s.l) OVER day AS whole, sum(s.b - s.p - s.l) OVER up_to AS reached,
           row_number() OVER up_to AS place, count(*) OVER day AS places
    FROM sided s WINDOW day AS (PARTITION BY s.begins), up_to AS (PARTITION BY s.begins ORDER BY s.start)
), spread AS (
    SELECT r.start, r.b, r.p, r.l,
           CASE WHEN r.whole <> 0 AND (r.reduction_ug = 0 OR sign(r.reduction_ug) = sign(r.whole))
                THEN div(r.reduction_ug * r.reached, r.whole) - div(r.reduction_ug * (r.reached - r.kept), r.whole)
                ELSE r.kept + div((r.reduction_ug - r.whole) * r.place, r.places)
                     - div((r.reduction_ug - r.whole) * (r.place - 1), r.places) END AS r
    FROM rest r
)
SELECT s.start, s.b, s.p, s.l, s.r FROM spread s
WHERE s.start >= tonne_account_quarters.begins AND s.start < tonne_account_quarters.ends
UNION ALL
SELECT w.start, w.b, w.p, w.l, w.r FROM raw w
WHERE w.start >= tonne_account_quarters.begins AND w.start < tonne_account_quarters.ends
  AND NOT EXISTS (SELECT FROM part a WHERE w.start >= a.begins AND w.start < a.ends
                  OR a.source = 'open' AND w.start >= a.day_begins AND w.start < a.day_ends)
$$;

GRANT EXECUTE ON FUNCTION tonne_account_quarters TO tonne_mrv, tonne_api, tonne_grafana, tonne_watch;


-- PLAN APPROVALS

-- A programme's decision on a version of a monitoring plan.  It comes after the version, which is never
-- changed, so that it has a row of its own; one is enough.
CREATE TABLE plan_approval (
    project_id tonne_id NOT NULL,
    version    text COLLATE "C" NOT NULL,
    document   jsonb NOT NULL,
    author     text NOT NULL DEFAULT session_user,
    imported   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, version),
    FOREIGN KEY (project_id, version) REFERENCES monitoring_plan
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON plan_approval FOR EACH ROW EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON plan_approval FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only();
GRANT SELECT ON plan_approval TO tonne_ingest, tonne_mrv, tonne_api, tonne_grafana;


-- INSTRUMENTS

-- Certificates of instruments that are no registers, the error that a calibration found, and the test of a
-- meter that was removed.  Rows of before have none, so that their hashes stay.
ALTER TABLE calibration ADD COLUMN channel text COLLATE "C",
    ADD COLUMN found_error_percent numeric CHECK (found_error_percent BETWEEN 0 AND 100),
    ADD COLUMN last_test boolean CHECK (last_test),
    ADD COLUMN laboratory text,
    ADD COLUMN accreditation text,
    DROP CONSTRAINT calibration_check,
    ADD CONSTRAINT calibration_check CHECK (CASE WHEN last_test THEN valid_until = performed ELSE valid_until > performed END);


-- DECLARED

-- What an operator declares of a project beside its meters: surveys, events, the registered design.
-- Rows of before have nothing, so that their hashes stay.
ALTER TABLE project ADD COLUMN declared jsonb;


-- UNDERIVED

-- Readings are stored first and their rows are made behind them.  What lacks its rows is written with
-- the readings, so that whoever starts after a kill knows of it.
-- A row a commit: devices with the first and the last reading that changed. [us UTC]  Who made the rows
-- deletes it in the transaction that holds them.
CREATE TABLE underived (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stored  timestamptz NOT NULL DEFAULT clock_timestamp(),
    devices text[] COLLATE "C" NOT NULL,
    first   bigint[] NOT NULL,
    last    bigint[] NOT NULL,
    home    integer  -- the partition that answers for the devices; none where `tonne run` stored
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.02);
GRANT SELECT ON underived TO tonne_ingest, tonne_mrv, tonne_api, tonne_grafana, tonne_watch;
GRANT INSERT, DELETE ON underived TO tonne_ingest;

-- What a process left behind waits by device, as what is put off does; its readings are not judged yet.
ALTER TABLE remake_request ADD COLUMN unjudged boolean NOT NULL DEFAULT false;

-- Rows are made from a snapshot of before: whoever writes them asks how far days are sealed by a lock on
-- the row, which fails where that was moved since the snapshot, and keeps it from moving until the end.
INSERT INTO sealing (until) SELECT TIMESTAMPTZ 'epoch' WHERE NOT EXISTS (SELECT FROM sealing);
CREATE FUNCTION tonne_sealing_held() RETURNS timestamptz LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT until FROM sealing FOR SHARE
$$;
REVOKE ALL ON FUNCTION tonne_sealing_held() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tonne_sealing_held() TO tonne_ingest;


-- EXPECTED MONTHS

-- What is expected of a year is not expected evenly: `expected.by_month` of the registry has twelve numbers,
-- January first, and only their proportions count.  Where it has none, those of modules whose place, tilt
-- and azimuth are known are made of the sun (`project_months`); all other projects expect evenly.
CREATE TABLE project_months (
    project_id text PRIMARY KEY REFERENCES project,
    months     numeric[] NOT NULL CHECK (array_length(months, 1) = 12),
    made_from  jsonb NOT NULL
);
COMMENT ON TABLE project_months IS 'typical proportions of the months of a plant made by the sun, from its modules; made again where these change';
GRANT SELECT ON project_months TO tonne_mrv, tonne_api, tonne_grafana, tonne_watch;
GRANT INSERT, UPDATE, DELETE ON project_months TO tonne_mrv, tonne_watch;

CREATE VIEW v_project_begins AS
SELECT p.id::text COLLATE "C" AS project_id, b.since
FROM project p
CROSS JOIN LATERAL (
    SELECT min(greatest(lower(m.during), d.installed,
        CASE WHEN d.commissioned IS NOT NULL THEN tonne_clock(p.timezone, d.commissioned::timestamp) END)) AS since
    FROM project_device m JOIN device d ON d.id = m.device_id
    WHERE m.project_id = p.id
) b;
COMMENT ON VIEW v_project_begins IS 'Time at which the first device of a project is bound, installed and commissioned; nothing is expected before it.';
GRANT SELECT ON v_project_begins TO tonne_mrv, tonne_api, tonne_grafana, tonne_watch;

-- The part of a year's expectation that falls into [begins, ends), by the months of a site's clock; evenly
-- over 365 days where no months are known.
CREATE FUNCTION tonne_part_of_year(months numeric[], zones text, begins timestamptz, ends timestamptz)
RETURNS numeric LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = public, pg_temp AS $$
DECLARE
    since timestamp;
    until timestamp;
    month timestamp;
    next_month timestamp;
    of_month numeric;
    year numeric := 0;
    part numeric := 0;
BEGIN
    IF months IS NULL THEN
        RETURN greatest(extract(epoch FROM ends - begins), 0) / (365 * 86400);
    END IF;
    since := tonne_clock(zones, begins);
    until := tonne_clock(zones, ends);
    FOREACH of_month IN ARRAY months LOOP
        year := year + of_month;
    END LOOP;
    month := date_trunc('month', since);
    WHILE since < until AND month < until LOOP
        next_month := month + INTERVAL '1 month';
        part := part + months[extract(month FROM month)::int] * extract(epoch FROM least(next_month, until) - greatest(month, since))
            / extract(epoch FROM next_month - month);
        month := next_month;
    END LOOP;
    RETURN part / year;
END $$;
GRANT EXECUTE ON FUNCTION tonne_part_of_year TO tonne_mrv, tonne_api, tonne_grafana, tonne_watch;


-- TARIFFS

-- What a kilowatt-hour costs and earns at a site, from a local day on, in a currency: money, which is never
-- added to tonnes.  `tariffs` holds the registry's rows; where there are none it is null, so that hashes of
-- sites that had none stay.
ALTER TABLE site ADD COLUMN tariffs jsonb CHECK (jsonb_typeof(tariffs) = 'array' AND tariffs <> '[]');


-- ALARM CONTACTS

-- Alarms to people: a contact is a webhook whose address is a person's (`mailto:`), or a tag of the
-- operator's Apprise configuration (`apprise:`), so that what is sent, tried again or dead is seen in one
-- place.  A silence holds messages back and hides no alarm.
CREATE TABLE alarm_contact (
    webhook_id text COLLATE "C" PRIMARY KEY REFERENCES webhook,
    language   text NOT NULL CHECK (language ~ '^[a-z]{2,3}(-[A-Za-z0-9]+)*$'),
    severities text[] NOT NULL CHECK (cardinality(severities) > 0 AND severities <@ ARRAY['critical', 'major', 'minor'])
);

-- Who is on duty; a contact without a row is always reached.
CREATE TABLE alarm_duty (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    webhook_id text COLLATE "C" NOT NULL REFERENCES alarm_contact,
    begins     timestamptz NOT NULL,
    ends       timestamptz NOT NULL CHECK (ends > begins),
    author     text NOT NULL CHECK (author <> '')
);
CREATE INDEX alarm_duty_contact ON alarm_duty (webhook_id, ends);

-- `subject` is a device, gateway, project or site; null is all.
CREATE TABLE alarm_silence (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject text COLLATE "C",
    begins  timestamptz NOT NULL DEFAULT now(),
    ends    timestamptz NOT NULL CHECK (ends > begins AND ends <= begins + INTERVAL '31 days'),
    reason  text NOT NULL CHECK (length(reason) BETWEEN 2 AND 1000),
    author  text NOT NULL CHECK (author <> ''),
    created timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX alarm_silence_ends ON alarm_silence (ends);

GRANT SELECT ON alarm_contact, alarm_duty, alarm_silence TO tonne_mrv, tonne_api, tonne_watch, tonne_events;
GRANT SELECT ON alarm TO tonne_events;
GRANT INSERT ON alarm_contact, alarm_duty, alarm_silence TO tonne_mrv, tonne_api;
GRANT UPDATE (ends) ON alarm_duty, alarm_silence TO tonne_mrv, tonne_api;


-- VIEWS

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

-- Every device as it stands alone.  Late after twice, offline after eight times the cadence that its
-- `attributes.cadence_s` expects, a quarter hour by default; a will that came after the last reading
-- counts at once.  `spoke`: some reading came within an hour of its own time, or within twice the cadence.
-- `expected_since` is when the day begins on which a device that did not was to be commissioned.  Its
-- silence is null as long as neither holds.
CREATE OR REPLACE VIEW v_device_own AS
SELECT d.id AS device_id, d.site, d.class, d.gateway, s.last_reading, s.received, e.expected_s,
       p.said, p.at AS said_at, p.firmware,
       CASE
           WHEN NOT r.spoke AND (t.expected_since IS NULL OR t.expected_since > now()) THEN NULL
           WHEN p.said = 'offline' AND p.at >= coalesce(s.received, '-infinity') THEN 2
           WHEN s.last_reading IS NULL OR s.last_reading < now() - 8 * e.expected_s * INTERVAL '1 s' THEN 2
           WHEN s.last_reading < now() - 2 * e.expected_s * INTERVAL '1 s' THEN 1
           ELSE 0
       END AS silence,
       coalesce(p.said = 'offline' AND p.at >= coalesce(s.received, '-infinity'), false) AS said_offline,
       CASE WHEN s.day = z.today THEN bit_count(s.quarters) ELSE 0 END / z.quarters AS completeness_today,
       r.spoke, CASE WHEN NOT r.spoke THEN t.expected_since END AS expected_since
FROM device d
JOIN (
    SELECT id, timezone, tonne_clock(timezone, now())::date AS today,
           ceil(greatest(extract(epoch FROM now() - tonne_clock(timezone, tonne_clock(timezone, now())::date::timestamp)), 1) / 900)::double precision AS quarters
    FROM site
    OFFSET 0  -- a fence: local midnight once a site, not once a device
) z ON z.id = d.site
LEFT JOIN device_seen s ON s.device_id = d.id
LEFT JOIN principal_status p ON p.principal = d.id
CROSS JOIN LATERAL (SELECT CASE WHEN jsonb_typeof(d.attributes -> 'cadence_s') = 'number'
    THEN (d.attributes ->> 'cadence_s')::double precision ELSE 900 END AS expected_s) e
CROSS JOIN LATERAL (SELECT coalesce(s.expected, false) OR EXISTS (
    SELECT FROM clock_lag l WHERE l.device_id = d.id AND l.least_us <= greatest(3600, 2 * e.expected_s) * 1e6
) AS spoke OFFSET 0) r  -- a fence: asked once a device, not once a use
CROSS JOIN LATERAL (SELECT CASE WHEN d.commissioned IS NOT NULL
    THEN tonne_clock(z.timezone, d.commissioned::timestamp) END AS expected_since) t
WHERE d.removed IS NULL OR d.removed > now();

-- A project as it stands now.  `silent_since` is set while none of its devices is heard that is expected
-- to report; `missed_t` is what was expected of it since then, or since its first commissioning day where
-- none of them has reported yet.
CREATE OR REPLACE VIEW v_project_state AS
SELECT p.id::text COLLATE "C" AS project_id, p.name, p.timezone, p.action,
       EXISTS (SELECT FROM v_counted_project c WHERE c.project_id = p.id) AS counted,
       heard.devices, heard.online, heard.last_reading,
       CASE WHEN heard.devices IS NULL THEN 'ended' WHEN heard.online > 0 THEN 'heard'
            WHEN heard.expected = 0 THEN 'not commissioned' WHEN heard.last_spoke IS NULL THEN 'never heard' ELSE 'silent' END AS state,
       CASE WHEN heard.online = 0 THEN heard.last_spoke END AS silent_since,
       CASE WHEN heard.online = 0 AND heard.expected > 0 THEN
           tonne_expected_t(p.id, coalesce(heard.last_spoke, heard.expected_since)) END AS missed_t,
       t.today, t.year_begins, t.month_begins,
       tonne_expected_t(p.id) AS expected_to_date_t,
       tonne_expected_t(p.id, t.year_begins) AS expected_this_year_t,
       tonne_expected_t(p.id, t.month_begins) AS expected_30_days_t
FROM project p
CROSS JOIN LATERAL (
    SELECT l.today, tonne_clock(p.timezone, date_trunc('year', l.today::timestamp)) AS year_begins,
           tonne_clock(p.timezone, (l.today - 29)::timestamp) AS month_begins
    FROM (SELECT tonne_clock(p.timezone, now())::date AS today) l
) t
LEFT JOIN (
    SELECT m.project_id, count(*) AS devices, count(*) FILTER (WHERE o.silence = 0) AS online,
           max(o.last_reading) AS last_reading, count(o.silence) AS expected,
           max(o.last_reading) FILTER (WHERE o.spoke) AS last_spoke, min(o.expected_since) AS expected_since
    FROM project_device m JOIN v_device_own o ON o.device_id = m.device_id
    WHERE m.during @> now()
    GROUP BY m.project_id
) heard ON heard.project_id = p.id;
  -- a fence: once a site, not once a row
CREATE VIEW v_project_today AS
SELECT p.id::text COLLATE "C" AS project_id, p.timezone, t.day, tonne_clock(p.timezone, t.day::timestamp) AS begins,
       tonne_clock(p.timezone, (t.day + 1)::timestamp) AS ends
FROM project p CROSS JOIN LATERAL (SELECT tonne_clock(p.timezone, now())::date + k AS day FROM generate_series(-1, 1) AS k) t
OFFSET 0;

-- The account of yesterday and today by device, as it is now.
CREATE VIEW v_today_emission AS
SELECT k.begins, k.day, k.timezone, p.project_id, p.device_id, sum(p.baseline_ug) AS baseline_ug, sum(p.project_ug) AS project_ug,
       sum(p.leakage_ug) AS leakage_ug, sum(p.reduction_ug) AS reduction_ug
FROM (
    SELECT r.day, r.timezone, NULL::timestamptz AS start, r.project_id, r.device_id, r.baseline_ug, r.project_ug, r.leakage_ug, r.reduction_ug
    FROM day_today_emission r
    WHERE NOT EXISTS (SELECT FROM day_today_late l WHERE l.device_id = r.device_id)
    UNION ALL
    SELECT NULL, NULL, i.start, i.project_id, i.device_id, i.baseline_ug, i.project_ug, i.leakage_ug, i.reduction_ug
    FROM project o
    JOIN interval_emission i ON i.project_id = o.id
    WHERE i.start >= tonne_today_until() AND i.start >= now() - INTERVAL '50 hours'
      AND NOT EXISTS (SELECT FROM day_today_late l WHERE l.device_id = i.device_id)
    UNION ALL
    SELECT NULL, NULL, i.start, i.project_id, l.device_id, i.baseline_ug, i.project_ug, i.leakage_ug, i.reduction_ug
    FROM (SELECT DISTINCT device_id FROM day_today_late) l
    CROSS JOIN LATERAL (
        SELECT r.start, r.project_id, r.baseline_ug, r.project_ug, r.leakage_ug, r.reduction_ug FROM interval_emission r
        WHERE r.device_id = l.device_id AND r.start >= now() - INTERVAL '50 hours'
        OFFSET 0
    ) i
) p
JOIN v_project_today k ON k.project_id = p.project_id AND (p.start >= k.begins AND p.start < k.ends OR p.day = k.day AND p.timezone = k.timezone)
GROUP BY k.begins, k.day, k.timezone, p.project_id, p.device_id;

-- The same by project: added up before the days of its clock are found.
CREATE VIEW v_today_project AS
SELECT k.begins, k.day, k.timezone, p.project_id, sum(p.baseline_ug) AS baseline_ug, sum(p.project_ug) AS project_ug,
       sum(p.leakage_ug) AS leakage_ug, sum(p.reduction_ug) AS reduction_ug
FROM (
    SELECT r.day, r.timezone, NULL::timestamptz AS start, r.project_id, sum(r.baseline_ug) AS baseline_ug, sum(r.project_ug) AS project_ug,
           sum(r.leakage_ug) AS leakage_ug, sum(r.reduction_ug) AS reduction_ug
    FROM day_today_emission r
    WHERE NOT EXISTS (SELECT FROM day_today_late l WHERE l.device_id = r.device_id)
    GROUP BY r.day, r.timezone, r.project_id
    UNION ALL
    SELECT NULL, NULL, i.start, i.project_id, sum(i.baseline_ug), sum(i.project_ug), sum(i.leakage_ug), sum(i.reduction_ug)
    FROM interval_emission i
    WHERE i.start >= tonne_today_until() AND i.start >= now() - INTERVAL '50 hours'
      AND NOT EXISTS (SELECT FROM day_today_late l WHERE l.device_id = i.device_id)
    GROUP BY i.start, i.project_id
    UNION ALL
    SELECT NULL, NULL, i.start, i.project_id, sum(i.baseline_ug), sum(i.project_ug), sum(i.leakage_ug), sum(i.reduction_ug)
    FROM (SELECT DISTINCT device_id FROM day_today_late) l
    CROSS JOIN LATERAL (
        SELECT r.start, r.project_id, r.baseline_ug, r.project_ug, r.leakage_ug, r.reduction_ug FROM interval_emission r
        WHERE r.device_id = l.device_id AND r.start >= now() - INTERVAL '50 hours'
        OFFSET 0
    ) i
    GROUP BY i.start, i.project_id
) p
JOIN v_project_today k ON k.project_id = p.project_id AND (p.start >= k.begins AND p.start < k.ends OR p.day = k.day AND p.timezone = k.timezone)
GROUP BY k.begins, k.day, k.timezone, p.project_id;

CREATE VIEW v_day_mark AS
SELECT m.device_id, m.begins, m.ends FROM day_mark m
UNION ALL
SELECT d.id::text COLLATE "C", m.begins, m.ends FROM (SELECT DISTINCT site, begins, ends FROM day_mark_site) m JOIN device d ON d.site = m.site;

-- Days of a project from which on sums by day are not whole yet: yesterday, or earlier where nobody added up.
CREATE VIEW v_project_open AS
SELECT p.id::text COLLATE "C" AS project_id, p.timezone, t.yesterday, tonne_clock(p.timezone, t.yesterday::timestamp) AS yesterday_begins,
       least(t.yesterday, ended.day) AS open_day, tonne_clock(p.timezone, least(t.yesterday, ended.day)::timestamp) AS open_begins
FROM project p
CROSS JOIN day_until u
CROSS JOIN LATERAL (SELECT tonne_clock(p.timezone, now())::date - 1 AS yesterday, tonne_clock(p.timezone, u.until)::date AS day) t
CROSS JOIN LATERAL (SELECT t.day - CASE WHEN tonne_clock(p.timezone, t.day::timestamp) > u.until THEN 1 ELSE 0 END AS day) ended
OFFSET 0;

-- What is read from quarter hours: days before yesterday that wait to be added up.
-- Rows of devices with a long mark are read by device: joined, all rows were read though no mark was long.
CREATE VIEW v_day_emission_open AS
SELECT tonne_clock(i.timezone, i.day::timestamp) AS begins, i.day, i.timezone, i.project_id, i.device_id, i.baseline_ug, i.project_ug, i.leakage_ug, i.reduction_ug
FROM (
    SELECT tonne_clock(o.timezone, r.start)::date AS day, o.timezone, o.open_day, r.project_id, m.device_id, m.spans,
           sum(r.baseline_ug) AS baseline_ug, sum(r.project_ug) AS project_ug, sum(r.leakage_ug) AS leakage_ug, sum(r.reduction_ug) AS reduction_ug
    FROM (
        SELECT k.device_id, range_agg(tstzrange(k.begins, k.ends)) AS spans FROM v_day_mark k
        WHERE k.begins < now() - INTERVAL '20 hours'  -- later days are not whole anywhere
        GROUP BY k.device_id
    ) m
    CROSS JOIN LATERAL (
        SELECT min(tonne_clock(z.timezone, tonne_clock(z.timezone, lower(m.spans))::date::timestamp)) - INTERVAL '3 hours' AS since,
               max(tonne_clock(z.timezone, (tonne_clock(z.timezone, upper(m.spans) - INTERVAL '1 microsecond')::date + 1)::timestamp)) + INTERVAL '3 hours' AS until
        FROM (SELECT DISTINCT p.timezone FROM project p) z
    ) edge
    CROSS JOIN LATERAL (
        SELECT e.project_id, e.start, e.baseline_ug, e.project_ug, e.leakage_ug, e.reduction_ug FROM interval_emission e
        WHERE e.device_id = m.device_id AND e.start >= edge.since AND e.start < edge.until
        OFFSET 0  -- a fence: by device
    ) r
    JOIN v_project_open o ON o.project_id = r.project_id
    WHERE upper(m.spans) - lower(m.spans) < INTERVAL '40 days'
    GROUP BY 1, 2, 3, 4, 5, 6
    UNION ALL
    -- longer ones, as after an upgrade, or where a clock is another: all rows of these devices
    SELECT tonne_clock(o.timezone, r.start)::date, o.timezone, o.open_day, r.project_id, m.device_id, m.spans,
           sum(r.baseline_ug), sum(r.project_ug), sum(r.leakage_ug), sum(r.reduction_ug)
    FROM (SELECT k.device_id, range_agg(tstzrange(k.begins, k.ends)) AS spans FROM v_day_mark k
          WHERE k.begins < now() - INTERVAL '20 hours' GROUP BY k.device_id) m
    CROSS JOIN LATERAL (
        SELECT e.project_id, e.start, e.baseline_ug, e.project_ug, e.leakage_ug, e.reduction_ug FROM interval_emission e
        WHERE e.device_id = m.device_id
        OFFSET 0
    ) r
    JOIN v_project_open o ON o.project_id = r.project_id
    WHERE upper(m.spans) - lower(m.spans) >= INTERVAL '40 days'
    GROUP BY 1, 2, 3, 4, 5, 6
) i
WHERE i.day < i.open_day
  AND i.spans && tstzrange(tonne_clock(i.timezone, i.day::timestamp), tonne_clock(i.timezone, (i.day + 1)::timestamp))
UNION ALL
SELECT tonne_clock(i.timezone, i.day::timestamp), i.day, i.timezone, i.project_id, i.device_id, i.baseline_ug, i.project_ug, i.leakage_ug, i.reduction_ug
FROM (
    SELECT tonne_clock(o.timezone, r.start)::date AS day, o.timezone, o.open_day, o.yesterday, o.project_id, r.device_id,
           sum(r.baseline_ug) AS baseline_ug, sum(r.project_ug) AS project_ug, sum(r.leakage_ug) AS leakage_ug, sum(r.reduction_ug) AS reduction_ug
    FROM v_project_open o
    CROSS JOIN LATERAL (
        SELECT e.device_id, e.start, e.baseline_ug, e.project_ug, e.leakage_ug, e.reduction_ug FROM interval_emission e
        WHERE e.project_id = o.project_id AND e.start >= o.open_begins - INTERVAL '3 hours' AND e.start < o.yesterday_begins + INTERVAL '3 hours'
        OFFSET 0
    ) r
    WHERE o.open_day < o.yesterday
    GROUP BY 1, 2, 3, 4, 5, 6
) i
WHERE i.day >= i.open_day AND i.day < i.yesterday;

CREATE OR REPLACE VIEW v_day_emission AS
SELECT e.begins, e.day, e.timezone, e.project_id, e.device_id, e.baseline_ug, e.project_ug, e.leakage_ug, e.reduction_ug
FROM day_emission e
JOIN v_project_open o ON o.project_id = e.project_id AND o.timezone = e.timezone
WHERE e.day < o.open_day AND NOT EXISTS (
    SELECT FROM v_day_mark m
    WHERE m.device_id = e.device_id AND m.ends > e.begins AND m.begins < tonne_clock(e.timezone, (e.day + 1)::timestamp)
)
UNION ALL
SELECT n.begins, n.day, n.timezone, n.project_id, n.device_id, n.baseline_ug, n.project_ug, n.leakage_ug, n.reduction_ug
FROM v_day_emission_open n
UNION ALL
SELECT t.begins, t.day, t.timezone, t.project_id, t.device_id, t.baseline_ug, t.project_ug, t.leakage_ug, t.reduction_ug
FROM v_today_emission t;

-- The same by project: of whole days, less what is kept of devices with a mark there.
CREATE VIEW v_project_day AS
SELECT tonne_clock(a.timezone, a.day::timestamp) AS begins, a.day, a.timezone, a.project_id, sum(a.baseline_ug) AS baseline_ug,
       sum(a.project_ug) AS project_ug, sum(a.leakage_ug) AS leakage_ug, sum(a.reduction_ug) AS reduction_ug
FROM (
    SELECT w.project_id, w.day, w.timezone, w.devices, w.baseline_ug, w.project_ug, w.leakage_ug, w.reduction_ug
    FROM (
        SELECT k.project_id, k.day, k.timezone, k.devices, k.baseline_ug, k.project_ug, k.leakage_ug, k.reduction_ug FROM day_account k
        UNION ALL
        SELECT e.project_id, e.day, e.timezone, -1, -e.baseline_ug, -e.project_ug, -e.leakage_ug, -e.reduction_ug
        FROM (SELECT k.device_id, range_agg(tstzrange(k.begins, k.ends)) AS spans FROM v_day_mark k GROUP BY k.device_id) m
        CROSS JOIN LATERAL (
            SELECT d.project_id, d.day, d.begins, d.timezone, d.baseline_ug, d.project_ug, d.leakage_ug, d.reduction_ug FROM day_emission d
            WHERE d.device_id = m.device_id AND d.day >= (lower(m.spans) AT TIME ZONE 'UTC')::date - 1 AND d.day <= (upper(m.spans) AT TIME ZONE 'UTC')::date + 1
            OFFSET 0  -- a fence: by device
        ) e
        WHERE m.spans && tstzrange(e.begins, tonne_clock(e.timezone, (e.day + 1)::timestamp))
    ) w
    JOIN v_project_open o ON o.project_id = w.project_id AND o.timezone = w.timezone
    WHERE w.day < o.open_day
    UNION ALL
    SELECT n.project_id, n.day, n.timezone, 1, n.baseline_ug, n.project_ug, n.leakage_ug, n.reduction_ug
    FROM v_day_emission_open n
    UNION ALL
    SELECT t.project_id, t.day, t.timezone, 1, t.baseline_ug, t.project_ug, t.leakage_ug, t.reduction_ug
    FROM v_today_project t
) a
GROUP BY a.project_id, a.day, a.timezone
HAVING sum(a.devices) > 0;

-- Statements by which their time is accounted: issued ones, and of others the newest that is on its way.
CREATE VIEW v_account_statement AS
WITH counting AS MATERIALIZED (
    SELECT s.id, s.project_id, s.period, s.created, s.sequence, c.statement_id IS NOT NULL AS issued
    FROM statement s
    LEFT JOIN claim c ON c.statement_id = s.id
    CROSS JOIN LATERAL (SELECT e.state FROM statement_event e WHERE e.statement_id = s.id ORDER BY e.sequence DESC LIMIT 1) last
    WHERE c.statement_id IS NOT NULL OR last.state IN ('draft', 'submitted', 'under_verification', 'verified')
)
SELECT k.id AS statement_id, k.project_id::text COLLATE "C" AS project_id, k.period::tstzrange AS during,
       CASE WHEN k.issued THEN 'issued' ELSE 'closed' END AS source
FROM counting k
WHERE k.issued OR NOT EXISTS (
    SELECT FROM counting o WHERE o.project_id = k.project_id AND o.period && k.period AND o.id <> k.id
      AND (o.issued OR (o.created, o.sequence) > (k.created, k.sequence))
);

-- Every part of a project's local day: of a statement, of open time as the close accounts it, of quarter
-- hours.  The parts of a day do not overlap.
CREATE VIEW v_account_part AS
WITH closed AS MATERIALIZED (
    SELECT a.id AS span_id, a.timezone, s.statement_id, s.project_id, s.during, s.source
    FROM v_account_statement s JOIN account_span a ON a.statement_id = s.statement_id
), covered AS (
    SELECT d.project_id, d.day, d.begins, d.ends FROM account_span_day d JOIN closed c ON c.span_id = d.span_id
)
SELECT c.project_id, c.timezone, d.day, c.source, c.span_id, c.statement_id, d.begins, d.ends,
       d.baseline_ug, d.project_ug, d.leakage_ug, d.reduction_ug
FROM closed c JOIN account_span_day d ON d.span_id = c.span_id
UNION ALL
SELECT a.project_id, a.timezone, d.day, 'open', a.id, NULL, d.begins, d.ends,
       d.baseline_ug, d.project_ug, d.leakage_ug, d.reduction_ug
FROM account_span a JOIN account_span_day d ON d.span_id = a.id
WHERE a.statement_id IS NULL AND NOT EXISTS (
    SELECT FROM covered x WHERE x.project_id = d.project_id AND x.day = d.day AND x.begins < d.ends AND x.ends > d.begins
)
UNION ALL
SELECT e.project_id, e.timezone, e.day, 'quarter hours', NULL, NULL, e.begins, tonne_clock(e.timezone, (e.day + 1)::timestamp),
       e.baseline_ug, e.project_ug, e.leakage_ug, e.reduction_ug
FROM v_project_day e
WHERE NOT EXISTS (SELECT FROM account_span_day x JOIN account_span a ON a.id = x.span_id
                  WHERE x.project_id = e.project_id AND x.day = e.day AND a.statement_id IS NULL)
  AND NOT EXISTS (SELECT FROM covered x WHERE x.project_id = e.project_id AND x.day = e.day)
UNION ALL
-- what statements that begin or end within a day leave of it, where nothing else accounts it
SELECT r.project_id, g.timezone, g.day, 'quarter hours', NULL, NULL, min(r.start), max(r.start) + INTERVAL '15 minutes',
       sum(r.baseline_ug), sum(r.project_ug), sum(r.leakage_ug), sum(r.reduction_ug)
FROM (
    SELECT DISTINCT c.project_id, c.timezone, tonne_clock(c.timezone, at.edge)::date AS day
    FROM closed c CROSS JOIN LATERAL (VALUES (lower(c.during)), (upper(c.during))) at (edge)
    WHERE tonne_clock(c.timezone, at.edge)::time <> '00:00'
) g
JOIN interval_emission r ON r.project_id = g.project_id AND r.start >= tonne_clock(g.timezone, g.day::timestamp)
    AND r.start < tonne_clock(g.timezone, (g.day + 1)::timestamp)
WHERE NOT EXISTS (SELECT FROM closed c WHERE c.project_id = r.project_id AND c.during @> r.start)
  AND NOT EXISTS (SELECT FROM account_span_day x JOIN account_span a ON a.id = x.span_id
                  WHERE x.project_id = r.project_id AND x.day = g.day AND a.statement_id IS NULL)
GROUP BY r.project_id, g.timezone, g.day;

CREATE OR REPLACE VIEW v_account_day AS
SELECT tonne_clock(days.timezone, days.day::timestamp) AS time, days.day, days.timezone, days.project_id,
       days.baseline_ug, days.project_ug, days.leakage_ug, days.reduction_ug,
       days.baseline_ug * 0.000000000001 AS baseline_t, days.project_ug * 0.000000000001 AS project_t,
       days.leakage_ug * 0.000000000001 AS leakage_t, days.reduction_ug * 0.000000000001 AS avoided_t
FROM (
    SELECT day, timezone, project_id, sum(baseline_ug) AS baseline_ug, sum(project_ug) AS project_ug,
           sum(leakage_ug) AS leakage_ug, sum(reduction_ug) AS reduction_ug
    FROM v_account_part GROUP BY day, timezone, project_id
) days;

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
    SELECT newest.least_us <= 300e6 OR EXISTS (
        SELECT FROM clock_lag l WHERE l.device_id = d.id AND l.day < newest.day AND l.day >= newest.day - 14
          AND abs(l.least_us - newest.least_us) <= greatest(60e6, 30e6 * (newest.day - l.day))
    ) AS known
) said
CROSS JOIN LATERAL (
    SELECT count(*) AS days, regr_slope(-l.least_us / 1e6::double precision, l.day - newest.day) AS s_per_day
    FROM clock_lag l WHERE l.device_id = d.id AND l.day > newest.day - 14
) drift;

-- Alarms as people see them.
-- What came late is heard as well: a device's present silence begins after its newest reading.
CREATE VIEW v_alarm AS
SELECT a.id, a.kind, a.subject_type, a.subject, a.part, a.class, a.site, a.projects, a.severity,
       greatest(a.since, s.last_reading) AS since, a.raised,
       CASE WHEN a.cause = 'never heard' AND s.last_reading >= a.since THEN 'silence' ELSE a.cause END AS cause,
       a.detail, a.devices, a.cost_t_per_day,
       a.cleared, k.at AS acknowledged, k.actor AS acknowledged_by,
       CASE WHEN a.cleared IS NOT NULL THEN 'cleared' WHEN k.at IS NOT NULL THEN 'acknowledged' ELSE 'open' END AS state
FROM alarm a
LEFT JOIN alarm_event k ON k.alarm_id = a.id AND k.event = 'acknowledged'
LEFT JOIN device_seen s ON s.device_id = a.subject AND a.kind = 'device_silent' AND a.cleared IS NULL;

CREATE VIEW v_device_array AS
SELECT a.device_id::text COLLATE "C" AS device_id, a.begins,
       lead(a.begins, 1, 'infinity') OVER (PARTITION BY a.device_id::text COLLATE "C" ORDER BY a.begins) AS ends,
       a.dc_power_w, a.tilt, a.azimuth, a.temperature_coefficient_percent
FROM device_array a;

-- A day of an inverter by the modules that it had.  Days before today.  Ratios by IEC 61724-1:2021:
--   yield_h               specific yield: energy over nameplate [kWh/kW]
--   performance_ratio     yield over the reference yield (insolation over 1 kW/m2)
--   performance_ratio_25  the same with the nameplate corrected to the modules' temperature, so that a
--                         hot day and a cool one compare
--   availability          share of the time with 100 W/m2 or more in which it gave power (by time), and
--   energy_availability   energy over energy and what it missed while it stood (by energy): IEC TS 63019
--   expected_kwh          see tonne_pv_expected_kwh; at most rated power while the sun was up
--   standing_kwh, clipped_kwh, heat_kwh, other_kwh   losses: it stood still; sun beyond the inverter's
--                         rating; modules warmer than 25 degrees; the rest (soiling, shade, strings)
-- `no_ratio` says why there is none.  `peer_yield_h` is for peers of one site alone: by rated power where
-- no nameplate is known (`dc_known`), and the two do not compare.
CREATE OR REPLACE VIEW v_day_pv AS
SELECT b.time, b.day, b.device_id, b.site, b.energy_kwh, b.insolation_wh_m2 / 1000 AS insolation_kwh_m2,
       b.energy_kwh / b.dc_kw AS yield_h, b.clipped_s / 3600 AS clipped_h,
       b.dc_kw * b.insolation_wh_m2 / 1000 AS reference_kwh,
       CASE WHEN b.sun THEN b.energy_kwh / b.dc_kw / (b.insolation_wh_m2 / 1000) END AS performance_ratio,
       b.dc_kw IS NOT NULL AS dc_known,
       b.dc_kw,
       CASE WHEN b.warm THEN b.dc_kw * (b.insolation_wh_m2 + b.heat_wh_k_m2 * b.percent_per_k / 100) / 1000 END AS reference_25_kwh,
       CASE WHEN b.warm THEN b.energy_kwh / b.dc_kw
           / ((b.insolation_wh_m2 + b.heat_wh_k_m2 * b.percent_per_k / 100) / 1000) END AS performance_ratio_25,
       CASE WHEN b.lit_s >= 3600 THEN coalesce(b.running_s, 0) / b.lit_s END AS availability,
       CASE WHEN b.energy_kwh + l.standing_kwh > 0 AND b.lit_s >= 3600 THEN b.energy_kwh / (b.energy_kwh + l.standing_kwh) END AS energy_availability,
       l.expected_kwh, l.standing_kwh, l.clipped_kwh,
       CASE WHEN b.warm THEN greatest(tonne_pv_expected_kwh(b.dc_kw, 0, -b.heat_wh_k_m2, b.percent_per_k), 0) END AS heat_kwh,
       CASE WHEN l.expected_kwh IS NOT NULL THEN greatest(l.expected_kwh - b.energy_kwh - l.standing_kwh, 0) END AS other_kwh,
       CASE WHEN b.dc_kw IS NULL THEN 'no dc_power_w in the registry'
            WHEN b.insolation_wh_m2 IS NULL THEN 'irradiance not measured'
            WHEN NOT b.sun THEN 'less than 8 hours of sun measured' END AS no_ratio,
       b.energy_kwh / coalesce(b.dc_kw, b.rated_kw) AS peer_yield_h
FROM (
    SELECT q.begins AS time, q.day, q.device_id, d.site, q.value * 0.001 AS energy_kwh, p.insolation_wh_m2, p.heat_wh_k_m2, p.clipped_s, p.clipped_wh_m2, p.clipped_wh,
           p.lit_s, p.running_s, p.standing_wh_m2, p.sunny_s, a.dc_power_w / 1000.0 AS dc_kw, d.rated_power_w / 1000.0 AS rated_kw,
           a.temperature_coefficient_percent AS percent_per_k,
           coalesce(p.sunny_s >= 8 * 3600 AND p.insolation_wh_m2 > 500, false) AS sun,
           coalesce(p.sunny_s >= 8 * 3600 AND p.insolation_wh_m2 > 500 AND p.warm_wh_m2 >= 0.95 * p.insolation_wh_m2, false)
               AND a.temperature_coefficient_percent IS NOT NULL AS warm
    FROM day_quantity q
    JOIN device d ON d.id = q.device_id AND d.class = 'pv_inverter'
    JOIN site s ON s.id = d.site AND s.timezone = q.timezone
    LEFT JOIN v_device_array a ON a.device_id = q.device_id
        AND q.begins + INTERVAL '1 day' > a.begins AND q.begins + INTERVAL '1 day' <= a.ends
    LEFT JOIN day_pv p ON p.device_id = q.device_id AND p.day = q.day AND p.timezone = q.timezone
    WHERE q.quantity = 'energy_export' AND q.day < (now() AT TIME ZONE q.timezone)::date
) b
CROSS JOIN LATERAL (
    SELECT whole.kwh - clipped.kwh AS expected_kwh, clipped.kwh AS clipped_kwh,
           coalesce(b.standing_wh_m2, 0) / nullif(b.insolation_wh_m2, 0) * whole.kwh AS standing_kwh
    FROM (SELECT CASE WHEN b.warm THEN tonne_pv_expected_kwh(b.dc_kw, b.insolation_wh_m2, b.heat_wh_k_m2, b.percent_per_k) END AS kwh) whole
    CROSS JOIN LATERAL (SELECT CASE WHEN whole.kwh IS NOT NULL THEN greatest(
        coalesce(b.clipped_wh_m2 / nullif(b.insolation_wh_m2, 0) * whole.kwh - b.clipped_wh / 1000, 0), 0) END AS kwh) clipped
) l;

CREATE VIEW v_pv_rate AS
SELECT m.device_id::text COLLATE "C" AS device_id, m.project_id::text COLLATE "C" AS project_id,
       tonne_pv_t_per_kwh(m.device_id, m.project_id) AS t_per_kwh
FROM (SELECT DISTINCT device_id, project_id FROM project_device) m
JOIN device d ON d.id = m.device_id AND d.class = 'pv_inverter';

-- Power of an array under a clear sky at 25 degrees, by quarter hour, no more than the inverter's rating.
CREATE VIEW v_clear_sky_power AS
SELECT c.day::timestamp AT TIME ZONE 'UTC' + (w.k - 1) * INTERVAL '15 minutes' AS time, d.id::text COLLATE "C" AS device_id, c.day,
       least(tonne_pv_expected_kwh(a.dc_power_w / 1000.0, w.w_m2, 0, 0), d.rated_power_w / 1000.0) AS kw
FROM clear_sky_day c
JOIN device d ON d.site = c.site AND d.class = 'pv_inverter'
JOIN v_device_array a ON a.device_id = d.id AND a.tilt = c.tilt AND a.azimuth = c.azimuth
CROSS JOIN LATERAL unnest(c.w_m2) WITH ORDINALITY AS w (w_m2, k)
WHERE c.day::timestamp AT TIME ZONE 'UTC' + (w.k - 1) * INTERVAL '15 minutes' >= a.begins
  AND c.day::timestamp AT TIME ZONE 'UTC' + (w.k - 1) * INTERVAL '15 minutes' < a.ends AND w.w_m2 > 0;

-- Energy a tonne of product, of projects that meter both: by the days on which both were metered.  The
-- last three are held against the median of the four weeks before them; a week of these at least.  The
-- excess of a day is priced at the project emissions of a kilowatt hour of these meters.
CREATE VIEW v_project_specific_energy AS
WITH metered AS (
    SELECT m.project_id::text COLLATE "C" AS project_id, q.day, min(q.begins) AS begins,
           sum(q.value) FILTER (WHERE q.quantity = 'energy_import') / 1000 AS kwh,
           sum(q.value) FILTER (WHERE q.quantity = 'mass') / 1000000 AS t
    FROM project_device m
    JOIN device d ON d.id = m.device_id AND d.class IN ('furnace', 'weighbridge')
    JOIN day_quantity q ON q.device_id = d.id AND q.quantity IN ('energy_import', 'mass') AND m.during @> q.begins
    WHERE q.day < (now() AT TIME ZONE q.timezone)::date AND q.begins > now() - INTERVAL '60 days'
    GROUP BY 1, 2
), days AS (
    SELECT *, kwh / t AS kwh_t, row_number() OVER (PARTITION BY project_id ORDER BY day DESC) AS number
    FROM metered WHERE t > 0 AND kwh > 0
), usual AS (
    SELECT project_id, percentile_cont(0.5) WITHIN GROUP (ORDER BY kwh_t) AS kwh_t, count(*) AS days
    FROM days WHERE number BETWEEN 4 AND 31 GROUP BY project_id
), rate AS (
    SELECT e.project_id, sum(e.project_ug) * 0.000000000001 / (sum(q.value) / 1000) AS t_per_kwh
    FROM day_emission e
    JOIN device d ON d.id = e.device_id AND d.class = 'furnace'
    JOIN day_quantity q ON q.device_id = e.device_id AND q.day = e.day AND q.quantity = 'energy_import'
    WHERE e.begins > now() - INTERVAL '60 days' GROUP BY e.project_id HAVING sum(q.value) > 0
)
SELECT d.project_id, min(d.begins) AS since, u.kwh_t::numeric AS usual, min(d.kwh_t) AS lowest,
       (array_agg(d.kwh_t ORDER BY d.day DESC))[1] AS newest, avg((d.kwh_t - u.kwh_t::numeric) * d.t) AS excess_kwh, r.t_per_kwh,
       rule.raise_above, rule.clear_below
FROM days d
JOIN usual u ON u.project_id = d.project_id AND u.days >= 7
JOIN alarm_rule rule ON rule.kind = 'energy_high' AND rule.class = ''
LEFT JOIN rate r ON r.project_id = d.project_id
WHERE d.number <= 3
GROUP BY d.project_id, u.kwh_t, r.t_per_kwh, rule.raise_above, rule.clear_below
HAVING count(*) = 3 AND max(d.begins) > now() - INTERVAL '4 days';

-- A project of which no registration says the programme is shown with every programme.
CREATE VIEW v_methodology_end AS
SELECT p.id AS project_id, l.name AS methodology, l.programme, l.register_until, l.credits_until, l.inactive,
       l.successor, r.registered, least(l.register_until, l.credits_until) AS runs_out,
       least(l.register_until, l.credits_until) - current_date AS days_left, l.source
FROM project p
JOIN method_life l ON l.methodology = p.methodology AND (l.version IS NULL OR l.version = p.version)
LEFT JOIN LATERAL (
    SELECT (e.record ->> 'registered')::date AS registered,
           ARRAY[lower(e.record ->> 'programme'), lower(e.record ->> 'registry'),
                 lower(e.record #>> '{cdop,programme}'), lower(e.record #>> '{cdop,standard}')] AS named
    FROM authority_entry e WHERE e.kind = 'registration' AND e.id = p.id ORDER BY e.sequence DESC LIMIT 1
) r ON true
WHERE (l.register_until IS NOT NULL OR l.credits_until IS NOT NULL OR l.inactive OR l.successor IS NOT NULL)
  AND (r.named IS NULL OR r.named && l.programmes);

-- Yesterday, today and tomorrow by each site's and project's clock; nothing comes from further ahead.
CREATE VIEW v_site_today AS
SELECT s.id::text COLLATE "C" AS site, s.timezone, t.day, tonne_clock(s.timezone, t.day::timestamp) AS begins,
       tonne_clock(s.timezone, (t.day + 1)::timestamp) AS ends
FROM site s CROSS JOIN LATERAL (SELECT tonne_clock(s.timezone, now())::date + k AS day FROM generate_series(-1, 1) AS k) t
OFFSET 0;

-- Days before yesterday as they were last added up, yesterday and today as they are now.  `time` is the
-- local midnight at which the day begins.
CREATE OR REPLACE VIEW v_day_quantity AS
SELECT q.begins AS time, q.day, q.timezone, q.device_id, d.site, d.class,
       q.quantity, q.value, q.measured_us
FROM day_quantity q
JOIN device d ON d.id = q.device_id
JOIN site s ON s.id = d.site AND s.timezone = q.timezone
WHERE q.day < tonne_clock(q.timezone, now())::date - 1
UNION ALL
SELECT k.begins, k.day, k.timezone, p.device_id, d.site, d.class, p.quantity, sum(p.value), sum(p.measured_us)::bigint
FROM (
    SELECT r.day, r.timezone, NULL::timestamptz AS start, r.device_id, r.quantity, r.value, r.measured_us
    FROM day_today_quantity r
    WHERE NOT EXISTS (SELECT FROM day_today_late l WHERE l.device_id = r.device_id)
    UNION ALL
    SELECT NULL, NULL, i.start, i.device_id, i.quantity, i.value, i.measured_us
    FROM interval_quantity i
    WHERE i.start >= tonne_today_until() AND i.start >= now() - INTERVAL '50 hours'
      AND NOT EXISTS (SELECT FROM day_today_late l WHERE l.device_id = i.device_id)
    UNION ALL
    SELECT NULL, NULL, i.start, l.device_id, i.quantity, i.value, i.measured_us
    FROM (SELECT DISTINCT device_id FROM day_today_late) l
    CROSS JOIN LATERAL (
        SELECT r.start, r.quantity, r.value, r.measured_us FROM interval_quantity r
        WHERE r.device_id = l.device_id AND r.start >= now() - INTERVAL '50 hours'
        OFFSET 0  -- a fence: by device, however few the planner takes them to be
    ) i
) p
JOIN device d ON d.id = p.device_id
JOIN v_site_today k ON k.site = d.site AND (p.start >= k.begins AND p.start < k.ends OR p.day = k.day AND p.timezone = k.timezone)
GROUP BY k.begins, k.day, k.timezone, p.device_id, d.site, d.class, p.quantity;

-- The yearly expectation of each project, and the time in which it has held so far: from
-- `v_project_begins` on, within its crediting period, until the last whole quarter hour at most.
CREATE VIEW v_project_expectation AS
SELECT p.id::text COLLATE "C" AS project_id, (p.expected ->> 'reduction_t_per_year')::numeric AS yearly_t,
       greatest(lower(p.crediting), m.since) AS begins,
       least(upper(p.crediting), date_bin('15 minutes', now(), '2000-01-01Z')) AS ends,
       p.crediting @> now() AND m.since <= now() AS holds
FROM project p
JOIN v_project_begins m ON m.project_id = p.id
WHERE m.since IS NOT NULL;

-- Energy a kilometre of vehicles and the chargers that feed them.  Energy of the chargers over distance of
-- the vehicles falls when a charger is not heard, and rises when a vehicle is not: neither is a finding of
-- the fleet.  So a day has a figure only where every meter of the project was metered for all of it.
-- Days before today.  A meter is metered for a day when it served the project for all of it, and what is
-- measured or estimated of it lacks less than a hundredth: estimated is the share of a day in what a
-- register made over a longer time, which a vehicle has that was parked.
CREATE VIEW v_day_energy_per_km AS
SELECT d.begins AS time, d.day, d.timezone, d.project_id, m.energy_kwh, m.distance_km, m.meters, m.not_metered,
       CASE WHEN m.not_metered IS NULL THEN m.energy_kwh / nullif(m.distance_km, 0) END AS kwh_per_km
FROM (
    SELECT m.project_id::text COLLATE "C" AS project_id, q.day, q.timezone, q.begins
    FROM day_quantity q
    JOIN project_device m ON m.device_id = q.device_id AND m.role IN ('charging', 'vehicle') AND m.during @> q.begins
    WHERE q.quantity IN ('energy_import', 'distance') AND q.day < tonne_clock(q.timezone, now())::date
    GROUP BY 1, 2, 3, 4
) d
CROSS JOIN LATERAL (
    SELECT count(*) AS meters,
           array_agg(one.device_id ORDER BY one.device_id)
               FILTER (WHERE (one.whole AND one.known_us >= 0.99 * one.day_us) IS NOT TRUE) AS not_metered,
           count(DISTINCT one.role) = 2 AS has_both,
           sum(one.value) FILTER (WHERE one.role = 'charging') * 0.001 AS energy_kwh,
           sum(one.value) FILTER (WHERE one.role = 'vehicle') * 0.001 AS distance_km
    FROM (
        SELECT s.device_id::text COLLATE "C" AS device_id, s.role, q.value, s.during @> tstzrange(d.begins, span.ends) AS whole, span.day_us,
               CASE WHEN q.measured_us >= 0.99 * span.day_us THEN q.measured_us ELSE (
                   SELECT sum(i.measured_us + i.estimated_us) FROM interval_quantity i
                   WHERE q.value IS NOT NULL AND i.device_id = s.device_id AND i.quantity = k.quantity
                     AND i.start >= d.begins AND i.start < span.ends
               ) END AS known_us
        FROM (SELECT e.ends, extract(epoch FROM e.ends - d.begins) * 1000000 AS day_us
              FROM (SELECT tonne_clock(d.timezone, (d.day + 1)::timestamp) AS ends) e) span
        JOIN project_device s ON s.project_id = d.project_id AND s.role IN ('charging', 'vehicle')
            AND s.during && tstzrange(d.begins, span.ends)
        CROSS JOIN LATERAL (SELECT CASE s.role WHEN 'charging' THEN 'energy_import' ELSE 'distance' END AS quantity) k
        LEFT JOIN day_quantity q ON q.device_id = s.device_id AND q.quantity = k.quantity
            AND q.day = d.day AND q.timezone = d.timezone
    ) one
) m
WHERE m.has_both;

CREATE OR REPLACE VIEW v_day_avoided_t AS
SELECT e.begins AS time, e.day, e.timezone, e.project_id, e.device_id,
       e.baseline_ug * 0.000000000001 AS baseline_t, e.project_ug * 0.000000000001 AS project_t,
       e.leakage_ug * 0.000000000001 AS leakage_t, e.reduction_ug * 0.000000000001 AS avoided_t
FROM v_day_emission e;

-- The programme's accounts, as before, from the account's days: the same sums without reading all quarter hours.
CREATE OR REPLACE VIEW v_programme_year AS
WITH monitored AS (
    SELECT m.action, extract(year FROM a.day)::integer AS year, sum(a.reduction_ug) * 0.000000000001 AS monitored_t
    FROM v_account_day a
    JOIN v_programme_member m ON m.project_id = a.project_id
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

CREATE OR REPLACE VIEW v_programme_progress AS
WITH monitored AS (
    SELECT m.action, sum(a.reduction_ug) * 0.000000000001 AS monitored_t
    FROM (SELECT project_id, sum(reduction_ug) AS reduction_ug FROM v_account_day GROUP BY project_id) a
    JOIN v_programme_member m ON m.project_id = a.project_id
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

-- A gateway is dark when it said so and nothing of it and behind it was received since, or when nothing of
-- it and behind it is heard.  What is silent behind a dark gateway is no alarm of its own.
CREATE OR REPLACE VIEW v_device_health AS
WITH RECURSIVE own AS MATERIALIZED (
    SELECT * FROM v_device_own
), behind AS (
    SELECT device_id, gateway AS above, silence, received FROM own WHERE gateway IS NOT NULL
    UNION ALL
    SELECT b.device_id, o.gateway, b.silence, b.received FROM behind b JOIN own o ON o.device_id = b.above WHERE o.gateway IS NOT NULL
), gateway AS MATERIALIZED (
    SELECT o.device_id, CASE WHEN b.silence IS NOT NULL AND o.said_offline AND o.said_at >= coalesce(b.received, '-infinity') THEN 2
        ELSE least(o.silence, b.silence) END AS silence
    FROM own o
    JOIN (SELECT above, min(silence) AS silence, max(received) AS received FROM behind GROUP BY above) b ON b.above = o.device_id
)
SELECT o.device_id, o.site, o.class, o.gateway, o.last_reading,
       extract(epoch FROM now() - o.last_reading)::double precision AS silent_s,
       coalesce((ARRAY['online', 'late', 'offline'])[1 + o.shown], 'not commissioned') AS state,
       c.offset_s AS clock_offset_s, c.drift_s_per_day AS clock_drift_s_per_day, c.clock,
       coalesce(f.flags, 0) AS flags_last_day,
       o.received, o.expected_s, o.said, o.said_at, o.firmware, o.completeness_today,
       o.dark AS gateway_dark,
       coalesce(o.shown > 0 AND NOT o.dark, false) AS alarm,
       o.spoke, o.expected_since
FROM (
    SELECT own.*, coalesce(up.silence > 0, false) AS dark,
           -- a gateway that measures nothing itself is as silent as all that is behind it
           CASE WHEN me.silence IS NOT NULL AND own.last_reading IS NULL THEN me.silence ELSE own.silence END AS shown
    FROM own
    LEFT JOIN gateway me ON me.device_id = own.device_id
    LEFT JOIN gateway up ON up.device_id = own.gateway
) o
LEFT JOIN (
    SELECT DISTINCT ON (device_id) device_id, offset_s, drift_s_per_day, clock FROM v_device_clock  -- each once: read only if asked for
) c ON c.device_id = o.device_id
LEFT JOIN (
    SELECT device_id, count(*) AS flags FROM quality_flag WHERE time > now() - INTERVAL '1 day' GROUP BY device_id
) f ON f.device_id = o.device_id;

-- By the rule of the role as before, of devices that are expected to report.
CREATE OR REPLACE VIEW v_silence_cost AS
WITH silent AS (
    SELECT h.device_id, h.site, h.class, h.gateway, g.state AS gateway_state, h.last_reading, h.silent_s,
           m.project_id, r.role, r.side, usual.ug * 0.000000000001 AS avoided_t_per_day, cost.since,
           cost.ug_per_s * 0.000000000001 * greatest(extract(epoch FROM now() - cost.since), 0) AS rule_t,
           cost.ug_per_s * 86400 * 0.000000000001 AS rule_t_per_day,
           tonne_share_of_year_t(e.yearly_t, greatest(cost.since, e.begins), e.ends) AS bound_t,
           tonne_share_of_year_t(e.yearly_t, now(), now() + CASE WHEN e.holds THEN INTERVAL '24 hours' ELSE INTERVAL '0' END)
               AS bound_t_per_day
    FROM v_device_health h
    LEFT JOIN v_gateway_health g ON g.gateway = h.gateway
    -- at most one; joined as a whole, so that a query of some projects reads their devices alone
    LEFT JOIN (project_device m JOIN project p ON p.id = m.project_id) ON m.device_id = h.device_id AND m.during @> now()
    LEFT JOIN silence_rate r ON r.project_id = m.project_id AND r.device_id = m.device_id
    LEFT JOIN LATERAL (
        SELECT avg(d.reduction_ug) AS ug FROM day_emission d
        WHERE d.project_id = m.project_id AND d.device_id = h.device_id AND d.timezone = p.timezone
          AND d.day >= tonne_clock(p.timezone, h.last_reading)::date - 28
          AND d.day < tonne_clock(p.timezone, h.last_reading)::date
    ) usual ON true
    CROSS JOIN LATERAL (
        SELECT CASE WHEN m.project_id IS NOT NULL THEN greatest(h.last_reading, lower(m.during)) END AS since,
               CASE r.side WHEN 'baseline' THEN CASE WHEN usual.ug < 0 THEN 0 ELSE usual.ug END / 86400
                   WHEN 'project' THEN r.ug_per_h / 3600
                   WHEN 'both' THEN greatest(usual.ug / 86400, r.ug_per_h / 3600, CASE WHEN usual.ug < 0 THEN 0 END) END AS ug_per_s
    ) cost
    LEFT JOIN v_project_expectation e ON e.project_id = m.project_id
    WHERE h.state IN ('late', 'offline')
), own AS (
    SELECT *, CASE WHEN rule_t IS NOT NULL THEN least(rule_t, bound_t) END AS own_t,
           CASE WHEN rule_t_per_day IS NOT NULL THEN least(rule_t_per_day, bound_t_per_day) END AS own_t_per_day
    FROM silent
), together AS (
    SELECT s.*, max(s.bound_t) FILTER (WHERE s.own_t > 0) OVER of_project AS most_t,
           sum(s.own_t) OVER of_project AS all_t, sum(s.own_t_per_day) OVER of_project AS all_t_per_day
    FROM own s
    WINDOW of_project AS (PARTITION BY s.project_id)
)
SELECT device_id, site, class, gateway, gateway_state, last_reading, silent_s,
       project_id, avoided_t_per_day,
       CASE WHEN all_t > most_t THEN own_t * most_t / all_t ELSE own_t END AS cost_t,
       CASE WHEN all_t_per_day > bound_t_per_day THEN own_t_per_day * bound_t_per_day / all_t_per_day ELSE own_t_per_day END
           AS cost_t_per_day, since, role, side
FROM together;

-- A certificate is due by the interval of calibration where that is over before it ends: by the device's own
-- (`attributes.calibration_every`, months); a longest interval of a methodology or a country counts at the close.
CREATE OR REPLACE VIEW v_calibration_due AS
SELECT due.project_id, due.device_id, due.site, due.class, due.role, due.valid_until,
       due.valid_until - due.today AS days_left,
       CASE WHEN due.valid_until IS NULL THEN 'missing' WHEN due.valid_until < due.today THEN 'expired'
            WHEN due.valid_until < due.today + 60 THEN 'expiring' ELSE 'valid' END AS state
FROM (
    SELECT m.project_id, m.device_id, d.site, d.class, m.role, tonne_clock(p.timezone, now())::date AS today,
           -- of several instruments the first that is due; a certificate that names none is of all
           (SELECT coalesce(min(greatest(u.until, u.of_all)) FILTER (WHERE u.channel IS NOT NULL), max(u.until)) FROM (
               SELECT k.channel, max(k.until) AS until, max(max(k.until) FILTER (WHERE k.channel IS NULL)) OVER () AS of_all
               FROM (
                   SELECT c.channel, least(c.valid_until, CASE WHEN jsonb_typeof(d.attributes -> 'calibration_every') = 'number'
                       AND (d.attributes ->> 'calibration_every') ~ '^[0-9]{1,3}$'
                       THEN (c.performed + (d.attributes ->> 'calibration_every')::int * INTERVAL '1 month')::date END) AS until
                   FROM calibration c WHERE c.device_id = m.device_id AND c.last_test IS NULL
               ) k GROUP BY k.channel
           ) u) AS valid_until
    FROM project_device m
    JOIN project p ON p.id = m.project_id
    JOIN device d ON d.id = m.device_id
    WHERE m.during @> now()
) due;

-- Every cause that holds now, a row each.  `raises` is false where the cause is weaker than what raises
-- an alarm and stronger than what clears it.
CREATE OR REPLACE VIEW v_alarm_condition AS
WITH RECURSIVE health AS MATERIALIZED (
    SELECT h.*, d.attributes, coalesce(h.clock = 'behind' AND h.received >= now() - 2 * h.expected_s * INTERVAL '1 s', false) AS sends_behind
    FROM v_device_health h JOIN device d ON d.id = h.device_id
), serves AS MATERIALIZED (
    SELECT DISTINCT ON (m.device_id) m.device_id::text COLLATE "C" AS device_id, m.project_id::text COLLATE "C" AS project_id
    FROM project_device m WHERE m.during @> now() ORDER BY m.device_id, lower(m.during) DESC
), cost AS MATERIALIZED (
    SELECT device_id, max(CASE WHEN cost_t_per_day < 0 THEN 0 ELSE cost_t_per_day END) AS cost_t_per_day FROM v_silence_cost GROUP BY device_id
), sky AS MATERIALIZED (
    -- since when the sun has shone on a site for as long as a rule waits, nights left out
    SELECT site, light_after_s, at AS lit_from
    FROM (
        SELECT s.id AS site, r.light_after_s, t.at, row_number() OVER (PARTITION BY s.id, r.light_after_s ORDER BY t.at DESC) AS number
        FROM site s
        CROSS JOIN (SELECT DISTINCT light_after_s FROM alarm_rule WHERE light_after_s IS NOT NULL) r
        CROSS JOIN LATERAL (SELECT now() - k * INTERVAL '5 minutes' AS at FROM generate_series(0, 288) AS k) t
        WHERE EXISTS (SELECT FROM health h JOIN alarm_rule o ON o.class = h.class AND o.light_after_s IS NOT NULL
                      WHERE h.site = s.id AND h.state <> 'online')
          AND tonne_sun_elevation(s.latitude::double precision, s.longitude::double precision, t.at) >= 10
    ) light
    WHERE number = light_after_s / 300 + 1
), word AS MATERIALIZED (
    -- what said itself, or by its broker, that it left, and was not received since; of what sleeps in the
    -- dark only by daylight
    SELECT h.device_id, h.said_at, r.will_after_s, r.light_after_s IS NOT NULL AS sleeps,
           tonne_sun_elevation(s.latitude::double precision, s.longitude::double precision, h.said_at) >= 10 AS by_day
    FROM health h
    JOIN site s ON s.id = h.site
    JOIN alarm_rule r ON r.kind = 'device_silent' AND r.class = h.class
    WHERE h.said = 'offline' AND h.said_at >= coalesce(h.received, '-infinity')
), silent AS MATERIALIZED (
    SELECT h.device_id, h.alarm, s.project_id, c.cost_t_per_day, w.after_s, w.light_after_s, t.since,
           t.since + w.after_s * INTERVAL '1 s' <= now() OR coalesce(NOT w.own AND (t.since <= sky.lit_from
               OR said.said_at + said.will_after_s * INTERVAL '1 s' <= now() AND (said.by_day OR NOT said.sleeps)), false) AS due
    FROM health h
    JOIN alarm_rule r ON r.kind = 'device_silent' AND r.class = h.class
    CROSS JOIN LATERAL (
        -- who sets a device's patience in the registry sets all of it
        SELECT tonne_alarm_number(h.attributes, 'device_silent', 'after_s', r.after_s) AS after_s,
               CASE WHEN h.attributes #> '{alarms,device_silent,after_s}' IS NULL THEN r.light_after_s END AS light_after_s,
               h.attributes #> '{alarms,device_silent,after_s}' IS NOT NULL AS own
    ) w
    CROSS JOIN LATERAL (SELECT greatest(h.last_reading, h.expected_since) AS since) t
    LEFT JOIN sky ON sky.site = h.site AND sky.light_after_s = w.light_after_s
    LEFT JOIN word said ON said.device_id = h.device_id
    LEFT JOIN serves s ON s.device_id = h.device_id
    LEFT JOIN cost c ON c.device_id = h.device_id
    WHERE h.state IN ('late', 'offline') AND NOT h.sends_behind
), below AS (
    SELECT device_id, gateway AS above FROM health WHERE gateway IS NOT NULL
    UNION
    SELECT b.device_id, h.gateway FROM below b JOIN health h ON h.device_id = b.above WHERE h.gateway IS NOT NULL
), gateway AS MATERIALIZED (
    -- the topmost that is dark; it is as patient as the least patient device behind it.  What is behind
    -- one that said that it left may have been heard a moment ago
    SELECT g.device_id AS gateway, g.class, g.site,
           CASE WHEN said.said_at >= coalesce(max(h.received), '-infinity') THEN said.said_at END AS said_at,
           min(s.after_s) AS after_s, min(s.light_after_s) AS light_after_s,
           greatest(g.last_reading, max(h.last_reading), max(h.expected_since)) AS since,
           count(*) AS devices, sum(s.cost_t_per_day) AS cost_t_per_day,
           array_agg(DISTINCT p.project_id) FILTER (WHERE p.project_id IS NOT NULL) AS projects,
           said.by_day OR NOT bool_and(o.light_after_s IS NOT NULL) AS wanted,
           tonne_alarm_number(g.attributes, 'gateway_silent', 'after_s', r.after_s) AS least_after_s, r.will_after_s,
           g.attributes #> '{alarms,gateway_silent,after_s}' IS NOT NULL AS own
    FROM health g
    JOIN alarm_rule r ON r.kind = 'gateway_silent' AND r.class = ''
    JOIN below b ON b.above = g.device_id
    JOIN health h ON h.device_id = b.device_id AND h.state <> 'not commissioned'
    JOIN alarm_rule o ON o.kind = 'device_silent' AND o.class = h.class
    LEFT JOIN word said ON said.device_id = g.device_id
    LEFT JOIN silent s ON s.device_id = b.device_id
    LEFT JOIN serves p ON p.device_id = b.device_id
    WHERE g.alarm AND EXISTS (SELECT FROM health d WHERE d.gateway = g.device_id AND d.gateway_dark)
      AND (s.device_id IS NOT NULL OR said.device_id IS NOT NULL)
    GROUP BY g.device_id, g.class, g.site, g.last_reading, g.attributes, said.said_at, said.by_day, r.after_s, r.will_after_s
), gateway_due AS MATERIALIZED (
    SELECT g.* FROM gateway g
    LEFT JOIN sky ON sky.site = g.site AND sky.light_after_s = g.light_after_s
    WHERE g.since + greatest(g.after_s, g.least_after_s) * INTERVAL '1 s' <= now()
       OR NOT g.own AND (g.since <= sky.lit_from OR g.wanted AND g.said_at + g.will_after_s * INTERVAL '1 s' <= now())
), dark_project AS MATERIALIZED (
    -- nothing of it is heard, and not for one gateway's or one device's sake
    SELECT s.project_id, max(a.since) AS since, count(*) FILTER (WHERE a.alarm) AS devices,
           sum(a.cost_t_per_day) FILTER (WHERE a.alarm) AS cost_t_per_day
    FROM serves s
    JOIN health h ON h.device_id = s.device_id
    LEFT JOIN silent a ON a.device_id = s.device_id
    WHERE h.state <> 'not commissioned'
    GROUP BY s.project_id
    HAVING bool_and(h.state <> 'online') AND bool_and(coalesce(a.due, false))
       AND count(*) FILTER (WHERE a.alarm AND a.device_id NOT IN (SELECT gateway FROM gateway)) >= 2
), pv_day AS MATERIALIZED (
    SELECT p.device_id, p.site, p.day, p.time, p.dc_known, p.performance_ratio, p.peer_yield_h, p.expected_kwh, p.energy_kwh, p.dc_kw
    FROM v_day_pv p WHERE p.time > now() - INTERVAL '8 days'
), pv_site AS MATERIALIZED (
    SELECT o.site, o.day, o.dc_known, count(*) AS inverters, percentile_cont(0.5) WITHIN GROUP (ORDER BY o.peer_yield_h) AS median
    FROM pv_day o GROUP BY o.site, o.day, o.dc_known
), condition AS (
    SELECT 'device_silent' AS kind, 'device' AS subject_type, s.device_id AS subject, '' AS part, h.class, h.site,
           array_remove(ARRAY[s.project_id], NULL) AS projects, s.since, NULL::numeric AS least_after_s,  -- null: judged above
           CASE WHEN NOT h.spoke AND coalesce(h.last_reading < h.expected_since, true) THEN 'never heard'
                WHEN h.said = 'offline' AND h.said_at >= h.last_reading THEN 'will' ELSE 'silence' END AS cause,
           '{}'::jsonb AS detail, 1::bigint AS devices, s.cost_t_per_day, s.alarm AND s.due AS raises
    FROM silent s
    JOIN health h ON h.device_id = s.device_id
    WHERE s.device_id NOT IN (SELECT gateway FROM gateway)
      AND NOT EXISTS (SELECT FROM below b JOIN gateway_due g ON g.gateway = b.above WHERE b.device_id = s.device_id)
      AND NOT (s.alarm AND s.project_id IS NOT NULL AND s.project_id IN (SELECT project_id FROM dark_project))
    UNION ALL
    SELECT 'gateway_silent', 'gateway', g.gateway, '', g.class, g.site, coalesce(g.projects, '{}'), g.since, NULL,
           CASE WHEN g.said_at IS NOT NULL THEN 'will' ELSE 'silence' END, '{}', g.devices, g.cost_t_per_day,
           g.gateway IN (SELECT gateway FROM gateway_due)
    FROM gateway g
    UNION ALL
    SELECT 'project_silent', 'project', p.project_id, '', NULL, NULL, ARRAY[p.project_id], p.since, 0,
           'silence', '{}', p.devices, p.cost_t_per_day, true
    FROM dark_project p
    UNION ALL
    SELECT 'inverter_low', 'device', low.device_id, '', h.class, h.site, array_remove(ARRAY[s.project_id], NULL), low.since, 0,
           low.measure, jsonb_build_object('value', round(low.newest::numeric, 3), 'limit', low.raise_below), 1,
           low.short_kwh::numeric * tonne_pv_t_per_kwh(low.device_id, s.project_id), low.highest < low.raise_below
    FROM (
        SELECT last.device_id, last.raise_below, last.clear_above, min(last.time) AS since, max(last.value) AS highest,
               (array_agg(last.value ORDER BY last.day DESC))[1] AS newest,
               (array_agg(last.measure ORDER BY last.day DESC))[1] AS measure, avg(last.short_kwh) AS short_kwh
        FROM (
            SELECT v.*, d.days,
                   tonne_alarm_number(h.attributes, 'inverter_low', 'raise_below', d.raise_below) AS raise_below,
                   greatest(d.clear_above, tonne_alarm_number(h.attributes, 'inverter_low', 'raise_below', d.raise_below)) AS clear_above,
                   row_number() OVER (PARTITION BY v.device_id ORDER BY v.day DESC) AS number
            FROM (
                SELECT p.device_id, p.day, p.time,
                       coalesce(p.performance_ratio, CASE WHEN site.inverters >= 3 AND site.median > 0.5 THEN p.peer_yield_h / site.median END) AS value,
                       -- what the measured sun should have given, or the median inverter of its plant
                       greatest(CASE WHEN p.expected_kwh IS NOT NULL THEN p.expected_kwh - p.energy_kwh
                           WHEN site.inverters >= 3 THEN (site.median - p.peer_yield_h) * coalesce(p.dc_kw, d.rated_power_w / 1000.0) END, 0)
                           * CASE WHEN p.expected_kwh IS NOT NULL OR site.inverters >= 3 THEN 1 END AS short_kwh,
                       CASE WHEN p.performance_ratio IS NULL THEN 'yield against its site' ELSE 'performance ratio' END AS measure
                FROM pv_day p
                JOIN device d ON d.id = p.device_id
                JOIN pv_site site ON site.site = p.site AND site.day = p.day AND site.dc_known = p.dc_known
            ) v
            JOIN health h ON h.device_id = v.device_id
            JOIN alarm_rule d ON d.kind = 'inverter_low' AND d.class = h.class
            WHERE v.value IS NOT NULL
        ) last
        WHERE last.number <= last.days
        GROUP BY last.device_id, last.raise_below, last.clear_above, last.days
        HAVING count(*) = last.days
    ) low
    JOIN health h ON h.device_id = low.device_id
    LEFT JOIN serves s ON s.device_id = low.device_id
    WHERE low.newest < low.clear_above
    UNION ALL
    -- more energy a tonne of product than usual, days in a row
    SELECT 'energy_high', 'project', e.project_id, '', NULL, NULL, ARRAY[e.project_id], e.since, 0, 'specific energy',
           jsonb_build_object('value', round(e.newest, 1), 'usual', round(e.usual, 1), 'unit', 'kWh/t'), 1,
           greatest(e.excess_kwh, 0) * e.t_per_kwh, e.lowest > e.raise_above * e.usual
    FROM v_project_specific_energy e
    WHERE e.newest > e.clear_below * e.usual
    UNION ALL
    SELECT 'limit_exceeded', 'device', v.device_id, v.indicator || ' ' || v.period, h.class, h.site,
           -- since the first time over its limit after the last within it, however long ago that is
           array_remove(ARRAY[s.project_id], NULL), (
               SELECT min(e.start) FROM indicator_value e
               WHERE e.device_id = v.device_id AND e.indicator = v.indicator AND e.period = v.period AND e.grade = 'exceeded'
                 AND e.start > coalesce((
                     SELECT max(w.start) FROM indicator_value w
                     WHERE w.device_id = v.device_id AND w.indicator = v.indicator AND w.period = v.period AND w.grade = 'within'
                 ), '-infinity')
           ), 0, v.indicator,
           jsonb_build_object('value', (array_agg(v.value ORDER BY v.start DESC))[1], 'period', v.period), 1, NULL, true
    FROM (
        SELECT i.*, max(i.start) FILTER (WHERE i.grade = 'within') OVER (PARTITION BY i.device_id, i.indicator, i.period) AS kept
        FROM indicator_value i
        WHERE i.start > now() - INTERVAL '50 hours' AND i.grade IN ('within', 'exceeded')
    ) v
    JOIN health h ON h.device_id = v.device_id
    LEFT JOIN serves s ON s.device_id = v.device_id
    WHERE v.grade = 'exceeded' AND (v.kept IS NULL OR v.start > v.kept)
    GROUP BY v.device_id, v.indicator, v.period, h.class, h.site, s.project_id
    UNION ALL
    SELECT 'gauge_frozen', 'device', f.device_id, f.channel, h.class, h.site, array_remove(ARRAY[s.project_id], NULL),
           f.since, 0, f.channel, '{}', 1, NULL, true
    FROM (
        SELECT device_id, channel, min(time) AS since, max(time) AS last FROM quality_flag
        WHERE test = 'flat_line' AND time > now() - INTERVAL '2 days' GROUP BY device_id, channel
    ) f
    JOIN health h ON h.device_id = f.device_id
    LEFT JOIN serves s ON s.device_id = f.device_id
    WHERE h.state = 'online' AND f.last >= h.last_reading - INTERVAL '1 hour'
    UNION ALL
    SELECT CASE c.state WHEN 'expired' THEN 'certificate_expired' ELSE 'certificate_expiring' END, 'device', c.device_id, '',
           c.class, c.site, ARRAY[c.project_id],
           tonne_clock(p.timezone, (c.valid_until + CASE c.state WHEN 'expired' THEN 1 ELSE -60 END)::timestamp), 0,
           c.state, jsonb_build_object('valid_until', c.valid_until), 1, NULL, true
    FROM v_calibration_due c
    JOIN project p ON p.id = c.project_id
    WHERE c.state IN ('expiring', 'expired')
    UNION ALL
    -- a month before it ends, or the last third of a short one
    SELECT 'credential_expiring', 'device', k.principal, '', h.class, h.site, array_remove(ARRAY[s.project_id], NULL), k.since, 0,
           CASE WHEN k.expires <= now() THEN 'expired' ELSE 'expiring' END, jsonb_build_object('valid_until', k.expires), 1, NULL, true
    FROM (
        SELECT DISTINCT ON (principal) principal::text COLLATE "C" AS principal, expires,
               expires - least(INTERVAL '30 days', (expires - issued) / 3) AS since
        FROM credential WHERE kind = 'certificate' AND revoked IS NULL ORDER BY principal, expires DESC
    ) k
    JOIN health h ON h.device_id = k.principal
    LEFT JOIN serves s ON s.device_id = k.principal
    WHERE k.since <= now()
    UNION ALL
    -- heard, and nothing charged for days on which its site charged
    SELECT 'charger_dead', 'device', q.device_id, '', h.class, h.site, array_remove(ARRAY[s.project_id], NULL), min(q.time), 0,
           'nothing charged', jsonb_build_object('days', count(*)), 1, NULL, true
    FROM (
        SELECT e.device_id, e.time, e.value, r.days, h.attributes,
               sum(e.value) OVER (PARTITION BY e.site) AS of_site
        FROM (
            SELECT k.begins AS time, k.device_id, k.quantity, k.value, o.site, o.class
            FROM day_quantity k JOIN device o ON o.id = k.device_id JOIN site z ON z.id = o.site AND z.timezone = k.timezone
        ) e
        JOIN health h ON h.device_id = e.device_id
        JOIN alarm_rule r ON r.kind = 'charger_dead' AND r.class = e.class
        WHERE e.quantity = 'energy_import' AND e.class = 'ev_charger' AND e.time > now() - INTERVAL '60 days'
          -- whole days: the first of them began a day more ago
          AND e.time > now() - (1 + tonne_alarm_number(h.attributes, 'charger_dead', 'days', r.days)) * INTERVAL '1 day'
    ) q
    JOIN health h ON h.device_id = q.device_id
    LEFT JOIN serves s ON s.device_id = q.device_id
    WHERE h.state = 'online' AND NOT EXISTS (  -- and not since the last day that was added up
        SELECT FROM interval_quantity i
        WHERE i.device_id = q.device_id AND i.quantity = 'energy_import' AND i.value > 0 AND i.start > now() - INTERVAL '2 days'
    )
    GROUP BY q.device_id, h.class, h.site, s.project_id, h.attributes, q.days
    HAVING sum(q.value) = 0 AND max(q.of_site) > 0
       AND count(*) >= tonne_alarm_number(h.attributes, 'charger_dead', 'days', q.days)
    UNION ALL
    SELECT 'clock_fault', 'device', h.device_id, '', h.class, h.site, array_remove(ARRAY[s.project_id], NULL),
           (SELECT max(l.day) FROM clock_lag l WHERE l.device_id = h.device_id)::timestamp AT TIME ZONE 'UTC', 0,
           h.clock, jsonb_build_object('offset_s', round(h.clock_offset_s::numeric, 1)), 1, NULL, true
    FROM health h
    LEFT JOIN serves s ON s.device_id = h.device_id
    -- one that is hours behind looks silent by its own time, and its messages arrive
    WHERE h.clock IN ('ahead', 'behind', 'drifting') AND (h.state = 'online' OR h.sends_behind)
)
SELECT c.kind::text COLLATE "C" AS kind, c.subject_type, c.subject::text COLLATE "C" AS subject, c.part::text COLLATE "C" AS part,
       c.class::text COLLATE "C" AS class, c.site::text COLLATE "C" AS site, c.projects::text[] AS projects,
       r.severity, c.since, c.cause, c.detail, c.devices, c.cost_t_per_day, r.clear_s,
       c.raises AND (c.least_after_s IS NULL OR c.since + greatest(c.least_after_s,
           tonne_alarm_number(h.attributes, c.kind, 'after_s', r.after_s)) * INTERVAL '1 s' <= now()) AS raises
FROM condition c
JOIN alarm_rule r ON r.kind = c.kind AND r.class = CASE c.subject_type WHEN 'device' THEN c.class ELSE '' END
LEFT JOIN health h ON h.device_id = c.subject AND c.subject_type <> 'project'
WHERE h.attributes #> ARRAY['alarms', c.kind, 'off'] IS DISTINCT FROM 'true'::jsonb;

-- What a project's account is made of, part by part.  `before_t` is what a statement's time would come to
-- with every document and invoice that it lacks; open time and quarter hours know no such deduction yet.
CREATE VIEW v_account_source AS
SELECT p.project_id, p.timezone, p.source, p.statement_id, min(p.day) AS first_day, max(p.day) AS last_day,
       sum(p.reduction_ug) * 0.000000000001 AS reduction_t, a.before_evidence_ug * 0.000000000001 AS before_t,
       a.made, NULL::text AS problem
FROM v_account_part p LEFT JOIN account_span a ON a.id = p.span_id
GROUP BY p.project_id, p.timezone, p.source, p.statement_id, p.span_id, a.before_evidence_ug, a.made
UNION ALL
SELECT a.project_id, a.timezone, 'open', NULL, tonne_clock(a.timezone, lower(a.during))::date,
       tonne_clock(a.timezone, upper(a.during) - INTERVAL '1 microsecond')::date, NULL, NULL, a.made, a.problem
FROM account_span a WHERE a.problem IS NOT NULL;

CREATE OR REPLACE VIEW v_account_interval AS
SELECT q.time, p.id::text COLLATE "C" AS project_id, q.baseline_ug, q.project_ug, q.leakage_ug, q.reduction_ug
FROM project p CROSS JOIN LATERAL tonne_account_quarters(p.id, '-infinity', 'infinity') q;

CREATE OR REPLACE VIEW v_avoided_t_interval AS
SELECT time, project_id, baseline_ug * 0.000000000001 AS baseline_t, project_ug * 0.000000000001 AS project_t,
       leakage_ug * 0.000000000001 AS leakage_t, reduction_ug * 0.000000000001 AS avoided_t
FROM v_account_interval;

CREATE VIEW v_underived AS
SELECT device_id, from_time FROM remake_request
UNION ALL
SELECT d.id, TIMESTAMPTZ 'epoch' + d.first * INTERVAL '1 microsecond'
FROM underived u CROSS JOIN LATERAL unnest(u.devices, u.first) AS d (id, first);

-- The months of each project, and where they come from: `stated` in the registry, `sun`, or none.
CREATE VIEW v_project_months AS
SELECT p.id::text COLLATE "C" AS project_id,
       coalesce(s.months, m.months) AS months, CASE WHEN s.months IS NOT NULL THEN 'stated' WHEN m.months IS NOT NULL THEN 'sun' END AS basis
FROM project p
LEFT JOIN project_months m ON m.project_id = p.id
CROSS JOIN LATERAL (
    SELECT array_agg(x::numeric ORDER BY place) AS months
    FROM jsonb_array_elements_text(p.expected -> 'by_month') WITH ORDINALITY AS one (x, place)
) s;

CREATE VIEW v_tariff AS
SELECT s.id::text COLLATE "C" AS site, (t.row ->> 'from')::date AS begins,
       coalesce(lead((t.row ->> 'from')::date) OVER (PARTITION BY s.id ORDER BY t.place), 'infinity') AS ends,
       t.row ->> 'currency' AS currency, (t.row ->> 'import_per_kwh')::numeric AS import_per_kwh,
       (t.row ->> 'export_per_kwh')::numeric AS export_per_kwh, (t.row ->> 'feed_in_per_kwh')::numeric AS feed_in_per_kwh
FROM site s CROSS JOIN LATERAL jsonb_array_elements(s.tariffs) WITH ORDINALITY AS t (row, place);

-- One row for each device, day and kind; a day without a price of its kind has none.
CREATE VIEW v_day_money AS
SELECT q.time, q.day, q.timezone, q.device_id, q.site, q.class, p.kind, t.currency, q.energy_kwh, q.energy_kwh * p.price AS amount
FROM v_day_energy_kwh q
JOIN v_tariff t ON t.site = q.site AND q.day >= t.begins AND q.day < t.ends
CROSS JOIN LATERAL (
    SELECT CASE WHEN q.quantity = 'energy_import' THEN 'cost'
                WHEN q.class = 'energy_meter' OR t.feed_in_per_kwh IS NOT NULL THEN 'earned' ELSE 'saved' END AS kind,
           CASE WHEN q.quantity = 'energy_import' THEN t.import_per_kwh
                WHEN q.class = 'energy_meter' THEN t.export_per_kwh
                ELSE coalesce(t.feed_in_per_kwh, t.import_per_kwh) END AS price
) p
WHERE p.price IS NOT NULL;


-- GRANTS AND COMMENTS OF VIEWS; DATED TIME ZONES IN VIEWS OF 0.1.0

-- One account: tonnes of a project by quarter hour and local day.  Boards, alerts, console, API and
-- command line take their tonnes from here.  Tonnes are never added by device: the devices of a
-- project stand on different sides of its account.
COMMENT ON VIEW v_day_avoided_t IS
    'by device, for a look into one project: devices stand on both sides of an account, so that sums over devices of one class are no tonnes; v_account_day has these';
COMMENT ON COLUMN v_project_now.last_30_days_t IS 'for today and the 29 local days before it, with or without data';
GRANT SELECT ON v_account_interval, v_account_day, v_counted_project, v_counted_device, v_silence_cost, v_project_state, v_project_now
    TO tonne_mrv, tonne_api, tonne_grafana;

GRANT SELECT ON alarm_rule, alarm, alarm_event, v_alarm_condition, v_alarm TO tonne_mrv, tonne_api, tonne_grafana;

GRANT SELECT ON v_device_array, v_pv_rate, v_clear_sky_power TO tonne_mrv, tonne_api, tonne_grafana;

GRANT SELECT ON v_project_specific_energy TO tonne_mrv, tonne_api, tonne_grafana;

GRANT SELECT ON method_life, v_methodology_end TO tonne_mrv, tonne_api, tonne_grafana;
RESET ROLE;
-- What a row of each view is, for who reads them with SQL: psql's \d+ shows it, and docs/views.md is
-- made of it.  A unit is in a column's name; `time` is the begin of the interval or local day.
COMMENT ON VIEW v_account_interval IS 'Exact account of a project by 15-minute interval, in micrograms of CO2e. A reduction is the baseline less project and leakage.';
COMMENT ON VIEW v_account_day IS 'Account of a project by its local day, in micrograms and in tonnes. All other surfaces take their tonnes from here.';
COMMENT ON VIEW v_avoided_t_interval IS 'Tonnes of a project by 15-minute interval, from v_account_interval.';
COMMENT ON VIEW v_avoided_t_day IS 'Tonnes of a project by its local day, from v_account_day.';
COMMENT ON VIEW v_day_avoided_t IS 'Tonnes by device and local day, for the analysis of one project. Its devices belong to the baseline or the project side, so sums by device class are no reduction; take tonnes from v_account_day.';
COMMENT ON VIEW v_day_quantity IS 'Metered quantity of a device by local day, in the base unit of the quantity; measured_us is the time covered by readings, in microseconds.';
COMMENT ON VIEW v_day_energy_kwh IS 'Energy of a device by local day, in kWh. Days before yesterday are read from stored sums, so that years are read fast.';
COMMENT ON VIEW v_day_distance_km IS 'Distance of a device by local day, in km, from v_day_quantity.';
COMMENT ON VIEW v_day_volume_m3 IS 'Volume metered by a device by local day, in m3, from v_day_quantity.';
COMMENT ON VIEW v_day_pv IS 'Results of a PV inverter by local day before today: yield, performance ratio by IEC 61724-1 on the nameplate power of the modules, ratio at 25 degrees, availability, expected energy, losses by cause. no_ratio states why there is no ratio.';
COMMENT ON VIEW v_clear_sky_power IS 'Power of an inverter''s modules under a clear sky at 25 degrees by 15-minute interval, at most the inverter''s rated power.';
COMMENT ON VIEW v_device_array IS 'PV modules of an inverter with the time for which they are registered: nameplate power, tilt, azimuth, temperature coefficient.';
COMMENT ON VIEW v_pv_rate IS 'Avoided tonnes per kWh of an inverter, from its last 28 days in its project; null if it avoided no emissions in these days.';
COMMENT ON VIEW v_device_own IS 'A device as it stands alone, without its gateway: last reading, cadence, what it said of itself.';
COMMENT ON VIEW v_device_health IS 'State of every device: online, late or offline, since when, and what its clock and its readings of the last day are like. alarm is true where its silence is not explained by its gateway.';
COMMENT ON VIEW v_device_clock IS 'Clock offset of a device on the last day with readings, and its drift over two weeks. A positive offset means that the clock is ahead.';
COMMENT ON VIEW v_silence_cost IS 'What each silent meter costs its project a day and so far, by the project''s own rule. The tonnes come back when the device sends what it kept.';
COMMENT ON VIEW v_alarm IS 'Alarms (open, acknowledged or cleared) with their cause and the reduction lost per day.';
COMMENT ON VIEW v_alarm_condition IS 'Every present cause of an alarm. raises is false for a cause that is too weak to raise an alarm and too strong to clear one.';
COMMENT ON VIEW v_calibration_due IS 'Calibration certificate of each device in a project: valid, expiring within 60 days, expired, missing.';
COMMENT ON VIEW v_project_state IS 'Present state of a project: devices with data, start of missing data and the reduction lost by it, estimates to date, of the year and of the last 30 days.';
COMMENT ON VIEW v_project_now IS 'Present state of each project as in v_project_state, with its tonnes.';
COMMENT ON VIEW v_project_specific_energy IS 'Energy per tonne of product of projects that meter both: the last three days and the median of the previous four weeks.';
COMMENT ON VIEW v_counted_project IS 'Projects in the programme''s totals: those of its actions, or all if no programme is registered.';
COMMENT ON VIEW v_counted_device IS 'Devices of the programme: all except those of projects that are not in the programme.';
COMMENT ON VIEW v_programme_now IS 'Target, monitored, issued and expected tonnes of each action at present. The columns must not be added to each other.';
COMMENT ON VIEW v_programme_progress IS 'Target of each action with the monitored and the issued tonnes of its projects. The columns must not be added to each other.';
COMMENT ON VIEW v_programme_year IS 'Modelled tonnes (the city''s own model), monitored and issued tonnes of each action by local calendar year. The columns must not be added to each other.';
COMMENT ON VIEW v_methodology_end IS 'Dates until which each project''s methodology registers projects and issues credits, from the table of methodologies, and its successor.';
SET LOCAL ROLE tonne_owner;

DO $$
DECLARE
    one record;
    source text;
BEGIN
    FOR one IN SELECT c.oid, c.relname, pg_get_viewdef(c.oid) AS source FROM pg_class c
               WHERE c.relkind = 'v' AND c.relnamespace = 'public'::regnamespace ORDER BY c.oid LOOP
        source := pg_temp.clocked(one.source);
        IF source <> one.source THEN
            EXECUTE format('CREATE OR REPLACE VIEW %I AS %s', one.relname, source);
        END IF;
    END LOOP;
END $$;
GRANT SELECT ON v_site_today, v_project_today, v_today_emission, v_today_project TO tonne_mrv, tonne_api, tonne_grafana, tonne_watch;

COMMENT ON VIEW v_site_today IS 'Yesterday, today and tomorrow in the time zone of each site, with their start and end times.';
COMMENT ON VIEW v_project_today IS 'Yesterday, today and tomorrow in the time zone of each project, with their start and end times.';
COMMENT ON VIEW v_today_emission IS 'Micrograms of CO2e of yesterday and today by device; basis of v_day_avoided_t.';
COMMENT ON VIEW v_today_project IS 'Micrograms of CO2e of yesterday and today by project; basis of v_account_day.';

GRANT SELECT ON v_project_expectation TO tonne_mrv, tonne_api, tonne_grafana, tonne_watch;

COMMENT ON VIEW v_project_expectation IS 'Yearly ex-ante estimate of each project, and the time for which it has applied until now.';
COMMENT ON VIEW v_silence_cost IS 'Reduction lost per day and so far by missing data of each meter, by the methodology of its project, limited to the project''s expected reduction in that time. It is restored when the device sends stored readings.';

-- A function that names `search_path = public` alone looks into the caller's temporary tables first: whoever
-- may call one that runs as its owner, or fire a trigger that does, could put a table with a trigger of
-- their own in the place of ours, and be the owner of all.
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN
        SELECT p.oid::regprocedure FROM pg_proc p
        WHERE p.pronamespace = 'public'::regnamespace AND p.proowner = 'tonne_owner'::regrole
          AND p.proconfig @> ARRAY['search_path=public'] ORDER BY 1
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = public, pg_temp', name);
    END LOOP;
END $$;

GRANT SELECT ON v_day_energy_per_km TO tonne_mrv, tonne_api, tonne_grafana;
COMMENT ON VIEW v_day_energy_per_km IS 'Energy of a project''s chargers divided by the distance of its vehicles, by local day before today. kwh_per_km is null if a meter was not metered for the whole day; not_metered lists those meters.';
GRANT SELECT ON v_day_mark, v_project_open, v_day_emission_open, v_day_emission, v_project_day TO tonne_mrv, tonne_api, tonne_grafana, tonne_watch;

COMMENT ON VIEW v_day_mark IS 'Spans of a device''s time whose daily sums wait for a recalculation.';
COMMENT ON VIEW v_project_open IS 'Local day from which the daily sums of a project are not complete yet: yesterday, or earlier if no watcher runs.';
COMMENT ON VIEW v_day_emission IS 'Micrograms of CO2e by device and the project''s local day, calculated from 15-minute intervals at present; basis of v_day_avoided_t.';
COMMENT ON VIEW v_day_emission_open IS 'Days of v_day_emission that are calculated from 15-minute intervals: days before yesterday whose sums wait for a recalculation.';
COMMENT ON VIEW v_project_day IS 'Sums of v_day_emission by project, from stored sums of whole days; basis of v_account_day.';
COMMENT ON VIEW v_account_day IS 'Account of a project by its local day, in micrograms and in tonnes, as its quarter hours say at this moment. All other surfaces take their tonnes from here.';

DO $$
DECLARE
    drops text := pg_get_functiondef('tonne_drop_archived(text, timestamptz, timestamptz)'::regprocedure);
    notes text := 'FROM (SELECT device_id, day FROM late_day UNION ALL SELECT device_id, day FROM late_reading) l ';
BEGIN
    ASSERT strpos(drops, 'FROM late_day l ') > 0;
    EXECUTE replace(drops, 'FROM late_day l ', notes);
END $$;

COMMENT ON VIEW v_device_own IS 'State of a device without regard to its gateway: last reading, cadence, its own status messages, and whether any reading has arrived on time (spoke).';
COMMENT ON COLUMN v_device_own.received IS 'when the last reading arrived';
COMMENT ON COLUMN v_device_own.expected_s IS 'expected seconds between readings';
COMMENT ON COLUMN v_device_own.said IS 'state in its last status message';
COMMENT ON COLUMN v_device_own.said_at IS 'time of that message';
COMMENT ON COLUMN v_device_own.completeness_today IS 'share of the elapsed intervals of the day with a reading';
COMMENT ON COLUMN v_device_own.spoke IS 'whether a reading has arrived on time';
COMMENT ON COLUMN v_device_own.expected_since IS 'commissioning day, if no reading has arrived on time';
COMMENT ON COLUMN v_device_health.received IS 'when the last reading arrived';
COMMENT ON COLUMN v_device_health.expected_s IS 'expected seconds between readings';
COMMENT ON COLUMN v_device_health.said IS 'state in its last status message';
COMMENT ON COLUMN v_device_health.said_at IS 'time of that message';
COMMENT ON COLUMN v_device_health.completeness_today IS 'share of the elapsed intervals of the day with a reading';
COMMENT ON COLUMN v_device_health.spoke IS 'whether a reading has arrived on time';
COMMENT ON COLUMN v_device_health.expected_since IS 'commissioning day, if no reading has arrived on time';
COMMENT ON COLUMN v_device_own.silence IS '0 online, 1 late, 2 offline, NULL not commissioned';
COMMENT ON COLUMN v_device_own.said_offline IS 'whether its last status message is offline and newer than its readings';
COMMENT ON COLUMN v_device_health.gateway_dark IS 'whether its gateway is the cause of missing data';
COMMENT ON COLUMN v_device_health.alarm IS 'true if it is not online and its gateway is not the cause';
COMMENT ON COLUMN v_account_source.made IS 'when the tonnes were calculated';
COMMENT ON COLUMN v_project_expectation.holds IS 'whether the estimate applies now';
COMMENT ON COLUMN v_meter_check_hour.quarters IS 'number of 15-minute intervals of the hour that both measured completely';
COMMENT ON COLUMN v_meter_check_day.quarters IS 'number of 15-minute intervals that both measured completely';
COMMENT ON COLUMN v_alarm_condition.clear_s IS 'seconds without the cause, after which the alarm is cleared';
COMMENT ON COLUMN v_alarm_condition.part IS 'channel or indicator, if the cause concerns one of several';
COMMENT ON COLUMN v_alarm.part IS 'channel or indicator, if the cause concerns one of several';
COMMENT ON COLUMN v_day_pv.insolation_kwh_m2 IS 'irradiation in the plane of the modules';
COMMENT ON COLUMN v_day_pv.yield_h IS 'energy divided by dc_kw';
COMMENT ON COLUMN v_day_pv.clipped_h IS 'time at 98 % of the rated power or more';
COMMENT ON COLUMN v_day_pv.reference_kwh IS 'dc_kw times the irradiation';
COMMENT ON COLUMN v_day_pv.dc_known IS 'whether dc_power_w is registered';
COMMENT ON COLUMN v_day_pv.dc_kw IS 'nameplate power of the modules';
COMMENT ON COLUMN v_day_pv.reference_25_kwh IS 'reference_kwh with the nameplate power at the temperature of the modules';
COMMENT ON COLUMN v_day_pv.availability IS 'by time';
COMMENT ON COLUMN v_day_pv.energy_availability IS 'by energy';
COMMENT ON COLUMN v_day_pv.expected_kwh IS 'expected energy, without the energy lost by clipping';
COMMENT ON COLUMN v_day_pv.standing_kwh IS 'energy lost by standstill';
COMMENT ON COLUMN v_day_pv.clipped_kwh IS 'energy lost by clipping at the rated power';
COMMENT ON COLUMN v_day_pv.heat_kwh IS 'energy lost by modules above 25 degrees';
COMMENT ON COLUMN v_day_pv.other_kwh IS 'energy lost by other causes';
COMMENT ON COLUMN v_day_pv.peer_yield_h IS 'energy divided by dc_kw, or by the rated power if dc_kw is not registered';
COMMENT ON COLUMN v_project_specific_energy.since IS 'start of the last three days';
COMMENT ON COLUMN v_project_specific_energy.usual IS 'median of the previous four weeks, in kWh per tonne';
COMMENT ON COLUMN v_project_specific_energy.lowest IS 'lowest value of the last three days';
COMMENT ON COLUMN v_project_specific_energy.newest IS 'value of the last day';
COMMENT ON COLUMN v_project_specific_energy.excess_kwh IS 'mean energy per day above the usual value';
COMMENT ON COLUMN v_project_specific_energy.t_per_kwh IS 'project emissions per kWh';
COMMENT ON COLUMN v_project_specific_energy.raise_above IS 'limit that raises the alarm';
COMMENT ON COLUMN v_project_specific_energy.clear_below IS 'limit that clears the alarm';
COMMENT ON COLUMN v_project_state.counted IS 'whether the project is in the programme''s totals';
COMMENT ON COLUMN v_project_state.missed_t IS 'reduction lost by missing data';
COMMENT ON COLUMN v_project_now.counted IS 'whether the project is in the programme''s totals';
COMMENT ON COLUMN v_project_now.missed_t IS 'reduction lost by missing data';
COMMENT ON COLUMN v_programme_progress.part_of IS 'action that contains this sub-action';
COMMENT ON COLUMN v_project_months.basis IS 'source of the distribution';
COMMENT ON COLUMN v_methodology_end.runs_out IS 'the earlier of register_until and credits_until';
COMMENT ON COLUMN v_methodology_end.inactive IS 'whether it is closed for new projects since an unknown day';
COMMENT ON VIEW v_device_health IS 'State of every device (online, late, offline or not commissioned) with its start, its clock and the quality flags of its readings of the last day. Not commissioned: no reading has arrived on time yet, and no commissioning day has begun. alarm is true if its gateway is not the cause of missing data.';

GRANT SELECT ON v_account_statement, v_account_part, v_account_source TO tonne_mrv, tonne_api, tonne_grafana, tonne_watch;
COMMENT ON VIEW v_account_statement IS 'Statements that determine the tonnes of their time: issued ones, and otherwise the newest one in progress (closed).';
COMMENT ON VIEW v_account_part IS 'Micrograms of CO2e of a project by parts of its local days: of a statement (issued, closed), of the open period as a close would calculate it (open), or of 15-minute intervals. These parts do not overlap.';
COMMENT ON VIEW v_account_day IS 'Tonnes and micrograms of a project by its local day: those of its statements, and for other time the result calculated so far. All pages and boards take their tonnes from this view.';
COMMENT ON VIEW v_account_source IS 'What a project''s account is made of: statements, open time, quarter hours, each with its tonnes. before_t is what a statement''s time came to before documents and invoices that it lacks took something off; problem says why open time could not be accounted.';
COMMENT ON VIEW v_account_interval IS 'Live account of a project by 15-minute interval, in micrograms of CO2e: before deductions, base loads and caps, which v_account_day has. A methodology of which a quarter hour has no emissions has no rows.';

-- A register that stands still while its device works raises the same alarm as a gauge that hangs: what it
-- does not count is not credited.
DO $$
DECLARE
    before text := pg_get_viewdef('v_alarm_condition'::regclass);
    after text := regexp_replace(before, 'test = ''flat_line''::text', 'test IN (''flat_line'', ''frozen_register'')', 'g');
BEGIN
    IF after = before THEN
        RAISE EXCEPTION 'v_alarm_condition names no test flat_line';
    END IF;
    EXECUTE 'CREATE OR REPLACE VIEW v_alarm_condition AS ' || after;
END $$;
COMMENT ON VIEW v_account_interval IS 'Micrograms of CO2e of a project by 15-minute interval; the intervals of a day add up to v_account_day. For time calculated as a whole, each day is distributed over its intervals in proportion to the meters'' intervals, and quantities without a meter in proportion to time. For part of the time of one project, tonne_account_quarters(project, begins, ends) is faster.';
COMMENT ON VIEW v_account_source IS 'Origin of the tonnes of a project: statements, the open period as a close would calculate it, and 15-minute intervals not calculated yet. before_t is the reduction if no document and no invoice were missing; problem states why the open period could not be calculated.';
GRANT SELECT ON v_underived TO tonne_ingest, tonne_mrv, tonne_api, tonne_grafana, tonne_watch;

COMMENT ON VIEW v_underived IS 'Devices with stored readings whose intervals are not calculated yet, and the time of the first of these readings.';
GRANT SELECT ON v_project_months TO tonne_mrv, tonne_api, tonne_grafana, tonne_watch;
COMMENT ON VIEW v_project_months IS 'Distribution of a project''s yearly estimate over the months: as registered, or by the solar irradiation of its PV modules; null if the months are equal.';
COMMENT ON VIEW v_tariff IS 'Prices of electricity at a site, for local days from `begins` to the day before `ends`.';
COMMENT ON VIEW v_day_money IS 'Cost, savings and revenue of a device''s metered energy on a local day, by the tariffs of its site: cost is for imported energy, earned for sold energy, saved for generated energy that was not bought. Currencies must not be added to each other.';

GRANT SELECT ON v_tariff, v_day_money TO tonne_mrv, tonne_api, tonne_grafana, tonne_watch;

-- A registry file that is taken in the console: the web process asks, and who holds tonne_mrv takes it
-- by the same code as `tonne registry import`.  Documents that people hand in are kept by their hash.
GRANT INSERT, UPDATE, DELETE ON site, device, calibration, device_replacement, device_exchange, device_quality, topic_template,
    published_factor, project, project_device, programme, programme_action, programme_reported, method_life TO tonne_mrv;
GRANT INSERT ON device_rating, meter_key, device_array, authority_entry, filed_submission, laboratory_result,
    monitoring_plan, plan_approval TO tonne_mrv;
-- one import at a time takes the table's lock, for which it needs UPDATE; rows are only added
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON registry_version FOR EACH ROW EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON registry_version FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only();
GRANT INSERT, UPDATE ON registry_version TO tonne_mrv;

-- The file itself, so that it is in every backup; its hash is what registry and invoices name.
CREATE TABLE document_file (
    sha256    text COLLATE "C" PRIMARY KEY CHECK (sha256 = encode(sha256(data), 'hex')),
    name      text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    data      bytea NOT NULL CHECK (length(data) BETWEEN 1 AND 8388608),
    author    text NOT NULL CHECK (length(author) <= 500),
    principal text NOT NULL CHECK (length(principal) <= 500),
    kept      timestamptz NOT NULL DEFAULT clock_timestamp()
);
ALTER TABLE document_file ALTER data SET STORAGE EXTERNAL;
CREATE INDEX document_file_kept ON document_file (kept);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON document_file FOR EACH ROW EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON document_file FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only();
GRANT SELECT ON document_file TO tonne_mrv, tonne_api;
GRANT INSERT (sha256, name, data, author, principal) ON document_file TO tonne_api;

-- Suppliers, laboratories and makers have keys, and sign their rows.
ALTER TABLE enrolled_key DROP CONSTRAINT enrolled_key_role_check;
ALTER TABLE enrolled_key ADD CONSTRAINT enrolled_key_role_check
    CHECK (role IN ('operator', 'verifier', 'log', 'witness', 'third-party'));

-- Workers store first and make rows behind it, as `tonne run` does.  Each makes those of its own
-- partitions.
-- A worker that takes a partition over has what is noted for it wait by device; what the worker before
-- was just making of it fails by that, as its note is gone.

-- Has what is noted for some partitions, or for none, wait by device; all that is noted if NULL.
CREATE FUNCTION tonne_fold_underived(homes integer[]) RETURNS void LANGUAGE sql AS $$
    WITH gone AS (
        DELETE FROM underived WHERE homes IS NULL OR home IS NULL OR home = ANY(homes)
        RETURNING devices, first, last
    )
    INSERT INTO remake_request AS r (device_id, from_time, last_time, whole, held, unjudged)
    SELECT d.id, TIMESTAMPTZ 'epoch' + min(d.first) * INTERVAL '1 microsecond',
           TIMESTAMPTZ 'epoch' + max(d.last) * INTERVAL '1 microsecond', false, true, true
    FROM gone g CROSS JOIN LATERAL unnest(g.devices, g.first, g.last) AS d (id, first, last)
    GROUP BY d.id ORDER BY d.id
    ON CONFLICT (device_id) DO UPDATE SET
        from_time = least(r.from_time, excluded.from_time),
        last_time = greatest(r.last_time, excluded.last_time, r.from_time),
        held = true, unjudged = true
$$;
REVOKE ALL ON FUNCTION tonne_fold_underived(integer[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tonne_fold_underived(integer[]) TO tonne_ingest;
