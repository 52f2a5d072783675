-- A project's silence costs at most what was expected of the project in that time.  The rule of each role
-- stands for itself: of ten silent chargers it charges ten highest plausible values, although a period
-- that would count less than nothing counts nothing.
SET LOCAL ROLE tonne_owner;

-- What a yearly expectation comes to in [begins, ends): a year of 365 days, whole grams, rounded down.
CREATE FUNCTION tonne_share_of_year_t(yearly_t numeric, begins timestamptz, ends timestamptz)
RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT trunc(yearly_t * greatest(extract(epoch FROM ends - begins), 0) / (365 * 86400), 6)
$$;

-- The yearly expectation of each project, and the time in which it has held so far: from its first
-- device's service on, within its crediting period, until the last whole quarter hour at most.
CREATE VIEW v_project_expectation AS
SELECT p.id::text COLLATE "C" AS project_id, (p.expected ->> 'reduction_t_per_year')::numeric AS yearly_t,
       greatest(lower(p.crediting), m.since) AS begins,
       least(upper(p.crediting), date_bin('15 minutes', now(), '2000-01-01Z')) AS ends,
       p.crediting @> now() AND m.since <= now() AS holds
FROM project p
JOIN (SELECT project_id, min(lower(during)) AS since FROM project_device GROUP BY project_id) m ON m.project_id = p.id;

CREATE OR REPLACE FUNCTION tonne_expected_t(project text, begins timestamptz DEFAULT '-infinity', ends timestamptz DEFAULT 'infinity')
RETURNS numeric LANGUAGE sql STABLE SET search_path = public AS $$
    SELECT tonne_share_of_year_t((p.expected ->> 'reduction_t_per_year')::numeric,
        greatest(tonne_expected_t.begins, lower(p.crediting), s.since),
        least(tonne_expected_t.ends, upper(p.crediting), date_bin('15 minutes', now(), '2000-01-01Z')))
    FROM project p
    CROSS JOIN LATERAL (SELECT min(lower(m.during)) AS since FROM project_device m WHERE m.project_id = p.id) s
    WHERE p.id = tonne_expected_t.project AND s.since IS NOT NULL
$$;

-- By the rule of the role as before; a device costs no more than what was expected of its project since
-- it fell silent.  Where the devices of a project come to more together than was expected since the first
-- of them fell silent, each has its share of that.  Without an expectation in the registry no bound is known.
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
    WHERE h.state <> 'online'
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

-- A time to the minute by a site's or project's clock, with its offset, as pages show it.
CREATE FUNCTION tonne_clock_text(zones text, at timestamptz) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT to_char(local, 'YYYY-MM-DD HH24:MI') || CASE WHEN shift < INTERVAL '0' THEN '-' ELSE '+' END
        || to_char(greatest(shift, -shift), 'HH24:MI')
    FROM (SELECT l.local, l.local - (at AT TIME ZONE 'UTC') AS shift FROM (SELECT tonne_clock(zones, at) AS local) l) shown
$$;

GRANT SELECT ON v_project_expectation TO tonne_mrv, tonne_api, tonne_grafana, tonne_watch;
GRANT EXECUTE ON FUNCTION tonne_share_of_year_t, tonne_clock_text TO tonne_mrv, tonne_api, tonne_grafana, tonne_watch;

COMMENT ON VIEW v_project_expectation IS 'The yearly expectation of each project, and the time in which it has held until now.';
COMMENT ON VIEW v_silence_cost IS 'What each silent meter costs its project a day and so far, by the project''s own rule, and together no more than was expected of the project in that time. The tonnes come back when the device sends what it kept.';
