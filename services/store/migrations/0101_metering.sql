-- Rules of metering have a version: rows that stand here were made by the first, and stay.
-- A register remembers the line beside the one that it stands on: one that waits for readings
-- that confirm it (other_count not 0), or the one that it left.
SET LOCAL ROLE tonne_owner;

ALTER TABLE interval_quantity
    ADD COLUMN other_value bigint,
    ADD COLUMN other_read  timestamptz,
    ADD COLUMN other_count bigint,
    ADD COLUMN other_first bigint,
    ADD COLUMN metering    smallint NOT NULL DEFAULT 1;
