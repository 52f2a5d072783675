-- Of a month that was written to, only the days that came out otherwise are written: the
-- month of now is added up every few minutes, and nearly all of its days are as before.
SET LOCAL ROLE tonne_owner;

CREATE OR REPLACE FUNCTION tonne_make_days(relation text, begins timestamptz, ends timestamptz, chosen text[] DEFAULT NULL)
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
