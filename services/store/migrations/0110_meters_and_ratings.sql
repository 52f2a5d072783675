-- Physical meters: who made them and which model, the serial that a certificate names, the document
-- that a replacement rests on.  Rated powers with the time from which they count.  What lies outside
-- of a project's boundary, and why.  What was registered before has none of them, and stays.
SET LOCAL ROLE tonne_owner;

ALTER TABLE device ADD COLUMN maker text, ADD COLUMN model text;
ALTER TABLE calibration ADD COLUMN serial text;
ALTER TABLE device_replacement ADD COLUMN document text;
ALTER TABLE project ADD COLUMN boundary jsonb NOT NULL DEFAULT '[]';

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
GRANT SELECT ON device_rating TO tonne_ingest, tonne_mrv, tonne_api, tonne_grafana;
