-- Sums by local day, for dashboards alone: a year of many devices is too much to
-- add up while somebody watches.  Statements, the API and `tonne verify` never read
-- them.  They are made from interval rows by one function, again for every chunk of
-- those that was written to since; the last two days are not kept at all, the views
-- of 0081 add them up when they are asked.
SET LOCAL ROLE tonne_owner;

CREATE TABLE day_quantity (
    device_id   text COLLATE "C" NOT NULL,
    quantity    text COLLATE "C" NOT NULL,
    day         date NOT NULL,
    timezone    text NOT NULL,
    value       numeric NOT NULL,
    measured_us bigint NOT NULL,
    PRIMARY KEY (device_id, quantity, day)
);
CREATE INDEX day_quantity_day ON day_quantity (day);

CREATE TABLE day_emission (
    project_id   text COLLATE "C" NOT NULL,
    device_id    text COLLATE "C" NOT NULL,
    day          date NOT NULL,
    timezone     text NOT NULL,
    baseline_ug  numeric NOT NULL,
    project_ug   numeric NOT NULL,
    leakage_ug   numeric NOT NULL,
    reduction_ug numeric NOT NULL,
    PRIMARY KEY (project_id, day, device_id)
);
CREATE INDEX day_emission_day ON day_emission (day);

-- What a chunk had been through when its days were made: rows written, changed and
-- deleted so far.  After a crash PostgreSQL counts from nothing again: that is another
-- number, and the chunk's days are made again.
CREATE TABLE day_made (
    chunk    text COLLATE "C" PRIMARY KEY,
    writes   bigint NOT NULL,
    registry bigint NOT NULL,
    made     timestamptz NOT NULL
);

-- Days that lie between these two times in the site's or project's own clock, whole.
CREATE FUNCTION tonne_make_days(relation text, begins timestamptz, ends timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF relation = 'interval_quantity' THEN
        DELETE FROM day_quantity WHERE day >= (begins - INTERVAL '1 day')::date AND day <= (ends + INTERVAL '1 day')::date;
        INSERT INTO day_quantity (device_id, quantity, day, timezone, value, measured_us)
        SELECT i.device_id, i.quantity, (i.start AT TIME ZONE s.timezone)::date, s.timezone, sum(i.value), sum(i.measured_us)
        FROM interval_quantity i JOIN device d ON d.id = i.device_id JOIN site s ON s.id = d.site
        WHERE i.start >= begins - INTERVAL '3 days' AND i.start < ends + INTERVAL '3 days'
          AND (i.start AT TIME ZONE s.timezone)::date
              BETWEEN (begins - INTERVAL '1 day')::date AND (ends + INTERVAL '1 day')::date
        GROUP BY 1, 2, 3, 4;
    ELSE
        DELETE FROM day_emission WHERE day >= (begins - INTERVAL '1 day')::date AND day <= (ends + INTERVAL '1 day')::date;
        INSERT INTO day_emission
        SELECT e.project_id, e.device_id, (e.start AT TIME ZONE p.timezone)::date, p.timezone, sum(e.baseline_ug),
               sum(e.project_ug), sum(e.leakage_ug), sum(e.reduction_ug)
        FROM interval_emission e JOIN project p ON p.id = e.project_id
        WHERE e.start >= begins - INTERVAL '3 days' AND e.start < ends + INTERVAL '3 days'
          AND (e.start AT TIME ZONE p.timezone)::date
              BETWEEN (begins - INTERVAL '1 day')::date AND (ends + INTERVAL '1 day')::date
        GROUP BY 1, 2, 3, 4;
    END IF;
END $$;

-- Make the days again of every chunk that was written to; returns how many chunks that
-- were.  One caller at a time; a second one returns 0 at once.
CREATE FUNCTION tonne_refresh_days() RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
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
        WHERE c.hypertable_schema = 'public' AND c.hypertable_name IN ('interval_quantity', 'interval_emission')
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
REVOKE EXECUTE ON FUNCTION tonne_make_days, tonne_refresh_days FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tonne_refresh_days TO tonne_ingest, tonne_mrv;
GRANT SELECT ON day_quantity, day_emission, day_made TO tonne_mrv, tonne_api, tonne_grafana;

-- A gateway is dark when nothing behind it, and it itself, has spoken for half an hour.
CREATE VIEW v_gateway_health AS
WITH health AS MATERIALIZED (SELECT device_id, site, gateway, last_reading FROM v_device_health)
SELECT h.gateway, min(h.site) AS site, count(*) AS devices,
       greatest(max(h.last_reading), max(g.last_reading)) AS last_heard,
       extract(epoch FROM now() - greatest(max(h.last_reading), max(g.last_reading)))::double precision AS silent_s,
       CASE WHEN greatest(max(h.last_reading), max(g.last_reading)) >= now() - INTERVAL '30 minutes'
           THEN 'online' ELSE 'dark' END AS state
FROM health h
LEFT JOIN health g ON g.device_id = h.gateway
WHERE h.gateway IS NOT NULL
GROUP BY h.gateway;
GRANT SELECT ON v_gateway_health TO tonne_mrv, tonne_api, tonne_grafana;
