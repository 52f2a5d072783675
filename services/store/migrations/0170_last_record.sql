-- Which record of a partition was stored last: a topic that was made again under its name, or a
-- log that was cut, has another one in its place.
SET LOCAL ROLE tonne_owner;

-- SHA-256 of the record at "offset" - 1; null where nothing was stored since this column came.
ALTER TABLE stream_offset ADD COLUMN last_sha256 bytea CHECK (octet_length(last_sha256) = 32);
