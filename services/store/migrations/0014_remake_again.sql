-- A request that waits already is asked for again by touching it: whoever is
-- about to take it waits for this transaction, or this one for the taker.  With
-- DO NOTHING, a request could be answered from the registry as it was before.
SET LOCAL ROLE tonne_owner;

CREATE OR REPLACE FUNCTION tonne_request_remake() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    IF TG_TABLE_NAME = 'device' THEN
        INSERT INTO remake_request (device_id) VALUES (NEW.id)
            ON CONFLICT (device_id) DO UPDATE SET requested = excluded.requested;
    ELSIF TG_TABLE_NAME = 'project' THEN
        INSERT INTO remake_request (device_id)
            SELECT DISTINCT device_id FROM project_device WHERE project_id = NEW.id ORDER BY device_id
            ON CONFLICT (device_id) DO UPDATE SET requested = excluded.requested;
    ELSE
        INSERT INTO remake_request (device_id)
            SELECT device_id FROM (VALUES ((to_jsonb(OLD) ->> 'device_id')), ((to_jsonb(NEW) ->> 'device_id'))) AS d (device_id)
            WHERE device_id IS NOT NULL GROUP BY device_id ORDER BY device_id
            ON CONFLICT (device_id) DO UPDATE SET requested = excluded.requested;
    END IF;
    RETURN NULL;
END $$;
