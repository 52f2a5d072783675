-- What a device's derived rows lack is made in spans, each in a commit of its own.
SET LOCAL ROLE tonne_owner;

-- `from_time`: everything before stands; readings from here on are still to be metered.  `last_time`:
-- the last one that changed; what follows it is made again until it comes out as it stands.  `whole`:
-- it began with the device's first reading, so flags and stations' values are made again too.  The
-- registry asks for the whole; a pipeline that has more to derive than one commit may hold puts off
-- the rest by a row of its own.  `held`: what comes of the device meanwhile is only stored.
ALTER TABLE remake_request
    ADD COLUMN from_time timestamptz NOT NULL DEFAULT '-infinity',
    ADD COLUMN last_time timestamptz NOT NULL DEFAULT 'infinity',
    ADD COLUMN whole boolean NOT NULL DEFAULT true,
    ADD COLUMN held boolean NOT NULL DEFAULT false;
GRANT INSERT ON remake_request TO tonne_ingest;

-- Whoever asks for the whole begins anew, whatever was done already.
CREATE FUNCTION tonne_remake_whole() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.from_time := '-infinity';
    NEW.last_time := 'infinity';
    NEW.whole := true;
    RETURN NEW;
END $$;
CREATE TRIGGER asked_again BEFORE UPDATE OF requested ON remake_request
    FOR EACH ROW EXECUTE FUNCTION tonne_remake_whole();

-- How many bytes of dead letters a principal has left today, and what came beyond that: counted, with
-- the beginning of one message for each reason and day.
CREATE TABLE dead_letter_day (
    principal text COLLATE "C" PRIMARY KEY,
    day       date NOT NULL,
    bytes     bigint NOT NULL
) WITH (fillfactor = 80);
CREATE TABLE dead_letter_excess (
    principal text COLLATE "C" NOT NULL,
    day       date NOT NULL,
    reason    text COLLATE "C" NOT NULL,
    letters   bigint NOT NULL,
    bytes     bigint NOT NULL,
    last      timestamptz NOT NULL,
    topic     text NOT NULL,
    detail    text NOT NULL,
    beginning bytea NOT NULL CHECK (length(beginning) <= 1000),
    PRIMARY KEY (principal, day, reason)
) WITH (fillfactor = 80);
COMMENT ON COLUMN dead_letter_excess.beginning IS 'of the last message, a thousand bytes at most';
GRANT SELECT ON dead_letter_day, dead_letter_excess TO tonne_ingest, tonne_mrv, tonne_api, tonne_grafana;
GRANT INSERT, UPDATE ON dead_letter_day, dead_letter_excess TO tonne_ingest;

-- What is written again and again keeps room in its pages, and is vacuumed early.
ALTER TABLE indicator_value SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.02);
ALTER TABLE clock_lag SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);
ALTER TABLE remake_request SET (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.02);

-- Whoever watches lets old dead letters go; the function itself keeps thirty days of them.
RESET ROLE;
SET LOCAL ROLE tonne_retention;
GRANT EXECUTE ON FUNCTION tonne_expire_dead_letters(timestamptz, text) TO tonne_mrv;
