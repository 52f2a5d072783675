-- Derived rows: a pure function of readings, registry and factors, written again whenever
-- what they came from changes.
SET LOCAL ROLE tonne_owner;

-- `value` is in whole base units (Wh, mL, m).  The three `*_us` say how much of the quarter hour is
-- known from short register steps, spread or integrated, or inside a step of unknown size.
-- `register_*` say where the register last stood in the quarter hour, when that was read and when it
-- last rose: metering goes on from there after a restart or a late reading.  Each batch rewrites the
-- open interval: room in the page keeps those updates off the index.
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

-- One row a device and project, so that no two devices ever wait for one row; a project's figures are
-- sums made by whoever asks.  Micrograms of CO2e.
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

-- Air, water and noise indicators, never carbon: hours and days of the site's own clock.  The last
-- quarter of an hour is rewritten by every batch, as above.
CREATE TABLE indicator_value (
    device_id text COLLATE "C" NOT NULL,
    indicator text COLLATE "C" NOT NULL,
    start     timestamptz NOT NULL,
    value     double precision,
    grade     text,
    detail    jsonb,
    period    text NOT NULL DEFAULT 'hour' CHECK (period IN ('hour', 'day')),
    covered   double precision CHECK (covered BETWEEN 0 AND 1),
    PRIMARY KEY (device_id, start, indicator)
) WITH (fillfactor = 80);
SELECT create_hypertable('indicator_value', by_range('start', INTERVAL '30 days'), create_default_indexes => false);

-- What a quality test says of a stored reading.  It does not stand in the reading's own row: a spike
-- is known only when the next value comes, late data and other limits change what is said, and raw
-- rows never change.
CREATE TABLE quality_flag (
    device_id text COLLATE "C" NOT NULL,
    time      timestamptz NOT NULL,
    channel   text COLLATE "C" NOT NULL,
    test      text COLLATE "C" NOT NULL,
    PRIMARY KEY (device_id, time, channel, test)
);
SELECT create_hypertable('quality_flag', by_range('time', INTERVAL '30 days'), create_default_indexes => false);

GRANT SELECT ON interval_quantity, interval_emission, indicator_value, quality_flag
    TO tonne_ingest, tonne_mrv, tonne_api, tonne_grafana;
GRANT INSERT, UPDATE, DELETE ON interval_quantity, interval_emission, indicator_value TO tonne_ingest;
GRANT INSERT, DELETE ON quality_flag TO tonne_ingest;
