-- What meters signed: kept as it came, beside the reading that it vouches for.
-- A verifier with the maker's key can check it without trusting us; the message
-- that it stood in is whole, since some signatures reach over more than a value.
SET LOCAL ROLE tonne_owner;

CREATE TABLE signed_value (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    received   timestamptz NOT NULL,
    topic      text NOT NULL,
    device_id  text COLLATE "C",
    time       timestamptz NOT NULL,
    channel    text NOT NULL,
    context    text,
    data       text NOT NULL,
    method     text NOT NULL,
    encoding   text NOT NULL,
    public_key text NOT NULL,
    payload    bytea NOT NULL,
    sha256     bytea NOT NULL CHECK (length(sha256) = 32)
);
-- the same message delivered twice is one piece of evidence
CREATE UNIQUE INDEX signed_value_once
    ON signed_value (sha256, topic, time, channel, coalesce(context, ''));
CREATE INDEX signed_value_device ON signed_value (device_id, time);

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON signed_value
    FOR EACH ROW EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON signed_value
    FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only();

GRANT SELECT ON signed_value TO tonne_ingest, tonne_mrv, tonne_api;
GRANT INSERT ON signed_value TO tonne_ingest;
