-- A function that names `search_path = public` alone looks into the caller's temporary tables first: whoever
-- may call one that runs as its owner, or fire a trigger that does, could put a table with a trigger of
-- their own in the place of ours, and be the owner of all.
SET LOCAL ROLE tonne_owner;

DO $$
DECLARE
    name text;
BEGIN
    FOR name IN
        SELECT p.oid::regprocedure FROM pg_proc p
        WHERE p.pronamespace = 'public'::regnamespace AND p.proowner = 'tonne_owner'::regrole
          AND p.proconfig @> ARRAY['search_path=public'] ORDER BY 1
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = public, pg_temp', name);
    END LOOP;
END $$;
