-- A programme's decision on a version of a monitoring plan.  It comes after the version, which is never
-- changed, so that it has a row of its own; one is enough.
SET LOCAL ROLE tonne_owner;

CREATE TABLE plan_approval (
    project_id tonne_id NOT NULL,
    version    text COLLATE "C" NOT NULL,
    document   jsonb NOT NULL,
    author     text NOT NULL DEFAULT session_user,
    imported   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, version),
    FOREIGN KEY (project_id, version) REFERENCES monitoring_plan
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON plan_approval FOR EACH ROW EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON plan_approval FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only();
GRANT SELECT ON plan_approval TO tonne_ingest, tonne_mrv, tonne_api, tonne_grafana;
