-- A repeated message asks by digest whether it was refused before; people ask
-- for the newest of a reason.
SET LOCAL ROLE tonne_owner;

CREATE INDEX dead_letter_sha256 ON dead_letter (sha256);
CREATE INDEX dead_letter_reason ON dead_letter (reason, id);
