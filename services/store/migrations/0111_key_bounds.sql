-- Whose a key is, and what it may sign: organisation, projects, accreditation, its end in the log.
SET LOCAL ROLE tonne_owner;

ALTER TABLE enrolled_key ADD COLUMN bounds jsonb CHECK (jsonb_typeof(bounds) = 'object');
GRANT UPDATE (bounds) ON enrolled_key TO tonne_mrv;
