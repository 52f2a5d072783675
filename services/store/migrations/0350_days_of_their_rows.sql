-- Adding a day up reads that day's rows.  It read a day more on either side, so that of ten thousand
-- inverters, whose days are made one at a time, three days were read for each; of emissions, which no index
-- finds by time, the whole chunk was read for every two days, and what was read was sorted on disk.
-- The three hours are for clocks that show an hour about midnight twice; after an inverter's last reading of
-- a day the next one is looked for, as long as a reading may count.
SET LOCAL ROLE tonne_owner;

CREATE INDEX interval_emission_start ON interval_emission (start);

CREATE OR REPLACE FUNCTION tonne_make_days(relation text, first_day date, last_day date, chosen text[] DEFAULT NULL)
RETURNS void LANGUAGE plpgsql SET plan_cache_mode = 'force_custom_plan' SET work_mem = '128MB' AS $$
DECLARE
    since timestamptz;
    until timestamptz;
    archived tstzmultirange;
BEGIN
    SELECT min(tonne_clock(z.timezone, first_day::timestamp)) - INTERVAL '3 hours',
           max(tonne_clock(z.timezone, (last_day + 1)::timestamp)) + INTERVAL '3 hours'
        INTO since, until
    FROM (SELECT timezone FROM site UNION SELECT timezone FROM project) z;
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
        -- (days that a clock of before made lie elsewhere: up to a day more is looked through)
        SELECT range_agg(tstzrange(from_time, to_time)) INTO archived
        FROM archive_drop WHERE class_id = 'pv_inverter'
          AND from_time < until + INTERVAL '26 hours' AND to_time > since - INTERVAL '26 hours';
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
                    WHERE q.device_id = d.id AND q.time >= since AND q.time < until + INTERVAL '1 day'
                      -- as long as its last reading of the days may count
                      AND q.time < until + INTERVAL '1 s' * CASE WHEN jsonb_typeof(d.attributes -> 'cadence_s') = 'number'
                          THEN least((d.attributes ->> 'cadence_s')::numeric, 86400)::double precision ELSE 0 END
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
