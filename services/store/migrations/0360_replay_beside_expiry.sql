-- What removes old events of webhooks and what sends events again wait for each other: an event is gone and
-- is told to be, or it is sent again and stays for the day in which that is tried.
SET LOCAL ROLE tonne_owner;

CREATE OR REPLACE FUNCTION tonne_expire_events(older_than timestamptz, most integer, OUT events bigint, OUT undelivered bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    going bigint[];
BEGIN
    IF older_than > now() - INTERVAL '30 days' THEN
        RAISE EXCEPTION 'events are kept for 30 days at least, not only since %', older_than
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- who sends events again holds it shared
    PERFORM pg_advisory_xact_lock(2291, 2);
    SELECT array_agg(e.sequence) INTO going FROM (
        SELECT sequence FROM webhook_event w
        WHERE at < older_than AND NOT EXISTS (
            SELECT FROM webhook_delivery d
            WHERE d.event_sequence = w.sequence AND d.state = 'waiting' AND d.asked > now() - INTERVAL '1 day')
        ORDER BY at LIMIT most FOR UPDATE SKIP LOCKED) e;
    WITH gone AS (DELETE FROM webhook_delivery WHERE event_sequence = ANY (going) RETURNING state)
    SELECT count(*) FILTER (WHERE state <> 'delivered') INTO undelivered FROM gone;
    DELETE FROM webhook_event WHERE sequence = ANY (going);
    GET DIAGNOSTICS events = ROW_COUNT;
END $$;
