-- What the web process asks of the process that holds the log's key, and what came of it.
-- The web's login (tonne_api) may ask; who answers is tonne_mrv.  Rows are only added.
DO $$
BEGIN
    BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'tonne_watch') THEN
            CREATE ROLE tonne_watch NOLOGIN;
        END IF;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
        NULL;
    END;
    BEGIN
        -- whoever may account may watch: a login of an older release goes on
        IF NOT pg_has_role('tonne_mrv', 'tonne_watch', 'MEMBER') THEN
            GRANT tonne_watch TO tonne_mrv;
        END IF;
        -- it reads whatever dashboards may read, also tables of device classes that come later
        IF NOT pg_has_role('tonne_watch', 'tonne_grafana', 'MEMBER') THEN
            GRANT tonne_grafana TO tonne_watch;
        END IF;
    EXCEPTION WHEN unique_violation OR internal_error THEN
        NULL;  -- another database grants the same at this moment
    END;
END $$;
GRANT USAGE ON SCHEMA public TO tonne_watch;

SET LOCAL ROLE tonne_owner;

CREATE TABLE signer_request (
    id        uuid PRIMARY KEY,
    number    bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    kind      text COLLATE "C" NOT NULL CHECK (kind IN ('close', 'supersede', 'submit', 'sample', 'finding',
                                                        'verify', 'approve', 'issue', 'revoke', 'status-list')),
    subject   text COLLATE "C" NOT NULL CHECK (length(subject) BETWEEN 1 AND 200),
    said      bytea NOT NULL CHECK (length(said) <= 1048576),
    actor     text NOT NULL CHECK (length(actor) <= 500),
    principal text CHECK (length(principal) <= 500),
    asked     timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX signer_request_subject ON signer_request (subject, number);

-- A row each time that the signer begins: one that ends the process is not tried for ever.
CREATE TABLE signer_attempt (
    request_id uuid NOT NULL REFERENCES signer_request,
    number     integer NOT NULL CHECK (number > 0),
    began      timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (request_id, number)
);

-- In the same transaction as what was done: the key makes sure that it is done once.
CREATE TABLE signer_answer (
    request_id uuid PRIMARY KEY REFERENCES signer_request,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    created    boolean NOT NULL,
    result     jsonb,
    error      text,
    detail     text,
    CHECK ((result IS NULL) <> (error IS NULL))
);

CREATE FUNCTION tonne_signer_asked() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('tonne_signer', NEW.id::text);
    RETURN NULL;
END $$;
CREATE TRIGGER asked AFTER INSERT ON signer_request FOR EACH ROW EXECUTE FUNCTION tonne_signer_asked();

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['signer_request', 'signer_attempt', 'signer_answer'] LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION tonne_append_only()', name);
        EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only()', name);
    END LOOP;
END $$;

GRANT SELECT ON signer_request, signer_attempt, signer_answer TO tonne_mrv, tonne_api, tonne_watch;
GRANT INSERT (id, kind, subject, said, actor, principal) ON signer_request TO tonne_mrv, tonne_api;
GRANT INSERT ON signer_attempt, signer_answer TO tonne_mrv;

-- What the web process writes itself, for no signature stands under it: invoices, and that
-- somebody took an alarm up.
GRANT INSERT ON invoice, alarm_event TO tonne_api;
CREATE FUNCTION tonne_alarm_remark() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.event NOT IN ('acknowledged', 'commented') AND NOT pg_has_role(current_user, 'tonne_watch', 'MEMBER') THEN
        RAISE EXCEPTION 'alarms are raised and cleared by tonne watch, not by %', current_user
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER remark BEFORE INSERT ON alarm_event FOR EACH ROW EXECUTE FUNCTION tonne_alarm_remark();

-- What `tonne watch` does: it reads what statements rest on, and writes nothing of it.
GRANT SELECT ON signed_value, statement_evidence TO tonne_watch;
GRANT INSERT, UPDATE, DELETE ON alarm_rule, silence_rate, silence_rate_made TO tonne_watch;
GRANT INSERT, UPDATE ON alarm TO tonne_watch;
GRANT INSERT ON alarm_event TO tonne_watch;
GRANT EXECUTE ON FUNCTION tonne_refresh_days, tonne_alarm_number, tonne_expected_t TO tonne_watch;
GRANT EXECUTE ON FUNCTION tonne_compress(regclass) TO tonne_watch;
RESET ROLE;
SET LOCAL ROLE tonne_retention;
GRANT EXECUTE ON FUNCTION tonne_expire_dead_letters(timestamptz, text) TO tonne_watch;
