-- Sites, devices, projects: what the readings mean.
SET LOCAL ROLE tonne_owner;

CREATE DOMAIN tonne_id AS text COLLATE "C" CHECK (VALUE ~ '^[A-Za-z0-9_-]{1,64}$');

-- Half-open, finite on both sides, not empty.
CREATE DOMAIN tonne_period AS tstzrange CHECK (
    NOT isempty(VALUE) AND NOT lower_inf(VALUE) AND NOT upper_inf(VALUE)
    AND lower_inc(VALUE) AND NOT upper_inc(VALUE)
);

CREATE TABLE site (
    id        tonne_id PRIMARY KEY,
    name      text NOT NULL,
    latitude  double precision NOT NULL CHECK (latitude BETWEEN -90 AND 90),
    longitude double precision NOT NULL CHECK (longitude BETWEEN -180 AND 180),
    timezone  text NOT NULL
);

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
    attributes    jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX device_site ON device (site);

-- A meter swap; values in base units of the channel (Wh, mL, m).
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
    action         text
);

-- A device serves one project at a time, whatever its role there: its kWh
-- cannot be claimed twice.  Deferred, so that one import can move a device.
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
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    name     text NOT NULL
);

CREATE TABLE programme_action (
    id        text PRIMARY KEY,
    name      text NOT NULL,
    target_kt numeric CHECK (target_kt >= 0),
    position  integer NOT NULL
);

-- One row an import that changed something; the pipeline watches max(version).
CREATE TABLE registry_version (
    version  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    imported timestamptz NOT NULL DEFAULT now(),
    author   text NOT NULL DEFAULT session_user,
    changes  jsonb NOT NULL
);
