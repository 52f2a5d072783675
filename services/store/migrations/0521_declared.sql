-- What an operator declares of a project beside its meters: surveys, events, the registered design.
-- Rows of before have nothing, so that their hashes stay.
SET LOCAL ROLE tonne_owner;

ALTER TABLE project ADD COLUMN declared jsonb;
