-- Derived rows: a pure function of readings, registry and factors, written
-- again whenever what they came from changes.
SET LOCAL ROLE tonne_owner;

-- value in whole base units (Wh, mL, m); the three *_us say how much of the
-- quarter hour is known from short register steps, spread or integrated, or
-- inside a step of unknown size.  register_* say where the register last stood
-- in the quarter hour, when that was read and when it last rose: metering goes
-- on from there after a restart or a late reading.  The open interval is rewritten by every
-- batch: room in the page keeps those updates off the index.
CREATE TABLE interval_quantity (
    device_id    text COLLATE "C" NOT NULL,
    quantity     text COLLATE "C" NOT NULL,
    start        timestamptz NOT NULL,
    value        bigint NOT NULL,
    measured_us  bigint NOT NULL,
    estimated_us bigint NOT NULL,
    unknown_us   bigint NOT NULL,
    register_value   bigint,
    register_read    timestamptz,
    register_changed timestamptz,
    PRIMARY KEY (device_id, quantity, start)
) WITH (fillfactor = 80);
SELECT create_hypertable('interval_quantity', by_range('start', INTERVAL '30 days'), create_default_indexes => false);

-- One row a device and project, so that no two devices ever wait for one row;
-- a project's figures are sums made by whoever asks.  Micrograms CO2e.
CREATE TABLE interval_emission (
    project_id   text COLLATE "C" NOT NULL,
    device_id    text COLLATE "C" NOT NULL,
    start        timestamptz NOT NULL,
    baseline_ug  bigint NOT NULL,
    project_ug   bigint NOT NULL,
    leakage_ug   bigint NOT NULL,
    reduction_ug bigint NOT NULL,
    methodology  text NOT NULL,
    factor       text NOT NULL,
    PRIMARY KEY (device_id, project_id, start)
) WITH (fillfactor = 80);
SELECT create_hypertable('interval_emission', by_range('start', INTERVAL '30 days'), create_default_indexes => false);
CREATE INDEX interval_emission_project ON interval_emission (project_id, start);

-- Air, water and noise indicators; never carbon.
CREATE TABLE indicator_value (
    device_id text COLLATE "C" NOT NULL,
    indicator text COLLATE "C" NOT NULL,
    start     timestamptz NOT NULL,
    value     double precision,
    grade     text,
    detail    jsonb,
    PRIMARY KEY (device_id, indicator, start)
);
SELECT create_hypertable('indicator_value', by_range('start', INTERVAL '30 days'), create_default_indexes => false);
