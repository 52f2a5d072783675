-- Devices that fetch their certificate themselves (EST): one-time tokens, kept as digests.
DO $$
BEGIN
    BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'tonne_enrol') THEN
            CREATE ROLE tonne_enrol NOLOGIN;
        END IF;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
        NULL;
    END;
    BEGIN
        -- it reads the registry, as dashboards do
        IF NOT pg_has_role('tonne_enrol', 'tonne_grafana', 'MEMBER') THEN
            GRANT tonne_grafana TO tonne_enrol;
        END IF;
    EXCEPTION WHEN unique_violation OR internal_error THEN
        NULL;  -- another database grants the same at this moment
    END;
END $$;
GRANT USAGE ON SCHEMA public TO tonne_enrol;

SET LOCAL ROLE tonne_owner;

-- `key` is the digest of the public key that was enrolled with it, and `certificate` what was
-- answered: a device that lost the answer asks again with the same key.
CREATE TABLE enrolment_token (
    sha256      bytea PRIMARY KEY CHECK (length(sha256) = 32),
    principal   tonne_id NOT NULL,
    made        timestamptz NOT NULL DEFAULT now(),
    expires     timestamptz NOT NULL CHECK (expires > made),
    author      text NOT NULL,
    used        timestamptz,
    key         bytea CHECK (length(key) = 32),
    certificate bytea,
    CHECK ((used IS NULL) = (key IS NULL) AND (used IS NULL) = (certificate IS NULL))
);
CREATE FUNCTION tonne_use_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.used IS NOT NULL OR NEW.used IS NULL OR
       (OLD.sha256, OLD.principal, OLD.made, OLD.expires, OLD.author)
       IS DISTINCT FROM (NEW.sha256, NEW.principal, NEW.made, NEW.expires, NEW.author) THEN
        RAISE EXCEPTION 'a token is used once and is not otherwise changed';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER use_once BEFORE UPDATE ON enrolment_token FOR EACH ROW EXECUTE FUNCTION tonne_use_once();
CREATE TRIGGER no_delete BEFORE DELETE ON enrolment_token FOR EACH ROW EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON enrolment_token FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only();

GRANT SELECT, INSERT, UPDATE ON enrolment_token, credential TO tonne_enrol;
