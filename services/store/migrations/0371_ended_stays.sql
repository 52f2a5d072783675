-- What was revoked or ended stays so: with the web process's login a revoked key could be made good again,
-- and no list would show that it ever was.
SET LOCAL ROLE tonne_owner;

CREATE FUNCTION tonne_ended_stays() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '% was ended at %, which is not taken back; make a new one',
        concat_ws(' ', TG_TABLE_NAME, to_jsonb(OLD) ->> 'id'), to_jsonb(OLD) ->> TG_ARGV[0] USING ERRCODE = 'check_violation';
END $$;

CREATE TRIGGER ended_stays BEFORE UPDATE ON api_key FOR EACH ROW
    WHEN (OLD.revoked IS NOT NULL AND NEW.revoked IS DISTINCT FROM OLD.revoked)
    EXECUTE FUNCTION tonne_ended_stays('revoked');
CREATE TRIGGER ended_stays BEFORE UPDATE ON api_session FOR EACH ROW
    WHEN (OLD.ended IS NOT NULL AND NEW.ended IS DISTINCT FROM OLD.ended)
    EXECUTE FUNCTION tonne_ended_stays('ended');
CREATE TRIGGER ended_stays BEFORE UPDATE ON webhook FOR EACH ROW
    WHEN (OLD.ended IS NOT NULL AND NEW.ended IS DISTINCT FROM OLD.ended)
    EXECUTE FUNCTION tonne_ended_stays('ended');
