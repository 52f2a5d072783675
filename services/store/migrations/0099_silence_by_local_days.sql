-- What silence costs, by the project's own days: west of Greenwich the day in which a device
-- fell silent, cut short, was among the four weeks before it.
SET LOCAL ROLE tonne_owner;

CREATE OR REPLACE VIEW v_silence_cost AS
SELECT h.device_id, h.site, h.class, h.gateway, g.state AS gateway_state, h.last_reading, h.silent_s,
       cost.project_id, cost.avoided_t_per_day, cost.avoided_t_per_day * h.silent_s / 86400 AS cost_t
FROM v_device_health h
LEFT JOIN v_gateway_health g ON g.gateway = h.gateway
LEFT JOIN LATERAL (
    SELECT m.project_id, (
        SELECT sum(e.reduction_ug) * 0.000000000001 / 28 FROM day_emission e
        WHERE e.project_id = m.project_id AND e.device_id = h.device_id AND e.timezone = p.timezone
          AND e.day >= (h.last_reading AT TIME ZONE p.timezone)::date - 28
          AND e.day < (h.last_reading AT TIME ZONE p.timezone)::date
    )::double precision AS avoided_t_per_day
    FROM project_device m JOIN project p ON p.id = m.project_id
    WHERE m.device_id = h.device_id AND m.during @> now()
    LIMIT 1
) cost ON true
WHERE h.state <> 'online';
