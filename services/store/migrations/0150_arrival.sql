-- When readings came: how many of a device and an hour were stored in which hour of arrival.
-- Written in the transaction that stores the readings; entered in the log with each day's seal.
SET LOCAL ROLE tonne_owner;

CREATE TABLE arrival_count (
    device_id text COLLATE "C" NOT NULL,
    made      timestamptz NOT NULL,
    arrived   timestamptz NOT NULL,
    readings  bigint NOT NULL CHECK (readings > 0),
    PRIMARY KEY (device_id, made, arrived)
) WITH (fillfactor = 70);  -- a row of the hour that it is now is counted up with each batch

GRANT SELECT ON arrival_count TO tonne_mrv, tonne_api, tonne_grafana;
GRANT SELECT, INSERT, UPDATE ON arrival_count TO tonne_ingest;
