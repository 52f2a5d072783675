-- Which principal was given which credential, when, by whom, and when it was taken back.
-- What a credential consists of is not here: certificates are known by serial and
-- fingerprint, keys and passwords not at all.
SET LOCAL ROLE tonne_owner;

CREATE TABLE credential (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    principal   tonne_id NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('certificate', 'password')),
    serial      text COLLATE "C" UNIQUE CHECK (serial ~ '^[0-9a-f]{1,40}$'),
    fingerprint text COLLATE "C" CHECK (fingerprint ~ '^[0-9a-f]{64}$'),
    issued      timestamptz NOT NULL DEFAULT now(),
    expires     timestamptz,
    author      text NOT NULL DEFAULT session_user,
    revoked     timestamptz,
    revoked_by  text,
    reason      text,
    CHECK ((kind = 'certificate') = (serial IS NOT NULL AND fingerprint IS NOT NULL AND expires IS NOT NULL)),
    CHECK ((revoked IS NULL) = (reason IS NULL) AND (revoked IS NULL) = (revoked_by IS NULL))
);
CREATE INDEX credential_principal ON credential (principal);

-- A revocation is the one change, and it is not taken back.
CREATE FUNCTION tonne_revoke_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.revoked IS NOT NULL OR NEW.revoked IS NULL OR
       (OLD.id, OLD.principal, OLD.kind, OLD.serial, OLD.fingerprint, OLD.issued, OLD.expires, OLD.author)
       IS DISTINCT FROM (NEW.id, NEW.principal, NEW.kind, NEW.serial, NEW.fingerprint, NEW.issued, NEW.expires, NEW.author) THEN
        RAISE EXCEPTION 'a credential can be revoked once and is not otherwise changed';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER revoke_only BEFORE UPDATE ON credential FOR EACH ROW EXECUTE FUNCTION tonne_revoke_only();
CREATE TRIGGER no_delete BEFORE DELETE ON credential FOR EACH ROW EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON credential FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only();

-- Who knocked and is not wanted; what knocked is in the dead letters.
CREATE TABLE knock_refused (
    principal text COLLATE "C" NOT NULL,
    device    text COLLATE "C" NOT NULL,
    refused   timestamptz NOT NULL DEFAULT now(),
    author    text NOT NULL DEFAULT session_user,
    reason    text NOT NULL,
    PRIMARY KEY (principal, device)
);

GRANT SELECT ON credential TO tonne_mrv, tonne_api, tonne_grafana;
GRANT SELECT ON knock_refused TO tonne_mrv, tonne_api, tonne_grafana;
