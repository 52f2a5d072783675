-- A device's page asks for the newest messages that were refused of it, or of the principal that
-- bears its name: without an index that is a scan of all that was ever refused.
SET LOCAL ROLE tonne_owner;

CREATE INDEX dead_letter_device ON dead_letter (device_id, id) WHERE device_id IS NOT NULL;
CREATE INDEX dead_letter_principal ON dead_letter (principal, id);
