-- Events of statements, findings and alarms for systems of others: who is told, what happened, and what
-- came of each delivery.  An event and its deliveries are written in the transaction of what happened.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'tonne_events') THEN
        CREATE ROLE tonne_events NOLOGIN;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;  -- another database makes the same at this moment
END $$;
GRANT USAGE ON SCHEMA public TO tonne_events;

SET LOCAL ROLE tonne_owner;

-- `topics` are of statement, finding, alarm; `projects` NULL is all of them.
CREATE TABLE webhook (
    id       text COLLATE "C" PRIMARY KEY CHECK (id ~ '^[a-z0-9][a-z0-9-]{0,63}$'),
    url      text NOT NULL CHECK (length(url) <= 2000),
    topics   text[] NOT NULL CHECK (cardinality(topics) > 0 AND topics <@ ARRAY['statement', 'finding', 'alarm']),
    projects text[] CHECK (cardinality(projects) > 0),
    author   text NOT NULL CHECK (author <> ''),
    created  timestamptz NOT NULL DEFAULT now(),
    ended    timestamptz,
    reason   text,
    CHECK ((ended IS NULL) = (reason IS NULL))
);

-- Until `ends` both the older and the newer secret sign.
CREATE TABLE webhook_secret (
    webhook_id text COLLATE "C" NOT NULL REFERENCES webhook,
    number     integer NOT NULL CHECK (number > 0),
    secret     text NOT NULL CHECK (secret ~ '^whsec_[A-Za-z0-9+/]{32,88}={0,2}$'),
    begins     timestamptz NOT NULL DEFAULT now(),
    ends       timestamptz,
    PRIMARY KEY (webhook_id, number)
);

CREATE TABLE webhook_event (
    sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id       uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
    type     text COLLATE "C" NOT NULL CHECK (type ~ '^tonne\.(statement|finding|alarm)\.[a-z_]+$'),
    subject  text COLLATE "C" NOT NULL,
    projects text[] NOT NULL,
    at       timestamptz NOT NULL,
    data     jsonb NOT NULL CHECK (octet_length(data::text) <= 65536)
);

CREATE TABLE webhook_delivery (
    webhook_id     text COLLATE "C" NOT NULL REFERENCES webhook,
    event_sequence bigint NOT NULL REFERENCES webhook_event,
    state          text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'dead')),
    attempts       integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    due            timestamptz NOT NULL DEFAULT now(),
    asked          timestamptz NOT NULL DEFAULT now(),
    tried          timestamptz,
    status         integer,
    error          text CHECK (length(error) <= 500),
    PRIMARY KEY (webhook_id, event_sequence)
) WITH (fillfactor = 80);
CREATE INDEX webhook_delivery_due ON webhook_delivery (webhook_id, due) WHERE state = 'waiting';
CREATE INDEX webhook_delivery_event ON webhook_delivery (event_sequence);

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON webhook_event
    FOR EACH ROW EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON webhook_event
    FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only();

CREATE FUNCTION tonne_utc(moment timestamptz) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;

CREATE FUNCTION tonne_webhook_event(type text, subject text, projects text[], at timestamptz, data jsonb)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    made bigint;
BEGIN
    INSERT INTO webhook_event (type, subject, projects, at, data)
        VALUES ($1, $2, $3, $4, jsonb_strip_nulls($5)) RETURNING sequence INTO made;
    INSERT INTO webhook_delivery (webhook_id, event_sequence)
        SELECT w.id, made FROM webhook w
        WHERE w.ended IS NULL AND split_part($1, '.', 2) = ANY (w.topics)
          AND (w.projects IS NULL OR w.projects && $3);
END $$;
REVOKE EXECUTE ON FUNCTION tonne_webhook_event FROM PUBLIC;

CREATE FUNCTION tonne_statement_told() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
DECLARE
    s statement;
BEGIN
    SELECT * INTO s FROM statement WHERE id = NEW.statement_id;
    PERFORM tonne_webhook_event('tonne.statement.' || NEW.state, s.id, ARRAY[s.project_id::text], NEW.at,
        jsonb_build_object('statement', s.id, 'project', s.project_id, 'state', NEW.state, 'at', tonne_utc(NEW.at),
            'period', jsonb_build_object('from', tonne_utc(lower(s.period)), 'to', tonne_utc(upper(s.period))),
            'credited_t', s.credit_t, 'sha256', encode(s.sha256, 'hex'), 'supersedes', s.supersedes,
            'reason', left(NEW.reason, 2000)));
    RETURN NULL;
END $$;
CREATE TRIGGER told AFTER INSERT ON statement_event FOR EACH ROW EXECUTE FUNCTION tonne_statement_told();

-- The texts of findings are between operator and verifier; who is told asks the API for them.
CREATE FUNCTION tonne_finding_told() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
DECLARE
    project text;
BEGIN
    SELECT project_id INTO project FROM statement WHERE id = NEW.statement_id;
    PERFORM tonne_webhook_event('tonne.finding.' || NEW.event, NEW.statement_id || '/' || NEW.finding, ARRAY[project],
        NEW.at, jsonb_build_object('statement', NEW.statement_id, 'project', project, 'finding', NEW.finding,
            'event', NEW.event, 'number', NEW.number, 'at', tonne_utc(NEW.at)));
    RETURN NULL;
END $$;
CREATE TRIGGER told AFTER INSERT ON finding_event FOR EACH ROW EXECUTE FUNCTION tonne_finding_told();

CREATE FUNCTION tonne_alarm_told() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
DECLARE
    a alarm;
BEGIN
    SELECT * INTO a FROM alarm WHERE id = NEW.alarm_id;
    PERFORM tonne_webhook_event('tonne.alarm.' || NEW.event, a.id::text, a.projects, NEW.at,
        jsonb_build_object('alarm', a.id, 'kind', a.kind, 'event', NEW.event, 'at', tonne_utc(NEW.at),
            'severity', a.severity, 'subject_type', a.subject_type, 'subject', a.subject, 'part', nullif(a.part, ''),
            'site', a.site, 'since', tonne_utc(a.since), 'cause', left(a.cause, 1000), 'devices', a.devices,
            'cost_t_per_day', a.cost_t_per_day::text));
    RETURN NULL;
END $$;
CREATE TRIGGER told AFTER INSERT ON alarm_event FOR EACH ROW EXECUTE FUNCTION tonne_alarm_told();

GRANT SELECT ON webhook, webhook_event, webhook_delivery TO tonne_mrv, tonne_api, tonne_watch, tonne_events;
GRANT INSERT, UPDATE (ended, reason) ON webhook TO tonne_mrv, tonne_api;
GRANT SELECT (webhook_id, number, begins, ends), INSERT, UPDATE (ends) ON webhook_secret TO tonne_mrv, tonne_api;
GRANT INSERT, UPDATE ON webhook_delivery TO tonne_mrv, tonne_api;
-- who sends: the one role that reads secrets
GRANT SELECT ON webhook_secret, programme TO tonne_events;
GRANT UPDATE (ended, reason) ON webhook TO tonne_events;
GRANT UPDATE ON webhook_delivery TO tonne_events;
