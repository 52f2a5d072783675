-- Topics of fleets that had theirs before: where the device's id stands in them.
SET LOCAL ROLE tonne_owner;

CREATE TABLE topic_template (
    id       tonne_id PRIMARY KEY,
    template text NOT NULL UNIQUE DEFERRABLE INITIALLY DEFERRED,
    active   boolean NOT NULL
);
GRANT SELECT ON topic_template TO tonne_ingest, tonne_mrv, tonne_api, tonne_grafana;
