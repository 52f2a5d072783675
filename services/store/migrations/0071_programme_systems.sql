-- Which system of the programme a project belongs to, which sites are one park, and
-- what the programme's targets come to and where its city lies.
SET LOCAL ROLE tonne_owner;

ALTER TABLE site ADD COLUMN park tonne_id;
ALTER TABLE project ADD COLUMN system text;
ALTER TABLE programme ADD COLUMN target_kt numeric CHECK (target_kt >= 0);
ALTER TABLE programme ADD COLUMN area jsonb;
