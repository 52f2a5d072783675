-- The transparency log (RFC 6962): statements, daily seals of the data, and digests of what
-- the statements rest on.
SET LOCAL ROLE tonne_owner;

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

-- The leaves under an entry's roots, so that an audit can name the row.
CREATE TABLE log_detail (
    index   bigint PRIMARY KEY REFERENCES log_entry,
    content bytea NOT NULL
);

-- Countersignatures of heads by witnesses, as lines of the signed note.
CREATE TABLE log_cosignature (
    size     bigint NOT NULL REFERENCES log_checkpoint,
    multikey text COLLATE "C" NOT NULL REFERENCES enrolled_key,
    line     text NOT NULL,
    received timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (size, multikey)
);

-- Where each day's seal is; project '' is of the devices that serve none, by UTC days.
CREATE TABLE data_seal (
    project_id text COLLATE "C" NOT NULL,
    day        date NOT NULL,
    sequence   integer NOT NULL CHECK (sequence > 0),
    index      bigint NOT NULL UNIQUE REFERENCES log_entry,
    from_time  timestamptz NOT NULL,
    to_time    timestamptz NOT NULL CHECK (to_time > from_time),
    PRIMARY KEY (project_id, day, sequence)
);

-- Days that got readings after they may have been sealed; the sealer empties it.
CREATE TABLE late_day (
    device_id text COLLATE "C" NOT NULL,
    day       date NOT NULL,
    noted     timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (device_id, day)
);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['log_entry', 'log_checkpoint', 'log_detail', 'log_cosignature',
                                'data_seal'] LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION tonne_append_only()', name);
        EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only()', name);
    END LOOP;
END $$;

GRANT SELECT ON log_entry, log_checkpoint, log_detail, log_cosignature, data_seal, late_day
    TO tonne_mrv, tonne_api, tonne_grafana;
GRANT SELECT ON log_entry, log_detail, data_seal, late_day TO tonne_archive;
GRANT INSERT ON log_entry, log_checkpoint, log_detail, log_cosignature, data_seal TO tonne_mrv;
GRANT SELECT ON data_seal TO tonne_ingest;
GRANT SELECT, INSERT, UPDATE ON late_day TO tonne_ingest;
GRANT DELETE ON late_day TO tonne_mrv;
