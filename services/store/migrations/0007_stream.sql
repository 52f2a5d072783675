-- How far each partition of the stream has been stored, and who may move that on.
SET LOCAL ROLE tonne_owner;

-- Written in the transaction that stores what the offset stands for.  A worker that takes a partition
-- over raises `epoch`; one that was thought dead and comes back finds that it has moved.  `visits`
-- counts writes for a partition's devices by somebody who does not hold it: its holder sees that the
-- count moved, and looks again before it goes on.
CREATE TABLE stream_offset (
    topic     text COLLATE "C" NOT NULL,
    partition integer NOT NULL,
    "offset"  bigint NOT NULL,
    epoch     bigint NOT NULL DEFAULT 0,
    visits    bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (topic, partition)
);

-- The one topic that workers of this database read, and the most partitions it was seen with.
CREATE TABLE stream_source (
    single     boolean PRIMARY KEY DEFAULT true CHECK (single),
    topic      text COLLATE "C" NOT NULL,
    partitions integer NOT NULL CHECK (partitions > 0)
);

GRANT SELECT ON stream_offset, stream_source TO tonne_ingest, tonne_mrv, tonne_api, tonne_grafana;
GRANT INSERT, UPDATE ON stream_offset, stream_source TO tonne_ingest;
