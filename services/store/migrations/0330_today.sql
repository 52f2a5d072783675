-- Yesterday and today by device, for views that added them up from all quarter hours each time they
-- were asked.  Sums are kept of the quarter hours before `day_today_until`, an hour ago or more; a view
-- adds what came since.  A row before that which is written all the same, late data or a correction,
-- marks its device in the same transaction, and a marked device is added up from its quarter hours until
-- it is made again.  So the views say at every moment what the quarter hours say.
SET LOCAL ROLE tonne_owner;

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

-- The clock is that of the moment: a transaction may have begun long before it wrote.
CREATE FUNCTION tonne_mark_late() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    device text := CASE TG_OP WHEN 'DELETE' THEN OLD.device_id ELSE NEW.device_id END;
BEGIN
    INSERT INTO day_today_late (device_id) SELECT device
    WHERE NOT EXISTS (SELECT FROM day_today_late l WHERE l.device_id = device AND l.xid = pg_current_xact_id());
    RETURN NULL;
END $$;
DO $$
DECLARE
    relation text;
    row text;
    event text;
BEGIN
    FOREACH relation IN ARRAY ARRAY['interval_quantity', 'interval_emission'] LOOP
        FOR event, row IN VALUES ('insert', 'NEW'), ('update', 'NEW'), ('delete', 'OLD') LOOP
            EXECUTE format('CREATE TRIGGER late_%1$s AFTER %1$s ON %2$I FOR EACH ROW WHEN ('
                '%3$s.start < clock_timestamp() - INTERVAL ''1 hour'' AND %3$s.start > clock_timestamp() - INTERVAL ''52 hours'')'
                ' EXECUTE FUNCTION tonne_mark_late()', event, relation, row);
        END LOOP;
    END LOOP;
END $$;

-- Another clock has other days.
CREATE FUNCTION tonne_mark_moved() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_TABLE_NAME = 'site' THEN
        INSERT INTO day_today_late (device_id) SELECT d.id FROM device d WHERE d.site = NEW.id;
    ELSIF TG_TABLE_NAME = 'project' THEN
        INSERT INTO day_today_late (device_id)
        SELECT device_id FROM day_today_emission WHERE project_id = NEW.id
        UNION SELECT device_id FROM project_device WHERE project_id = NEW.id;
    ELSE
        INSERT INTO day_today_late (device_id) VALUES (NEW.id);
    END IF;
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

-- Yesterday, today and tomorrow by each site's and project's clock; nothing comes from further ahead.
CREATE VIEW v_site_today AS
SELECT s.id::text COLLATE "C" AS site, s.timezone, t.day, tonne_clock(s.timezone, t.day::timestamp) AS begins,
       tonne_clock(s.timezone, (t.day + 1)::timestamp) AS ends
FROM site s CROSS JOIN LATERAL (SELECT tonne_clock(s.timezone, now())::date + k AS day FROM generate_series(-1, 1) AS k) t
OFFSET 0;  -- a fence: once a site, not once a row
CREATE VIEW v_project_today AS
SELECT p.id::text COLLATE "C" AS project_id, p.timezone, t.day, tonne_clock(p.timezone, t.day::timestamp) AS begins,
       tonne_clock(p.timezone, (t.day + 1)::timestamp) AS ends
FROM project p CROSS JOIN LATERAL (SELECT tonne_clock(p.timezone, now())::date + k AS day FROM generate_series(-1, 1) AS k) t
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

CREATE OR REPLACE VIEW v_day_avoided_t AS
SELECT e.begins AS time, e.day, e.timezone, e.project_id, e.device_id,
       e.baseline_ug * 0.000000000001 AS baseline_t, e.project_ug * 0.000000000001 AS project_t,
       e.leakage_ug * 0.000000000001 AS leakage_t, e.reduction_ug * 0.000000000001 AS avoided_t
FROM day_emission e
JOIN project p ON p.id = e.project_id AND p.timezone = e.timezone
WHERE e.day < tonne_clock(e.timezone, now())::date - 1
UNION ALL
SELECT i.begins, i.day, i.timezone, i.project_id, i.device_id,
       i.baseline_ug * 0.000000000001, i.project_ug * 0.000000000001,
       i.leakage_ug * 0.000000000001, i.reduction_ug * 0.000000000001
FROM v_today_emission i;

CREATE OR REPLACE VIEW v_account_day AS
SELECT days.begins AS time, days.day, days.timezone, days.project_id,
       days.baseline_ug, days.project_ug, days.leakage_ug, days.reduction_ug,
       days.baseline_ug * 0.000000000001 AS baseline_t, days.project_ug * 0.000000000001 AS project_t,
       days.leakage_ug * 0.000000000001 AS leakage_t, days.reduction_ug * 0.000000000001 AS avoided_t
FROM (
    SELECT e.begins, e.day, e.timezone, e.project_id, sum(e.baseline_ug) AS baseline_ug, sum(e.project_ug) AS project_ug,
           sum(e.leakage_ug) AS leakage_ug, sum(e.reduction_ug) AS reduction_ug
    FROM day_emission e
    JOIN project p ON p.id = e.project_id AND p.timezone = e.timezone
    WHERE e.day < tonne_clock(e.timezone, now())::date - 1
    GROUP BY e.begins, e.day, e.timezone, e.project_id
    UNION ALL
    SELECT i.begins, i.day, i.timezone, i.project_id,
           sum(i.baseline_ug), sum(i.project_ug), sum(i.leakage_ug), sum(i.reduction_ug)
    FROM v_today_emission i
    GROUP BY i.begins, i.day, i.timezone, i.project_id
) days;

REVOKE EXECUTE ON FUNCTION tonne_refresh_today FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tonne_refresh_today TO tonne_ingest, tonne_mrv, tonne_watch;
GRANT SELECT ON day_today_quantity, day_today_emission, day_today_until, day_today_late
    TO tonne_ingest, tonne_mrv, tonne_api, tonne_grafana, tonne_watch;
GRANT SELECT ON v_site_today, v_project_today, v_today_emission TO tonne_mrv, tonne_api, tonne_grafana, tonne_watch;

COMMENT ON VIEW v_site_today IS 'Yesterday, today and tomorrow by the clock of each site, with the times between which they lie.';
COMMENT ON VIEW v_project_today IS 'Yesterday, today and tomorrow by the clock of each project, with the times between which they lie.';
COMMENT ON VIEW v_today_emission IS 'Account of yesterday and today by device, in micrograms of CO2e: for v_account_day and v_day_avoided_t.';
