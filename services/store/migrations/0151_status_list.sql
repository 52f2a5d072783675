-- Status lists as their operators signed them; the API serves the newest of a project.
SET LOCAL ROLE tonne_owner;

CREATE TABLE status_list (
    sequence   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project_id tonne_id NOT NULL REFERENCES project,
    signed     timestamptz NOT NULL,
    multikey   text COLLATE "C" NOT NULL REFERENCES enrolled_key,
    document   bytea NOT NULL,
    stored     timestamptz NOT NULL DEFAULT now(),
    principal  text
);
CREATE INDEX status_list_project ON status_list (project_id, signed DESC, sequence DESC);

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON status_list FOR EACH ROW EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON status_list FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only();

GRANT SELECT ON status_list TO tonne_mrv, tonne_api, tonne_grafana;
GRANT INSERT ON status_list TO tonne_mrv;
