-- Readings that moved to an archive of Parquet files.  The tables say what is where; the
-- files hold the rows.  A chunk goes by one function alone, which the archive's role may
-- call and which looks for itself whether everything in it is archived as the log sealed it.
-- For all other roles raw rows stay append-only.
SET LOCAL ROLE tonne_owner;

-- The one place where this database's archive is.
CREATE TABLE archive_place (
    id    uuid PRIMARY KEY,
    url   text NOT NULL,
    made  timestamptz NOT NULL DEFAULT clock_timestamp(),
    login text NOT NULL DEFAULT session_user
);
CREATE UNIQUE INDEX archive_place_only_one ON archive_place ((true));

-- A file: readings of a class, a site and a sealed day, read back and found right
-- before this row was written.  Where a device-day stands in two, the later counts.
CREATE TABLE archive_part (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    class_id   text COLLATE "C" NOT NULL,
    site       text COLLATE "C" NOT NULL,
    project_id text COLLATE "C" NOT NULL,
    day        date NOT NULL,
    timezone   text NOT NULL,
    from_time  timestamptz NOT NULL,
    to_time    timestamptz NOT NULL CHECK (to_time > from_time),
    seal_index bigint NOT NULL REFERENCES log_entry,
    path       text COLLATE "C" NOT NULL UNIQUE,
    bytes      bigint NOT NULL CHECK (bytes > 0),
    sha256     bytea NOT NULL CHECK (length(sha256) = 32),
    manifest   bytea NOT NULL CHECK (length(manifest) = 32),
    rows       bigint NOT NULL CHECK (rows > 0),
    devices    text[] NOT NULL CHECK (cardinality(devices) > 0),
    counts     integer[] NOT NULL CHECK (cardinality(counts) = cardinality(devices)),
    -- the sealed leaf of each device, 32 bytes each
    leaves     bytea NOT NULL CHECK (length(leaves) = 32 * cardinality(devices)),
    recorded   timestamptz NOT NULL DEFAULT clock_timestamp(),
    login      text NOT NULL DEFAULT session_user
);
CREATE INDEX archive_part_by_time ON archive_part (class_id, from_time);
CREATE INDEX archive_part_by_day ON archive_part (project_id, day);

-- All that a seal says of a day is in the archive.
CREATE TABLE archive_day (
    project_id text COLLATE "C" NOT NULL,
    day        date NOT NULL,
    seal_index bigint NOT NULL REFERENCES log_entry,
    recorded   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (project_id, day, seal_index)
);

-- A device's first and last archived reading; follows from the parts.
CREATE TABLE archive_reach (
    device_id  text COLLATE "C" PRIMARY KEY,
    class_id   text COLLATE "C" NOT NULL,
    first_time timestamptz NOT NULL,
    last_time  timestamptz NOT NULL
);

-- What left the database.
CREATE TABLE archive_drop (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    class_id  text COLLATE "C" NOT NULL,
    from_time timestamptz NOT NULL,
    to_time   timestamptz NOT NULL,
    bytes     bigint NOT NULL,
    dropped   timestamptz NOT NULL DEFAULT clock_timestamp(),
    login     text NOT NULL DEFAULT session_user
);

-- What was brought back, and until when it stays.
CREATE TABLE archive_hold (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    from_time timestamptz NOT NULL,
    to_time   timestamptz NOT NULL CHECK (to_time > from_time),
    until     timestamptz NOT NULL,
    reason    text NOT NULL,
    made      timestamptz NOT NULL DEFAULT clock_timestamp(),
    login     text NOT NULL DEFAULT session_user
);

-- What a statement rests on, as the verifier saw it: late readings may still come, and its pack must
-- stay what it was.  What lies in the archive is referred to: its file is there for good, under the
-- digest that archive_part has and the pack's manifest in the log repeats.
CREATE TABLE statement_evidence (
    statement_id text COLLATE "C" NOT NULL REFERENCES statement,
    name         text COLLATE "C" NOT NULL,
    content      bytea STORAGE EXTERNAL,  -- Parquet is compressed already
    archived     text COLLATE "C" REFERENCES archive_part (path),
    PRIMARY KEY (statement_id, name),
    CONSTRAINT kept_here_or_archived CHECK (num_nonnulls(content, archived) = 1)
);
COMMENT ON COLUMN statement_evidence.archived IS 'path of the archived file that is this file of the pack, as it is';

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['archive_place', 'archive_part', 'archive_day', 'archive_drop',
                                'archive_hold', 'statement_evidence'] LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION tonne_append_only()', name);
        EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only()', name);
    END LOOP;
END $$;

GRANT SELECT ON archive_place, archive_part, archive_day, archive_reach, archive_drop, archive_hold
    TO tonne_ingest, tonne_mrv, tonne_api, tonne_grafana, tonne_archive;
GRANT INSERT ON archive_place, archive_part, archive_day TO tonne_archive;
GRANT INSERT, UPDATE ON archive_reach TO tonne_archive;
GRANT INSERT ON archive_hold TO tonne_ingest;
GRANT SELECT ON statement_evidence TO tonne_mrv, tonne_api;
GRANT INSERT ON statement_evidence TO tonne_mrv;

-- Drop one chunk of a class's readings.  Returns '' when it is gone, else what
-- stands in the way for now: `readers`, `late`, `held`, `sealed again`, or which
-- reading no part holds.
CREATE FUNCTION tonne_drop_archived(class text, begins timestamptz, ends timestamptz) RETURNS text
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
    VALUES (class, begins, ends, pg_total_relation_size(chunk));
    -- by its times: what was created within these bounds is this chunk alone
    PERFORM drop_chunks(hyper, older_than => ends, newer_than => begins);
    RETURN '';
END $$;
REVOKE EXECUTE ON FUNCTION tonne_drop_archived(text, timestamptz, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tonne_drop_archived(text, timestamptz, timestamptz) TO tonne_archive;
