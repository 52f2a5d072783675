-- What is certified is taken off by device and interval: the statement that claims a period names each
-- certificate of its devices' energy with all that it certifies of the period. [Wh]
SET LOCAL ROLE tonne_owner;

CREATE OR REPLACE FUNCTION tonne_claim_certified() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
DECLARE
    unnamed record;
BEGIN
    PERFORM tonne_energy_lock(d.device_id) FROM (
        SELECT DISTINCT device_id FROM project_device WHERE project_id = NEW.project_id AND during && NEW.period
        ORDER BY device_id) d;
    SELECT c.certificate_id, c.device_id, c.scheme, c.wh INTO unnamed FROM (
        SELECT e.certificate_id, e.device_id, m.scheme, sum(e.wh)::bigint AS wh
        FROM energy_certified e JOIN energy_certificate m ON m.id = e.certificate_id
        WHERE NEW.period @> e.start
          AND EXISTS (SELECT FROM project_device d WHERE d.project_id = NEW.project_id
                      AND d.device_id = e.device_id AND d.during && NEW.period)
        GROUP BY 1, 2, 3) c
        JOIN statement s ON s.id = NEW.statement_id
        WHERE NOT EXISTS (
            SELECT FROM jsonb_array_elements(s.document #> '{credentialSubject,applicability}') a
            WHERE a ->> 'rule' = 'CLM-01'
              AND a -> 'texts' @> jsonb_build_array(jsonb_build_object('code', 'CLM-01.certified', 'values',
                  jsonb_build_object('device', c.device_id, 'certificate', c.certificate_id, 'scheme', c.scheme, 'wh', c.wh))))
        ORDER BY 1 LIMIT 1;
    IF unnamed.certificate_id IS NOT NULL THEN
        RAISE EXCEPTION 'statement %: certificate % is of energy that it credits, % Wh of %, and it does not name it; close the period again',
            NEW.statement_id, unnamed.certificate_id, unnamed.wh, unnamed.device_id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
