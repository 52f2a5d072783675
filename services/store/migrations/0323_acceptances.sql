-- What a programme accepted (factors of registry files, debts that stay behind) stands beside what
-- authorities said: rows are added and never changed.
SET LOCAL ROLE tonne_owner;

ALTER TABLE authority_entry DROP CONSTRAINT authority_entry_kind_check;
ALTER TABLE authority_entry ADD CONSTRAINT authority_entry_kind_check
    CHECK (kind IN ('registration', 'authorization', 'submission', 'facility', 'acceptance'));
