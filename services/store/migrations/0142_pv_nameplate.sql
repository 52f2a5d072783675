-- Performance ratio by IEC 61724-1: the yield over the reference yield, both by the nameplate of the
-- panels, `attributes.dc_power_w`.  Where the registry does not say it, the inverter's rated power stands
-- for it, and `dc_known` is false: a plant with more panels than inverter then shows a ratio above its
-- true one.  Days before today; a day whose sunshine was not measured for 8 hours has no ratio.
SET LOCAL ROLE tonne_owner;

CREATE OR REPLACE VIEW v_day_pv AS
SELECT q.time, q.day, q.device_id, q.site, q.energy_kwh, p.insolation_wh_m2 / 1000 AS insolation_kwh_m2,
       q.energy_kwh / n.kw AS yield_h, p.clipped_s / 3600 AS clipped_h,
       n.kw * p.insolation_wh_m2 / 1000 AS reference_kwh,
       CASE WHEN p.sunny_s >= 8 * 3600 AND p.insolation_wh_m2 > 500 THEN
           q.energy_kwh / n.kw / (p.insolation_wh_m2 / 1000) END AS performance_ratio,
       n.dc_known
FROM v_day_energy_kwh q
JOIN device d ON d.id = q.device_id
CROSS JOIN LATERAL (
    SELECT coalesce(dc.w, d.rated_power_w) / 1000.0 AS kw, dc.w IS NOT NULL AS dc_known
    FROM (SELECT CASE WHEN jsonb_typeof(d.attributes -> 'dc_power_w') = 'number'
                  AND (d.attributes ->> 'dc_power_w')::numeric > 0 THEN (d.attributes ->> 'dc_power_w')::numeric END AS w) dc
) n
LEFT JOIN day_pv p ON p.device_id = q.device_id AND p.day = q.day AND p.timezone = q.timezone
WHERE q.class = 'pv_inverter' AND q.quantity = 'energy_export'
  AND q.day < (now() AT TIME ZONE q.timezone)::date;
