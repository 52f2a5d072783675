-- Days also know how much of their time was estimated, and how much is unknown: a project's page told it
-- from all quarter hours of a month.  Of a day that was made before, both are NULL until it is made again;
-- its coverage is then read from its quarter hours.
SET LOCAL ROLE tonne_owner;

ALTER TABLE day_quantity ADD COLUMN estimated_us bigint, ADD COLUMN unknown_us bigint;

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

COMMENT ON COLUMN day_quantity.estimated_us IS 'Time of the day that was estimated, in microseconds; NULL where the day was made by an earlier version.';
COMMENT ON COLUMN day_quantity.unknown_us IS 'Time of the day of which nothing is known, in microseconds; NULL where the day was made by an earlier version.';
