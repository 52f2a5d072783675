-- Who verifies is accredited, and of another legal entity than who prepared: a branch is its entity's.
-- Statements by the rules of 0.1.0 name no version, and keys of then named nobody.
SET LOCAL ROLE tonne_owner;

-- As mrv/signatures/organisations.py, for numbers alone: their digits, those of a Vietnamese branch as its
-- entity's.
CREATE FUNCTION tonne_legal_entity(said text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT ltrim(regexp_replace(digits, '^(0[0-9]{9})[0-9]{3}$', '\1'), '0')
    FROM regexp_replace(said, '[^0-9]', '', 'g') AS digits WHERE length(digits) >= 8
$$;

CREATE FUNCTION tonne_two_organisations() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    verifier enrolled_key;
    preparer enrolled_key;
BEGIN
    SELECT * INTO verifier FROM enrolled_key k WHERE k.multikey = NEW.multikey AND k.role = 'verifier';
    IF NOT FOUND THEN
        RETURN NEW;
    END IF;
    SELECT k.* INTO preparer FROM statement_event e JOIN enrolled_key k USING (multikey)
        WHERE e.statement_id = NEW.statement_id AND e.state = 'submitted';
    IF tonne_legal_entity(preparer.bounds ->> 'organisationId')
        = tonne_legal_entity(verifier.bounds ->> 'organisationId') THEN
        RAISE EXCEPTION 'statement % was prepared by %, of the legal entity of %, who cannot verify it',
            NEW.statement_id, preparer.name, verifier.name USING ERRCODE = 'check_violation';
    END IF;
    IF EXISTS (SELECT FROM statement s WHERE s.id = NEW.statement_id
            AND s.document -> 'credentialSubject' ?| ARRAY['metering', 'accounting'])
        AND NOT coalesce(preparer.bounds ? 'organisation'
            AND verifier.bounds ?& ARRAY['organisation', 'accreditation'], false) THEN
        RAISE EXCEPTION 'statement % cannot be verified by %: the keys have to name both organisations and the accreditation',
            NEW.statement_id, verifier.name USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER two_organisations BEFORE INSERT ON statement_event
    FOR EACH ROW EXECUTE FUNCTION tonne_two_organisations();
CREATE TRIGGER two_organisations BEFORE INSERT ON finding_event
    FOR EACH ROW EXECUTE FUNCTION tonne_two_organisations();
CREATE TRIGGER two_organisations BEFORE INSERT ON statement_sampling
    FOR EACH ROW EXECUTE FUNCTION tonne_two_organisations();
