-- Who may move an offset on: a worker that takes a partition over raises the
-- epoch, and one that was thought dead and comes back finds that it has moved.
SET LOCAL ROLE tonne_owner;

ALTER TABLE stream_offset ADD COLUMN epoch bigint NOT NULL DEFAULT 0;
