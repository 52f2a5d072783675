-- One account of a project for any time: what a statement says of the time that it covers, what the close
-- would say of time that is still open where quarter hours do not add up to it, and the quarter hours else.
SET LOCAL ROLE tonne_owner;

-- A time that was accounted as a whole: by a statement, or, without one, as the close accounts open time,
-- but for documents and invoices that are to come.  `before_evidence_ug` is the same of a statement.  `key`
-- is what it was made from; `problem` says why nothing could be.
CREATE TABLE account_span (
    id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project_id         text COLLATE "C" NOT NULL,
    statement_id       text COLLATE "C" UNIQUE REFERENCES statement,
    during             tstzrange NOT NULL CHECK (NOT isempty(during)),
    timezone           text NOT NULL,
    before_evidence_ug numeric,
    key                text NOT NULL,
    problem            text,
    made               timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX account_span_project ON account_span (project_id);
-- Its local days; they add up to it.  [ug CO2e]
CREATE TABLE account_span_day (
    span_id      bigint NOT NULL REFERENCES account_span ON DELETE CASCADE,
    project_id   text COLLATE "C" NOT NULL,
    day          date NOT NULL,
    begins       timestamptz NOT NULL,
    ends         timestamptz NOT NULL CHECK (ends > begins),
    baseline_ug  numeric NOT NULL,
    project_ug   numeric NOT NULL,
    leakage_ug   numeric NOT NULL,
    reduction_ug numeric NOT NULL,
    PRIMARY KEY (span_id, day)
);
CREATE INDEX account_span_day_project ON account_span_day (project_id, day);
GRANT SELECT ON account_span, account_span_day TO tonne_mrv, tonne_api, tonne_grafana, tonne_watch;
GRANT INSERT, DELETE ON account_span, account_span_day TO tonne_mrv, tonne_watch;

-- Statements by which their time is accounted: issued ones, and of others the newest that is on its way.
CREATE VIEW v_account_statement AS
WITH counting AS MATERIALIZED (
    SELECT s.id, s.project_id, s.period, s.created, s.sequence, c.statement_id IS NOT NULL AS issued
    FROM statement s
    LEFT JOIN claim c ON c.statement_id = s.id
    CROSS JOIN LATERAL (SELECT e.state FROM statement_event e WHERE e.statement_id = s.id ORDER BY e.sequence DESC LIMIT 1) last
    WHERE c.statement_id IS NOT NULL OR last.state IN ('draft', 'submitted', 'under_verification', 'verified')
)
SELECT k.id AS statement_id, k.project_id::text COLLATE "C" AS project_id, k.period::tstzrange AS during,
       CASE WHEN k.issued THEN 'issued' ELSE 'closed' END AS source
FROM counting k
WHERE k.issued OR NOT EXISTS (
    SELECT FROM counting o WHERE o.project_id = k.project_id AND o.period && k.period AND o.id <> k.id
      AND (o.issued OR (o.created, o.sequence) > (k.created, k.sequence))
);

-- Every part of a project's local day: of a statement, of open time as the close accounts it, of quarter
-- hours.  The parts of a day do not overlap.
CREATE VIEW v_account_part AS
WITH closed AS MATERIALIZED (
    SELECT a.id AS span_id, a.timezone, s.statement_id, s.project_id, s.during, s.source
    FROM v_account_statement s JOIN account_span a ON a.statement_id = s.statement_id
), covered AS (
    SELECT d.project_id, d.day, d.begins, d.ends FROM account_span_day d JOIN closed c ON c.span_id = d.span_id
)
SELECT c.project_id, c.timezone, d.day, c.source, c.span_id, c.statement_id, d.begins, d.ends,
       d.baseline_ug, d.project_ug, d.leakage_ug, d.reduction_ug
FROM closed c JOIN account_span_day d ON d.span_id = c.span_id
UNION ALL
SELECT a.project_id, a.timezone, d.day, 'open', a.id, NULL, d.begins, d.ends,
       d.baseline_ug, d.project_ug, d.leakage_ug, d.reduction_ug
FROM account_span a JOIN account_span_day d ON d.span_id = a.id
WHERE a.statement_id IS NULL AND NOT EXISTS (
    SELECT FROM covered x WHERE x.project_id = d.project_id AND x.day = d.day AND x.begins < d.ends AND x.ends > d.begins
)
UNION ALL
SELECT e.project_id, e.timezone, e.day, 'quarter hours', NULL, NULL, e.begins, tonne_clock(e.timezone, (e.day + 1)::timestamp),
       e.baseline_ug, e.project_ug, e.leakage_ug, e.reduction_ug
FROM v_day_emission e  -- by device; whoever adds them up groups them once
WHERE NOT EXISTS (SELECT FROM account_span_day x JOIN account_span a ON a.id = x.span_id
                  WHERE x.project_id = e.project_id AND x.day = e.day AND a.statement_id IS NULL)
  AND NOT EXISTS (SELECT FROM covered x WHERE x.project_id = e.project_id AND x.day = e.day)
UNION ALL
-- what statements that begin or end within a day leave of it, where nothing else accounts it
SELECT r.project_id, g.timezone, g.day, 'quarter hours', NULL, NULL, min(r.start), max(r.start) + INTERVAL '15 minutes',
       sum(r.baseline_ug), sum(r.project_ug), sum(r.leakage_ug), sum(r.reduction_ug)
FROM (
    SELECT DISTINCT c.project_id, c.timezone, tonne_clock(c.timezone, at.edge)::date AS day
    FROM closed c CROSS JOIN LATERAL (VALUES (lower(c.during)), (upper(c.during))) at (edge)
    WHERE tonne_clock(c.timezone, at.edge)::time <> '00:00'
) g
JOIN interval_emission r ON r.project_id = g.project_id AND r.start >= tonne_clock(g.timezone, g.day::timestamp)
    AND r.start < tonne_clock(g.timezone, (g.day + 1)::timestamp)
WHERE NOT EXISTS (SELECT FROM closed c WHERE c.project_id = r.project_id AND c.during @> r.start)
  AND NOT EXISTS (SELECT FROM account_span_day x JOIN account_span a ON a.id = x.span_id
                  WHERE x.project_id = r.project_id AND x.day = g.day AND a.statement_id IS NULL)
GROUP BY r.project_id, g.timezone, g.day;

CREATE OR REPLACE VIEW v_account_day AS
SELECT tonne_clock(days.timezone, days.day::timestamp) AS time, days.day, days.timezone, days.project_id,
       days.baseline_ug, days.project_ug, days.leakage_ug, days.reduction_ug,
       days.baseline_ug * 0.000000000001 AS baseline_t, days.project_ug * 0.000000000001 AS project_t,
       days.leakage_ug * 0.000000000001 AS leakage_t, days.reduction_ug * 0.000000000001 AS avoided_t
FROM (
    SELECT day, timezone, project_id, sum(baseline_ug) AS baseline_ug, sum(project_ug) AS project_ug,
           sum(leakage_ug) AS leakage_ug, sum(reduction_ug) AS reduction_ug
    FROM v_account_part GROUP BY day, timezone, project_id
) days;

-- What a project's account is made of, part by part.  `before_t` is what a statement's time would come to
-- with every document and invoice that it lacks; open time and quarter hours know no such deduction yet.
CREATE VIEW v_account_source AS
SELECT p.project_id, p.timezone, p.source, p.statement_id, min(p.day) AS first_day, max(p.day) AS last_day,
       sum(p.reduction_ug) * 0.000000000001 AS reduction_t, a.before_evidence_ug * 0.000000000001 AS before_t,
       a.made, NULL::text AS problem
FROM v_account_part p LEFT JOIN account_span a ON a.id = p.span_id
GROUP BY p.project_id, p.timezone, p.source, p.statement_id, p.span_id, a.before_evidence_ug, a.made
UNION ALL
SELECT a.project_id, a.timezone, 'open', NULL, tonne_clock(a.timezone, lower(a.during))::date,
       tonne_clock(a.timezone, upper(a.during) - INTERVAL '1 microsecond')::date, NULL, NULL, a.made, a.problem
FROM account_span a WHERE a.problem IS NOT NULL;

-- Quarter hours of wastewater had the project's side alone; they have no emissions now, and are made again.
INSERT INTO remake_request (device_id)
    SELECT DISTINCT m.device_id FROM project_device m JOIN project p ON p.id = m.project_id
    WHERE p.methodology IN ('ams-iii-h', 'ams-iii-i') ORDER BY 1
    ON CONFLICT (device_id) DO UPDATE SET requested = excluded.requested;

GRANT SELECT ON v_account_statement, v_account_part, v_account_source TO tonne_mrv, tonne_api, tonne_grafana, tonne_watch;
COMMENT ON VIEW v_account_statement IS 'Statements by which their time is accounted: issued ones, and of others the newest that is on its way (closed).';
COMMENT ON VIEW v_account_part IS 'Account of a project by parts of its local days, in micrograms of CO2e: of a statement (issued, closed), of open time as the close accounts it (open), of quarter hours, these by device. Statements and open time do not overlap, nor do they and quarter hours.';
COMMENT ON VIEW v_account_day IS 'Account of a project by its local day, in micrograms and in tonnes: what its statements say, and what is accounted so far of the rest. All other surfaces take their tonnes from here.';
COMMENT ON VIEW v_account_source IS 'What a project''s account is made of: statements, open time, quarter hours, each with its tonnes. before_t is what a statement''s time came to before documents and invoices that it lacks took something off; problem says why open time could not be accounted.';
COMMENT ON VIEW v_account_interval IS 'Live account of a project by quarter hour, in micrograms of CO2e: before deductions, base loads and caps, which v_account_day has. A methodology of which a quarter hour has no emissions has no rows.';
