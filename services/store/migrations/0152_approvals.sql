-- Who approved the issue of a statement, and how many have to.
SET LOCAL ROLE tonne_owner;

CREATE TABLE statement_approval (
    statement_id text COLLATE "C" NOT NULL REFERENCES statement,
    multikey     text COLLATE "C" NOT NULL REFERENCES enrolled_key,
    actor        text NOT NULL,
    document     bytea NOT NULL,
    at           timestamptz NOT NULL DEFAULT now(),
    principal    text,
    PRIMARY KEY (statement_id, multikey)
);

-- Approved is what was verified and is not issued yet, by an operator's valid key.
CREATE FUNCTION tonne_approval_step() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    now_in text;
    holder enrolled_key;
BEGIN
    PERFORM FROM statement WHERE id = NEW.statement_id FOR NO KEY UPDATE;
    SELECT e.state INTO now_in FROM statement_event e
        WHERE e.statement_id = NEW.statement_id ORDER BY e.sequence DESC LIMIT 1;
    SELECT * INTO holder FROM enrolled_key k WHERE k.multikey = NEW.multikey
        AND k.valid_from <= NEW.at AND (k.valid_until IS NULL OR NEW.at < k.valid_until);
    IF now_in IS DISTINCT FROM 'verified' OR holder.role IS DISTINCT FROM 'operator'
        OR EXISTS (SELECT FROM statement_approval a JOIN enrolled_key k USING (multikey)
            WHERE a.statement_id = NEW.statement_id AND k.name = holder.name)
    THEN
        RAISE EXCEPTION 'statement %, which is %, cannot be approved by key %',
            NEW.statement_id, coalesce(now_in, 'new'), NEW.multikey
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER step BEFORE INSERT ON statement_approval FOR EACH ROW EXECUTE FUNCTION tonne_approval_step();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON statement_approval FOR EACH ROW EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON statement_approval FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only();

GRANT SELECT ON statement_approval TO tonne_mrv, tonne_api, tonne_grafana;
GRANT INSERT ON statement_approval TO tonne_mrv;

-- NULL: one suffices, and it is the preparer's own.
-- public_url: where the programme's API is, for readers of its reports.
ALTER TABLE programme ADD COLUMN public_url text;
ALTER TABLE programme ADD COLUMN issue_signatures integer CHECK (issue_signatures BETWEEN 1 AND 9);
