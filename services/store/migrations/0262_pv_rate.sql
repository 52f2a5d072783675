-- The rate at which an inverter's energy avoids tonnes is asked for one device at a time: as a sum over
-- every day of every device each round of alarms took seconds.
SET LOCAL ROLE tonne_owner;

CREATE FUNCTION tonne_pv_t_per_kwh(device text, project text) RETURNS numeric LANGUAGE sql STABLE SET search_path = public AS $$
    SELECT CASE WHEN sum(q.value) > 0 AND sum(e.reduction_ug) > 0
        THEN sum(e.reduction_ug) * 0.000000000001 / (sum(q.value) / 1000) END
    FROM day_emission e
    JOIN day_quantity q ON q.device_id = e.device_id AND q.day = e.day AND q.timezone = e.timezone AND q.quantity = 'energy_export'
    WHERE e.device_id = tonne_pv_t_per_kwh.device AND e.project_id = tonne_pv_t_per_kwh.project
      AND e.day > (SELECT max(n.day) FROM day_emission n
                   WHERE n.device_id = tonne_pv_t_per_kwh.device AND n.project_id = tonne_pv_t_per_kwh.project) - 28
$$;
COMMENT ON FUNCTION tonne_pv_t_per_kwh IS 'tonnes a kilowatt hour by the last 28 days of its project''s account; null where it avoids none';

CREATE OR REPLACE VIEW v_pv_rate AS
SELECT m.device_id::text COLLATE "C" AS device_id, m.project_id::text COLLATE "C" AS project_id,
       tonne_pv_t_per_kwh(m.device_id, m.project_id) AS t_per_kwh
FROM (SELECT DISTINCT device_id, project_id FROM project_device) m
JOIN device d ON d.id = m.device_id AND d.class = 'pv_inverter';

GRANT EXECUTE ON FUNCTION tonne_pv_t_per_kwh TO tonne_mrv, tonne_api, tonne_grafana;
