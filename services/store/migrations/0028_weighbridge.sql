-- Weighbridges: what was weighed is the step of the running total; the tickets
-- beside it are for whoever checks the total against them.
SET LOCAL ROLE tonne_owner;

CREATE TABLE reading_weighbridge (
    device_id   text COLLATE "C" NOT NULL,
    time        timestamptz NOT NULL,
    net_total_g bigint,
    net_kg      double precision,
    gross_kg    double precision,
    tare_kg     double precision,
    ticket      double precision,
    flags       jsonb,
    PRIMARY KEY (device_id, time)
);
SELECT create_hypertable('reading_weighbridge', by_range('time', INTERVAL '7 days'), create_default_indexes => false);
CREATE TRIGGER fill_only BEFORE UPDATE ON reading_weighbridge
    FOR EACH ROW EXECUTE FUNCTION tonne_fill_only();
CREATE TRIGGER no_delete BEFORE DELETE ON reading_weighbridge
    FOR EACH ROW EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON reading_weighbridge
    FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only();
GRANT SELECT ON reading_weighbridge TO tonne_ingest, tonne_mrv, tonne_api, tonne_grafana;
GRANT INSERT, UPDATE ON reading_weighbridge TO tonne_ingest;

CREATE OR REPLACE VIEW v_device_health AS
SELECT seen.device_id, seen.site, seen.class, seen.gateway, seen.last_reading,
       extract(epoch FROM now() - seen.last_reading)::double precision AS silent_s,
       CASE
           WHEN seen.last_reading IS NULL OR seen.last_reading < now() - INTERVAL '2 hours' THEN 'offline'
           WHEN seen.last_reading < now() - INTERVAL '30 minutes' THEN 'late'
           ELSE 'online'
       END AS state,
       c.offset_s AS clock_offset_s, c.drift_s_per_day AS clock_drift_s_per_day, c.clock,
       (SELECT count(*) FROM quality_flag f WHERE f.device_id = seen.device_id
            AND f.time > now() - INTERVAL '1 day') AS flags_last_day
FROM (
    SELECT d.id AS device_id, d.site, d.class, d.gateway, d.removed,
           CASE d.class
               WHEN 'pv_inverter' THEN (SELECT r.time FROM reading_pv_inverter r WHERE r.device_id = d.id ORDER BY r.time DESC LIMIT 1)
               WHEN 'ev_charger' THEN (SELECT r.time FROM reading_ev_charger r WHERE r.device_id = d.id ORDER BY r.time DESC LIMIT 1)
               WHEN 'vehicle' THEN (SELECT r.time FROM reading_vehicle r WHERE r.device_id = d.id ORDER BY r.time DESC LIMIT 1)
               WHEN 'energy_meter' THEN (SELECT r.time FROM reading_energy_meter r WHERE r.device_id = d.id ORDER BY r.time DESC LIMIT 1)
               WHEN 'air_station' THEN (SELECT r.time FROM reading_air_station r WHERE r.device_id = d.id ORDER BY r.time DESC LIMIT 1)
               WHEN 'noise_station' THEN (SELECT r.time FROM reading_noise_station r WHERE r.device_id = d.id ORDER BY r.time DESC LIMIT 1)
               WHEN 'wastewater_plant' THEN (SELECT r.time FROM reading_wastewater_plant r WHERE r.device_id = d.id ORDER BY r.time DESC LIMIT 1)
               WHEN 'weighbridge' THEN (SELECT r.time FROM reading_weighbridge r WHERE r.device_id = d.id ORDER BY r.time DESC LIMIT 1)
           END AS last_reading
    FROM device d
    OFFSET 0  -- a fence: without it each use of last_reading would look it up again
) seen
LEFT JOIN v_device_clock c ON c.device_id = seen.device_id
WHERE seen.removed IS NULL OR seen.removed > now();
