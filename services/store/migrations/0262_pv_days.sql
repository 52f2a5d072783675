-- Days of PV as they were last added up, energy and sun of one round: yesterday's energy of ten thousand
-- devices was added up once more by each round of alarms, and for each look at a board.  A reading
-- counts as long as the device's cadence says, so that a plant that sends each hour has its ratio.  The
-- rate at which an inverter's energy avoids tonnes is asked for one device at a time, and alarms read a
-- week of days once.
SET LOCAL ROLE tonne_owner;

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

CREATE OR REPLACE VIEW v_pv_rate AS
SELECT m.device_id::text COLLATE "C" AS device_id, m.project_id::text COLLATE "C" AS project_id,
       tonne_pv_t_per_kwh(m.device_id, m.project_id) AS t_per_kwh
FROM (SELECT DISTINCT device_id, project_id FROM project_device) m
JOIN device d ON d.id = m.device_id AND d.class = 'pv_inverter';

-- Make the days that lie between these two times in the site's or project's own clock, whole; only
-- those of some devices (of some projects for emissions), where they are named.  Of a month that was
-- written to, only the days that came out otherwise are written: the month of now is added up every
-- few minutes, and nearly all of its days are as before.
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
                   sum(r.step_s) FILTER (WHERE r.active_power_w >= 0.98 * r.rated_power_w) AS clipped_s,
                   sum(r.irradiance_w_m2 * r.step_s) FILTER (WHERE r.module_temperature_c IS NOT NULL) / 3600 AS warm_wh_m2,
                   sum(r.irradiance_w_m2 * (r.module_temperature_c - 25) * r.step_s) / 3600 AS heat_wh_k_m2,
                   sum(r.step_s) FILTER (WHERE r.irradiance_w_m2 >= 100 AND r.active_power_w IS NOT NULL) AS lit_s,
                   sum(r.step_s) FILTER (WHERE r.irradiance_w_m2 >= 100 AND r.active_power_w > 0) AS running_s,
                   sum(r.irradiance_w_m2 * r.step_s) FILTER (WHERE r.irradiance_w_m2 >= 100 AND r.active_power_w <= 0) / 3600 AS standing_wh_m2,
                   sum(r.irradiance_w_m2 * r.step_s) FILTER (WHERE r.active_power_w >= 0.98 * r.rated_power_w) / 3600 AS clipped_wh_m2,
                   sum(r.active_power_w * r.step_s) FILTER (WHERE r.active_power_w >= 0.98 * r.rated_power_w) / 3600 AS clipped_wh
            FROM (
                SELECT p.device_id, s.timezone, (p.time AT TIME ZONE s.timezone)::date AS day,
                       CASE WHEN p.irradiance_w_m2 < 0 THEN 0 ELSE p.irradiance_w_m2 END AS irradiance_w_m2, p.active_power_w, p.module_temperature_c, d.rated_power_w,
                       least(extract(epoch FROM lead(p.time) OVER (PARTITION BY p.device_id ORDER BY p.time) - p.time),
                             greatest(900, CASE WHEN jsonb_typeof(d.attributes -> 'cadence_s') = 'number'
                                 THEN (d.attributes ->> 'cadence_s')::numeric END))
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
        INSERT INTO day_pv AS q (device_id, day, timezone, insolation_wh_m2, sunny_s, clipped_s, warm_wh_m2, heat_wh_k_m2, lit_s, running_s, standing_wh_m2, clipped_wh_m2, clipped_wh)
        SELECT device_id, day, timezone, insolation_wh_m2, sunny_s, clipped_s,
               warm_wh_m2, heat_wh_k_m2, lit_s, running_s, standing_wh_m2, clipped_wh_m2, clipped_wh FROM fresh
        -- made by a clock of before, and half in the archive now: it stays, and no view shows it
        ON CONFLICT ON CONSTRAINT day_pv_pkey DO UPDATE
            SET timezone = excluded.timezone, insolation_wh_m2 = excluded.insolation_wh_m2,
                sunny_s = excluded.sunny_s, clipped_s = excluded.clipped_s,
                warm_wh_m2 = excluded.warm_wh_m2, heat_wh_k_m2 = excluded.heat_wh_k_m2, lit_s = excluded.lit_s, running_s = excluded.running_s,
                standing_wh_m2 = excluded.standing_wh_m2, clipped_wh_m2 = excluded.clipped_wh_m2, clipped_wh = excluded.clipped_wh
            WHERE NOT archived && tstzrange(q.day::timestamp AT TIME ZONE q.timezone, (q.day + 1)::timestamp AT TIME ZONE q.timezone)
              AND (q.timezone, q.insolation_wh_m2, q.sunny_s, q.clipped_s, q.warm_wh_m2, q.heat_wh_k_m2, q.lit_s, q.running_s, q.standing_wh_m2, q.clipped_wh_m2, q.clipped_wh) IS DISTINCT FROM
                  (excluded.timezone, excluded.insolation_wh_m2, excluded.sunny_s, excluded.clipped_s,
                   excluded.warm_wh_m2, excluded.heat_wh_k_m2, excluded.lit_s, excluded.running_s, excluded.standing_wh_m2, excluded.clipped_wh_m2, excluded.clipped_wh);
    END IF;
END $$;

-- the chunks of inverters are gone through once more
DELETE FROM day_made m USING timescaledb_information.chunks c
WHERE c.chunk_name = m.chunk AND c.hypertable_name = 'reading_pv_inverter';

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


-- Every cause that holds now, a row each, as before.
CREATE OR REPLACE VIEW v_alarm_condition AS
WITH RECURSIVE health AS MATERIALIZED (
    SELECT h.*, d.attributes, d.installed FROM v_device_health h JOIN device d ON d.id = h.device_id
), serves AS MATERIALIZED (
    SELECT DISTINCT ON (m.device_id) m.device_id::text COLLATE "C" AS device_id, m.project_id::text COLLATE "C" AS project_id
    FROM project_device m WHERE m.during @> now() ORDER BY m.device_id, lower(m.during) DESC
), cost AS MATERIALIZED (
    SELECT device_id, max(CASE WHEN cost_t_per_day < 0 THEN 0 ELSE cost_t_per_day END) AS cost_t_per_day FROM v_silence_cost GROUP BY device_id
), silent AS MATERIALIZED (
    SELECT h.device_id, h.alarm, s.project_id, c.cost_t_per_day, w.after_s,
           coalesce(h.last_reading, h.installed) AS since,
           coalesce(h.last_reading, h.installed) + w.after_s * INTERVAL '1 s' <= now() AS due
    FROM health h
    JOIN alarm_rule r ON r.kind = 'device_silent' AND r.class = h.class
    CROSS JOIN LATERAL (SELECT tonne_alarm_number(h.attributes, 'device_silent', 'after_s', r.after_s) AS after_s) w
    LEFT JOIN serves s ON s.device_id = h.device_id
    LEFT JOIN cost c ON c.device_id = h.device_id
    WHERE h.state <> 'online'
), below AS (
    SELECT device_id, gateway AS above FROM health WHERE gateway IS NOT NULL
    UNION
    SELECT b.device_id, h.gateway FROM below b JOIN health h ON h.device_id = b.above WHERE h.gateway IS NOT NULL
), gateway AS MATERIALIZED (
    -- the topmost that is dark; it is as patient as the least patient device behind it
    SELECT g.device_id AS gateway, g.class, g.site, g.said, min(s.after_s) AS after_s,
           greatest(g.last_reading, max(s.since)) AS since,
           count(*) AS devices, sum(s.cost_t_per_day) AS cost_t_per_day,
           array_agg(DISTINCT s.project_id) FILTER (WHERE s.project_id IS NOT NULL) AS projects
    FROM health g
    JOIN below b ON b.above = g.device_id
    JOIN silent s ON s.device_id = b.device_id
    WHERE g.alarm AND EXISTS (SELECT FROM health h WHERE h.gateway = g.device_id AND h.gateway_dark)
    GROUP BY g.device_id, g.class, g.site, g.said, g.last_reading
), gateway_due AS MATERIALIZED (
    SELECT g.* FROM gateway g JOIN alarm_rule r ON r.kind = 'gateway_silent' AND r.class = ''
    WHERE g.since + greatest(g.after_s, r.after_s) * INTERVAL '1 s' <= now()
), dark_project AS MATERIALIZED (
    -- nothing of it is heard, and not for one gateway's or one device's sake
    SELECT s.project_id, max(a.since) AS since, count(*) FILTER (WHERE a.alarm) AS devices,
           sum(a.cost_t_per_day) FILTER (WHERE a.alarm) AS cost_t_per_day
    FROM serves s
    JOIN health h ON h.device_id = s.device_id
    LEFT JOIN silent a ON a.device_id = s.device_id
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
           array_remove(ARRAY[s.project_id], NULL) AS projects, s.since, 0::numeric AS least_after_s,
           CASE WHEN h.last_reading IS NULL THEN 'never heard'
                WHEN h.said = 'offline' AND h.said_at >= h.last_reading THEN 'will' ELSE 'silence' END AS cause,
           '{}'::jsonb AS detail, 1::bigint AS devices, s.cost_t_per_day, s.alarm AS raises
    FROM silent s
    JOIN health h ON h.device_id = s.device_id
    WHERE s.device_id NOT IN (SELECT gateway FROM gateway)
      AND NOT EXISTS (SELECT FROM below b JOIN gateway_due g ON g.gateway = b.above WHERE b.device_id = s.device_id)
      AND NOT (s.alarm AND s.project_id IS NOT NULL AND s.project_id IN (SELECT project_id FROM dark_project))
    UNION ALL
    SELECT 'gateway_silent', 'gateway', g.gateway, '', g.class, g.site, coalesce(g.projects, '{}'), g.since, g.after_s,
           CASE WHEN g.said = 'offline' THEN 'will' ELSE 'silence' END, '{}', g.devices, g.cost_t_per_day, true
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
           array_remove(ARRAY[s.project_id], NULL), min(v.start), 0, v.indicator,
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
           (c.valid_until + CASE c.state WHEN 'expired' THEN 1 ELSE -60 END)::timestamp AT TIME ZONE p.timezone, 0,
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
    WHERE h.clock IN ('ahead', 'behind', 'drifting') AND h.state = 'online'
)
SELECT c.kind::text COLLATE "C" AS kind, c.subject_type, c.subject::text COLLATE "C" AS subject, c.part::text COLLATE "C" AS part,
       c.class::text COLLATE "C" AS class, c.site::text COLLATE "C" AS site, c.projects::text[] AS projects,
       r.severity, c.since, c.cause, c.detail, c.devices, c.cost_t_per_day, r.clear_s,
       c.raises AND c.since + greatest(c.least_after_s,
           tonne_alarm_number(h.attributes, c.kind, 'after_s', r.after_s)) * INTERVAL '1 s' <= now() AS raises
FROM condition c
JOIN alarm_rule r ON r.kind = c.kind AND r.class = CASE c.subject_type WHEN 'device' THEN c.class ELSE '' END
LEFT JOIN health h ON h.device_id = c.subject AND c.subject_type <> 'project'
WHERE h.attributes #> ARRAY['alarms', c.kind, 'off'] IS DISTINCT FROM 'true'::jsonb;


GRANT EXECUTE ON FUNCTION tonne_pv_t_per_kwh TO tonne_mrv, tonne_api, tonne_grafana;
