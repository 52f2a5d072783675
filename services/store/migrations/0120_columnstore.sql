-- Chunks are compressed by tonne's own processes; what is written again and again is kept tidy.
SET LOCAL ROLE tonne_owner;

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
