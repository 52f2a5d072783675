-- Values of stations: hours and days of the site's own clock, derived like
-- intervals.  Looked up by station and time, so the key says them first.  The
-- last quarter of an hour is rewritten by every batch: room in the page keeps
-- those updates off the index.
SET LOCAL ROLE tonne_owner;

ALTER TABLE indicator_value
    DROP CONSTRAINT indicator_value_pkey,
    ADD PRIMARY KEY (device_id, start, indicator),
    ADD COLUMN period  text NOT NULL DEFAULT 'hour' CHECK (period IN ('hour', 'day')),
    ADD COLUMN covered double precision CHECK (covered BETWEEN 0 AND 1);
ALTER TABLE indicator_value SET (fillfactor = 80);

CREATE OR REPLACE VIEW v_indicator_hour AS
SELECT v.start AS time, v.device_id, d.site, v.indicator, v.value, v.grade, v.covered
FROM indicator_value v
JOIN device d ON d.id = v.device_id
WHERE v.period = 'hour';

CREATE VIEW v_indicator_day AS
SELECT v.start AS time, (v.start AT TIME ZONE s.timezone)::date AS day, v.device_id, d.site,
       v.indicator, v.value, v.grade, v.covered, v.detail
FROM indicator_value v
JOIN device d ON d.id = v.device_id
JOIN site s ON s.id = d.site
WHERE v.period = 'day';
GRANT SELECT ON v_indicator_day TO tonne_mrv, tonne_api, tonne_grafana;

-- Another time zone means other hours and days.
CREATE FUNCTION tonne_site_clock_changed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    INSERT INTO remake_request (device_id)
        SELECT id FROM device WHERE site = NEW.id ORDER BY id
        ON CONFLICT (device_id) DO UPDATE SET requested = excluded.requested;
    RETURN NULL;
END $$;
CREATE TRIGGER clock_changed AFTER UPDATE ON site
    FOR EACH ROW WHEN (OLD.timezone IS DISTINCT FROM NEW.timezone) EXECUTE FUNCTION tonne_site_clock_changed();

-- Stations that have sent already: the pipeline makes their values when it starts.
INSERT INTO remake_request (device_id)
    SELECT id FROM device WHERE class IN ('air_station', 'noise_station', 'wastewater_plant') ORDER BY id
    ON CONFLICT (device_id) DO UPDATE SET requested = excluded.requested;
