-- A meter's or gateway's signing key can end without another one: it was lost or stolen.
SET LOCAL ROLE tonne_owner;

ALTER TABLE meter_key DROP CONSTRAINT meter_key_key_check;
ALTER TABLE meter_key ADD CONSTRAINT meter_key_key_check
    CHECK (key = 'ended' OR key ~ '^([0-9a-f]{2})+$');
