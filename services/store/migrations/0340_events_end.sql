-- Events of webhooks go some time after they happened, told or not, and their deliveries with them: what
-- happened stays in tables of its own.  Younger ones are kept, whoever asks.
SET LOCAL ROLE tonne_owner;

CREATE INDEX webhook_event_at ON webhook_event (at);
DROP TRIGGER append_only ON webhook_event;
CREATE TRIGGER append_only BEFORE UPDATE ON webhook_event
    FOR EACH ROW EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER young_ones_stay BEFORE DELETE ON webhook_event
    FOR EACH ROW WHEN (OLD.at > now() - INTERVAL '30 days') EXECUTE FUNCTION tonne_append_only();

-- Remove some of the events from before a moment, oldest first; `undelivered` counts their deliveries that
-- nobody took.
CREATE FUNCTION tonne_expire_events(older_than timestamptz, most integer, OUT events bigint, OUT undelivered bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    going bigint[];
BEGIN
    IF older_than > now() - INTERVAL '30 days' THEN
        RAISE EXCEPTION 'events are kept for 30 days at least, not only since %', older_than
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT array_agg(e.sequence) INTO going FROM (
        SELECT sequence FROM webhook_event WHERE at < older_than ORDER BY at LIMIT most FOR UPDATE SKIP LOCKED) e;
    WITH gone AS (DELETE FROM webhook_delivery WHERE event_sequence = ANY (going) RETURNING state)
    SELECT count(*) FILTER (WHERE state <> 'delivered') INTO undelivered FROM gone;
    DELETE FROM webhook_event WHERE sequence = ANY (going);
    GET DIAGNOSTICS events = ROW_COUNT;
END $$;
REVOKE EXECUTE ON FUNCTION tonne_expire_events FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tonne_expire_events TO tonne_watch;
