-- What devices and gateways show of themselves: when they were heard, what they said, how
-- far their clocks are off, which credentials they hold.  Observed, not derived.
SET LOCAL ROLE tonne_owner;

-- A list of ten thousand devices may not read as many histories.  Times only grow and quarters are
-- only added, so order and repetition change nothing.  `last_reading` may stand ten seconds behind the
-- readings; tonne_see_devices() mends it.
CREATE TABLE device_seen (
    device_id    text COLLATE "C" PRIMARY KEY,
    last_reading timestamptz NOT NULL,
    received     timestamptz NOT NULL,
    day          date NOT NULL,
    quarters     bit(100) NOT NULL
) WITH (fillfactor = 60);
COMMENT ON COLUMN device_seen.quarters IS 'quarter hours of that local day with a reading; the longest day has 100';

CREATE FUNCTION tonne_see_devices() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
DECLARE
    class_name text;
    found bigint := 0;
    n bigint;
BEGIN
    FOR class_name IN SELECT DISTINCT class FROM device ORDER BY 1 LOOP
        CONTINUE WHEN to_regclass('reading_' || class_name) IS NULL;
        EXECUTE format(
            'INSERT INTO device_seen AS s (device_id, last_reading, received, day, quarters)
             SELECT d.id, r.time, r.time, ''-infinity'', repeat(''0'', 100)::bit(100) FROM device d CROSS JOIN LATERAL
                 (SELECT time FROM %I WHERE device_id = d.id ORDER BY time DESC LIMIT 1) r
             WHERE d.class = %L ORDER BY d.id
             ON CONFLICT (device_id) DO UPDATE SET last_reading = excluded.last_reading
             WHERE excluded.last_reading > s.last_reading',
            'reading_' || class_name, class_name);
        GET DIAGNOSTICS n = ROW_COUNT;
        found := found + n;
    END LOOP;
    RETURN found;
END $$;

-- The last word of each registered principal on tonne/v1/<principal>/status.  `clock_ahead_s` is how
-- far a gateway's own clock is ahead, as it says itself once tonne told it the time; it corrects what
-- it recorded, so readings do not show it.
CREATE TABLE principal_status (
    principal     text COLLATE "C" PRIMARY KEY,
    said          text NOT NULL CHECK (said IN ('online', 'offline')),
    at            timestamptz NOT NULL,
    firmware      text,
    clock_ahead_s double precision
);

-- Least time from a reading to its receipt, by day of receipt: what the device's clock is behind (or,
-- below zero, ahead).  A minimum is the same in any order and for any repetition, and buffered readings
-- do not disturb it.  The time of receipt stands nowhere else.
CREATE TABLE clock_lag (
    device_id text COLLATE "C" NOT NULL,
    day       date NOT NULL,
    least_us  bigint NOT NULL,
    PRIMARY KEY (device_id, day)
) WITH (fillfactor = 80);

-- Which principal was given which credential, when, by whom, and when it was taken back.  Certificates
-- are known by serial and fingerprint; keys and passwords are not stored.
CREATE TABLE credential (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    principal   tonne_id NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('certificate', 'password')),
    serial      text COLLATE "C" UNIQUE CHECK (serial ~ '^[0-9a-f]{1,40}$'),
    fingerprint text COLLATE "C" CHECK (fingerprint ~ '^[0-9a-f]{64}$'),
    issued      timestamptz NOT NULL DEFAULT now(),
    expires     timestamptz,
    author      text NOT NULL DEFAULT session_user,
    revoked     timestamptz,
    revoked_by  text,
    reason      text,
    CHECK ((kind = 'certificate') = (serial IS NOT NULL AND fingerprint IS NOT NULL AND expires IS NOT NULL)),
    CHECK ((revoked IS NULL) = (reason IS NULL) AND (revoked IS NULL) = (revoked_by IS NULL))
);
CREATE INDEX credential_principal ON credential (principal);

-- A revocation is the one change, and it is not taken back.
CREATE FUNCTION tonne_revoke_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.revoked IS NOT NULL OR NEW.revoked IS NULL OR
       (OLD.id, OLD.principal, OLD.kind, OLD.serial, OLD.fingerprint, OLD.issued, OLD.expires, OLD.author)
       IS DISTINCT FROM (NEW.id, NEW.principal, NEW.kind, NEW.serial, NEW.fingerprint, NEW.issued, NEW.expires, NEW.author) THEN
        RAISE EXCEPTION 'a credential can be revoked once and is not otherwise changed';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER revoke_only BEFORE UPDATE ON credential FOR EACH ROW EXECUTE FUNCTION tonne_revoke_only();
CREATE TRIGGER no_delete BEFORE DELETE ON credential FOR EACH ROW EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON credential FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only();

-- Unknown principals that were refused; what they sent is in the dead letters.
CREATE TABLE knock_refused (
    principal text COLLATE "C" NOT NULL,
    device    text COLLATE "C" NOT NULL,
    refused   timestamptz NOT NULL DEFAULT now(),
    author    text NOT NULL DEFAULT session_user,
    reason    text NOT NULL,
    PRIMARY KEY (principal, device)
);

-- What a Sparkplug host knows of its edge nodes, so that a restart needs no rebirth: sessions, births
-- with their aliases, and messages that wait for an earlier one.  Written in the transaction that
-- stores the readings.
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

-- Device '' is the node itself; certain_ms is empty while the birth lasts.
CREATE TABLE sparkplug_birth (
    node       tonne_id NOT NULL REFERENCES sparkplug_node,
    device     text COLLATE "C" NOT NULL,
    born_ms    bigint NOT NULL,
    certain_ms bigint,
    asked      boolean NOT NULL,
    tags       jsonb NOT NULL,
    PRIMARY KEY (node, device, born_ms)
);

-- `seq` and `sent_ms` sort the messages that wait: place in the sequence, and time of sending.
CREATE TABLE sparkplug_held (
    id       text COLLATE "C" PRIMARY KEY,
    node     tonne_id NOT NULL REFERENCES sparkplug_node,
    received timestamptz NOT NULL,
    topic    text NOT NULL,
    payload  bytea NOT NULL,
    seq      smallint NOT NULL DEFAULT 0,
    sent_ms  bigint NOT NULL DEFAULT 0
);
CREATE INDEX sparkplug_held_node ON sparkplug_held (node);

GRANT SELECT ON device_seen, principal_status, clock_lag, sparkplug_node, sparkplug_birth, sparkplug_held
    TO tonne_ingest, tonne_mrv, tonne_api, tonne_grafana;
GRANT SELECT ON credential, knock_refused TO tonne_mrv, tonne_api, tonne_grafana;
GRANT INSERT, UPDATE ON device_seen, principal_status, clock_lag, sparkplug_node TO tonne_ingest;
GRANT INSERT, UPDATE, DELETE ON sparkplug_birth, sparkplug_held TO tonne_ingest;
GRANT EXECUTE ON FUNCTION tonne_see_devices() TO tonne_ingest;
