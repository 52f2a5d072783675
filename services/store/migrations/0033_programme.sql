-- The city's account beside the projects': what the city's model reports by action
-- and year, which year a target is for, and the class of a project under Decree 112/2026.
SET LOCAL ROLE tonne_owner;

ALTER TABLE project ADD COLUMN transfer jsonb;
ALTER TABLE programme_action ADD COLUMN target_year integer CHECK (target_year BETWEEN 1990 AND 2200);

CREATE TABLE programme_reported (
    action_id text NOT NULL REFERENCES programme_action ON DELETE CASCADE,
    year      integer NOT NULL CHECK (year BETWEEN 1990 AND 2200),
    kt        numeric NOT NULL CHECK (kt >= 0),
    source    text NOT NULL,
    PRIMARY KEY (action_id, year)
);

-- An action holds its own projects and those of its parts: "1" those of "1-03".
-- Rows of an action and of its part must not be added up.
CREATE VIEW v_programme_member AS
SELECT a.id AS action, p.id AS project_id
FROM programme_action a
JOIN project p ON p.action = a.id OR starts_with(p.action, a.id || '-');

-- By local calendar year.  `city_reported_t` is the city's account, modelled;
-- `monitored_t` and `issued_t` are the projects', measured.  They are never added:
-- the baselines differ, and the same tonne may stand in both.
CREATE VIEW v_programme_year AS
WITH monitored AS (
    SELECT m.action, extract(year FROM e.start AT TIME ZONE p.timezone)::integer AS year,
           sum(e.reduction_ug) * 0.000000000001 AS monitored_t
    FROM interval_emission e
    JOIN project p ON p.id = e.project_id
    JOIN v_programme_member m ON m.project_id = p.id
    GROUP BY 1, 2
), issued AS (
    SELECT m.action, (v.vintage ->> 'year')::integer AS year,
           sum((v.vintage ->> 'credited_t')::numeric) AS issued_t
    FROM claim c
    JOIN statement s ON s.id = c.statement_id
    JOIN v_programme_member m ON m.project_id = c.project_id
    CROSS JOIN LATERAL jsonb_array_elements(s.document #> '{credentialSubject,credited,vintages}') AS v (vintage)
    GROUP BY 1, 2
), years AS (
    SELECT action, year FROM monitored
    UNION SELECT action, year FROM issued
    UNION SELECT action_id, year FROM programme_reported
)
SELECT y.action, y.year, r.kt * 1000 AS city_reported_t, monitored.monitored_t, issued.issued_t
FROM years y
LEFT JOIN programme_reported r ON r.action_id = y.action AND r.year = y.year
LEFT JOIN monitored ON monitored.action = y.action AND monitored.year = y.year
LEFT JOIN issued ON issued.action = y.action AND issued.year = y.year;

CREATE OR REPLACE VIEW v_programme_progress AS
WITH monitored AS (
    SELECT m.action, sum(e.reduction_ug) * 0.000000000001 AS monitored_t
    FROM interval_emission e JOIN v_programme_member m ON m.project_id = e.project_id
    GROUP BY m.action
), issued AS (
    SELECT m.action, sum(s.credit_t) AS issued_t
    FROM claim c
    JOIN statement s ON s.id = c.statement_id
    JOIN v_programme_member m ON m.project_id = c.project_id
    GROUP BY m.action
), planned AS (
    SELECT m.action, count(*) AS projects, sum((p.expected ->> 'reduction_t_per_year')::numeric) AS expected_t
    FROM v_programme_member m JOIN project p ON p.id = m.project_id
    GROUP BY m.action
)
SELECT g.name AS programme, a.id AS action, a.name, a.target_kt * 1000 AS target_t_per_year,
       coalesce(planned.projects, 0) AS projects,
       monitored.monitored_t, coalesce(issued.issued_t, 0) AS issued_t,
       (SELECT b.id FROM programme_action b WHERE starts_with(a.id, b.id || '-')
        ORDER BY length(b.id) DESC LIMIT 1) AS part_of,
       a.target_year, planned.expected_t AS expected_t_per_year
FROM programme_action a
CROSS JOIN programme g
LEFT JOIN monitored ON monitored.action = a.id
LEFT JOIN issued ON issued.action = a.id
LEFT JOIN planned ON planned.action = a.id
ORDER BY a.position;

GRANT SELECT ON programme_reported TO tonne_ingest, tonne_mrv, tonne_api, tonne_grafana;
GRANT SELECT ON v_programme_member, v_programme_year TO tonne_mrv, tonne_api, tonne_grafana;
