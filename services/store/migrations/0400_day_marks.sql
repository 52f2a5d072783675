-- Days are added up where something changed, and there alone.  Whoever writes a derived row of an hour ago
-- or older marks its device and day in the same transaction, whatever writes it: a late reading, a rebuild,
-- other factors, an archive that comes back, a hand.  Rows of the last hour need no mark: a day is marked
-- for all devices as it ends, and once more when every transaction that wrote without a mark has ended.
-- `tonne_refresh_days` takes marks and makes their days in one transaction.  So a view that reads sums of
-- days without a mark, and quarter hours of days with one, says at every moment what the quarter hours say.
-- Before, all days of a chunk were made again after each commit.
SET LOCAL ROLE tonne_owner;

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

CREATE VIEW v_day_mark AS
SELECT m.device_id, m.begins, m.ends FROM day_mark m
UNION ALL
SELECT d.id::text COLLATE "C", m.begins, m.ends FROM (SELECT DISTINCT site, begins, ends FROM day_mark_site) m JOIN device d ON d.site = m.site;

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
DO $$
DECLARE
    relation text;
    event text;
BEGIN
    FOREACH relation IN ARRAY ARRAY['interval_quantity', 'interval_emission'] LOOP
        FOREACH event IN ARRAY ARRAY['insert', 'update', 'delete'] LOOP
            EXECUTE format('DROP TRIGGER late_%s ON %I', event, relation);
            EXECUTE format('CREATE TRIGGER late_%1$s AFTER %1$s ON %2$I FOR EACH ROW WHEN ('
                '%3$s.start < clock_timestamp() - INTERVAL ''1 hour'' AND current_setting(''tonne.marks'', true) IS DISTINCT FROM ''made'')'
                ' EXECUTE FUNCTION tonne_mark_late()',
                event, relation, CASE event WHEN 'delete' THEN 'OLD' ELSE 'NEW' END);
        END LOOP;
    END LOOP;
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

DROP FUNCTION tonne_refresh_days(interval, integer);
DROP FUNCTION tonne_make_days(text, date, date, text[]);
DROP FUNCTION tonne_note_clocks();
DROP TABLE day_made, day_clock;

-- Make the days of these devices that touch these spans, whole, in the site's clock, and in the project's for
-- emissions.  Only those that come out otherwise are written.  A device at a time, in the order of its key,
-- and no more than its days and three hours: some clocks show an hour about midnight twice.
CREATE FUNCTION tonne_make_days(devices text[], spans tstzmultirange[])
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
        FROM (SELECT s.timezone UNION SELECT p.timezone FROM project p) z
    ) edge;
    WITH todo AS MATERIALIZED (
        SELECT t.device_id COLLATE "C" AS device_id, t.timezone, t.spans, t.since, t.until
        FROM unnest(ids, zones, whole, begin_at, end_at) AS t (device_id, timezone, spans, since, until)
    ), fresh AS MATERIALIZED (
        SELECT g.*, t.timezone
        FROM (
            SELECT t.device_id, i.quantity, tonne_clock(t.timezone, i.start)::date AS day,
                   sum(i.value) AS value, sum(i.measured_us)::bigint AS measured_us
            FROM todo t CROSS JOIN LATERAL (
                SELECT r.quantity, r.start, r.value, r.measured_us FROM interval_quantity r
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
    INSERT INTO day_quantity AS q (device_id, quantity, day, timezone, value, measured_us)
    SELECT device_id, quantity, day, timezone, value, measured_us FROM fresh
    ON CONFLICT ON CONSTRAINT day_quantity_pkey DO UPDATE
        SET timezone = excluded.timezone, value = excluded.value, measured_us = excluded.measured_us
        WHERE (q.timezone, q.value, q.measured_us) IS DISTINCT FROM (excluded.timezone, excluded.value, excluded.measured_us);

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
    ids text[];
    spans tstzmultirange[];
    made integer := 0;
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
    LOOP
        -- marks that this statement sees are of transactions whose rows the next ones see
        WITH waiting AS (
            SELECT device_id, min(xid) AS first, min(begins) AS begins, max(ends) AS ends,
                   sum(least(extract(epoch FROM ends - begins) / 86400, 1000)) AS days
            FROM day_mark GROUP BY device_id
        ), oldest AS (
            SELECT begins - INTERVAL '1 day' AS begins, ends + INTERVAL '1 day' AS ends, (ends - begins) / 4 AS least
            FROM waiting ORDER BY first, device_id LIMIT 1
        ), chosen AS (
            -- what is read of a device is the span of all
            SELECT w.device_id, sum(w.days) OVER (ORDER BY w.first, w.device_id) - w.days AS before
            FROM waiting w JOIN oldest o ON w.begins >= o.begins AND w.ends <= o.ends AND w.ends - w.begins >= o.least
        ), taken AS (
            DELETE FROM day_mark m USING chosen c WHERE m.device_id = c.device_id AND c.before < device_days
            RETURNING m.device_id, m.begins, m.ends
        )
        SELECT array_agg(t.device_id), array_agg(t.spans) INTO ids, spans
        FROM (SELECT device_id, range_agg(tstzrange(begins, ends)) AS spans FROM taken GROUP BY device_id) t;
        EXIT WHEN ids IS NULL;
        PERFORM tonne_make_days(ids, spans);
        made := made + cardinality(ids);
        EXIT WHEN clock_timestamp() - statement_timestamp() > budget;
    END LOOP;
    RETURN made;
END $$;

-- Days of a project from which on sums by day are not whole yet: yesterday, or earlier where nobody added up.
CREATE VIEW v_project_open AS
SELECT p.id::text COLLATE "C" AS project_id, p.timezone, t.yesterday, tonne_clock(p.timezone, t.yesterday::timestamp) AS yesterday_begins,
       least(t.yesterday, ended.day) AS open_day, tonne_clock(p.timezone, least(t.yesterday, ended.day)::timestamp) AS open_begins
FROM project p
CROSS JOIN day_until u
CROSS JOIN LATERAL (SELECT tonne_clock(p.timezone, now())::date - 1 AS yesterday, tonne_clock(p.timezone, u.until)::date AS day) t
CROSS JOIN LATERAL (SELECT t.day - CASE WHEN tonne_clock(p.timezone, t.day::timestamp) > u.until THEN 1 ELSE 0 END AS day) ended
OFFSET 0;  -- a fence: once a project, not once a row

-- The account by device and the project's local day, as its quarter hours say at this moment: sums of whole
-- days without a mark, quarter hours of days with one and of days that nobody added up, and v_today_emission.
CREATE VIEW v_day_emission AS
SELECT e.begins, e.day, e.timezone, e.project_id, e.device_id, e.baseline_ug, e.project_ug, e.leakage_ug, e.reduction_ug
FROM day_emission e
JOIN v_project_open o ON o.project_id = e.project_id AND o.timezone = e.timezone
WHERE e.day < o.open_day AND NOT EXISTS (
    SELECT FROM v_day_mark m
    WHERE m.device_id = e.device_id AND m.ends > e.begins AND m.begins < tonne_clock(e.timezone, (e.day + 1)::timestamp)
)
UNION ALL
SELECT tonne_clock(i.timezone, i.day::timestamp), i.day, i.timezone, i.project_id, i.device_id, i.baseline_ug, i.project_ug, i.leakage_ug, i.reduction_ug
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
    JOIN interval_emission r ON r.device_id = m.device_id
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
WHERE i.day >= i.open_day AND i.day < i.yesterday
UNION ALL
SELECT t.begins, t.day, t.timezone, t.project_id, t.device_id, t.baseline_ug, t.project_ug, t.leakage_ug, t.reduction_ug
FROM v_today_emission t;

CREATE OR REPLACE VIEW v_day_avoided_t AS
SELECT e.begins AS time, e.day, e.timezone, e.project_id, e.device_id,
       e.baseline_ug * 0.000000000001 AS baseline_t, e.project_ug * 0.000000000001 AS project_t,
       e.leakage_ug * 0.000000000001 AS leakage_t, e.reduction_ug * 0.000000000001 AS avoided_t
FROM v_day_emission e;

CREATE OR REPLACE VIEW v_account_day AS
SELECT days.begins AS time, days.day, days.timezone, days.project_id,
       days.baseline_ug, days.project_ug, days.leakage_ug, days.reduction_ug,
       days.baseline_ug * 0.000000000001 AS baseline_t, days.project_ug * 0.000000000001 AS project_t,
       days.leakage_ug * 0.000000000001 AS leakage_t, days.reduction_ug * 0.000000000001 AS avoided_t
FROM (
    SELECT e.begins, e.day, e.timezone, e.project_id, sum(e.baseline_ug) AS baseline_ug, sum(e.project_ug) AS project_ug,
           sum(e.leakage_ug) AS leakage_ug, sum(e.reduction_ug) AS reduction_ug
    FROM v_day_emission e
    GROUP BY e.begins, e.day, e.timezone, e.project_id
) days;

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

REVOKE EXECUTE ON FUNCTION tonne_mark_days, tonne_mark_sites, tonne_mark_row, tonne_mark_ended, tonne_make_days, tonne_refresh_days FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tonne_mark_days, tonne_mark_sites, tonne_mark_row TO tonne_ingest;
GRANT EXECUTE ON FUNCTION tonne_refresh_days TO tonne_ingest, tonne_mrv, tonne_watch;
GRANT SELECT ON day_mark, day_mark_site, day_until TO tonne_ingest, tonne_mrv, tonne_api, tonne_grafana, tonne_watch;
GRANT SELECT ON v_day_mark, v_project_open, v_day_emission TO tonne_mrv, tonne_api, tonne_grafana, tonne_watch;

COMMENT ON VIEW v_day_mark IS 'Spans of a device''s time whose days wait to be added up again.';
COMMENT ON VIEW v_project_open IS 'From which local day on a project''s sums by day are not whole yet: yesterday, or earlier where nobody adds up.';
COMMENT ON VIEW v_day_emission IS 'Account by device and the project''s local day, in micrograms of CO2e, as quarter hours say at this moment: for v_account_day and v_day_avoided_t.';
COMMENT ON VIEW v_account_day IS 'Account of a project by its local day, in micrograms and in tonnes, as its quarter hours say at this moment. All other surfaces take their tonnes from here.';
