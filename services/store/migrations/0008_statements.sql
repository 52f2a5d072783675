-- From a closed period to an issued statement: what is signed, by whom, in which order.
-- The program checks each step first; the triggers here check it last.
SET LOCAL ROLE tonne_owner;

-- A key may sign from valid_from until valid_until; the name says whose it is.
CREATE TABLE enrolled_key (
    multikey    text COLLATE "C" PRIMARY KEY,
    name        text NOT NULL,
    role        text NOT NULL CHECK (role IN ('operator', 'verifier', 'log', 'witness')),
    valid_from  timestamptz NOT NULL DEFAULT now(),
    valid_until timestamptz CHECK (valid_until > valid_from)
);

CREATE TABLE monitoring_period (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project_id   tonne_id NOT NULL REFERENCES project,
    period       tonne_period NOT NULL,
    local_from   date NOT NULL,
    local_to     date NOT NULL CHECK (local_to > local_from),
    timezone     text NOT NULL,
    baseline_ug  numeric NOT NULL,
    project_ug   numeric NOT NULL,
    leakage_ug   numeric NOT NULL,
    reduction_ug numeric NOT NULL,
    credit_t     bigint NOT NULL,
    coverage     numeric NOT NULL CHECK (coverage BETWEEN 0 AND 1),
    detail       jsonb NOT NULL,
    closed       timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX monitoring_period_project ON monitoring_period (project_id, local_from);

-- `body` is the statement as canonical bytes, the ones that are digested and signed; `document` is the
-- same for SQL.  What happens to it are events.  Several drafts may set out to replace an issued
-- statement; which one does is settled when it is issued, by the claim and by the one `superseded`
-- event that a statement can have.
CREATE TABLE statement (
    id         text COLLATE "C" PRIMARY KEY,
    project_id tonne_id NOT NULL REFERENCES project,
    period_id  bigint NOT NULL REFERENCES monitoring_period,
    period     tonne_period NOT NULL,
    sequence   integer NOT NULL CHECK (sequence > 0),
    credit_t   bigint NOT NULL,
    body       bytea NOT NULL,
    sha256     bytea NOT NULL CHECK (sha256 = sha256(body)),
    document   jsonb NOT NULL,
    supersedes text COLLATE "C" REFERENCES statement,
    created    timestamptz NOT NULL DEFAULT now()
);

-- `document` is what the step brought: the operator's proof, the verifier's credential.  `principal`
-- asked the API for the step; it is NULL where no API was asked.
CREATE TABLE statement_event (
    sequence     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    statement_id text COLLATE "C" NOT NULL REFERENCES statement,
    state        text NOT NULL CHECK (state IN
        ('draft', 'submitted', 'under_verification', 'verified', 'rejected', 'issued', 'superseded', 'revoked')),
    at           timestamptz NOT NULL DEFAULT now(),
    actor        text NOT NULL,
    multikey     text COLLATE "C" REFERENCES enrolled_key,
    reason       text,
    document     bytea,
    principal    text,
    UNIQUE (statement_id, state)
);

-- An issued period of a project; a statement that supersedes another takes its claim.
CREATE TABLE claim (
    statement_id text COLLATE "C" PRIMARY KEY REFERENCES statement,
    project_id   tonne_id NOT NULL REFERENCES project,
    period       tonne_period NOT NULL,
    CONSTRAINT period_claimed_once EXCLUDE USING gist (project_id WITH =, period WITH &&)
);

-- Who prepared a statement does not verify it, and no step is skipped.
CREATE FUNCTION tonne_statement_step() RETURNS trigger LANGUAGE plpgsql AS $$
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
CREATE TRIGGER step BEFORE INSERT ON statement_event FOR EACH ROW EXECUTE FUNCTION tonne_statement_step();

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

-- Which device-days a verifier looks at: one signed list a statement, drawn once.
CREATE TABLE statement_sampling (
    statement_id text COLLATE "C" PRIMARY KEY REFERENCES statement,
    at           timestamptz NOT NULL DEFAULT now(),
    actor        text NOT NULL,
    multikey     text COLLATE "C" NOT NULL REFERENCES enrolled_key,
    principal    text,
    document     bytea NOT NULL
);

CREATE FUNCTION tonne_sampling_step() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    now_in text;
    holder enrolled_key;
BEGIN
    PERFORM FROM statement WHERE id = NEW.statement_id FOR NO KEY UPDATE;
    SELECT e.state INTO now_in FROM statement_event e
        WHERE e.statement_id = NEW.statement_id ORDER BY e.sequence DESC LIMIT 1;
    SELECT * INTO holder FROM enrolled_key k WHERE k.multikey = NEW.multikey
        AND k.valid_from <= NEW.at AND (k.valid_until IS NULL OR NEW.at < k.valid_until);
    IF now_in IS DISTINCT FROM 'under_verification' OR holder.role IS DISTINCT FROM 'verifier'
        OR EXISTS (SELECT FROM statement_event e JOIN enrolled_key k USING (multikey)
            WHERE e.statement_id = NEW.statement_id AND e.state = 'submitted'
            AND (k.name = holder.name OR e.principal = NEW.principal))
    THEN
        RAISE EXCEPTION 'no sample of statement %, which is %, can be drawn by key %',
            NEW.statement_id, coalesce(now_in, 'new'), NEW.multikey
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER step BEFORE INSERT ON statement_sampling FOR EACH ROW EXECUTE FUNCTION tonne_sampling_step();

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['monitoring_period', 'statement', 'statement_event', 'finding_event',
                                'statement_sampling'] LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION tonne_append_only()', name);
        EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only()', name);
    END LOOP;
END $$;

GRANT SELECT ON enrolled_key, monitoring_period, statement, statement_event, claim, finding_event, statement_sampling
    TO tonne_mrv, tonne_api, tonne_grafana;
GRANT INSERT ON enrolled_key, monitoring_period, statement, statement_event, finding_event, statement_sampling
    TO tonne_mrv;
GRANT UPDATE (valid_until) ON enrolled_key TO tonne_mrv;
GRANT INSERT, DELETE ON claim TO tonne_mrv;
-- to lock the statement whose next step is being recorded; the trigger refuses the update itself
GRANT UPDATE (id) ON statement TO tonne_mrv;
