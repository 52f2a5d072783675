-- Evidence that lies in the archive is referred to: its file is there for good, under
-- the digest that archive_part has and the pack's manifest in the log repeats.
SET LOCAL ROLE tonne_owner;

ALTER TABLE statement_evidence
    ALTER COLUMN content DROP NOT NULL,
    ADD COLUMN archived text COLLATE "C" REFERENCES archive_part (path),
    ADD CONSTRAINT kept_here_or_archived CHECK (num_nonnulls(content, archived) = 1);
COMMENT ON COLUMN statement_evidence.archived IS 'path of the archived file that is this file of the pack, as it is';
