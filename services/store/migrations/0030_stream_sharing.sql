-- How many workers share a database and still write each device from one place.
-- `visits` counts writes for a partition's devices by somebody who does not hold
-- it: its holder sees that the count moved, and looks again before it goes on.
SET LOCAL ROLE tonne_owner;

ALTER TABLE stream_offset ADD COLUMN visits bigint NOT NULL DEFAULT 0;

-- The one topic that workers of this database read, and the most partitions it was seen with.
CREATE TABLE stream_source (
    single     boolean PRIMARY KEY DEFAULT true CHECK (single),
    topic      text COLLATE "C" NOT NULL,
    partitions integer NOT NULL CHECK (partitions > 0)
);
GRANT SELECT ON stream_source TO tonne_ingest, tonne_mrv, tonne_api, tonne_grafana;
GRANT INSERT, UPDATE ON stream_source TO tonne_ingest;
