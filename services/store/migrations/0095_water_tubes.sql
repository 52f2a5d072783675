-- Water tubes of rice fields that have sent already: the pipeline makes their days when it starts.
SET LOCAL ROLE tonne_owner;

INSERT INTO remake_request (device_id)
    SELECT id FROM device WHERE class = 'water_tube' ORDER BY id
    ON CONFLICT (device_id) DO UPDATE SET requested = excluded.requested;
