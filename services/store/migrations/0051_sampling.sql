-- Which device-days a verifier looks at: one signed list a statement, drawn once.
SET LOCAL ROLE tonne_owner;

CREATE TABLE statement_sampling (
    statement_id text COLLATE "C" PRIMARY KEY REFERENCES statement,
    at           timestamptz NOT NULL DEFAULT now(),
    actor        text NOT NULL,
    multikey     text COLLATE "C" NOT NULL REFERENCES enrolled_key,
    principal    text,
    document     bytea NOT NULL
);

-- The code says so first, this says so last.
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
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON statement_sampling
    FOR EACH ROW EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON statement_sampling
    FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only();

GRANT SELECT ON statement_sampling TO tonne_mrv, tonne_api, tonne_grafana;
GRANT INSERT ON statement_sampling TO tonne_mrv;
