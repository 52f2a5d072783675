-- How far a gateway's own clock is ahead, as it says itself once tonne told it the time.
-- It corrects what it recorded, so readings do not show it.
SET LOCAL ROLE tonne_owner;

ALTER TABLE principal_status ADD COLUMN clock_ahead_s double precision;
