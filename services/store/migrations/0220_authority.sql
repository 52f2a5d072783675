-- What authorities and registries said: registrations, authorizations under Article 6, yearly
-- submissions.  The last row of a name counts; none is changed.  Tables of a submission that was filed
-- are kept as they were filed.
SET LOCAL ROLE tonne_owner;

CREATE TABLE authority_entry (
    sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind     text COLLATE "C" NOT NULL CHECK (kind IN ('registration', 'authorization', 'submission')),
    id       text COLLATE "C" NOT NULL,
    record   jsonb NOT NULL,
    author   text NOT NULL DEFAULT session_user,
    recorded timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX authority_entry_last ON authority_entry (kind, id, sequence DESC);

CREATE TABLE filed_submission (
    party    text COLLATE "C" NOT NULL,
    year     integer NOT NULL,
    version  integer NOT NULL,
    sha256   text COLLATE "C" NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    tables   jsonb NOT NULL,
    author   text NOT NULL DEFAULT session_user,
    recorded timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (party, year, version)
);

CREATE FUNCTION tonne_authority_entry() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.kind = 'submission' AND EXISTS (
        SELECT FROM filed_submission f
        WHERE NEW.id = format('%s %s version %s', f.party, f.year, f.version)
    ) THEN
        RAISE EXCEPTION 'submission % is filed and never changes', NEW.id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER authority_entry BEFORE INSERT ON authority_entry
    FOR EACH ROW EXECUTE FUNCTION tonne_authority_entry();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON authority_entry
    FOR EACH ROW EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON authority_entry
    FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON filed_submission
    FOR EACH ROW EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON filed_submission
    FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only();

GRANT SELECT ON authority_entry, filed_submission TO tonne_mrv, tonne_api, tonne_grafana;
