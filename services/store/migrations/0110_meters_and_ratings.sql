-- Physical meters: who made them and which model, the serial that a certificate names, the document
-- that a replacement rests on.  Rated powers with the time from which they count.  What lies outside
-- of a project's boundary, and why.  What was registered before has none of them, and stays.
SET LOCAL ROLE tonne_owner;

ALTER TABLE device ADD COLUMN maker text, ADD COLUMN model text;
ALTER TABLE calibration ADD COLUMN serial text;
ALTER TABLE device_replacement ADD COLUMN document text;
-- empty where nothing is said, so that the hashes of rows that are sealed stay
ALTER TABLE project ADD COLUMN boundary jsonb, ADD COLUMN documents jsonb;

-- What laboratories found, never changed; a corrected report has a number of its own.
CREATE TABLE laboratory_result (
    project_id tonne_id NOT NULL REFERENCES project,
    laboratory text COLLATE "C" NOT NULL CHECK (laboratory <> ''),
    sample     text COLLATE "C" NOT NULL CHECK (sample <> ''),
    parameter  text COLLATE "C" NOT NULL,
    taken      date NOT NULL,
    value      numeric NOT NULL CHECK (value >= 0),
    method     text NOT NULL,
    sha256     text COLLATE "C" CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    author     text NOT NULL DEFAULT session_user,
    recorded   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, laboratory, sample, parameter)
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON laboratory_result
    FOR EACH ROW EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON laboratory_result
    FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only();

-- A rating is never changed: another one stands beside it from its own time on.
CREATE TABLE device_rating (
    device_id     tonne_id NOT NULL REFERENCES device,
    begins        timestamptz NOT NULL,
    rated_power_w bigint NOT NULL CHECK (rated_power_w > 0),
    document      text,
    author        text NOT NULL DEFAULT session_user,
    recorded      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (device_id, begins)
);
INSERT INTO device_rating (device_id, begins, rated_power_w)
    SELECT id, installed, rated_power_w FROM device WHERE rated_power_w IS NOT NULL;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON device_rating
    FOR EACH ROW EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON device_rating
    FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only();
GRANT SELECT ON device_rating, laboratory_result TO tonne_ingest, tonne_mrv, tonne_api, tonne_grafana;
