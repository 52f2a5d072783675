-- Energy a kilometre of vehicles and the chargers that feed them.  Energy of the chargers over distance of
-- the vehicles falls when a charger is not heard, and rises when a vehicle is not: neither is a finding of
-- the fleet.  So a day has a figure only where every meter of the project was metered for all of it.
SET LOCAL ROLE tonne_owner;

-- Days before today.  A meter is metered for a day when it served the project for all of it, and what is
-- measured or estimated of it lacks less than a hundredth: estimated is the share of a day in what a
-- register made over a longer time, which a vehicle has that was parked.
CREATE VIEW v_day_energy_per_km AS
SELECT d.begins AS time, d.day, d.timezone, d.project_id, m.energy_kwh, m.distance_km, m.meters, m.not_metered,
       CASE WHEN m.not_metered IS NULL THEN m.energy_kwh / nullif(m.distance_km, 0) END AS kwh_per_km
FROM (
    SELECT m.project_id::text COLLATE "C" AS project_id, q.day, q.timezone, q.begins
    FROM day_quantity q
    JOIN project_device m ON m.device_id = q.device_id AND m.role IN ('charging', 'vehicle') AND m.during @> q.begins
    WHERE q.quantity IN ('energy_import', 'distance') AND q.day < tonne_clock(q.timezone, now())::date
    GROUP BY 1, 2, 3, 4
) d
CROSS JOIN LATERAL (
    SELECT count(*) AS meters,
           array_agg(one.device_id ORDER BY one.device_id)
               FILTER (WHERE (one.whole AND one.known_us >= 0.99 * one.day_us) IS NOT TRUE) AS not_metered,
           count(DISTINCT one.role) = 2 AS has_both,
           sum(one.value) FILTER (WHERE one.role = 'charging') * 0.001 AS energy_kwh,
           sum(one.value) FILTER (WHERE one.role = 'vehicle') * 0.001 AS distance_km
    FROM (
        SELECT s.device_id::text COLLATE "C" AS device_id, s.role, q.value, s.during @> tstzrange(d.begins, span.ends) AS whole, span.day_us,
               CASE WHEN q.measured_us >= 0.99 * span.day_us THEN q.measured_us ELSE (
                   SELECT sum(i.measured_us + i.estimated_us) FROM interval_quantity i
                   WHERE q.value IS NOT NULL AND i.device_id = s.device_id AND i.quantity = k.quantity
                     AND i.start >= d.begins AND i.start < span.ends
               ) END AS known_us
        FROM (SELECT e.ends, extract(epoch FROM e.ends - d.begins) * 1000000 AS day_us
              FROM (SELECT tonne_clock(d.timezone, (d.day + 1)::timestamp) AS ends) e) span
        JOIN project_device s ON s.project_id = d.project_id AND s.role IN ('charging', 'vehicle')
            AND s.during && tstzrange(d.begins, span.ends)
        CROSS JOIN LATERAL (SELECT CASE s.role WHEN 'charging' THEN 'energy_import' ELSE 'distance' END AS quantity) k
        LEFT JOIN day_quantity q ON q.device_id = s.device_id AND q.quantity = k.quantity
            AND q.day = d.day AND q.timezone = d.timezone
    ) one
) m
WHERE m.has_both;

GRANT SELECT ON v_day_energy_per_km TO tonne_mrv, tonne_api, tonne_grafana;
COMMENT ON VIEW v_day_energy_per_km IS 'Energy of a project''s chargers over the distance of its vehicles by local day before today. kwh_per_km is null where not all of its meters were metered for the whole day; not_metered names those that were not.';
