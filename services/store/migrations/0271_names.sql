-- Names of sites, projects and actions in further languages, beside the name that documents carry.
-- No statement rests on them.
SET LOCAL ROLE tonne_owner;

CREATE TABLE registry_names (
    kind  text COLLATE "C" NOT NULL CHECK (kind IN ('site', 'project', 'action')),
    id    text COLLATE "C" NOT NULL,
    names jsonb NOT NULL CHECK (jsonb_typeof(names) = 'object'),
    PRIMARY KEY (kind, id)
);
COMMENT ON TABLE registry_names IS 'names by language: {"vi": .., "ja": ..}';
GRANT SELECT ON registry_names TO tonne_ingest, tonne_mrv, tonne_api, tonne_grafana;
GRANT INSERT, UPDATE, DELETE ON registry_names TO tonne_mrv;
