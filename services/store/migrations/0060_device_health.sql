-- Who is heard: by time of measurement and expected cadence, by what a principal says
-- of itself (birth and will), and whether a silence is a device's own or its gateway's.
SET LOCAL ROLE tonne_owner;

-- Observed, not derived: a list of ten thousand devices may not read as many histories.
-- Times only grow and quarters are only added, so order and repetition change nothing.
-- `last_reading` may stand ten seconds behind the readings; tonne_see_devices() mends it.
CREATE TABLE device_seen (
    device_id    text COLLATE "C" PRIMARY KEY,
    last_reading timestamptz NOT NULL,
    received     timestamptz NOT NULL,
    day          date NOT NULL,
    quarters     bit(100) NOT NULL
) WITH (fillfactor = 60);
COMMENT ON COLUMN device_seen.quarters IS 'quarter hours of that local day with a reading; the longest day has 100';

-- The last word of each registered principal on tonne/v1/<principal>/status.
CREATE TABLE principal_status (
    principal text COLLATE "C" PRIMARY KEY,
    said      text NOT NULL CHECK (said IN ('online', 'offline')),
    at        timestamptz NOT NULL,
    firmware  text
);

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
SELECT tonne_see_devices();

-- Every device as it stands alone.  Late after twice, offline after eight times the
-- cadence that its `attributes.cadence_s` expects, a quarter hour by default; a will
-- that came after the last reading counts at once.
CREATE VIEW v_device_own AS
SELECT d.id AS device_id, d.site, d.class, d.gateway, s.last_reading, s.received, e.expected_s,
       p.said, p.at AS said_at, p.firmware,
       CASE
           WHEN p.said = 'offline' AND p.at >= coalesce(s.received, '-infinity') THEN 2
           WHEN s.last_reading IS NULL OR s.last_reading < now() - 8 * e.expected_s * INTERVAL '1 s' THEN 2
           WHEN s.last_reading < now() - 2 * e.expected_s * INTERVAL '1 s' THEN 1
           ELSE 0
       END AS silence,
       coalesce(p.said = 'offline' AND p.at >= coalesce(s.received, '-infinity'), false) AS said_offline,
       CASE WHEN s.day = t.today THEN bit_count(s.quarters) ELSE 0 END / t.quarters AS completeness_today
FROM device d
JOIN (
    SELECT id, (now() AT TIME ZONE timezone)::date AS today,
           ceil(greatest(extract(epoch FROM now() - (now() AT TIME ZONE timezone)::date::timestamp AT TIME ZONE timezone), 1) / 900)::double precision AS quarters
    FROM site
    OFFSET 0  -- a fence: local midnight once a site, not once a device
) t ON t.id = d.site
LEFT JOIN device_seen s ON s.device_id = d.id
LEFT JOIN principal_status p ON p.principal = d.id
CROSS JOIN LATERAL (SELECT CASE WHEN jsonb_typeof(d.attributes -> 'cadence_s') = 'number'
    THEN (d.attributes ->> 'cadence_s')::double precision ELSE 900 END AS expected_s) e
WHERE d.removed IS NULL OR d.removed > now();

-- A gateway is dark when it said so, or when nothing of it and behind it is heard.  What
-- is silent behind a dark gateway is no alarm of its own.
CREATE OR REPLACE VIEW v_device_health AS
WITH RECURSIVE own AS MATERIALIZED (
    SELECT * FROM v_device_own
), behind AS (
    SELECT device_id, gateway AS above, silence FROM own WHERE gateway IS NOT NULL
    UNION ALL
    SELECT b.device_id, o.gateway, b.silence FROM behind b JOIN own o ON o.device_id = b.above WHERE o.gateway IS NOT NULL
), gateway AS MATERIALIZED (
    SELECT o.device_id, CASE WHEN o.said_offline THEN 2 ELSE least(o.silence, b.silence) END AS silence
    FROM own o JOIN (SELECT above, min(silence) AS silence FROM behind GROUP BY above) b ON b.above = o.device_id
)
SELECT o.device_id, o.site, o.class, o.gateway, o.last_reading,
       extract(epoch FROM now() - o.last_reading)::double precision AS silent_s,
       (ARRAY['online', 'late', 'offline'])[1 + o.shown] AS state,
       c.offset_s AS clock_offset_s, c.drift_s_per_day AS clock_drift_s_per_day, c.clock,
       coalesce(f.flags, 0) AS flags_last_day,
       o.received, o.expected_s, o.said, o.said_at, o.firmware, o.completeness_today,
       o.dark AS gateway_dark,
       o.shown > 0 AND NOT o.dark AS alarm
FROM (
    SELECT own.*, coalesce(up.silence > 0, false) AS dark,
           -- a gateway that measures nothing itself is as silent as all that is behind it
           CASE WHEN me.silence IS NOT NULL AND own.last_reading IS NULL THEN me.silence ELSE own.silence END AS shown
    FROM own
    LEFT JOIN gateway me ON me.device_id = own.device_id
    LEFT JOIN gateway up ON up.device_id = own.gateway
) o
LEFT JOIN v_device_clock c ON c.device_id = o.device_id
LEFT JOIN (
    SELECT device_id, count(*) AS flags FROM quality_flag WHERE time > now() - INTERVAL '1 day' GROUP BY device_id
) f ON f.device_id = o.device_id;
COMMENT ON COLUMN v_device_health.alarm IS 'not online, and not because its gateway is dark: one alarm a cause';

GRANT SELECT ON device_seen, principal_status, v_device_own TO tonne_ingest, tonne_mrv, tonne_api, tonne_grafana;
GRANT SELECT ON v_device_health TO tonne_ingest;
GRANT INSERT, UPDATE ON device_seen, principal_status TO tonne_ingest;
GRANT EXECUTE ON FUNCTION tonne_see_devices() TO tonne_ingest;
