-- What is expected of a year is not expected evenly: `expected.by_month` of the registry has twelve numbers,
-- January first, and only their proportions count.  Where it has none, those of modules whose place, tilt
-- and azimuth are known are made of the sun (`project_months`); all other projects expect evenly.
SET LOCAL ROLE tonne_owner;

CREATE TABLE project_months (
    project_id text PRIMARY KEY REFERENCES project,
    months     numeric[] NOT NULL CHECK (array_length(months, 1) = 12),
    made_from  jsonb NOT NULL
);
COMMENT ON TABLE project_months IS 'typical proportions of the months of a plant made by the sun, from its modules; made again where these change';
GRANT SELECT ON project_months TO tonne_mrv, tonne_api, tonne_grafana, tonne_watch;
GRANT INSERT, UPDATE, DELETE ON project_months TO tonne_mrv, tonne_watch;

-- The part of a year's expectation that falls into [begins, ends), by the months of a site's clock; evenly
-- over 365 days where no months are known.
CREATE FUNCTION tonne_part_of_year(months numeric[], zones text, begins timestamptz, ends timestamptz)
RETURNS numeric LANGUAGE sql STABLE PARALLEL SAFE SET search_path = public, pg_temp AS $$
    SELECT CASE WHEN months IS NULL THEN greatest(extract(epoch FROM ends - begins), 0) / (365 * 86400) ELSE (
        SELECT coalesce(sum(months[extract(month FROM m)::int] * extract(epoch FROM least(m + INTERVAL '1 month', l.ends) - greatest(m, l.begins))
                   / extract(epoch FROM m + INTERVAL '1 month' - m)), 0) / (SELECT sum(x) FROM unnest(months) x)
        FROM (SELECT tonne_clock(zones, begins) AS begins, tonne_clock(zones, ends) AS ends) l
        CROSS JOIN LATERAL generate_series(date_trunc('month', l.begins), l.ends, INTERVAL '1 month') m
        WHERE least(m + INTERVAL '1 month', l.ends) > greatest(m, l.begins)
    ) END
$$;

-- The months of each project, and where they come from: `stated` in the registry, `sun`, or none.
CREATE VIEW v_project_months AS
SELECT p.id::text COLLATE "C" AS project_id,
       coalesce(s.months, m.months) AS months, CASE WHEN s.months IS NOT NULL THEN 'stated' WHEN m.months IS NOT NULL THEN 'sun' END AS basis
FROM project p
LEFT JOIN project_months m ON m.project_id = p.id
CROSS JOIN LATERAL (
    SELECT array_agg(x::numeric ORDER BY place) AS months
    FROM jsonb_array_elements_text(p.expected -> 'by_month') WITH ORDINALITY AS one (x, place)
) s;
GRANT SELECT ON v_project_months TO tonne_mrv, tonne_api, tonne_grafana, tonne_watch;
COMMENT ON VIEW v_project_months IS 'How the year''s expectation of a project spreads over months: as the registry states, or as the sun gives modules of that place; null where evenly.';

CREATE OR REPLACE FUNCTION tonne_expected_t(project text, begins timestamptz DEFAULT '-infinity', ends timestamptz DEFAULT 'infinity')
RETURNS numeric LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT trunc((p.expected ->> 'reduction_t_per_year')::numeric * tonne_part_of_year(v.months, p.timezone,
        greatest(tonne_expected_t.begins, lower(p.crediting), s.since),
        least(tonne_expected_t.ends, upper(p.crediting), date_bin('15 minutes', now(), '2000-01-01Z'))), 6)
    FROM project p
    JOIN v_project_months v ON v.project_id = p.id
    CROSS JOIN LATERAL (SELECT min(lower(m.during)) AS since FROM project_device m WHERE m.project_id = p.id) s
    WHERE p.id = tonne_expected_t.project AND s.since IS NOT NULL
$$;

CREATE OR REPLACE FUNCTION tonne_expected_ahead_t(project text, begins timestamptz, ends timestamptz)
RETURNS numeric LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT trunc((p.expected ->> 'reduction_t_per_year')::numeric * tonne_part_of_year(v.months, p.timezone,
        greatest(tonne_expected_ahead_t.begins, lower(p.crediting), s.since, date_bin('15 minutes', now(), '2000-01-01Z')),
        least(tonne_expected_ahead_t.ends, upper(p.crediting))), 6)
    FROM project p
    JOIN v_project_months v ON v.project_id = p.id
    CROSS JOIN LATERAL (SELECT min(lower(m.during)) AS since FROM project_device m WHERE m.project_id = p.id) s
    WHERE p.id = tonne_expected_ahead_t.project AND s.since IS NOT NULL
$$;
GRANT EXECUTE ON FUNCTION tonne_part_of_year TO tonne_mrv, tonne_api, tonne_grafana, tonne_watch;
