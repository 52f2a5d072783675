-- Verification as it goes on: findings with answers and closure, revocation, and
-- which API principal took a step.
SET LOCAL ROLE tonne_owner;

ALTER TABLE statement_event DROP CONSTRAINT statement_event_state_check;
ALTER TABLE statement_event ADD CONSTRAINT statement_event_state_check CHECK (state IN
    ('draft', 'submitted', 'under_verification', 'verified', 'rejected', 'issued', 'superseded', 'revoked'));
-- Who asked the API for it; NULL where no API was asked.
ALTER TABLE statement_event ADD COLUMN principal text;

CREATE OR REPLACE FUNCTION tonne_statement_step() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    now_in   text;
    preparer record;
    holder   enrolled_key;
BEGIN
    PERFORM FROM statement WHERE id = NEW.statement_id FOR NO KEY UPDATE;  -- one step at a time
    SELECT e.state INTO now_in FROM statement_event e
        WHERE e.statement_id = NEW.statement_id ORDER BY e.sequence DESC LIMIT 1;
    IF (coalesce(now_in, ''), NEW.state) NOT IN (
        ('', 'draft'), ('draft', 'submitted'), ('submitted', 'under_verification'),
        ('submitted', 'verified'), ('submitted', 'rejected'),
        ('under_verification', 'verified'), ('under_verification', 'rejected'),
        ('verified', 'issued'), ('issued', 'superseded'), ('issued', 'revoked')
    ) THEN
        RAISE EXCEPTION 'statement % is %, it cannot become %', NEW.statement_id, coalesce(now_in, 'new'), NEW.state
            USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.state = 'revoked' AND coalesce(NEW.reason, '') = '' THEN
        RAISE EXCEPTION 'statement % cannot be revoked without a reason', NEW.statement_id
            USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.state IN ('submitted', 'under_verification', 'verified', 'rejected') THEN
        SELECT * INTO holder FROM enrolled_key k WHERE k.multikey = NEW.multikey
            AND k.valid_from <= NEW.at AND (k.valid_until IS NULL OR NEW.at < k.valid_until);
        IF holder.role IS DISTINCT FROM (CASE NEW.state WHEN 'submitted' THEN 'operator' ELSE 'verifier' END) THEN
            RAISE EXCEPTION 'statement % cannot become % by key %: its role is %',
                NEW.statement_id, NEW.state, coalesce(NEW.multikey, 'none'), coalesce(holder.role, 'not enrolled')
                USING ERRCODE = 'check_violation';
        END IF;
        SELECT k.name, e.principal INTO preparer FROM statement_event e JOIN enrolled_key k USING (multikey)
            WHERE e.statement_id = NEW.statement_id AND e.state = 'submitted';
        IF preparer.name = holder.name OR preparer.principal = NEW.principal THEN
            RAISE EXCEPTION 'statement % was prepared by %, who cannot verify it', NEW.statement_id, preparer.name
                USING ERRCODE = 'check_violation';
        END IF;
    END IF;
    RETURN NEW;
END $$;

-- What a verifier found, what the operator answered, how it was closed: each a
-- signed document, in the order in which they came.
CREATE TABLE finding_event (
    sequence     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    statement_id text COLLATE "C" NOT NULL REFERENCES statement,
    finding      text COLLATE "C" NOT NULL CHECK (finding ~ '^(CAR|CL|OBS|FAR)-[1-9][0-9]{0,3}$'),
    number       integer NOT NULL CHECK (number > 0),
    event        text NOT NULL CHECK (event IN ('raised', 'answered', 'closed')),
    at           timestamptz NOT NULL DEFAULT now(),
    actor        text NOT NULL,
    multikey     text COLLATE "C" NOT NULL REFERENCES enrolled_key,
    principal    text,
    reason       text NOT NULL CHECK (reason <> ''),
    document     bytea NOT NULL,
    UNIQUE (statement_id, finding, number)
);

-- The code says so first, this says so last.
CREATE FUNCTION tonne_finding_step() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    now_in text;
    before finding_event;
    holder enrolled_key;
BEGIN
    PERFORM FROM statement WHERE id = NEW.statement_id FOR NO KEY UPDATE;
    SELECT e.state INTO now_in FROM statement_event e
        WHERE e.statement_id = NEW.statement_id ORDER BY e.sequence DESC LIMIT 1;
    SELECT * INTO before FROM finding_event f
        WHERE f.statement_id = NEW.statement_id AND f.finding = NEW.finding ORDER BY f.number DESC LIMIT 1;
    SELECT * INTO holder FROM enrolled_key k WHERE k.multikey = NEW.multikey
        AND k.valid_from <= NEW.at AND (k.valid_until IS NULL OR NEW.at < k.valid_until);
    IF now_in IS DISTINCT FROM 'under_verification'
        OR NEW.number <> coalesce(before.number, 0) + 1
        OR (NEW.event = 'raised') <> (before.number IS NULL)
        OR before.event = 'closed'
        OR holder.role IS DISTINCT FROM (CASE NEW.event WHEN 'answered' THEN 'operator' ELSE 'verifier' END)
        OR EXISTS (SELECT FROM statement_event e JOIN enrolled_key k USING (multikey)
            WHERE e.statement_id = NEW.statement_id AND e.state = 'submitted'
            AND NEW.event <> 'answered' AND (k.name = holder.name OR e.principal = NEW.principal))
    THEN
        RAISE EXCEPTION 'finding % of statement %, which is %, cannot be % by key %',
            NEW.finding, NEW.statement_id, coalesce(now_in, 'new'), NEW.event, NEW.multikey
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER step BEFORE INSERT ON finding_event FOR EACH ROW EXECUTE FUNCTION tonne_finding_step();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON finding_event
    FOR EACH ROW EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON finding_event
    FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only();

GRANT SELECT ON finding_event TO tonne_mrv, tonne_api, tonne_grafana;
GRANT INSERT ON finding_event TO tonne_mrv;
