-- Factors that the programme's own registry files bring, beside those of the program:
-- an official value that was published after this version of tonne.
SET LOCAL ROLE tonne_owner;

CREATE TABLE published_factor (
    id     text COLLATE "C" PRIMARY KEY,
    record jsonb NOT NULL
);

GRANT SELECT ON published_factor TO tonne_ingest, tonne_mrv, tonne_api, tonne_grafana;
