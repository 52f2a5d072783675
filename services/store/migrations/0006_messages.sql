-- What was refused, with its bytes, and what meters signed.
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
-- A repeated message asks by digest whether it was refused before; people ask for the newest of a reason.
CREATE INDEX dead_letter_sha256 ON dead_letter (sha256);
CREATE INDEX dead_letter_reason ON dead_letter (reason, id);

CREATE TABLE dead_letter_replay (
    dead_letter_id bigint NOT NULL REFERENCES dead_letter,
    replayed       timestamptz NOT NULL DEFAULT clock_timestamp(),
    author         text NOT NULL DEFAULT session_user,
    PRIMARY KEY (dead_letter_id, replayed)
);

-- What policy removed.  One function alone removes dead letters, and leaves a row here.  No role may
-- delete them by hand; the function belongs to a role that cannot log in, and takes nothing younger
-- than 30 days, so that a stolen login cannot hide what it just sent.
CREATE TABLE dead_letter_removal (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    removed  timestamptz NOT NULL DEFAULT clock_timestamp(),
    author   text NOT NULL,
    login    text NOT NULL DEFAULT session_user,
    before   timestamptz NOT NULL,
    letters  bigint NOT NULL CHECK (letters > 0),
    reasons  jsonb NOT NULL,
    ids      int8multirange NOT NULL,
    -- over the digests of the payloads in order of their numbers: a copy kept elsewhere can be held against it
    sha256   bytea NOT NULL CHECK (length(sha256) = 32)
);

-- What a meter signed is kept as it came, beside the reading that it vouches for.  A verifier with the
-- maker's key can check it without trusting us.  The message around it is kept whole, since some
-- signatures reach over more than a value.
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

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['dead_letter_removal', 'signed_value'] LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION tonne_append_only()', name);
        EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only()', name);
    END LOOP;
END $$;

CREATE FUNCTION tonne_append_or_expire() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_user = 'tonne_retention' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'append-only: % on % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege',
              HINT = 'Old dead letters are removed by policy: tonne deadletter expire.';
END $$;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['dead_letter', 'dead_letter_replay'] LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION tonne_append_or_expire()', name);
        EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only()', name);
    END LOOP;
END $$;

GRANT SELECT ON dead_letter, dead_letter_replay, dead_letter_removal
    TO tonne_ingest, tonne_mrv, tonne_api, tonne_grafana;
GRANT SELECT ON signed_value TO tonne_ingest, tonne_mrv, tonne_api;
GRANT INSERT ON dead_letter, dead_letter_replay, signed_value TO tonne_ingest;
GRANT SELECT, DELETE ON dead_letter, dead_letter_replay TO tonne_retention;
GRANT SELECT, INSERT ON dead_letter_removal TO tonne_retention;

RESET ROLE;
GRANT CREATE ON SCHEMA public TO tonne_retention;
SET LOCAL ROLE tonne_retention;

CREATE FUNCTION tonne_expire_dead_letters(older_than timestamptz, by_whom text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    going bigint[];
BEGIN
    IF older_than > now() - INTERVAL '30 days' THEN
        RAISE EXCEPTION 'dead letters are kept for 30 days at least, not only since %', older_than
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('tonne_expire_dead_letters'));
    SELECT array_agg(d.id) INTO going FROM dead_letter d WHERE d.received < older_than;
    IF going IS NULL THEN
        RETURN 0;
    END IF;
    INSERT INTO dead_letter_removal (author, before, letters, reasons, ids, sha256)
    SELECT by_whom, older_than, count(*),
           (SELECT jsonb_object_agg(r.reason, r.count) FROM (
               SELECT e.reason, count(*) FROM dead_letter e WHERE e.id = ANY (going) GROUP BY e.reason) r),
           range_agg(int8range(d.id, d.id, '[]')),
           sha256(string_agg(d.sha256, ''::bytea ORDER BY d.id))
    FROM dead_letter d WHERE d.id = ANY (going);
    DELETE FROM dead_letter_replay r WHERE r.dead_letter_id = ANY (going);
    DELETE FROM dead_letter d WHERE d.id = ANY (going);
    RETURN cardinality(going);
END $$;
REVOKE EXECUTE ON FUNCTION tonne_expire_dead_letters(timestamptz, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tonne_expire_dead_letters(timestamptz, text) TO tonne_ingest, tonne_owner;

RESET ROLE;
REVOKE CREATE ON SCHEMA public FROM tonne_retention;
