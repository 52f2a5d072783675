-- The sewerage registry: what lies under the streets, what was seen of it and done to it.
-- Plain PostgreSQL: a box and its GiST index answer "what is in this window of the map";
-- lengths and slopes need no geometry library.
SET LOCAL ROLE tonne_owner;

CREATE TABLE sewer_asset (
    id          tonne_id PRIMARY KEY,
    kind        text NOT NULL CHECK (kind IN ('pipe', 'manhole', 'pumping_station', 'outfall')),
    -- longitude and latitude of each corner, one after the other; a point has one
    path        double precision[] NOT NULL CHECK (cardinality(path) >= 2 AND cardinality(path) % 2 = 0),
    extent      box NOT NULL,
    from_node   tonne_id,
    to_node     tonne_id,
    pressurised boolean NOT NULL DEFAULT false,
    material    text,
    diameter_mm double precision CHECK (diameter_mm > 0),
    -- bottom of a node, or of a pipe at its beginning and its end, above mean sea level
    level_m     double precision,
    level_to_m  double precision,
    cover_m     double precision,
    year        integer CHECK (year BETWEEN 1850 AND 2200),
    condition   integer CHECK (condition BETWEEN 1 AND 5),
    sensor      tonne_id REFERENCES device,
    updated     timestamptz NOT NULL DEFAULT now(),
    CHECK ((kind = 'pipe') = (from_node IS NOT NULL AND to_node IS NOT NULL))
);
CREATE INDEX sewer_asset_extent ON sewer_asset USING gist (extent);
CREATE INDEX sewer_asset_sensor ON sewer_asset (sensor) WHERE sensor IS NOT NULL;
COMMENT ON COLUMN sewer_asset.condition IS '1 as new, 5 about to fail';

-- What was seen and what was done; a row is never changed.
CREATE TABLE sewer_event (
    asset_id  tonne_id NOT NULL REFERENCES sewer_asset,
    day       date NOT NULL,
    what      text NOT NULL CHECK (what IN ('inspection', 'work')),
    kind      text NOT NULL,
    condition integer CHECK (condition BETWEEN 1 AND 5),
    note      text NOT NULL DEFAULT '',
    author    text NOT NULL,
    written   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (asset_id, day, what, kind)
);
CREATE TRIGGER no_update BEFORE UPDATE OR DELETE ON sewer_event
    FOR EACH ROW EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON sewer_event
    FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only();

GRANT SELECT ON sewer_asset, sewer_event TO tonne_ingest, tonne_mrv, tonne_api, tonne_grafana;
