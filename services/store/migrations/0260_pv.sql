-- PV as its operators know it: modules on an inverter as dated rows of the registry, and by them the
-- ratios of IEC 61724-1, availability, expected energy, and losses by cause.
SET LOCAL ROLE tonne_owner;

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

CREATE VIEW v_device_array AS
SELECT a.device_id::text COLLATE "C" AS device_id, a.begins,
       lead(a.begins, 1, 'infinity') OVER (PARTITION BY a.device_id::text COLLATE "C" ORDER BY a.begins) AS ends,
       a.dc_power_w, a.tilt, a.azimuth, a.temperature_coefficient_percent
FROM device_array a;

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

-- A reading of an inverter counts as long as the device's cadence says, so that a plant that sends each
-- hour has its ratio.
--
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

-- Energy expected of modules by the sun that was measured: PVWatts (Dobos 2014, NREL/TP-6A20-62641,
-- equations 7 and 9) with its losses of 14.08 % and an inverter of 96 %, before any limit of the
-- inverter.  Linear in irradiance and temperature, so that a day's sums give the day.  [kWh]
CREATE FUNCTION tonne_pv_expected_kwh(dc_kw numeric, wh_m2 double precision, wh_k_m2 double precision, percent_per_k numeric)
RETURNS double precision LANGUAGE sql IMMUTABLE AS $$
    SELECT dc_kw * (wh_m2 + wh_k_m2 * percent_per_k / 100) / 1000 * (1 - 0.1408) * 0.96
$$;

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

CREATE VIEW v_pv_rate AS
SELECT m.device_id::text COLLATE "C" AS device_id, m.project_id::text COLLATE "C" AS project_id,
       tonne_pv_t_per_kwh(m.device_id, m.project_id) AS t_per_kwh
FROM (SELECT DISTINCT device_id, project_id FROM project_device) m
JOIN device d ON d.id = m.device_id AND d.class = 'pv_inverter';

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
-- pairs of days a year apart (mrv/performance/degradation.py).  Made by the watcher once a day; without a
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

GRANT SELECT ON v_device_array, v_pv_rate, v_clear_sky_power TO tonne_mrv, tonne_api, tonne_grafana;
GRANT EXECUTE ON FUNCTION tonne_pv_expected_kwh, tonne_pv_t_per_kwh TO tonne_mrv, tonne_api, tonne_grafana;
