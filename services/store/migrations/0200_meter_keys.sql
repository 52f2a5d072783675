-- Public keys with which meters sign their values: from a time on, as a meter that is replaced
-- brings another one.  A key is never changed: another one stands beside it from its own time on.
SET LOCAL ROLE tonne_owner;

CREATE TABLE meter_key (
    device_id tonne_id NOT NULL REFERENCES device,
    begins    timestamptz NOT NULL,
    key       text COLLATE "C" NOT NULL CHECK (key ~ '^([0-9a-f]{2})+$'),
    document  text,
    author    text NOT NULL DEFAULT session_user,
    recorded  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (device_id, begins)
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON meter_key
    FOR EACH ROW EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON meter_key
    FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only();
GRANT SELECT ON meter_key TO tonne_ingest, tonne_mrv, tonne_api, tonne_grafana;
