-- Alarms: what is wrong in the field, since when, what it costs and who took it up.  The watcher raises
-- and clears them by the rules of services/registry/alarm_rules.toml; people acknowledge and comment.
SET LOCAL ROLE tonne_owner;

-- The rules as the watcher last read them, a row a kind and class; class '' is that of gateways and
-- projects.  An alarm is raised when its cause has lasted `after_s`, and cleared when it has been away
-- for `clear_s`.
CREATE TABLE alarm_rule (
    kind        text COLLATE "C" NOT NULL,
    class       text COLLATE "C" NOT NULL,
    severity    text NOT NULL CHECK (severity IN ('critical', 'major', 'minor')),
    after_s     bigint NOT NULL CHECK (after_s >= 0),
    clear_s     bigint NOT NULL CHECK (clear_s >= 0),
    raise_below numeric,
    clear_above numeric CHECK (clear_above >= raise_below),
    days        integer CHECK (days > 0),
    PRIMARY KEY (kind, class)
);

-- `part` tells two causes of one device apart: a channel, an indicator.  `ending_since` is set while
-- the cause is away and the alarm not yet cleared.
CREATE TABLE alarm (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind           text COLLATE "C" NOT NULL,
    subject_type   text NOT NULL CHECK (subject_type IN ('device', 'gateway', 'project')),
    subject        text COLLATE "C" NOT NULL,
    part           text COLLATE "C" NOT NULL DEFAULT '',
    class          text COLLATE "C",
    site           text COLLATE "C",
    projects       text[] NOT NULL,
    severity       text NOT NULL CHECK (severity IN ('critical', 'major', 'minor')),
    since          timestamptz NOT NULL,
    raised         timestamptz NOT NULL DEFAULT now(),
    cause          text NOT NULL,
    detail         jsonb NOT NULL DEFAULT '{}',
    devices        bigint NOT NULL DEFAULT 1,
    cost_t_per_day numeric CHECK (cost_t_per_day >= 0),
    clear_s        bigint NOT NULL,
    ending_since   timestamptz,
    cleared        timestamptz CHECK (cleared >= raised)
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX alarm_one_a_cause ON alarm (kind, subject_type, subject, part) WHERE cleared IS NULL;
CREATE INDEX alarm_subject ON alarm (subject, raised);

CREATE TABLE alarm_event (
    sequence  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alarm_id  bigint NOT NULL REFERENCES alarm,
    event     text NOT NULL CHECK (event IN ('raised', 'acknowledged', 'commented', 'cleared')),
    at        timestamptz NOT NULL DEFAULT now(),
    actor     text NOT NULL CHECK (actor <> ''),
    principal text,
    text      text NOT NULL DEFAULT '',
    CHECK (event <> 'commented' OR text <> '')
);
CREATE INDEX alarm_event_alarm ON alarm_event (alarm_id, sequence);
CREATE UNIQUE INDEX alarm_event_once ON alarm_event (alarm_id, event) WHERE event <> 'commented';

-- What was raised stays as it was; an alarm that is cleared is over.
CREATE FUNCTION tonne_alarm_life() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.cleared IS NOT NULL OR
       (OLD.id, OLD.kind, OLD.subject_type, OLD.subject, OLD.part, OLD.severity, OLD.since, OLD.raised, OLD.cause)
       IS DISTINCT FROM (NEW.id, NEW.kind, NEW.subject_type, NEW.subject, NEW.part, NEW.severity, NEW.since, NEW.raised, NEW.cause) THEN
        RAISE EXCEPTION 'append-only: alarm % is cleared once and is not otherwise changed', OLD.id
            USING ERRCODE = 'insufficient_privilege', HINT = 'Write a comment.';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER alarm_life BEFORE UPDATE ON alarm FOR EACH ROW EXECUTE FUNCTION tonne_alarm_life();
CREATE TRIGGER no_delete BEFORE DELETE ON alarm FOR EACH ROW EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON alarm FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON alarm_event FOR EACH ROW EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON alarm_event FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only();

-- The cost of a silence reads four weeks of one device: by the project first, that was every device's.
CREATE INDEX day_emission_device ON day_emission (device_id, project_id, day);

-- A number that the registry sets for one device, `attributes.alarms.<kind>.<name>`, else the rule's.
CREATE FUNCTION tonne_alarm_number(attributes jsonb, kind text, name text, rule numeric) RETURNS numeric
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN jsonb_typeof(attributes #> ARRAY['alarms', kind, name]) = 'number'
        THEN (attributes #>> ARRAY['alarms', kind, name])::numeric ELSE rule END
$$;

-- Every cause that holds now, a row each.  `raises` is false where the cause is weaker than what raises
-- an alarm and stronger than what clears it.
CREATE VIEW v_alarm_condition AS
WITH RECURSIVE health AS MATERIALIZED (
    SELECT h.*, d.attributes, d.installed FROM v_device_health h JOIN device d ON d.id = h.device_id
), serves AS MATERIALIZED (
    SELECT DISTINCT ON (m.device_id) m.device_id::text COLLATE "C" AS device_id, m.project_id::text COLLATE "C" AS project_id
    FROM project_device m WHERE m.during @> now() ORDER BY m.device_id, lower(m.during) DESC
), cost AS MATERIALIZED (
    SELECT device_id, max(CASE WHEN cost_t_per_day < 0 THEN 0 ELSE cost_t_per_day END) AS cost_t_per_day FROM v_silence_cost GROUP BY device_id
), silent AS MATERIALIZED (
    SELECT h.device_id, h.alarm, s.project_id, c.cost_t_per_day, w.after_s,
           coalesce(h.last_reading, h.installed) AS since,
           coalesce(h.last_reading, h.installed) + w.after_s * INTERVAL '1 s' <= now() AS due
    FROM health h
    JOIN alarm_rule r ON r.kind = 'device_silent' AND r.class = h.class
    CROSS JOIN LATERAL (SELECT tonne_alarm_number(h.attributes, 'device_silent', 'after_s', r.after_s) AS after_s) w
    LEFT JOIN serves s ON s.device_id = h.device_id
    LEFT JOIN cost c ON c.device_id = h.device_id
    WHERE h.state <> 'online'
), below AS (
    SELECT device_id, gateway AS above FROM health WHERE gateway IS NOT NULL
    UNION
    SELECT b.device_id, h.gateway FROM below b JOIN health h ON h.device_id = b.above WHERE h.gateway IS NOT NULL
), gateway AS MATERIALIZED (
    -- the topmost that is dark; it is as patient as the least patient device behind it
    SELECT g.device_id AS gateway, g.class, g.site, g.said, min(s.after_s) AS after_s,
           greatest(g.last_reading, max(s.since)) AS since,
           count(*) AS devices, sum(s.cost_t_per_day) AS cost_t_per_day,
           array_agg(DISTINCT s.project_id) FILTER (WHERE s.project_id IS NOT NULL) AS projects
    FROM health g
    JOIN below b ON b.above = g.device_id
    JOIN silent s ON s.device_id = b.device_id
    WHERE g.alarm AND EXISTS (SELECT FROM health h WHERE h.gateway = g.device_id AND h.gateway_dark)
    GROUP BY g.device_id, g.class, g.site, g.said, g.last_reading
), gateway_due AS MATERIALIZED (
    SELECT g.* FROM gateway g JOIN alarm_rule r ON r.kind = 'gateway_silent' AND r.class = ''
    WHERE g.since + greatest(g.after_s, r.after_s) * INTERVAL '1 s' <= now()
), dark_project AS MATERIALIZED (
    -- nothing of it is heard, and not for one gateway's or one device's sake
    SELECT s.project_id, max(a.since) AS since, count(*) FILTER (WHERE a.alarm) AS devices,
           sum(a.cost_t_per_day) FILTER (WHERE a.alarm) AS cost_t_per_day
    FROM serves s
    JOIN health h ON h.device_id = s.device_id
    LEFT JOIN silent a ON a.device_id = s.device_id
    GROUP BY s.project_id
    HAVING bool_and(h.state <> 'online') AND bool_and(coalesce(a.due, false))
       AND count(*) FILTER (WHERE a.alarm AND a.device_id NOT IN (SELECT gateway FROM gateway)) >= 2
), condition AS (
    SELECT 'device_silent' AS kind, 'device' AS subject_type, s.device_id AS subject, '' AS part, h.class, h.site,
           array_remove(ARRAY[s.project_id], NULL) AS projects, s.since, 0::numeric AS least_after_s,
           CASE WHEN h.last_reading IS NULL THEN 'never heard'
                WHEN h.said = 'offline' AND h.said_at >= h.last_reading THEN 'will' ELSE 'silence' END AS cause,
           '{}'::jsonb AS detail, 1::bigint AS devices, s.cost_t_per_day, s.alarm AS raises
    FROM silent s
    JOIN health h ON h.device_id = s.device_id
    WHERE s.device_id NOT IN (SELECT gateway FROM gateway)
      AND NOT EXISTS (SELECT FROM below b JOIN gateway_due g ON g.gateway = b.above WHERE b.device_id = s.device_id)
      AND NOT (s.alarm AND s.project_id IS NOT NULL AND s.project_id IN (SELECT project_id FROM dark_project))
    UNION ALL
    SELECT 'gateway_silent', 'gateway', g.gateway, '', g.class, g.site, coalesce(g.projects, '{}'), g.since, g.after_s,
           CASE WHEN g.said = 'offline' THEN 'will' ELSE 'silence' END, '{}', g.devices, g.cost_t_per_day, true
    FROM gateway g
    UNION ALL
    SELECT 'project_silent', 'project', p.project_id, '', NULL, NULL, ARRAY[p.project_id], p.since, 0,
           'silence', '{}', p.devices, p.cost_t_per_day, true
    FROM dark_project p
    UNION ALL
    SELECT 'inverter_low', 'device', low.device_id, '', h.class, h.site, array_remove(ARRAY[s.project_id], NULL), low.since, 0,
           low.measure, jsonb_build_object('value', round(low.newest::numeric, 3), 'limit', low.raise_below), 1, NULL,
           low.highest < low.raise_below
    FROM (
        SELECT last.device_id, last.raise_below, last.clear_above, min(last.time) AS since, max(last.value) AS highest,
               (array_agg(last.value ORDER BY last.day DESC))[1] AS newest,
               (array_agg(last.measure ORDER BY last.day DESC))[1] AS measure
        FROM (
            SELECT v.*, d.days,
                   tonne_alarm_number(h.attributes, 'inverter_low', 'raise_below', d.raise_below) AS raise_below,
                   greatest(d.clear_above, tonne_alarm_number(h.attributes, 'inverter_low', 'raise_below', d.raise_below)) AS clear_above,
                   row_number() OVER (PARTITION BY v.device_id ORDER BY v.day DESC) AS number
            FROM (
                SELECT p.device_id, p.day, p.time,
                       coalesce(p.performance_ratio, CASE WHEN site.inverters >= 3 AND site.median > 0.5 THEN p.yield_h / site.median END) AS value,
                       CASE WHEN p.performance_ratio IS NULL THEN 'yield against its site' ELSE 'performance ratio' END AS measure
                FROM v_day_pv p
                JOIN (
                    SELECT o.site, o.day, count(*) AS inverters, percentile_cont(0.5) WITHIN GROUP (ORDER BY o.yield_h) AS median
                    FROM v_day_pv o WHERE o.time > now() - INTERVAL '8 days' GROUP BY o.site, o.day
                ) site ON site.site = p.site AND site.day = p.day
                WHERE p.time > now() - INTERVAL '8 days'
            ) v
            JOIN health h ON h.device_id = v.device_id
            JOIN alarm_rule d ON d.kind = 'inverter_low' AND d.class = h.class
            WHERE v.value IS NOT NULL
        ) last
        WHERE last.number <= last.days
        GROUP BY last.device_id, last.raise_below, last.clear_above, last.days
        HAVING count(*) = last.days
    ) low
    JOIN health h ON h.device_id = low.device_id
    LEFT JOIN serves s ON s.device_id = low.device_id
    WHERE low.newest < low.clear_above
    UNION ALL
    SELECT 'limit_exceeded', 'device', v.device_id, v.indicator || ' ' || v.period, h.class, h.site,
           array_remove(ARRAY[s.project_id], NULL), min(v.start), 0, v.indicator,
           jsonb_build_object('value', (array_agg(v.value ORDER BY v.start DESC))[1], 'period', v.period), 1, NULL, true
    FROM (
        SELECT i.*, max(i.start) FILTER (WHERE i.grade = 'within') OVER (PARTITION BY i.device_id, i.indicator, i.period) AS kept
        FROM indicator_value i
        WHERE i.start > now() - INTERVAL '50 hours' AND i.grade IN ('within', 'exceeded')
    ) v
    JOIN health h ON h.device_id = v.device_id
    LEFT JOIN serves s ON s.device_id = v.device_id
    WHERE v.grade = 'exceeded' AND (v.kept IS NULL OR v.start > v.kept)
    GROUP BY v.device_id, v.indicator, v.period, h.class, h.site, s.project_id
    UNION ALL
    SELECT 'gauge_frozen', 'device', f.device_id, f.channel, h.class, h.site, array_remove(ARRAY[s.project_id], NULL),
           f.since, 0, f.channel, '{}', 1, NULL, true
    FROM (
        SELECT device_id, channel, min(time) AS since, max(time) AS last FROM quality_flag
        WHERE test = 'flat_line' AND time > now() - INTERVAL '2 days' GROUP BY device_id, channel
    ) f
    JOIN health h ON h.device_id = f.device_id
    LEFT JOIN serves s ON s.device_id = f.device_id
    WHERE h.state = 'online' AND f.last >= h.last_reading - INTERVAL '1 hour'
    UNION ALL
    SELECT CASE c.state WHEN 'expired' THEN 'certificate_expired' ELSE 'certificate_expiring' END, 'device', c.device_id, '',
           c.class, c.site, ARRAY[c.project_id],
           (c.valid_until + CASE c.state WHEN 'expired' THEN 1 ELSE -60 END)::timestamp AT TIME ZONE p.timezone, 0,
           c.state, jsonb_build_object('valid_until', c.valid_until), 1, NULL, true
    FROM v_calibration_due c
    JOIN project p ON p.id = c.project_id
    WHERE c.state IN ('expiring', 'expired')
    UNION ALL
    -- a month before it ends, or the last third of a short one
    SELECT 'credential_expiring', 'device', k.principal, '', h.class, h.site, array_remove(ARRAY[s.project_id], NULL), k.since, 0,
           CASE WHEN k.expires <= now() THEN 'expired' ELSE 'expiring' END, jsonb_build_object('valid_until', k.expires), 1, NULL, true
    FROM (
        SELECT DISTINCT ON (principal) principal::text COLLATE "C" AS principal, expires,
               expires - least(INTERVAL '30 days', (expires - issued) / 3) AS since
        FROM credential WHERE kind = 'certificate' AND revoked IS NULL ORDER BY principal, expires DESC
    ) k
    JOIN health h ON h.device_id = k.principal
    LEFT JOIN serves s ON s.device_id = k.principal
    WHERE k.since <= now()
    UNION ALL
    -- heard, and nothing charged for days on which its site charged
    SELECT 'charger_dead', 'device', q.device_id, '', h.class, h.site, array_remove(ARRAY[s.project_id], NULL), min(q.time), 0,
           'nothing charged', jsonb_build_object('days', count(*)), 1, NULL, true
    FROM (
        SELECT e.device_id, e.time, e.value, r.days, h.attributes,
               sum(e.value) OVER (PARTITION BY e.site) AS of_site
        FROM v_day_quantity e
        JOIN health h ON h.device_id = e.device_id
        JOIN alarm_rule r ON r.kind = 'charger_dead' AND r.class = e.class
        WHERE e.quantity = 'energy_import' AND e.class = 'ev_charger' AND e.time > now() - INTERVAL '60 days'
          AND e.time > now() - tonne_alarm_number(h.attributes, 'charger_dead', 'days', r.days) * INTERVAL '1 day'
    ) q
    JOIN health h ON h.device_id = q.device_id
    LEFT JOIN serves s ON s.device_id = q.device_id
    WHERE h.state = 'online'
    GROUP BY q.device_id, h.class, h.site, s.project_id, h.attributes, q.days
    HAVING sum(q.value) = 0 AND max(q.of_site) > 0
       AND count(*) >= tonne_alarm_number(h.attributes, 'charger_dead', 'days', q.days)
    UNION ALL
    SELECT 'clock_fault', 'device', h.device_id, '', h.class, h.site, array_remove(ARRAY[s.project_id], NULL),
           (SELECT max(l.day) FROM clock_lag l WHERE l.device_id = h.device_id)::timestamp AT TIME ZONE 'UTC', 0,
           h.clock, jsonb_build_object('offset_s', round(h.clock_offset_s::numeric, 1)), 1, NULL, true
    FROM health h
    LEFT JOIN serves s ON s.device_id = h.device_id
    WHERE h.clock IN ('ahead', 'behind', 'drifting') AND h.state = 'online'
)
SELECT c.kind::text COLLATE "C" AS kind, c.subject_type, c.subject::text COLLATE "C" AS subject, c.part::text COLLATE "C" AS part,
       c.class::text COLLATE "C" AS class, c.site::text COLLATE "C" AS site, c.projects::text[] AS projects,
       r.severity, c.since, c.cause, c.detail, c.devices, c.cost_t_per_day, r.clear_s,
       c.raises AND c.since + greatest(c.least_after_s,
           tonne_alarm_number(h.attributes, c.kind, 'after_s', r.after_s)) * INTERVAL '1 s' <= now() AS raises
FROM condition c
JOIN alarm_rule r ON r.kind = c.kind AND r.class = CASE c.subject_type WHEN 'device' THEN c.class ELSE '' END
LEFT JOIN health h ON h.device_id = c.subject AND c.subject_type <> 'project'
WHERE h.attributes #> ARRAY['alarms', c.kind, 'off'] IS DISTINCT FROM 'true'::jsonb;

-- Alarms as people see them.
CREATE VIEW v_alarm AS
SELECT a.id, a.kind, a.subject_type, a.subject, a.part, a.class, a.site, a.projects, a.severity, a.since, a.raised, a.cause,
       a.detail, a.devices, a.cost_t_per_day,
       a.cleared, k.at AS acknowledged, k.actor AS acknowledged_by,
       CASE WHEN a.cleared IS NOT NULL THEN 'cleared' WHEN k.at IS NOT NULL THEN 'acknowledged' ELSE 'open' END AS state
FROM alarm a
LEFT JOIN alarm_event k ON k.alarm_id = a.id AND k.event = 'acknowledged';

GRANT SELECT ON alarm_rule, alarm, alarm_event, v_alarm_condition, v_alarm TO tonne_mrv, tonne_api, tonne_grafana;
GRANT EXECUTE ON FUNCTION tonne_alarm_number TO tonne_mrv, tonne_api, tonne_grafana;
GRANT INSERT, UPDATE, DELETE ON alarm_rule TO tonne_mrv;
GRANT INSERT, UPDATE ON alarm TO tonne_mrv;
GRANT INSERT ON alarm_event TO tonne_mrv;
