-- What a project is expected to avoid in [begins, ends), what is ahead of now included: for the end of
-- a year.  Of time that has come `tonne_expected_t` tells; both follow the same yearly expectation.
SET LOCAL ROLE tonne_owner;

CREATE FUNCTION tonne_expected_ahead_t(project text, begins timestamptz, ends timestamptz)
RETURNS numeric LANGUAGE sql STABLE SET search_path = public AS $$
    SELECT trunc((p.expected ->> 'reduction_t_per_year')::numeric
        * greatest(extract(epoch FROM
            least(tonne_expected_ahead_t.ends, upper(p.crediting))
            - greatest(tonne_expected_ahead_t.begins, lower(p.crediting), s.since,
                       date_bin('15 minutes', now(), '2000-01-01Z'))), 0)
        / (365 * 86400), 6)
    FROM project p
    CROSS JOIN LATERAL (SELECT min(lower(m.during)) AS since FROM project_device m WHERE m.project_id = p.id) s
    WHERE p.id = tonne_expected_ahead_t.project AND s.since IS NOT NULL
$$;
GRANT EXECUTE ON FUNCTION tonne_expected_ahead_t TO tonne_mrv, tonne_api, tonne_grafana;
