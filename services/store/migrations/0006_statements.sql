-- From a closed period to an issued statement and its place in the log.
SET LOCAL ROLE tonne_owner;

-- A key may sign from valid_from until valid_until; the name says whose it is.
CREATE TABLE enrolled_key (
    multikey    text COLLATE "C" PRIMARY KEY,
    name        text NOT NULL,
    role        text NOT NULL CHECK (role IN ('operator', 'verifier', 'log')),
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

-- `body` is the statement as canonical bytes, the ones that are digested and
-- signed; `document` is the same for SQL.  What happens to it are events.
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
    supersedes text COLLATE "C" UNIQUE REFERENCES statement,
    created    timestamptz NOT NULL DEFAULT now()
);

-- `document` is what the step brought: the operator's proof, the verifier's
-- credential.
CREATE TABLE statement_event (
    sequence     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    statement_id text COLLATE "C" NOT NULL REFERENCES statement,
    state        text NOT NULL CHECK (state IN ('draft', 'submitted', 'verified', 'rejected', 'issued', 'superseded')),
    at           timestamptz NOT NULL DEFAULT now(),
    actor        text NOT NULL,
    multikey     text COLLATE "C" REFERENCES enrolled_key,
    reason       text,
    document     bytea,
    UNIQUE (statement_id, state)
);

-- An issued period of a project; superseding moves the claim.
CREATE TABLE claim (
    statement_id text COLLATE "C" PRIMARY KEY REFERENCES statement,
    project_id   tonne_id NOT NULL REFERENCES project,
    period       tonne_period NOT NULL,
    CONSTRAINT period_claimed_once EXCLUDE USING gist (project_id WITH =, period WITH &&)
);

CREATE TABLE log_entry (
    index        bigint PRIMARY KEY CHECK (index >= 0),
    kind         text NOT NULL,
    statement_id text COLLATE "C" REFERENCES statement,
    body         bytea NOT NULL,
    leaf         bytea NOT NULL CHECK (length(leaf) = 32),
    appended     timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE log_checkpoint (
    size   bigint PRIMARY KEY CHECK (size > 0),
    root   bytea NOT NULL CHECK (length(root) = 32),
    note   text NOT NULL,
    signed timestamptz NOT NULL DEFAULT now()
);

-- Preparer is not verifier, and no step is skipped: the code says so first,
-- this says so last.
CREATE FUNCTION tonne_statement_step() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    now_in   text;
    preparer text;
    holder   enrolled_key;
BEGIN
    PERFORM FROM statement WHERE id = NEW.statement_id FOR NO KEY UPDATE;  -- one step at a time
    SELECT e.state INTO now_in FROM statement_event e
        WHERE e.statement_id = NEW.statement_id ORDER BY e.sequence DESC LIMIT 1;
    IF (coalesce(now_in, ''), NEW.state) NOT IN (
        ('', 'draft'), ('draft', 'submitted'), ('submitted', 'verified'), ('submitted', 'rejected'),
        ('verified', 'issued'), ('issued', 'superseded')
    ) THEN
        RAISE EXCEPTION 'statement % is %, it cannot become %', NEW.statement_id, coalesce(now_in, 'new'), NEW.state
            USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.state IN ('submitted', 'verified', 'rejected') THEN
        SELECT * INTO holder FROM enrolled_key k WHERE k.multikey = NEW.multikey
            AND k.valid_from <= NEW.at AND (k.valid_until IS NULL OR NEW.at < k.valid_until);
        IF holder.role IS DISTINCT FROM (CASE NEW.state WHEN 'submitted' THEN 'operator' ELSE 'verifier' END) THEN
            RAISE EXCEPTION 'statement % cannot become % by key %: its role is %',
                NEW.statement_id, NEW.state, coalesce(NEW.multikey, 'none'), coalesce(holder.role, 'not enrolled')
                USING ERRCODE = 'check_violation';
        END IF;
        SELECT k.name INTO preparer FROM statement_event e JOIN enrolled_key k USING (multikey)
            WHERE e.statement_id = NEW.statement_id AND e.state = 'submitted';
        IF preparer = holder.name THEN
            RAISE EXCEPTION 'statement % was prepared by %, who cannot verify it', NEW.statement_id, preparer
                USING ERRCODE = 'check_violation';
        END IF;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER step BEFORE INSERT ON statement_event FOR EACH ROW EXECUTE FUNCTION tonne_statement_step();

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['monitoring_period', 'statement', 'statement_event', 'log_entry', 'log_checkpoint'] LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION tonne_append_only()', name);
        EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only()', name);
    END LOOP;
END $$;
