-- What was refused, with its bytes; and how far each stream has been stored.
SET LOCAL ROLE tonne_owner;

CREATE TABLE dead_letter (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    received     timestamptz NOT NULL,
    topic        text NOT NULL,
    principal    text NOT NULL,
    device_id    text,
    reason       text NOT NULL,
    detail       text NOT NULL,
    payload      bytea NOT NULL,
    content_type text,
    sha256       bytea NOT NULL CHECK (length(sha256) = 32)
);
CREATE INDEX dead_letter_received ON dead_letter USING brin (received);

CREATE TABLE dead_letter_replay (
    dead_letter_id bigint NOT NULL REFERENCES dead_letter,
    replayed       timestamptz NOT NULL DEFAULT clock_timestamp(),
    author         text NOT NULL DEFAULT session_user,
    PRIMARY KEY (dead_letter_id, replayed)
);

-- Written in the transaction that stores what the offset stands for.
CREATE TABLE stream_offset (
    topic       text COLLATE "C" NOT NULL,
    partition   integer NOT NULL,
    "offset"    bigint NOT NULL,
    PRIMARY KEY (topic, partition)
);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['dead_letter', 'dead_letter_replay'] LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION tonne_append_only()', name);
        EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only()', name);
    END LOOP;
END $$;
