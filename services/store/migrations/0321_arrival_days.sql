-- When readings came, of days that are over: a row a device and day in place of one an hour.  Ten years of
-- ten thousand devices are 876 million hours, 134 GB of arrival_count, and 37 million days.
SET LOCAL ROLE tonne_owner;

-- Of a day in UTC, an element an hour with readings: `place` is its number, 0 to 23, and 32 times how many
-- hours of the clock later they came; `readings` how many.  What comes later for the same day is added at
-- the end, so that an hour may stand there twice, each time with what was counted then.
CREATE TABLE arrival_day (
    device_id text COLLATE "C" NOT NULL,
    day       date NOT NULL,
    place     integer[] NOT NULL,
    readings  integer[] NOT NULL,
    PRIMARY KEY (device_id, day),
    CHECK (cardinality(place) = cardinality(readings))
) WITH (fillfactor = 90);
GRANT SELECT ON arrival_day TO tonne_mrv, tonne_api, tonne_grafana;

-- Counts of these devices and times, half-open, wherever they are kept.
CREATE FUNCTION tonne_arrivals(ids text[], since timestamptz, until timestamptz)
RETURNS TABLE (device_id text, made timestamptz, arrived timestamptz, readings bigint)
LANGUAGE sql STABLE AS $$
    SELECT c.device_id, c.made, c.arrived, c.readings FROM arrival_count c
    WHERE c.device_id = ANY (ids) AND c.made >= since AND c.made < until
    UNION ALL
    SELECT h.* FROM (
        SELECT d.device_id, d.day::timestamp AT TIME ZONE 'UTC' + (r.place & 31) * INTERVAL '1 hour' AS made,
               d.day::timestamp AT TIME ZONE 'UTC' + ((r.place & 31) + (r.place >> 5)) * INTERVAL '1 hour' AS arrived,
               r.readings::bigint AS readings
        FROM arrival_day d CROSS JOIN LATERAL unnest(d.place, d.readings) AS r (place, readings)
        WHERE d.device_id = ANY (ids)
          AND d.day BETWEEN (since AT TIME ZONE 'UTC')::date AND (until AT TIME ZONE 'UTC')::date
    ) h WHERE h.made >= since AND h.made < until
$$;

-- Keep by day what is of before a day, of the next devices after `beyond` in the order of their ids; returns
-- the last of them, or null at the end.
CREATE FUNCTION tonne_pack_arrivals(before date, beyond text, devices integer) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    chosen text[];
BEGIN
    SELECT array_agg(d.id ORDER BY d.id) INTO chosen
    FROM (SELECT id FROM device WHERE id > beyond ORDER BY id LIMIT devices) d;
    WITH gone AS (
        DELETE FROM arrival_count WHERE device_id = ANY (chosen) AND made < before RETURNING *
    )
    INSERT INTO arrival_day AS a (device_id, day, place, readings)
    SELECT device_id, made::date,
           array_agg((extract(hour FROM made) + 32 * (extract(epoch FROM arrived - made) / 3600))::integer
                     ORDER BY made, arrived),
           array_agg(readings::integer ORDER BY made, arrived)
    FROM gone GROUP BY 1, 2 ORDER BY 1, 2
    ON CONFLICT ON CONSTRAINT arrival_day_pkey DO UPDATE SET
        place = a.place || excluded.place, readings = a.readings || excluded.readings;
    RETURN chosen[cardinality(chosen)];
END $$;
REVOKE EXECUTE ON FUNCTION tonne_pack_arrivals FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tonne_pack_arrivals TO tonne_mrv, tonne_watch;
