-- The country of a site, by which its grid's factors are chosen.  Rows of before have none, so that
-- their hashes stay; the country of their time zone counts.
SET LOCAL ROLE tonne_owner;

ALTER TABLE site ADD COLUMN country text COLLATE "C" CHECK (country ~ '^[A-Z]{2}$');
ALTER TABLE project ADD COLUMN country text COLLATE "C" CHECK (country ~ '^[A-Z]{2}$');

-- whether the document of a factor is a third party's
GRANT SELECT (name, role, bounds) ON enrolled_key TO tonne_ingest;
