-- What a project says of its own monitoring, version by version, and the documents
-- (monitoring option B) that its meters are held against.  Neither is ever changed:
-- another version, or another document that corrects one, stands beside it.
SET LOCAL ROLE tonne_owner;

CREATE TABLE monitoring_plan (
    project_id tonne_id NOT NULL REFERENCES project,
    version    text COLLATE "C" NOT NULL CHECK (version <> ''),
    position   integer NOT NULL,
    begins     date NOT NULL,
    document   jsonb NOT NULL,
    author     text NOT NULL DEFAULT session_user,
    imported   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, version)
);

CREATE TABLE invoice (
    id         tonne_id PRIMARY KEY,
    project_id tonne_id NOT NULL REFERENCES project,
    document   jsonb NOT NULL,
    corrects   tonne_id UNIQUE REFERENCES invoice CHECK (corrects <> id),
    reason     text,
    author     text NOT NULL DEFAULT session_user,
    imported   timestamptz NOT NULL DEFAULT now(),
    CHECK ((corrects IS NULL) = (reason IS NULL))
);
CREATE INDEX invoice_project ON invoice (project_id);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['monitoring_plan', 'invoice'] LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION tonne_append_only()', name);
        EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only()', name);
    END LOOP;
END $$;

GRANT SELECT ON monitoring_plan, invoice TO tonne_ingest, tonne_mrv, tonne_api, tonne_grafana;
