-- One figure for one time: the account of any quarter hour adds up to that of its day.
SET LOCAL ROLE tonne_owner;

-- Account of a project by quarter hour in [begins, ends).  Of time that was accounted as a whole (a statement's,
-- or open time as the close accounts it) each day is spread over its quarter hours, each side as these show it,
-- else by time; other time has its quarter hours as they are.  Whole micrograms; a day's add up to it.
CREATE FUNCTION tonne_account_quarters(project text, begins timestamptz, ends timestamptz)
RETURNS TABLE ("time" timestamptz, baseline_ug numeric, project_ug numeric, leakage_ug numeric, reduction_ug numeric)
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
WITH part AS MATERIALIZED (
    SELECT p.begins, p.ends, p.baseline_ug, p.project_ug, p.leakage_ug, p.reduction_ug, p.source,
           tonne_clock(p.timezone, p.day::timestamp) AS day_begins, tonne_clock(p.timezone, (p.day + 1)::timestamp) AS day_ends
    FROM v_account_part p
    WHERE p.project_id = tonne_account_quarters.project AND p.source IN ('issued', 'closed', 'open')
      AND p.begins < tonne_account_quarters.ends AND p.ends > tonne_account_quarters.begins
), raw AS MATERIALIZED (
    SELECT r.start, sum(r.baseline_ug) AS b, sum(r.project_ug) AS p, sum(r.leakage_ug) AS l, sum(r.reduction_ug) AS r
    FROM interval_emission r
    WHERE r.project_id = tonne_account_quarters.project
      AND r.start >= least(tonne_account_quarters.begins, (SELECT min(x.begins) FROM part x))
      AND r.start < greatest(tonne_account_quarters.ends, (SELECT max(x.ends) FROM part x))
    GROUP BY r.start
), quarter AS (
    SELECT a.begins, g.start, a.baseline_ug, a.project_ug, a.leakage_ug, a.reduction_ug,
           coalesce(w.b, 0) AS b, coalesce(w.p, 0) AS p, coalesce(w.l, 0) AS l
    FROM part a
    CROSS JOIN LATERAL generate_series(a.begins, a.ends - INTERVAL '15 minutes', INTERVAL '15 minutes') g (start)
    LEFT JOIN raw w ON w.start = g.start
), weighed AS (
    SELECT q.begins, q.start, q.baseline_ug, q.project_ug, q.leakage_ug, q.reduction_ug,
           CASE WHEN sum(q.b) OVER day = 0 THEN 1 ELSE q.b END AS b,
           CASE WHEN sum(q.p) OVER day = 0 THEN 1 ELSE q.p END AS p,
           CASE WHEN sum(q.l) OVER day = 0 THEN 1 ELSE q.l END AS l
    FROM quarter q WINDOW day AS (PARTITION BY q.begins)
), sided AS (
    SELECT w.begins, w.start, w.reduction_ug,
           div(w.baseline_ug * sum(w.b) OVER up_to, sum(w.b) OVER day)
               - div(w.baseline_ug * (sum(w.b) OVER up_to - w.b), sum(w.b) OVER day) AS b,
           div(w.project_ug * sum(w.p) OVER up_to, sum(w.p) OVER day)
               - div(w.project_ug * (sum(w.p) OVER up_to - w.p), sum(w.p) OVER day) AS p,
           div(w.leakage_ug * sum(w.l) OVER up_to, sum(w.l) OVER day)
               - div(w.leakage_ug * (sum(w.l) OVER up_to - w.l), sum(w.l) OVER day) AS l
    FROM weighed w WINDOW day AS (PARTITION BY w.begins), up_to AS (PARTITION BY w.begins ORDER BY w.start)
), rest AS (
    SELECT s.begins, s.start, s.reduction_ug, s.b, s.p, s.l, s.b - s.p - s.l AS kept,
           sum(s.b - s.p - s.l) OVER day AS whole, sum(s.b - s.p - s.l) OVER up_to AS reached,
           row_number() OVER up_to AS place, count(*) OVER day AS places
    FROM sided s WINDOW day AS (PARTITION BY s.begins), up_to AS (PARTITION BY s.begins ORDER BY s.start)
), spread AS (
    SELECT r.start, r.b, r.p, r.l,
           CASE WHEN r.whole <> 0 AND (r.reduction_ug = 0 OR sign(r.reduction_ug) = sign(r.whole))
                THEN div(r.reduction_ug * r.reached, r.whole) - div(r.reduction_ug * (r.reached - r.kept), r.whole)
                ELSE r.kept + div((r.reduction_ug - r.whole) * r.place, r.places)
                     - div((r.reduction_ug - r.whole) * (r.place - 1), r.places) END AS r
    FROM rest r
)
SELECT s.start, s.b, s.p, s.l, s.r FROM spread s
WHERE s.start >= tonne_account_quarters.begins AND s.start < tonne_account_quarters.ends
UNION ALL
SELECT w.start, w.b, w.p, w.l, w.r FROM raw w
WHERE w.start >= tonne_account_quarters.begins AND w.start < tonne_account_quarters.ends
  AND NOT EXISTS (SELECT FROM part a WHERE w.start >= a.begins AND w.start < a.ends
                  OR a.source = 'open' AND w.start >= a.day_begins AND w.start < a.day_ends)
$$;

CREATE OR REPLACE VIEW v_account_interval AS
SELECT q.time, p.id::text COLLATE "C" AS project_id, q.baseline_ug, q.project_ug, q.leakage_ug, q.reduction_ug
FROM project p CROSS JOIN LATERAL tonne_account_quarters(p.id, '-infinity', 'infinity') q;

CREATE OR REPLACE VIEW v_avoided_t_interval AS
SELECT time, project_id, baseline_ug * 0.000000000001 AS baseline_t, project_ug * 0.000000000001 AS project_t,
       leakage_ug * 0.000000000001 AS leakage_t, reduction_ug * 0.000000000001 AS avoided_t
FROM v_account_interval;

GRANT EXECUTE ON FUNCTION tonne_account_quarters TO tonne_mrv, tonne_api, tonne_grafana, tonne_watch;
COMMENT ON VIEW v_account_interval IS 'Account of a project by quarter hour, in micrograms of CO2e; a day''s quarter hours add up to v_account_day. Of time that was accounted as a whole, each day is spread over its quarter hours as meters show them, what no meter shows by time. For a part of the time of one project, tonne_account_quarters(project, begins, ends) is quicker.';
COMMENT ON VIEW v_account_source IS 'What a project''s account is made of: statements, open time as the close accounts it, quarter hours that are not accounted yet, each with its tonnes. before_t is what a time would come to with every document and invoice that it lacks; problem says why open time could not be accounted.';
