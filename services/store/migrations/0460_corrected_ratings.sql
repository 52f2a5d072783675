-- A rated power that was typed wrong is corrected by a second row of the same time, with the hash of
-- the data sheet that shows it.  Rows of before have no hash, so that their own hashes stay.
SET LOCAL ROLE tonne_owner;

ALTER TABLE device_rating ADD COLUMN sha256 text COLLATE "C" CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    DROP CONSTRAINT device_rating_pkey,
    ADD PRIMARY KEY (device_id, begins, recorded);
