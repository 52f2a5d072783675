-- Certificates of instruments that are no registers, the error that a calibration found, and the test of a
-- meter that was removed.  Rows of before have none, so that their hashes stay.
SET LOCAL ROLE tonne_owner;

ALTER TABLE calibration ADD COLUMN channel text COLLATE "C",
    ADD COLUMN found_error_percent numeric CHECK (found_error_percent BETWEEN 0 AND 100),
    ADD COLUMN last_test boolean CHECK (last_test),
    DROP CONSTRAINT calibration_check,
    ADD CONSTRAINT calibration_check CHECK (CASE WHEN last_test THEN valid_until = performed ELSE valid_until > performed END);

-- A certificate is due by the interval of calibration where that is over before it ends: by the device's own
-- (`attributes.calibration_every`, months); a longest interval of a methodology or a country counts at the close.
CREATE OR REPLACE VIEW v_calibration_due AS
SELECT due.project_id, due.device_id, due.site, due.class, due.role, due.valid_until,
       due.valid_until - due.today AS days_left,
       CASE WHEN due.valid_until IS NULL THEN 'missing' WHEN due.valid_until < due.today THEN 'expired'
            WHEN due.valid_until < due.today + 60 THEN 'expiring' ELSE 'valid' END AS state
FROM (
    SELECT m.project_id, m.device_id, d.site, d.class, m.role, tonne_clock(p.timezone, now())::date AS today,
           -- of several instruments the first that is due; a certificate that names none is of all
           (SELECT coalesce(min(greatest(u.until, u.of_all)) FILTER (WHERE u.channel IS NOT NULL), max(u.until)) FROM (
               SELECT k.channel, max(k.until) AS until, max(max(k.until) FILTER (WHERE k.channel IS NULL)) OVER () AS of_all
               FROM (
                   SELECT c.channel, least(c.valid_until, CASE WHEN jsonb_typeof(d.attributes -> 'calibration_every') = 'number'
                       AND (d.attributes ->> 'calibration_every') ~ '^[0-9]{1,3}$'
                       THEN (c.performed + (d.attributes ->> 'calibration_every')::int * INTERVAL '1 month')::date END) AS until
                   FROM calibration c WHERE c.device_id = m.device_id AND c.last_test IS NULL
               ) k GROUP BY k.channel
           ) u) AS valid_until
    FROM project_device m
    JOIN project p ON p.id = m.project_id
    JOIN device d ON d.id = m.device_id
    WHERE m.during @> now()
) due;
