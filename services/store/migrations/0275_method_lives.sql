-- Lives of methodologies in programmes, as this version's ledger has them, and which projects they
-- concern: for boards and console.  `tonne migrate` writes the rows anew.
SET LOCAL ROLE tonne_owner;

CREATE TABLE method_life (
    programme      text NOT NULL,
    programmes     text[] NOT NULL,
    methodology    text COLLATE "C" NOT NULL,
    name           text NOT NULL,
    version        text,
    register_until date,
    credits_until  date,
    inactive       boolean NOT NULL,
    successor      text,
    source         text NOT NULL,
    PRIMARY KEY (programme, methodology)
);

-- A project of which no registration says the programme is shown with every programme.
CREATE VIEW v_methodology_end AS
SELECT p.id AS project_id, l.name AS methodology, l.programme, l.register_until, l.credits_until, l.inactive,
       l.successor, r.registered, least(l.register_until, l.credits_until) AS runs_out,
       least(l.register_until, l.credits_until) - current_date AS days_left, l.source
FROM project p
JOIN method_life l ON l.methodology = p.methodology AND (l.version IS NULL OR l.version = p.version)
LEFT JOIN LATERAL (
    SELECT (e.record ->> 'registered')::date AS registered,
           ARRAY[lower(e.record ->> 'programme'), lower(e.record ->> 'registry'),
                 lower(e.record #>> '{cdop,programme}'), lower(e.record #>> '{cdop,standard}')] AS named
    FROM authority_entry e WHERE e.kind = 'registration' AND e.id = p.id ORDER BY e.sequence DESC LIMIT 1
) r ON true
WHERE (l.register_until IS NOT NULL OR l.credits_until IS NOT NULL OR l.inactive OR l.successor IS NOT NULL)
  AND (r.named IS NULL OR r.named && l.programmes);

GRANT SELECT ON method_life, v_methodology_end TO tonne_mrv, tonne_api, tonne_grafana;
