-- Cosignatures of heads by witnesses that are asked over HTTP (C2SP tlog-witness), and the heads that
-- the log's own policy calls cosigned enough.
SET LOCAL ROLE tonne_owner;

-- `vkey` is the witness's key as it is handed out; `time_s` stands in the line and is signed there.
CREATE TABLE witness_cosignature (
    size     bigint NOT NULL REFERENCES log_checkpoint,
    vkey     text COLLATE "C" NOT NULL,
    time_s   bigint NOT NULL CHECK (time_s > 0),
    line     text NOT NULL,
    received timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (size, vkey)
);

CREATE TABLE witness_quorum (
    size          bigint PRIMARY KEY REFERENCES log_checkpoint,
    policy_sha256 bytea NOT NULL CHECK (length(policy_sha256) = 32),
    reached       timestamptz NOT NULL DEFAULT now()
);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['witness_cosignature', 'witness_quorum'] LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION tonne_append_only()', name);
        EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only()', name);
    END LOOP;
END $$;

GRANT SELECT ON witness_cosignature, witness_quorum TO tonne_mrv, tonne_api, tonne_grafana;
GRANT INSERT ON witness_cosignature, witness_quorum TO tonne_mrv;
