-- Readings are stored first and their rows are made behind them.  What lacks its rows is written with
-- the readings, so that whoever starts after a kill knows of it.
SET LOCAL ROLE tonne_owner;

-- A row a commit: devices with the first and the last reading that changed. [us UTC]  Who made the rows
-- deletes it in the transaction that holds them.
CREATE TABLE underived (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stored  timestamptz NOT NULL DEFAULT clock_timestamp(),
    devices text[] COLLATE "C" NOT NULL,
    first   bigint[] NOT NULL,
    last    bigint[] NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.02);
GRANT SELECT ON underived TO tonne_ingest, tonne_mrv, tonne_api, tonne_grafana, tonne_watch;
GRANT INSERT, DELETE ON underived TO tonne_ingest;

-- What a process left behind waits by device, as what is put off does; its readings are not judged yet.
ALTER TABLE remake_request ADD COLUMN unjudged boolean NOT NULL DEFAULT false;

CREATE VIEW v_underived AS
SELECT device_id, from_time FROM remake_request
UNION ALL
SELECT d.id, TIMESTAMPTZ 'epoch' + d.first * INTERVAL '1 microsecond'
FROM underived u CROSS JOIN LATERAL unnest(u.devices, u.first) AS d (id, first);
GRANT SELECT ON v_underived TO tonne_ingest, tonne_mrv, tonne_api, tonne_grafana, tonne_watch;

COMMENT ON VIEW v_underived IS 'Devices whose rows are not made yet from their readings, and from when on.';

-- Rows are made from a snapshot of before: whoever writes them asks how far days are sealed by a lock on
-- the row, which fails where that was moved since the snapshot, and keeps it from moving until the end.
INSERT INTO sealing (until) SELECT TIMESTAMPTZ 'epoch' WHERE NOT EXISTS (SELECT FROM sealing);
CREATE FUNCTION tonne_sealing_held() RETURNS timestamptz LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT until FROM sealing FOR SHARE
$$;
REVOKE ALL ON FUNCTION tonne_sealing_held() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tonne_sealing_held() TO tonne_ingest;
