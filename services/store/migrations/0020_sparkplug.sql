-- What a Sparkplug host knows of its edge nodes, so that a restart needs no rebirth:
-- sessions, births with their aliases, and messages that wait for one before them.
-- Written in the transaction that stores the readings.
SET LOCAL ROLE tonne_owner;

CREATE TABLE sparkplug_node (
    node         tonne_id PRIMARY KEY,
    group_id     text NOT NULL,
    online       boolean NOT NULL,
    changed      timestamptz NOT NULL,
    bd_seq       bigint,
    next_seq     smallint CHECK (next_seq BETWEEN 0 AND 255),
    born_ms      bigint NOT NULL,
    certain_ms   bigint NOT NULL,
    gap_since    timestamptz,
    wanted       timestamptz,
    rebirth_sent timestamptz
);
COMMENT ON COLUMN sparkplug_node.wanted IS 'when a rebirth was last needed; empty once a birth came';

-- device '' is the node itself; certain_ms is empty while the birth lasts
CREATE TABLE sparkplug_birth (
    node       tonne_id NOT NULL REFERENCES sparkplug_node,
    device     text COLLATE "C" NOT NULL,
    born_ms    bigint NOT NULL,
    certain_ms bigint,
    asked      boolean NOT NULL,
    tags       jsonb NOT NULL,
    PRIMARY KEY (node, device, born_ms)
);

CREATE TABLE sparkplug_held (
    id       text COLLATE "C" PRIMARY KEY,
    node     tonne_id NOT NULL REFERENCES sparkplug_node,
    received timestamptz NOT NULL,
    topic    text NOT NULL,
    payload  bytea NOT NULL
);
CREATE INDEX sparkplug_held_node ON sparkplug_held (node);

-- Devices that speak Sparkplug: those whose node's will came, or whose death was told, are dead
-- and what they last said is stale.
CREATE VIEW v_sparkplug_device AS
SELECT CASE WHEN b.device = '' THEN n.node::text ELSE b.device END AS device_id,
       n.node::text AS node, n.group_id,
       bool_or(b.certain_ms IS NULL) AND n.online AS alive,
       to_timestamp(max(b.born_ms) / 1000.0) AS born,
       CASE WHEN n.online THEN NULL ELSE n.changed END AS offline_since
FROM sparkplug_node n
JOIN sparkplug_birth b ON b.node = n.node
GROUP BY n.node, n.group_id, n.online, n.changed, b.device;

GRANT SELECT ON sparkplug_node, sparkplug_birth, sparkplug_held, v_sparkplug_device
    TO tonne_ingest, tonne_mrv, tonne_api, tonne_grafana;
GRANT INSERT, UPDATE ON sparkplug_node TO tonne_ingest;
GRANT INSERT, UPDATE, DELETE ON sparkplug_birth, sparkplug_held TO tonne_ingest;
