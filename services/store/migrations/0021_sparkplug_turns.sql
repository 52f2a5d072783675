-- What a message that waits is sorted by: its place in the sequence, and when it was sent.
SET LOCAL ROLE tonne_owner;

ALTER TABLE sparkplug_held
    ADD COLUMN seq smallint NOT NULL DEFAULT 0,
    ADD COLUMN sent_ms bigint NOT NULL DEFAULT 0;
