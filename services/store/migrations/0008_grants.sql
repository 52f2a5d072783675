-- Each process gets what it does and no more.  Nothing is granted by default:
-- a table that comes later says itself who may read it.
SET LOCAL ROLE tonne_owner;

GRANT SELECT ON site, device, device_replacement, calibration, project, project_device, programme,
    programme_action, registry_version
    TO tonne_ingest, tonne_mrv, tonne_api, tonne_grafana;
GRANT SELECT ON reading_pv_inverter, reading_ev_charger, reading_vehicle, reading_energy_meter,
    reading_air_station, reading_noise_station, reading_wastewater_plant,
    interval_quantity, interval_emission, indicator_value, dead_letter, dead_letter_replay, stream_offset
    TO tonne_ingest, tonne_mrv, tonne_api, tonne_grafana;
GRANT SELECT ON monitoring_period, statement, statement_event, claim, log_entry, log_checkpoint, enrolled_key
    TO tonne_mrv, tonne_api, tonne_grafana;
GRANT SELECT ON v_power_kw, v_energy_kwh_interval, v_energy_kwh_day, v_avoided_t_interval, v_avoided_t_day,
    v_programme_progress, v_device_health, v_indicator_hour
    TO tonne_mrv, tonne_api, tonne_grafana;

-- UPDATE on readings is what the trigger leaves of it: filling empty channels.
GRANT INSERT, UPDATE ON reading_pv_inverter, reading_ev_charger, reading_vehicle, reading_energy_meter,
    reading_air_station, reading_noise_station, reading_wastewater_plant TO tonne_ingest;
GRANT INSERT, UPDATE, DELETE ON interval_quantity, interval_emission, indicator_value TO tonne_ingest;
GRANT INSERT ON dead_letter, dead_letter_replay TO tonne_ingest;
GRANT INSERT, UPDATE ON stream_offset TO tonne_ingest;

GRANT INSERT ON monitoring_period, statement, statement_event, log_entry, log_checkpoint, enrolled_key TO tonne_mrv;
GRANT UPDATE (valid_until) ON enrolled_key TO tonne_mrv;
GRANT INSERT, DELETE ON claim TO tonne_mrv;
-- to lock the statement whose next step is being recorded; the trigger refuses the update itself
GRANT UPDATE (id) ON statement TO tonne_mrv;
