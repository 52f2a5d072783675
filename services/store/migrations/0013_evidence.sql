-- What a statement rests on, as the verifier saw it: late readings may still
-- come, and its pack must stay what it was.
SET LOCAL ROLE tonne_owner;

CREATE TABLE statement_evidence (
    statement_id text COLLATE "C" NOT NULL REFERENCES statement,
    name         text COLLATE "C" NOT NULL,
    content      bytea NOT NULL,
    PRIMARY KEY (statement_id, name)
);
-- Parquet is compressed already
ALTER TABLE statement_evidence ALTER COLUMN content SET STORAGE EXTERNAL;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON statement_evidence
    FOR EACH ROW EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON statement_evidence
    FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only();

GRANT SELECT ON statement_evidence TO tonne_mrv, tonne_api;
GRANT INSERT ON statement_evidence TO tonne_mrv;
