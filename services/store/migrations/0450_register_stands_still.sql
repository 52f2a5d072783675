-- A register that stands still while its device works raises the same alarm as a gauge that hangs: what it
-- does not count is not credited.
SET LOCAL ROLE tonne_owner;

DO $$
DECLARE
    before text := pg_get_viewdef('v_alarm_condition'::regclass);
    after text := regexp_replace(before, 'test = ''flat_line''::text', 'test IN (''flat_line'', ''frozen_register'')', 'g');
BEGIN
    IF after = before THEN
        RAISE EXCEPTION 'v_alarm_condition names no test flat_line';
    END IF;
    EXECUTE 'CREATE OR REPLACE VIEW v_alarm_condition AS ' || after;
END $$;
