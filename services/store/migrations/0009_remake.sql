-- Derived rows follow from readings and registry.  When the registry changes
-- what they follow from, the devices concerned are noted here, in the same
-- transaction, and the pipeline (or `tonne rebuild`) makes their rows again.
SET LOCAL ROLE tonne_owner;

CREATE TABLE remake_request (
    device_id text COLLATE "C" PRIMARY KEY,
    requested timestamptz NOT NULL DEFAULT now()
);

CREATE FUNCTION tonne_request_remake() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    IF TG_TABLE_NAME = 'device' THEN
        INSERT INTO remake_request (device_id) VALUES (NEW.id) ON CONFLICT DO NOTHING;
    ELSIF TG_TABLE_NAME = 'project' THEN
        INSERT INTO remake_request (device_id)
            SELECT DISTINCT device_id FROM project_device WHERE project_id = NEW.id ON CONFLICT DO NOTHING;
    ELSE
        INSERT INTO remake_request (device_id)
            SELECT device_id FROM (VALUES ((to_jsonb(OLD) ->> 'device_id')), ((to_jsonb(NEW) ->> 'device_id'))) AS d (device_id)
            WHERE device_id IS NOT NULL GROUP BY device_id ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER request_remake AFTER UPDATE ON device
    FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION tonne_request_remake();
CREATE TRIGGER request_remake AFTER UPDATE ON project
    FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION tonne_request_remake();
CREATE TRIGGER request_remake AFTER INSERT OR UPDATE OR DELETE ON project_device
    FOR EACH ROW EXECUTE FUNCTION tonne_request_remake();
CREATE TRIGGER request_remake AFTER INSERT OR UPDATE OR DELETE ON device_replacement
    FOR EACH ROW EXECUTE FUNCTION tonne_request_remake();

GRANT SELECT, UPDATE, DELETE ON remake_request TO tonne_ingest;
GRANT SELECT ON remake_request TO tonne_mrv, tonne_api, tonne_grafana;
