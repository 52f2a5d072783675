-- Sites, devices, projects, the programme: what the readings mean.
SET LOCAL ROLE tonne_owner;

CREATE DOMAIN tonne_id AS text COLLATE "C" CHECK (VALUE ~ '^[A-Za-z0-9_-]{1,64}$');

-- Half-open, finite on both sides, not empty.
CREATE DOMAIN tonne_period AS tstzrange CHECK (
    NOT isempty(VALUE) AND NOT lower_inf(VALUE) AND NOT upper_inf(VALUE)
    AND lower_inc(VALUE) AND NOT upper_inc(VALUE)
);

-- `park` groups the sites of one industrial park.
CREATE TABLE site (
    id        tonne_id PRIMARY KEY,
    name      text NOT NULL,
    latitude  double precision NOT NULL CHECK (latitude BETWEEN -90 AND 90),
    longitude double precision NOT NULL CHECK (longitude BETWEEN -180 AND 180),
    timezone  text NOT NULL,
    park      tonne_id
);

-- `check_of` is the meter that this one checks, `check_percent` by how much they may differ.
CREATE TABLE device (
    id            tonne_id PRIMARY KEY,
    site          tonne_id NOT NULL REFERENCES site,
    class         text NOT NULL,
    profile       text NOT NULL,
    gateway       tonne_id REFERENCES device DEFERRABLE INITIALLY DEFERRED CHECK (gateway <> id),
    rated_power_w bigint CHECK (rated_power_w > 0),
    installed     timestamptz NOT NULL,
    removed       timestamptz CHECK (removed > installed),
    serial        text,
    attributes    jsonb NOT NULL DEFAULT '{}',
    check_of      tonne_id REFERENCES device DEFERRABLE INITIALLY DEFERRED CHECK (check_of <> id),
    check_percent numeric NOT NULL DEFAULT 2 CHECK (check_percent > 0 AND check_percent <= 100)
);
CREATE INDEX device_site ON device (site);

-- A meter was exchanged; values in base units of the channel (Wh, mL, m).
CREATE TABLE device_replacement (
    device_id   tonne_id NOT NULL REFERENCES device,
    channel     text NOT NULL,
    at          timestamptz NOT NULL,
    last_value  bigint NOT NULL,
    first_value bigint NOT NULL,
    reason      text NOT NULL,
    author      text NOT NULL DEFAULT session_user,
    PRIMARY KEY (device_id, channel, at)
);

-- Limits of the quality tests for one channel of a device from a date on; who changed them, when and
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

CREATE TABLE calibration (
    device_id         tonne_id NOT NULL REFERENCES device,
    performed         date NOT NULL,
    valid_until       date NOT NULL,
    certificate       text NOT NULL,
    accuracy_class    text,
    max_error_percent numeric CHECK (max_error_percent BETWEEN 0 AND 100),
    PRIMARY KEY (device_id, performed, certificate),
    CHECK (valid_until > performed)
);

-- `action` and `system` place a project in the programme; `transfer` is its class under
-- Decree 112/2026.
CREATE TABLE project (
    id             tonne_id PRIMARY KEY,
    name           text NOT NULL,
    methodology    text NOT NULL,
    version        text NOT NULL,
    timezone       text NOT NULL,
    crediting      tonne_period NOT NULL,
    crediting_from date NOT NULL,
    crediting_to   date NOT NULL,
    parameters     jsonb NOT NULL DEFAULT '{}',
    expected       jsonb NOT NULL DEFAULT '{}',
    modules        jsonb,
    action         text,
    transfer       jsonb,
    system         text
);

-- A device serves one project at a time, whatever its role there: its kWh cannot be claimed twice.
-- The constraint is deferred, so that one import can move a device.
CREATE TABLE project_device (
    project_id tonne_id NOT NULL REFERENCES project,
    device_id  tonne_id NOT NULL REFERENCES device,
    role       text NOT NULL,
    params     jsonb NOT NULL DEFAULT '{}',
    position   integer NOT NULL,
    during     tonne_period NOT NULL,
    PRIMARY KEY (project_id, device_id, during),
    CONSTRAINT device_serves_one_project
        EXCLUDE USING gist (device_id WITH =, during WITH &&) DEFERRABLE INITIALLY DEFERRED
);

CREATE TABLE programme (
    only_one  boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    name      text NOT NULL,
    target_kt numeric CHECK (target_kt >= 0),
    area      jsonb
);

CREATE TABLE programme_action (
    id          text PRIMARY KEY,
    name        text NOT NULL,
    target_kt   numeric CHECK (target_kt >= 0),
    position    integer NOT NULL,
    target_year integer CHECK (target_year BETWEEN 1990 AND 2200)
);

-- What the city's own model reports, by action and year.
CREATE TABLE programme_reported (
    action_id text NOT NULL REFERENCES programme_action ON DELETE CASCADE,
    year      integer NOT NULL CHECK (year BETWEEN 1990 AND 2200),
    kt        numeric NOT NULL CHECK (kt >= 0),
    source    text NOT NULL,
    PRIMARY KEY (action_id, year)
);

-- Topics of fleets that had their own before: where the device's id stands in them.
CREATE TABLE topic_template (
    id       tonne_id PRIMARY KEY,
    template text NOT NULL UNIQUE DEFERRABLE INITIALLY DEFERRED,
    active   boolean NOT NULL
);

-- Emission factors that the registry files bring, beside those of the program: official values that
-- were published after this version of tonne.
CREATE TABLE published_factor (
    id     text COLLATE "C" PRIMARY KEY,
    record jsonb NOT NULL
);

-- What a project says of its own monitoring, and the documents (monitoring option B) that its meters
-- are held against.  Neither is ever changed: another version, or a document that corrects one, stands
-- beside it.
CREATE TABLE monitoring_plan (
    project_id tonne_id NOT NULL REFERENCES project,
    version    text COLLATE "C" NOT NULL CHECK (version <> ''),
    position   integer NOT NULL,
    begins     date NOT NULL,
    document   jsonb NOT NULL,
    author     text NOT NULL DEFAULT session_user,
    imported   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, version)
);

CREATE TABLE invoice (
    id         tonne_id PRIMARY KEY,
    project_id tonne_id NOT NULL REFERENCES project,
    document   jsonb NOT NULL,
    corrects   tonne_id UNIQUE REFERENCES invoice CHECK (corrects <> id),
    reason     text,
    author     text NOT NULL DEFAULT session_user,
    imported   timestamptz NOT NULL DEFAULT now(),
    CHECK ((corrects IS NULL) = (reason IS NULL))
);
CREATE INDEX invoice_project ON invoice (project_id);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['monitoring_plan', 'invoice'] LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION tonne_append_only()', name);
        EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only()', name);
    END LOOP;
END $$;

-- One row for each import that changed something; the pipeline watches max(version).
CREATE TABLE registry_version (
    version  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    imported timestamptz NOT NULL DEFAULT now(),
    author   text NOT NULL DEFAULT session_user,
    changes  jsonb NOT NULL
);

-- Derived rows follow from readings and registry.  When the registry changes what they follow from,
-- the devices concerned are noted here in the same transaction, and the pipeline (or `tonne rebuild`)
-- makes their rows again.
CREATE TABLE remake_request (
    device_id text COLLATE "C" PRIMARY KEY,
    requested timestamptz NOT NULL DEFAULT now()
);

-- A request that waits already is touched.  Then whoever is about to take it waits for this
-- transaction, or this one for the taker.  With DO NOTHING, a request could be answered from the
-- registry as it was before.
CREATE FUNCTION tonne_request_remake() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    IF TG_TABLE_NAME = 'device' THEN
        INSERT INTO remake_request (device_id) VALUES (NEW.id)
            ON CONFLICT (device_id) DO UPDATE SET requested = excluded.requested;
    ELSIF TG_TABLE_NAME = 'project' THEN
        INSERT INTO remake_request (device_id)
            SELECT DISTINCT device_id FROM project_device WHERE project_id = NEW.id ORDER BY device_id
            ON CONFLICT (device_id) DO UPDATE SET requested = excluded.requested;
    ELSE
        INSERT INTO remake_request (device_id)
            SELECT device_id FROM (VALUES ((to_jsonb(OLD) ->> 'device_id')), ((to_jsonb(NEW) ->> 'device_id'))) AS d (device_id)
            WHERE device_id IS NOT NULL GROUP BY device_id ORDER BY device_id
            ON CONFLICT (device_id) DO UPDATE SET requested = excluded.requested;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER request_remake AFTER UPDATE ON device
    FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION tonne_request_remake();
CREATE TRIGGER request_remake AFTER UPDATE ON project
    FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION tonne_request_remake();
CREATE TRIGGER request_remake AFTER INSERT OR UPDATE OR DELETE ON project_device
    FOR EACH ROW EXECUTE FUNCTION tonne_request_remake();
CREATE TRIGGER request_remake AFTER INSERT OR UPDATE OR DELETE ON device_replacement
    FOR EACH ROW EXECUTE FUNCTION tonne_request_remake();
CREATE TRIGGER request_remake AFTER INSERT OR UPDATE OR DELETE ON device_quality
    FOR EACH ROW EXECUTE FUNCTION tonne_request_remake();

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

-- A site with another time zone has other hours and days.
CREATE FUNCTION tonne_site_clock_changed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    INSERT INTO remake_request (device_id)
        SELECT id FROM device WHERE site = NEW.id ORDER BY id
        ON CONFLICT (device_id) DO UPDATE SET requested = excluded.requested;
    RETURN NULL;
END $$;
CREATE TRIGGER clock_changed AFTER UPDATE ON site
    FOR EACH ROW WHEN (OLD.timezone IS DISTINCT FROM NEW.timezone) EXECUTE FUNCTION tonne_site_clock_changed();

GRANT SELECT ON site, device, device_replacement, device_quality, calibration, project, project_device,
    programme, programme_action, programme_reported, topic_template, published_factor, monitoring_plan, invoice,
    registry_version, remake_request
    TO tonne_ingest, tonne_mrv, tonne_api, tonne_grafana;
GRANT SELECT ON site, device, device_replacement, device_quality, topic_template, registry_version TO tonne_archive;
GRANT UPDATE, DELETE ON remake_request TO tonne_ingest;
GRANT INSERT ON invoice TO tonne_mrv;
