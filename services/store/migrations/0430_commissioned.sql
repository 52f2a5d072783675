-- A device that has not reported yet is not commissioned: its silence is no alarm, costs nothing and makes no
-- gateway dark.  It is expected from its first reading on that came on time, or from the day on that the
-- registry names as `commissioned`.  Readings of a file of earlier days are no device that reports.
SET LOCAL ROLE tonne_owner;

ALTER TABLE device ADD COLUMN commissioned date;
COMMENT ON COLUMN device.commissioned IS 'local day from which on the device is expected to report, whether it did before or not';

-- An upgrade silences no alarm: what was heard before, if only late, stays expected.
ALTER TABLE device_seen ADD COLUMN expected boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN device_seen.expected IS 'heard before there were commissioning days: expected to report, whether some reading came on time or not';
UPDATE device_seen SET expected = true;

-- Every device as it stands alone.  Late after twice, offline after eight times the cadence that its
-- `attributes.cadence_s` expects, a quarter hour by default; a will that came after the last reading
-- counts at once.  `spoke`: some reading came within an hour of its own time, or within twice the cadence.
-- `expected_since` is when the day begins on which a device that did not was to be commissioned.  Its
-- silence is null as long as neither holds.
CREATE OR REPLACE VIEW v_device_own AS
SELECT d.id AS device_id, d.site, d.class, d.gateway, s.last_reading, s.received, e.expected_s,
       p.said, p.at AS said_at, p.firmware,
       CASE
           WHEN NOT r.spoke AND (t.expected_since IS NULL OR t.expected_since > now()) THEN NULL
           WHEN p.said = 'offline' AND p.at >= coalesce(s.received, '-infinity') THEN 2
           WHEN s.last_reading IS NULL OR s.last_reading < now() - 8 * e.expected_s * INTERVAL '1 s' THEN 2
           WHEN s.last_reading < now() - 2 * e.expected_s * INTERVAL '1 s' THEN 1
           ELSE 0
       END AS silence,
       coalesce(p.said = 'offline' AND p.at >= coalesce(s.received, '-infinity'), false) AS said_offline,
       CASE WHEN s.day = z.today THEN bit_count(s.quarters) ELSE 0 END / z.quarters AS completeness_today,
       r.spoke, CASE WHEN NOT r.spoke THEN t.expected_since END AS expected_since
FROM device d
JOIN (
    SELECT id, timezone, tonne_clock(timezone, now())::date AS today,
           ceil(greatest(extract(epoch FROM now() - tonne_clock(timezone, tonne_clock(timezone, now())::date::timestamp)), 1) / 900)::double precision AS quarters
    FROM site
    OFFSET 0  -- a fence: local midnight once a site, not once a device
) z ON z.id = d.site
LEFT JOIN device_seen s ON s.device_id = d.id
LEFT JOIN principal_status p ON p.principal = d.id
CROSS JOIN LATERAL (SELECT CASE WHEN jsonb_typeof(d.attributes -> 'cadence_s') = 'number'
    THEN (d.attributes ->> 'cadence_s')::double precision ELSE 900 END AS expected_s) e
CROSS JOIN LATERAL (SELECT coalesce(s.expected, false) OR EXISTS (
    SELECT FROM clock_lag l WHERE l.device_id = d.id AND l.least_us <= greatest(3600, 2 * e.expected_s) * 1e6
) AS spoke) r
CROSS JOIN LATERAL (SELECT CASE WHEN d.commissioned IS NOT NULL
    THEN tonne_clock(z.timezone, d.commissioned::timestamp) END AS expected_since) t
WHERE d.removed IS NULL OR d.removed > now();

-- A gateway is dark when it said so and nothing of it and behind it was received since, or when nothing of
-- it and behind it is heard.  What is silent behind a dark gateway is no alarm of its own.
CREATE OR REPLACE VIEW v_device_health AS
WITH RECURSIVE own AS MATERIALIZED (
    SELECT * FROM v_device_own
), behind AS (
    SELECT device_id, gateway AS above, silence, received FROM own WHERE gateway IS NOT NULL
    UNION ALL
    SELECT b.device_id, o.gateway, b.silence, b.received FROM behind b JOIN own o ON o.device_id = b.above WHERE o.gateway IS NOT NULL
), gateway AS MATERIALIZED (
    SELECT o.device_id, CASE WHEN b.silence IS NOT NULL AND o.said_offline AND o.said_at >= coalesce(b.received, '-infinity') THEN 2
        ELSE least(o.silence, b.silence) END AS silence
    FROM own o
    JOIN (SELECT above, min(silence) AS silence, max(received) AS received FROM behind GROUP BY above) b ON b.above = o.device_id
)
SELECT o.device_id, o.site, o.class, o.gateway, o.last_reading,
       extract(epoch FROM now() - o.last_reading)::double precision AS silent_s,
       coalesce((ARRAY['online', 'late', 'offline'])[1 + o.shown], 'not commissioned') AS state,
       c.offset_s AS clock_offset_s, c.drift_s_per_day AS clock_drift_s_per_day, c.clock,
       coalesce(f.flags, 0) AS flags_last_day,
       o.received, o.expected_s, o.said, o.said_at, o.firmware, o.completeness_today,
       o.dark AS gateway_dark,
       coalesce(o.shown > 0 AND NOT o.dark, false) AS alarm,
       o.spoke, o.expected_since
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

-- By the rule of the role as before, of devices that are expected to report.
CREATE OR REPLACE VIEW v_silence_cost AS
WITH silent AS (
    SELECT h.device_id, h.site, h.class, h.gateway, g.state AS gateway_state, h.last_reading, h.silent_s,
           cost.*, cost.ug_per_s * 0.000000000001 * greatest(extract(epoch FROM now() - cost.since), 0) AS rule_t,
           cost.ug_per_s * 86400 * 0.000000000001 AS rule_t_per_day,
           tonne_share_of_year_t(e.yearly_t, greatest(cost.since, e.begins), e.ends) AS bound_t,
           tonne_share_of_year_t(e.yearly_t, now(), now() + CASE WHEN e.holds THEN INTERVAL '24 hours' ELSE INTERVAL '0' END)
               AS bound_t_per_day
    FROM v_device_health h
    LEFT JOIN v_gateway_health g ON g.gateway = h.gateway
    LEFT JOIN LATERAL (
        SELECT m.project_id, r.role, r.side, usual.ug * 0.000000000001 AS avoided_t_per_day, s.since,
               CASE r.side WHEN 'baseline' THEN CASE WHEN usual.ug < 0 THEN 0 ELSE usual.ug END / 86400
                   WHEN 'project' THEN r.ug_per_h / 3600
                   WHEN 'both' THEN greatest(usual.ug / 86400, r.ug_per_h / 3600, CASE WHEN usual.ug < 0 THEN 0 END) END AS ug_per_s
        FROM project_device m
        JOIN project p ON p.id = m.project_id
        LEFT JOIN silence_rate r ON r.project_id = m.project_id AND r.device_id = m.device_id
        CROSS JOIN LATERAL (SELECT greatest(h.last_reading, lower(m.during)) AS since) s
        CROSS JOIN LATERAL (
            SELECT avg(d.reduction_ug) AS ug FROM day_emission d
            WHERE d.project_id = m.project_id AND d.device_id = h.device_id AND d.timezone = p.timezone
              AND d.day >= tonne_clock(p.timezone, h.last_reading)::date - 28
              AND d.day < tonne_clock(p.timezone, h.last_reading)::date
        ) usual
        WHERE m.device_id = h.device_id AND m.during @> now()
        LIMIT 1
    ) cost ON true
    LEFT JOIN v_project_expectation e ON e.project_id = cost.project_id
    WHERE h.state IN ('late', 'offline')
), own AS (
    SELECT *, CASE WHEN rule_t IS NOT NULL THEN least(rule_t, bound_t) END AS own_t,
           CASE WHEN rule_t_per_day IS NOT NULL THEN least(rule_t_per_day, bound_t_per_day) END AS own_t_per_day
    FROM silent
), together AS (
    SELECT s.*, max(s.bound_t) FILTER (WHERE s.own_t > 0) OVER of_project AS most_t,
           sum(s.own_t) OVER of_project AS all_t, sum(s.own_t_per_day) OVER of_project AS all_t_per_day
    FROM own s
    WINDOW of_project AS (PARTITION BY s.project_id)
)
SELECT device_id, site, class, gateway, gateway_state, last_reading, silent_s,
       project_id, avoided_t_per_day,
       CASE WHEN all_t > most_t THEN own_t * most_t / all_t ELSE own_t END AS cost_t,
       CASE WHEN all_t_per_day > bound_t_per_day THEN own_t_per_day * bound_t_per_day / all_t_per_day ELSE own_t_per_day END
           AS cost_t_per_day, since, role, side
FROM together;

-- A project as it stands now.  `silent_since` is set while none of its devices is heard that is expected
-- to report; `missed_t` is what was expected of it since then, or since its first commissioning day where
-- none of them has reported yet.
CREATE OR REPLACE VIEW v_project_state AS
SELECT p.id::text COLLATE "C" AS project_id, p.name, p.timezone, p.action,
       EXISTS (SELECT FROM v_counted_project c WHERE c.project_id = p.id) AS counted,
       heard.devices, heard.online, heard.last_reading,
       CASE WHEN heard.devices IS NULL THEN 'ended' WHEN heard.online > 0 THEN 'heard'
            WHEN heard.expected = 0 THEN 'not commissioned' WHEN heard.last_spoke IS NULL THEN 'never heard' ELSE 'silent' END AS state,
       CASE WHEN heard.online = 0 THEN heard.last_spoke END AS silent_since,
       CASE WHEN heard.online = 0 AND heard.expected > 0 THEN
           tonne_expected_t(p.id, coalesce(heard.last_spoke, heard.expected_since)) END AS missed_t,
       t.today, t.year_begins, t.month_begins,
       tonne_expected_t(p.id) AS expected_to_date_t,
       tonne_expected_t(p.id, t.year_begins) AS expected_this_year_t,
       tonne_expected_t(p.id, t.month_begins) AS expected_30_days_t
FROM project p
CROSS JOIN LATERAL (
    SELECT l.today, tonne_clock(p.timezone, date_trunc('year', l.today::timestamp)) AS year_begins,
           tonne_clock(p.timezone, (l.today - 29)::timestamp) AS month_begins
    FROM (SELECT tonne_clock(p.timezone, now())::date AS today) l
) t
LEFT JOIN (
    SELECT m.project_id, count(*) AS devices, count(*) FILTER (WHERE o.silence = 0) AS online,
           max(o.last_reading) AS last_reading, count(o.silence) AS expected,
           max(o.last_reading) FILTER (WHERE o.spoke) AS last_spoke, min(o.expected_since) AS expected_since
    FROM project_device m JOIN v_device_own o ON o.device_id = m.device_id
    WHERE m.during @> now()
    GROUP BY m.project_id
) heard ON heard.project_id = p.id;

-- Every cause that holds now, a row each.  `raises` is false where the cause is weaker than what raises
-- an alarm and stronger than what clears it.
CREATE OR REPLACE VIEW v_alarm_condition AS
WITH RECURSIVE health AS MATERIALIZED (
    SELECT h.*, d.attributes FROM v_device_health h JOIN device d ON d.id = h.device_id
), serves AS MATERIALIZED (
    SELECT DISTINCT ON (m.device_id) m.device_id::text COLLATE "C" AS device_id, m.project_id::text COLLATE "C" AS project_id
    FROM project_device m WHERE m.during @> now() ORDER BY m.device_id, lower(m.during) DESC
), cost AS MATERIALIZED (
    SELECT device_id, max(CASE WHEN cost_t_per_day < 0 THEN 0 ELSE cost_t_per_day END) AS cost_t_per_day FROM v_silence_cost GROUP BY device_id
), sky AS MATERIALIZED (
    -- since when the sun has shone on a site for as long as a rule waits, nights left out
    SELECT site, light_after_s, at AS lit_from
    FROM (
        SELECT s.id AS site, r.light_after_s, t.at, row_number() OVER (PARTITION BY s.id, r.light_after_s ORDER BY t.at DESC) AS number
        FROM site s
        CROSS JOIN (SELECT DISTINCT light_after_s FROM alarm_rule WHERE light_after_s IS NOT NULL) r
        CROSS JOIN LATERAL (SELECT now() - k * INTERVAL '5 minutes' AS at FROM generate_series(0, 288) AS k) t
        WHERE EXISTS (SELECT FROM health h JOIN alarm_rule o ON o.class = h.class AND o.light_after_s IS NOT NULL
                      WHERE h.site = s.id AND h.state <> 'online')
          AND tonne_sun_elevation(s.latitude::double precision, s.longitude::double precision, t.at) >= 10
    ) light
    WHERE number = light_after_s / 300 + 1
), word AS MATERIALIZED (
    -- what said itself, or by its broker, that it left, and was not received since; of what sleeps in the
    -- dark only by daylight
    SELECT h.device_id, h.said_at, r.will_after_s, r.light_after_s IS NOT NULL AS sleeps,
           tonne_sun_elevation(s.latitude::double precision, s.longitude::double precision, h.said_at) >= 10 AS by_day
    FROM health h
    JOIN site s ON s.id = h.site
    JOIN alarm_rule r ON r.kind = 'device_silent' AND r.class = h.class
    WHERE h.said = 'offline' AND h.said_at >= coalesce(h.received, '-infinity')
), silent AS MATERIALIZED (
    SELECT h.device_id, h.alarm, s.project_id, c.cost_t_per_day, w.after_s, w.light_after_s, t.since,
           t.since + w.after_s * INTERVAL '1 s' <= now() OR coalesce(NOT w.own AND (t.since <= sky.lit_from
               OR said.said_at + said.will_after_s * INTERVAL '1 s' <= now() AND (said.by_day OR NOT said.sleeps)), false) AS due
    FROM health h
    JOIN alarm_rule r ON r.kind = 'device_silent' AND r.class = h.class
    CROSS JOIN LATERAL (
        -- who sets a device's patience in the registry sets all of it
        SELECT tonne_alarm_number(h.attributes, 'device_silent', 'after_s', r.after_s) AS after_s,
               CASE WHEN h.attributes #> '{alarms,device_silent,after_s}' IS NULL THEN r.light_after_s END AS light_after_s,
               h.attributes #> '{alarms,device_silent,after_s}' IS NOT NULL AS own
    ) w
    CROSS JOIN LATERAL (SELECT greatest(h.last_reading, h.expected_since) AS since) t
    LEFT JOIN sky ON sky.site = h.site AND sky.light_after_s = w.light_after_s
    LEFT JOIN word said ON said.device_id = h.device_id
    LEFT JOIN serves s ON s.device_id = h.device_id
    LEFT JOIN cost c ON c.device_id = h.device_id
    WHERE h.state IN ('late', 'offline')
), below AS (
    SELECT device_id, gateway AS above FROM health WHERE gateway IS NOT NULL
    UNION
    SELECT b.device_id, h.gateway FROM below b JOIN health h ON h.device_id = b.above WHERE h.gateway IS NOT NULL
), gateway AS MATERIALIZED (
    -- the topmost that is dark; it is as patient as the least patient device behind it.  What is behind
    -- one that said that it left may have been heard a moment ago
    SELECT g.device_id AS gateway, g.class, g.site,
           CASE WHEN said.said_at >= coalesce(max(h.received), '-infinity') THEN said.said_at END AS said_at,
           min(s.after_s) AS after_s, min(s.light_after_s) AS light_after_s,
           greatest(g.last_reading, max(h.last_reading), max(h.expected_since)) AS since,
           count(*) AS devices, sum(s.cost_t_per_day) AS cost_t_per_day,
           array_agg(DISTINCT p.project_id) FILTER (WHERE p.project_id IS NOT NULL) AS projects,
           said.by_day OR NOT bool_and(o.light_after_s IS NOT NULL) AS wanted,
           tonne_alarm_number(g.attributes, 'gateway_silent', 'after_s', r.after_s) AS least_after_s, r.will_after_s,
           g.attributes #> '{alarms,gateway_silent,after_s}' IS NOT NULL AS own
    FROM health g
    JOIN alarm_rule r ON r.kind = 'gateway_silent' AND r.class = ''
    JOIN below b ON b.above = g.device_id
    JOIN health h ON h.device_id = b.device_id AND h.state <> 'not commissioned'
    JOIN alarm_rule o ON o.kind = 'device_silent' AND o.class = h.class
    LEFT JOIN word said ON said.device_id = g.device_id
    LEFT JOIN silent s ON s.device_id = b.device_id
    LEFT JOIN serves p ON p.device_id = b.device_id
    WHERE g.alarm AND EXISTS (SELECT FROM health d WHERE d.gateway = g.device_id AND d.gateway_dark)
      AND (s.device_id IS NOT NULL OR said.device_id IS NOT NULL)
    GROUP BY g.device_id, g.class, g.site, g.last_reading, g.attributes, said.said_at, said.by_day, r.after_s, r.will_after_s
), gateway_due AS MATERIALIZED (
    SELECT g.* FROM gateway g
    LEFT JOIN sky ON sky.site = g.site AND sky.light_after_s = g.light_after_s
    WHERE g.since + greatest(g.after_s, g.least_after_s) * INTERVAL '1 s' <= now()
       OR NOT g.own AND (g.since <= sky.lit_from OR g.wanted AND g.said_at + g.will_after_s * INTERVAL '1 s' <= now())
), dark_project AS MATERIALIZED (
    -- nothing of it is heard, and not for one gateway's or one device's sake
    SELECT s.project_id, max(a.since) AS since, count(*) FILTER (WHERE a.alarm) AS devices,
           sum(a.cost_t_per_day) FILTER (WHERE a.alarm) AS cost_t_per_day
    FROM serves s
    JOIN health h ON h.device_id = s.device_id
    LEFT JOIN silent a ON a.device_id = s.device_id
    WHERE h.state <> 'not commissioned'
    GROUP BY s.project_id
    HAVING bool_and(h.state <> 'online') AND bool_and(coalesce(a.due, false))
       AND count(*) FILTER (WHERE a.alarm AND a.device_id NOT IN (SELECT gateway FROM gateway)) >= 2
), pv_day AS MATERIALIZED (
    SELECT p.device_id, p.site, p.day, p.time, p.dc_known, p.performance_ratio, p.peer_yield_h, p.expected_kwh, p.energy_kwh, p.dc_kw
    FROM v_day_pv p WHERE p.time > now() - INTERVAL '8 days'
), pv_site AS MATERIALIZED (
    SELECT o.site, o.day, o.dc_known, count(*) AS inverters, percentile_cont(0.5) WITHIN GROUP (ORDER BY o.peer_yield_h) AS median
    FROM pv_day o GROUP BY o.site, o.day, o.dc_known
), condition AS (
    SELECT 'device_silent' AS kind, 'device' AS subject_type, s.device_id AS subject, '' AS part, h.class, h.site,
           array_remove(ARRAY[s.project_id], NULL) AS projects, s.since, NULL::numeric AS least_after_s,  -- null: judged above
           CASE WHEN NOT h.spoke THEN 'never heard'
                WHEN h.said = 'offline' AND h.said_at >= h.last_reading THEN 'will' ELSE 'silence' END AS cause,
           '{}'::jsonb AS detail, 1::bigint AS devices, s.cost_t_per_day, s.alarm AND s.due AS raises
    FROM silent s
    JOIN health h ON h.device_id = s.device_id
    WHERE s.device_id NOT IN (SELECT gateway FROM gateway)
      AND NOT EXISTS (SELECT FROM below b JOIN gateway_due g ON g.gateway = b.above WHERE b.device_id = s.device_id)
      AND NOT (s.alarm AND s.project_id IS NOT NULL AND s.project_id IN (SELECT project_id FROM dark_project))
    UNION ALL
    SELECT 'gateway_silent', 'gateway', g.gateway, '', g.class, g.site, coalesce(g.projects, '{}'), g.since, NULL,
           CASE WHEN g.said_at IS NOT NULL THEN 'will' ELSE 'silence' END, '{}', g.devices, g.cost_t_per_day,
           g.gateway IN (SELECT gateway FROM gateway_due)
    FROM gateway g
    UNION ALL
    SELECT 'project_silent', 'project', p.project_id, '', NULL, NULL, ARRAY[p.project_id], p.since, 0,
           'silence', '{}', p.devices, p.cost_t_per_day, true
    FROM dark_project p
    UNION ALL
    SELECT 'inverter_low', 'device', low.device_id, '', h.class, h.site, array_remove(ARRAY[s.project_id], NULL), low.since, 0,
           low.measure, jsonb_build_object('value', round(low.newest::numeric, 3), 'limit', low.raise_below), 1,
           low.short_kwh::numeric * tonne_pv_t_per_kwh(low.device_id, s.project_id), low.highest < low.raise_below
    FROM (
        SELECT last.device_id, last.raise_below, last.clear_above, min(last.time) AS since, max(last.value) AS highest,
               (array_agg(last.value ORDER BY last.day DESC))[1] AS newest,
               (array_agg(last.measure ORDER BY last.day DESC))[1] AS measure, avg(last.short_kwh) AS short_kwh
        FROM (
            SELECT v.*, d.days,
                   tonne_alarm_number(h.attributes, 'inverter_low', 'raise_below', d.raise_below) AS raise_below,
                   greatest(d.clear_above, tonne_alarm_number(h.attributes, 'inverter_low', 'raise_below', d.raise_below)) AS clear_above,
                   row_number() OVER (PARTITION BY v.device_id ORDER BY v.day DESC) AS number
            FROM (
                SELECT p.device_id, p.day, p.time,
                       coalesce(p.performance_ratio, CASE WHEN site.inverters >= 3 AND site.median > 0.5 THEN p.peer_yield_h / site.median END) AS value,
                       -- what the measured sun should have given, or the median inverter of its plant
                       greatest(CASE WHEN p.expected_kwh IS NOT NULL THEN p.expected_kwh - p.energy_kwh
                           WHEN site.inverters >= 3 THEN (site.median - p.peer_yield_h) * coalesce(p.dc_kw, d.rated_power_w / 1000.0) END, 0)
                           * CASE WHEN p.expected_kwh IS NOT NULL OR site.inverters >= 3 THEN 1 END AS short_kwh,
                       CASE WHEN p.performance_ratio IS NULL THEN 'yield against its site' ELSE 'performance ratio' END AS measure
                FROM pv_day p
                JOIN device d ON d.id = p.device_id
                JOIN pv_site site ON site.site = p.site AND site.day = p.day AND site.dc_known = p.dc_known
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
    -- more energy a tonne of product than usual, days in a row
    SELECT 'energy_high', 'project', e.project_id, '', NULL, NULL, ARRAY[e.project_id], e.since, 0, 'specific energy',
           jsonb_build_object('value', round(e.newest, 1), 'usual', round(e.usual, 1), 'unit', 'kWh/t'), 1,
           greatest(e.excess_kwh, 0) * e.t_per_kwh, e.lowest > e.raise_above * e.usual
    FROM v_project_specific_energy e
    WHERE e.newest > e.clear_below * e.usual
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
           tonne_clock(p.timezone, (c.valid_until + CASE c.state WHEN 'expired' THEN 1 ELSE -60 END)::timestamp), 0,
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
        FROM (
            SELECT k.begins AS time, k.device_id, k.quantity, k.value, o.site, o.class
            FROM day_quantity k JOIN device o ON o.id = k.device_id JOIN site z ON z.id = o.site AND z.timezone = k.timezone
        ) e
        JOIN health h ON h.device_id = e.device_id
        JOIN alarm_rule r ON r.kind = 'charger_dead' AND r.class = e.class
        WHERE e.quantity = 'energy_import' AND e.class = 'ev_charger' AND e.time > now() - INTERVAL '60 days'
          -- whole days: the first of them began a day more ago
          AND e.time > now() - (1 + tonne_alarm_number(h.attributes, 'charger_dead', 'days', r.days)) * INTERVAL '1 day'
    ) q
    JOIN health h ON h.device_id = q.device_id
    LEFT JOIN serves s ON s.device_id = q.device_id
    WHERE h.state = 'online' AND NOT EXISTS (  -- and not since the last day that was added up
        SELECT FROM interval_quantity i
        WHERE i.device_id = q.device_id AND i.quantity = 'energy_import' AND i.value > 0 AND i.start > now() - INTERVAL '2 days'
    )
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
       c.raises AND (c.least_after_s IS NULL OR c.since + greatest(c.least_after_s,
           tonne_alarm_number(h.attributes, c.kind, 'after_s', r.after_s)) * INTERVAL '1 s' <= now()) AS raises
FROM condition c
JOIN alarm_rule r ON r.kind = c.kind AND r.class = CASE c.subject_type WHEN 'device' THEN c.class ELSE '' END
LEFT JOIN health h ON h.device_id = c.subject AND c.subject_type <> 'project'
WHERE h.attributes #> ARRAY['alarms', c.kind, 'off'] IS DISTINCT FROM 'true'::jsonb;

COMMENT ON VIEW v_device_own IS 'A device as it stands alone, without its gateway: last reading, cadence, what it said of itself, whether some reading came on time (spoke).';
COMMENT ON VIEW v_device_health IS 'State of every device: online, late, offline or not commissioned, since when, and what its clock and its readings of the last day are like. Not commissioned: no reading came on time yet, and no commissioning day has begun. alarm is true where its silence is not explained by its gateway.';
