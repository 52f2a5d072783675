-- A registry file that is taken in the console: the web process asks, and who holds tonne_mrv takes it
-- by the same code as `tonne registry import`.  Documents that people hand in are kept by their hash.
SET LOCAL ROLE tonne_owner;

ALTER TABLE signer_request DROP CONSTRAINT signer_request_kind_check, DROP CONSTRAINT signer_request_said_check;
ALTER TABLE signer_request
    ADD CONSTRAINT signer_request_kind_check CHECK (kind IN ('close', 'supersede', 'submit', 'sample', 'finding',
        'verify', 'approve', 'issue', 'revoke', 'status-list', 'registry')),
    ADD CONSTRAINT signer_request_said_check CHECK (length(said) <= CASE kind WHEN 'registry' THEN 8388608 ELSE 1048576 END);

GRANT INSERT, UPDATE, DELETE ON site, device, calibration, device_replacement, device_quality, topic_template,
    published_factor, project, project_device, programme, programme_action, programme_reported, method_life TO tonne_mrv;
GRANT INSERT ON device_rating, meter_key, device_array, authority_entry, filed_submission, laboratory_result,
    monitoring_plan, plan_approval TO tonne_mrv;
-- one import at a time takes the table's lock, for which it needs UPDATE; rows are only added
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON registry_version FOR EACH ROW EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON registry_version FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only();
GRANT INSERT, UPDATE ON registry_version TO tonne_mrv;

-- The file itself, so that it is in every backup; its hash is what registry and invoices name.
CREATE TABLE document_file (
    sha256    text COLLATE "C" PRIMARY KEY CHECK (sha256 = encode(sha256(data), 'hex')),
    name      text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    data      bytea NOT NULL CHECK (length(data) BETWEEN 1 AND 8388608),
    author    text NOT NULL CHECK (length(author) <= 500),
    principal text NOT NULL CHECK (length(principal) <= 500),
    kept      timestamptz NOT NULL DEFAULT clock_timestamp()
);
ALTER TABLE document_file ALTER data SET STORAGE EXTERNAL;
CREATE INDEX document_file_kept ON document_file (kept);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON document_file FOR EACH ROW EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON document_file FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only();
GRANT SELECT ON document_file TO tonne_mrv, tonne_api;
GRANT INSERT (sha256, name, data, author, principal) ON document_file TO tonne_api;
