-- Quality tests: their limits by device, what they say of readings, what a
-- device's clock says, and which meter checks which.
SET LOCAL ROLE tonne_owner;

-- Limits of one channel of a device from a date on; who changed them, when and
-- why.  What a row does not name is the profile's again.
CREATE TABLE device_quality (
    device_id tonne_id NOT NULL REFERENCES device,
    channel   text NOT NULL,
    begins    timestamptz NOT NULL,
    limits    jsonb NOT NULL,
    reason    text NOT NULL,
    author    text NOT NULL DEFAULT session_user,
    recorded  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (device_id, channel, begins)
);
CREATE TRIGGER request_remake AFTER INSERT OR UPDATE OR DELETE ON device_quality
    FOR EACH ROW EXECUTE FUNCTION tonne_request_remake();

-- The meter that this one checks, and by how much they may differ.
ALTER TABLE device
    ADD COLUMN check_of tonne_id REFERENCES device DEFERRABLE INITIALLY DEFERRED CHECK (check_of <> id),
    ADD COLUMN check_percent numeric NOT NULL DEFAULT 2 CHECK (check_percent > 0 AND check_percent <= 100);

-- A site that moves has other nights.
CREATE FUNCTION tonne_site_moved() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    INSERT INTO remake_request (device_id) SELECT id FROM device WHERE site = NEW.id ORDER BY id
        ON CONFLICT (device_id) DO UPDATE SET requested = excluded.requested;
    RETURN NULL;
END $$;
CREATE TRIGGER request_remake AFTER UPDATE ON site
    FOR EACH ROW WHEN ((OLD.latitude, OLD.longitude) IS DISTINCT FROM (NEW.latitude, NEW.longitude))
    EXECUTE FUNCTION tonne_site_moved();

-- Derived rows: what a test says of a stored reading, a pure function of
-- readings and registry.  Not in the reading's own row: a spike is known only
-- when the next value comes, late data and other limits change what is said,
-- and raw rows never change.
CREATE TABLE quality_flag (
    device_id text COLLATE "C" NOT NULL,
    time      timestamptz NOT NULL,
    channel   text COLLATE "C" NOT NULL,
    test      text COLLATE "C" NOT NULL,
    PRIMARY KEY (device_id, time, channel, test)
);
SELECT create_hypertable('quality_flag', by_range('time', INTERVAL '30 days'), create_default_indexes => false);

-- Least time from a reading to its receipt, by day of receipt: what the device's
-- clock is behind (or, below zero, ahead).  A minimum is the same in any order
-- and for any repetition, and buffered readings do not disturb it.  Observed,
-- not derived: the time of receipt stands nowhere else.
CREATE TABLE clock_lag (
    device_id text COLLATE "C" NOT NULL,
    day       date NOT NULL,
    least_us  bigint NOT NULL,
    PRIMARY KEY (device_id, day)
) WITH (fillfactor = 80);

ALTER TABLE reading_energy_meter
    ADD COLUMN active_power_l1_w double precision,
    ADD COLUMN active_power_l2_w double precision,
    ADD COLUMN active_power_l3_w double precision;

-- What was stored before has flags too.
INSERT INTO remake_request (device_id) SELECT id FROM device
    ON CONFLICT (device_id) DO UPDATE SET requested = excluded.requested;

GRANT SELECT ON device_quality, quality_flag, clock_lag TO tonne_ingest, tonne_mrv, tonne_api, tonne_grafana;
GRANT INSERT, DELETE ON quality_flag TO tonne_ingest;
GRANT INSERT, UPDATE ON clock_lag TO tonne_ingest;
