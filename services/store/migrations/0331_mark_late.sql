-- A gateway that catches up writes many late rows of a device in a row: the first of them marks it, and
-- the others see so without a query.  What a savepoint takes back, it takes back from both.
SET LOCAL ROLE tonne_owner;

CREATE OR REPLACE FUNCTION tonne_mark_late() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    device text := CASE TG_OP WHEN 'DELETE' THEN OLD.device_id ELSE NEW.device_id END;
BEGIN
    IF current_setting('tonne.marked_late', true) IS DISTINCT FROM device THEN
        INSERT INTO day_today_late (device_id) SELECT device
        WHERE NOT EXISTS (SELECT FROM day_today_late l WHERE l.device_id = device AND l.xid = pg_current_xact_id());
        PERFORM set_config('tonne.marked_late', device, true);
    END IF;
    RETURN NULL;
END $$;
