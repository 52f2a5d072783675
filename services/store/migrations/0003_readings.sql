-- One wide hypertable a device class: registers are whole base units, gauges
-- are floats in the unit of their name.  `flags` says which channels of a row
-- are not good, channel -> flag.  No foreign key to device and no trigger on
-- insert: either would cost every row of a COPY.
SET LOCAL ROLE tonne_owner;

CREATE TABLE reading_pv_inverter (
    device_id            text COLLATE "C" NOT NULL,
    time                 timestamptz NOT NULL,
    energy_export_wh     bigint,
    energy_import_wh     bigint,
    active_power_w       double precision,
    irradiance_w_m2      double precision,
    module_temperature_c double precision,
    dc_power_w           double precision,
    dc_voltage_v         double precision,
    dc_current_a         double precision,
    voltage_v            double precision,
    frequency_hz         double precision,
    inverter_temperature_c double precision,
    state                double precision,
    flags                jsonb,
    PRIMARY KEY (device_id, time)
);
SELECT create_hypertable('reading_pv_inverter', by_range('time', INTERVAL '7 days'), create_default_indexes => false);

CREATE TABLE reading_ev_charger (
    device_id         text COLLATE "C" NOT NULL,
    time              timestamptz NOT NULL,
    energy_import_wh  bigint,
    active_power_w    double precision,
    session_energy_wh double precision,
    soc_percent       double precision,
    connector_state   double precision,
    flags             jsonb,
    PRIMARY KEY (device_id, time)
);
SELECT create_hypertable('reading_ev_charger', by_range('time', INTERVAL '7 days'), create_default_indexes => false);

CREATE TABLE reading_vehicle (
    device_id   text COLLATE "C" NOT NULL,
    time        timestamptz NOT NULL,
    odometer_m  bigint,
    soc_percent double precision,
    speed_km_h  double precision,
    flags       jsonb,
    PRIMARY KEY (device_id, time)
);
SELECT create_hypertable('reading_vehicle', by_range('time', INTERVAL '7 days'), create_default_indexes => false);

CREATE TABLE reading_energy_meter (
    device_id        text COLLATE "C" NOT NULL,
    time             timestamptz NOT NULL,
    energy_import_wh bigint,
    energy_export_wh bigint,
    active_power_w   double precision,
    voltage_v        double precision,
    frequency_hz     double precision,
    flags            jsonb,
    PRIMARY KEY (device_id, time)
);
SELECT create_hypertable('reading_energy_meter', by_range('time', INTERVAL '7 days'), create_default_indexes => false);

CREATE TABLE reading_air_station (
    device_id        text COLLATE "C" NOT NULL,
    time             timestamptz NOT NULL,
    pm2_5_ug_m3      double precision,
    pm10_ug_m3       double precision,
    so2_ug_m3        double precision,
    no2_ug_m3        double precision,
    co_ug_m3         double precision,
    o3_ug_m3         double precision,
    temperature_c    double precision,
    humidity_percent double precision,
    wind_speed_m_s   double precision,
    flags            jsonb,
    PRIMARY KEY (device_id, time)
);
SELECT create_hypertable('reading_air_station', by_range('time', INTERVAL '7 days'), create_default_indexes => false);

CREATE TABLE reading_noise_station (
    device_id text COLLATE "C" NOT NULL,
    time      timestamptz NOT NULL,
    laeq_dba  double precision,
    lamax_dba double precision,
    flags     jsonb,
    PRIMARY KEY (device_id, time)
);
SELECT create_hypertable('reading_noise_station', by_range('time', INTERVAL '7 days'), create_default_indexes => false);

CREATE TABLE reading_wastewater_plant (
    device_id        text COLLATE "C" NOT NULL,
    time             timestamptz NOT NULL,
    flow_total_ml    bigint,
    biogas_total_nml bigint,
    energy_import_wh bigint,
    cod_in_mg_l      double precision,
    cod_out_mg_l     double precision,
    bod5_mg_l        double precision,
    tss_mg_l         double precision,
    nh4_n_mg_l       double precision,
    tn_mg_l          double precision,
    tp_mg_l          double precision,
    ph               double precision,
    temperature_c    double precision,
    ch4_percent      double precision,
    flags            jsonb,
    PRIMARY KEY (device_id, time)
);
SELECT create_hypertable('reading_wastewater_plant', by_range('time', INTERVAL '7 days'), create_default_indexes => false);

-- Raw rows are append-only.  The one update that they allow is filling an
-- empty channel, and adding flags, when a second message of the same time
-- brings what the first one lacked.
CREATE FUNCTION tonne_fill_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF jsonb_strip_nulls(to_jsonb(OLD) - 'flags') <@ to_jsonb(NEW)
       AND coalesce(OLD.flags, '{}') <@ coalesce(NEW.flags, '{}') THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'append-only: % holds another value for device % at %', TG_TABLE_NAME, OLD.device_id, OLD.time
        USING ERRCODE = 'insufficient_privilege',
              HINT = 'Readings are never changed; only an empty channel may be filled.';
END $$;

CREATE FUNCTION tonne_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'append-only: % on % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege',
              HINT = 'A correction is a new row with its author and reason.';
END $$;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['reading_pv_inverter', 'reading_ev_charger', 'reading_vehicle', 'reading_energy_meter',
                                'reading_air_station', 'reading_noise_station', 'reading_wastewater_plant'] LOOP
        EXECUTE format('CREATE TRIGGER fill_only BEFORE UPDATE ON %I FOR EACH ROW EXECUTE FUNCTION tonne_fill_only()', name);
        EXECUTE format('CREATE TRIGGER no_delete BEFORE DELETE ON %I FOR EACH ROW EXECUTE FUNCTION tonne_append_only()', name);
        EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only()', name);
    END LOOP;
END $$;
