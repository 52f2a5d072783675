-- One judgement of gateways: the one of v_device_health, which came with 0060.
SET LOCAL ROLE tonne_owner;

CREATE OR REPLACE VIEW v_gateway_health AS
WITH health AS MATERIALIZED (SELECT device_id, site, gateway, last_reading, gateway_dark FROM v_device_health)
SELECT h.gateway, min(h.site) AS site, count(*) AS devices,
       greatest(max(h.last_reading), max(g.last_reading)) AS last_heard,
       extract(epoch FROM now() - greatest(max(h.last_reading), max(g.last_reading)))::double precision AS silent_s,
       CASE WHEN bool_or(h.gateway_dark) THEN 'dark' ELSE 'online' END AS state
FROM health h
LEFT JOIN health g ON g.device_id = h.gateway
WHERE h.gateway IS NOT NULL
GROUP BY h.gateway;
