-- Facilities that report a greenhouse gas inventory stand beside what authorities said.
SET LOCAL ROLE tonne_owner;

ALTER TABLE authority_entry DROP CONSTRAINT authority_entry_kind_check;
ALTER TABLE authority_entry ADD CONSTRAINT authority_entry_kind_check
    CHECK (kind IN ('registration', 'authorization', 'submission', 'facility'));
