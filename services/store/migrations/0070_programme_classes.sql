-- Classes of the Hai Phong programme's systems: one wide table each, columns in the
-- order of its class file.
SET LOCAL ROLE tonne_owner;

CREATE TABLE reading_compost_windrow (
    device_id        text COLLATE "C" NOT NULL,
    time             timestamptz NOT NULL,
    temperature_c    double precision,
    oxygen_percent   double precision,
    moisture_percent double precision,
    turnings         double precision,
    flags            jsonb,
    PRIMARY KEY (device_id, time)
);
CREATE TABLE reading_waste_heat_turbine (
    device_id         text COLLATE "C" NOT NULL,
    time              timestamptz NOT NULL,
    energy_export_wh  bigint,
    energy_import_wh  bigint,
    active_power_w    double precision,
    gas_temperature_c double precision,
    gas_flow_nm3_h    double precision,
    flags             jsonb,
    PRIMARY KEY (device_id, time)
);
CREATE TABLE reading_steam_meter (
    device_id     text COLLATE "C" NOT NULL,
    time          timestamptz NOT NULL,
    steam_total_g bigint,
    heat_wh       bigint,
    temperature_c double precision,
    pressure_kpa  double precision,
    flow_t_h      double precision,
    flags         jsonb,
    PRIMARY KEY (device_id, time)
);
CREATE TABLE reading_recycling_line (
    device_id       text COLLATE "C" NOT NULL,
    time            timestamptz NOT NULL,
    output_total_g  bigint,
    pieces_count    bigint,
    throughput_kg_h double precision,
    reject_percent  double precision,
    flags           jsonb,
    PRIMARY KEY (device_id, time)
);
CREATE TABLE reading_passenger_counter (
    device_id     text COLLATE "C" NOT NULL,
    time          timestamptz NOT NULL,
    boarded_count bigint,
    alighted      double precision,
    on_board      double precision,
    flags         jsonb,
    PRIMARY KEY (device_id, time)
);
CREATE TABLE reading_fuel_meter (
    device_id     text COLLATE "C" NOT NULL,
    time          timestamptz NOT NULL,
    fuel_total_ml bigint,
    rate_l_h      double precision,
    flags         jsonb,
    PRIMARY KEY (device_id, time)
);
CREATE TABLE reading_chiller (
    device_id            text COLLATE "C" NOT NULL,
    time                 timestamptz NOT NULL,
    energy_import_wh     bigint,
    cooling_wh           bigint,
    active_power_w       double precision,
    supply_temperature_c double precision,
    return_temperature_c double precision,
    flags                jsonb,
    PRIMARY KEY (device_id, time)
);
CREATE TABLE reading_lamp_controller (
    device_id        text COLLATE "C" NOT NULL,
    time             timestamptz NOT NULL,
    operating_s      bigint,
    energy_import_wh bigint,
    dimming_percent  double precision,
    lamps_on         double precision,
    flags            jsonb,
    PRIMARY KEY (device_id, time)
);
CREATE TABLE reading_weather_station (
    device_id         text COLLATE "C" NOT NULL,
    time              timestamptz NOT NULL,
    cooling_degree_ks bigint,
    temperature_c     double precision,
    humidity_percent  double precision,
    irradiance_w_m2   double precision,
    wind_speed_m_s    double precision,
    rain_mm_h         double precision,
    flags             jsonb,
    PRIMARY KEY (device_id, time)
);
CREATE TABLE reading_wind_turbine (
    device_id        text COLLATE "C" NOT NULL,
    time             timestamptz NOT NULL,
    energy_export_wh bigint,
    energy_import_wh bigint,
    active_power_w   double precision,
    wind_speed_m_s   double precision,
    rotor_rpm        double precision,
    state            double precision,
    flags            jsonb,
    PRIMARY KEY (device_id, time)
);
CREATE TABLE reading_waterworks (
    device_id      text COLLATE "C" NOT NULL,
    time           timestamptz NOT NULL,
    flow_total_ml  bigint,
    nh4_n_in_mg_l  double precision,
    nh4_n_out_mg_l double precision,
    turbidity_ntu  double precision,
    chlorine_mg_l  double precision,
    pressure_kpa   double precision,
    flags          jsonb,
    PRIMARY KEY (device_id, time)
);
CREATE TABLE reading_pump (
    device_id        text COLLATE "C" NOT NULL,
    time             timestamptz NOT NULL,
    energy_import_wh bigint,
    flow_total_ml    bigint,
    active_power_w   double precision,
    head_m           double precision,
    speed_percent    double precision,
    flags            jsonb,
    PRIMARY KEY (device_id, time)
);
CREATE TABLE reading_water_station (
    device_id          text COLLATE "C" NOT NULL,
    time               timestamptz NOT NULL,
    ph                 double precision,
    temperature_c      double precision,
    do_mg_l            double precision,
    bod5_mg_l          double precision,
    cod_mg_l           double precision,
    nh4_n_mg_l         double precision,
    no3_n_mg_l         double precision,
    po4_p_mg_l         double precision,
    coliform_mpn_100ml double precision,
    turbidity_ntu      double precision,
    level_m            double precision,
    flags              jsonb,
    PRIMARY KEY (device_id, time)
);
CREATE TABLE reading_furnace (
    device_id          text COLLATE "C" NOT NULL,
    time               timestamptz NOT NULL,
    energy_import_wh   bigint,
    active_power_w     double precision,
    melt_temperature_c double precision,
    charge_kg          double precision,
    flags              jsonb,
    PRIMARY KEY (device_id, time)
);
CREATE TABLE reading_water_tube (
    device_id text COLLATE "C" NOT NULL,
    time      timestamptz NOT NULL,
    season_s  bigint,
    level_cm  double precision,
    battery_v double precision,
    flags     jsonb,
    PRIMARY KEY (device_id, time)
);
CREATE TABLE reading_sewer_level (
    device_id  text COLLATE "C" NOT NULL,
    time       timestamptz NOT NULL,
    overflow_s bigint,
    level_m    double precision,
    flow_l_s   double precision,
    battery_v  double precision,
    flags      jsonb,
    PRIMARY KEY (device_id, time)
);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'reading_compost_windrow',
        'reading_waste_heat_turbine',
        'reading_steam_meter',
        'reading_recycling_line',
        'reading_passenger_counter',
        'reading_fuel_meter',
        'reading_chiller',
        'reading_lamp_controller',
        'reading_weather_station',
        'reading_wind_turbine',
        'reading_waterworks',
        'reading_pump',
        'reading_water_station',
        'reading_furnace',
        'reading_water_tube',
        'reading_sewer_level'
    ] LOOP
        PERFORM create_hypertable(name::regclass, by_range('time', INTERVAL '7 days'), create_default_indexes => false);
        EXECUTE format('CREATE TRIGGER fill_only BEFORE UPDATE ON %I FOR EACH ROW EXECUTE FUNCTION tonne_fill_only()', name);
        EXECUTE format('CREATE TRIGGER no_delete BEFORE DELETE ON %I FOR EACH ROW EXECUTE FUNCTION tonne_append_only()', name);
        EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only()', name);
        EXECUTE format('GRANT SELECT ON %I TO tonne_ingest, tonne_mrv, tonne_api, tonne_grafana', name);
        EXECUTE format('GRANT INSERT, UPDATE ON %I TO tonne_ingest', name);
    END LOOP;
END
$$;

CREATE OR REPLACE VIEW v_power_kw AS
SELECT r.time, r.device_id, d.site, d.class, r.active_power_w / 1000 AS power_kw
FROM (
    SELECT time, device_id, active_power_w FROM reading_pv_inverter
    UNION ALL SELECT time, device_id, active_power_w FROM reading_ev_charger
    UNION ALL SELECT time, device_id, active_power_w FROM reading_energy_meter
    UNION ALL SELECT time, device_id, active_power_w FROM reading_waste_heat_turbine
    UNION ALL SELECT time, device_id, active_power_w FROM reading_chiller
    UNION ALL SELECT time, device_id, active_power_w FROM reading_wind_turbine
    UNION ALL SELECT time, device_id, active_power_w FROM reading_pump
    UNION ALL SELECT time, device_id, active_power_w FROM reading_furnace
) r
JOIN device d ON d.id = r.device_id
WHERE r.active_power_w IS NOT NULL;
