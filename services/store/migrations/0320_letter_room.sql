-- What is known of dead letters beside them goes as they do.
SET LOCAL ROLE tonne_owner;

COMMENT ON TABLE dead_letter_excess IS
    'dead letters that found no room, by principal, day and reason; principal * is all of them together';

-- Room is counted by day: a principal that was not heard since yesterday needs no row.  How messages
-- without room began goes with the letters of that time; how many there were stays.
CREATE FUNCTION tonne_tidy_letters(older_than timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    DELETE FROM dead_letter_day WHERE principal IN (
        SELECT principal FROM dead_letter_day WHERE day < (now() AT TIME ZONE 'UTC')::date - 1
        FOR UPDATE SKIP LOCKED
    );
    UPDATE dead_letter_excess SET topic = '', detail = '', beginning = ''
    WHERE last < older_than AND (topic, detail, beginning) IS DISTINCT FROM ('', '', ''::bytea);
END $$;
REVOKE EXECUTE ON FUNCTION tonne_tidy_letters FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tonne_tidy_letters TO tonne_mrv, tonne_watch;
