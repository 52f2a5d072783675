-- A commit of readings and a seal see each other.  How far days are sealed, or being sealed, stands in
-- `sealing` before a seal looks at them; a commit holds a shared lock, looks, and notes what it stores of
-- days before that.  A sealer waits for the commits that looked before it wrote, and for no others.
SET LOCAL ROLE tonne_owner;

CREATE TABLE sealing (
    one   boolean PRIMARY KEY DEFAULT true CHECK (one),
    until timestamptz NOT NULL
);
INSERT INTO sealing (until) SELECT max(to_time) FROM data_seal HAVING count(*) > 0;

-- Call it in the transaction that stores readings: each statement sees what was committed before it, so
-- that the second one looks once the lock is held.
CREATE FUNCTION tonne_sealing_until() RETURNS timestamptz LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('tonne sealing', 0));
    RETURN (SELECT until FROM sealing);
END $$;

-- Which readings a commit stored of days that may be sealed; without any, that it made rows of that day
-- again.  The sealer empties it.  `late_day`, which 0.1.0 writes, names whole days.
CREATE TABLE late_reading (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    device_id text COLLATE "C" NOT NULL,
    day       date NOT NULL,                       -- of UTC
    added     bigint[] NOT NULL,                   -- times of new readings [us UTC]
    filled    jsonb,                               -- channel: times at which it was empty before [us UTC]
    sealed    text[] COLLATE "C" NOT NULL DEFAULT '{}',  -- days whose last seal holds them, as 'PROJECT DAY'
    noted     timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX late_reading_device ON late_reading (device_id, day);

DO $$
DECLARE
    drops text := pg_get_functiondef('tonne_drop_archived(text, timestamptz, timestamptz)'::regprocedure);
    notes text := 'FROM (SELECT device_id, day FROM late_day UNION ALL SELECT device_id, day FROM late_reading) l ';
BEGIN
    ASSERT strpos(drops, 'FROM late_day l ') > 0;
    EXECUTE replace(drops, 'FROM late_day l ', notes);
END $$;

GRANT SELECT ON sealing TO tonne_ingest, tonne_mrv, tonne_grafana;
GRANT INSERT, UPDATE ON sealing TO tonne_mrv;
GRANT INSERT ON late_reading TO tonne_ingest;
GRANT SELECT ON late_reading TO tonne_mrv, tonne_api, tonne_grafana, tonne_archive;
GRANT DELETE, UPDATE (sealed) ON late_reading TO tonne_mrv;
