-- Certificates of energy (granular certificates, I-REC): of a device's measured generation in a
-- quarter hour, certified plus credited never exceed what was measured.  What is certified is laid on
-- quarter hours here, first on those that have room; a device with certified energy in a period earns
-- nothing in it, and what a statement credits cannot be certified any more.
SET LOCAL ROLE tonne_owner;

CREATE TABLE energy_certificate (
    id           text COLLATE "C" PRIMARY KEY CHECK (id ~ '^[A-Za-z0-9._:/-]{1,100}$'),
    scheme       text NOT NULL CHECK (scheme <> ''),
    device_id    tonne_id NOT NULL REFERENCES device,
    quantity     text COLLATE "C" NOT NULL DEFAULT 'energy_export' CHECK (quantity = 'energy_export'),
    period       tonne_period NOT NULL,
    wh           bigint NOT NULL CHECK (wh > 0),
    issuing_body text NOT NULL CHECK (issuing_body <> ''),
    owner        text,
    document     text NOT NULL CHECK (document <> ''),
    exported     boolean NOT NULL DEFAULT false,
    author       text NOT NULL DEFAULT session_user,
    recorded     timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE energy_certified (
    certificate_id text COLLATE "C" NOT NULL REFERENCES energy_certificate,
    start          timestamptz NOT NULL,
    device_id      tonne_id NOT NULL REFERENCES device,
    wh             bigint NOT NULL CHECK (wh > 0),
    recorded       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (certificate_id, start)
);
CREATE INDEX energy_certified_device ON energy_certified (device_id, start);

-- one certificate or issue of a device at a time
CREATE FUNCTION tonne_energy_lock(device text) RETURNS void LANGUAGE sql AS $$
    SELECT pg_advisory_xact_lock(2276, hashtext(device))
$$;

CREATE FUNCTION tonne_certify() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
DECLARE
    said    text := format('certificate %s, %s Wh of %s', NEW.id, NEW.wh, NEW.device_id);
    main    text;
    holder  text;
    placed  bigint;
    room    bigint;
BEGIN
    PERFORM tonne_energy_lock(NEW.device_id);
    IF upper(NEW.period) > now() THEN
        RAISE EXCEPTION '%: its period has not ended', said USING ERRCODE = 'check_violation';
    END IF;
    SELECT check_of INTO main FROM device WHERE id = NEW.device_id;
    IF main IS NOT NULL THEN
        RAISE EXCEPTION '%: the meter checks %, which measures the same energy; name that one', said, main
            USING ERRCODE = 'check_violation';
    END IF;
    SELECT s.id INTO holder FROM statement s
        JOIN project_device d ON d.project_id = s.project_id AND d.device_id = NEW.device_id
        WHERE s.period && NEW.period AND d.during && (s.period * NEW.period)
          AND (SELECT e.state FROM statement_event e WHERE e.statement_id = s.id ORDER BY e.sequence DESC LIMIT 1)
              IN ('submitted', 'under_verification', 'verified', 'issued')
        ORDER BY s.id LIMIT 1;
    IF holder IS NOT NULL THEN
        RAISE EXCEPTION '%: statement % credits its energy of that time; what is credited is not certified', said, holder
            USING ERRCODE = 'check_violation';
    END IF;
    WITH free AS (
        SELECT q.start, q.value - coalesce((SELECT sum(c.wh) FROM energy_certified c
            WHERE c.device_id = q.device_id AND c.start = q.start), 0) AS wh
        FROM interval_quantity q
        WHERE q.device_id = NEW.device_id AND q.quantity = NEW.quantity
          AND q.start >= lower(NEW.period) AND q.start < upper(NEW.period)
    ), laid AS (
        SELECT start, wh, coalesce(sum(wh) OVER (ORDER BY start ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)
            AS before FROM free WHERE wh > 0
    ), done AS (
        INSERT INTO energy_certified (certificate_id, start, device_id, wh)
        SELECT NEW.id, start, NEW.device_id, least(wh, NEW.wh - before) FROM laid WHERE before < NEW.wh
        RETURNING wh
    )
    SELECT (SELECT sum(wh) FROM done), (SELECT sum(wh) FROM laid) INTO placed, room;
    IF coalesce(placed, 0) < NEW.wh THEN
        RAISE EXCEPTION '%: % Wh of that time are measured and not certified yet', said, coalesce(room, 0)
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER certify AFTER INSERT ON energy_certificate FOR EACH ROW EXECUTE FUNCTION tonne_certify();

-- The statement that claims a period names every certificate of its devices' energy.
CREATE FUNCTION tonne_claim_certified() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
DECLARE
    unnamed text;
BEGIN
    PERFORM tonne_energy_lock(d.device_id) FROM (
        SELECT DISTINCT device_id FROM project_device WHERE project_id = NEW.project_id AND during && NEW.period
        ORDER BY device_id) d;
    SELECT c.certificate_id INTO unnamed FROM energy_certified c
        JOIN project_device d ON d.device_id = c.device_id AND d.project_id = NEW.project_id AND d.during @> c.start
        JOIN statement s ON s.id = NEW.statement_id
        WHERE NEW.period @> c.start
          AND NOT EXISTS (
              SELECT FROM jsonb_array_elements(s.document #> '{credentialSubject,applicability}') a
              WHERE a ->> 'rule' = 'CLM-01'
                AND strpos(a ->> 'detail', 'certificate ' || c.certificate_id || ',') > 0)
        LIMIT 1;
    IF unnamed IS NOT NULL THEN
        RAISE EXCEPTION 'statement %: certificate % is of energy that it credits, and it does not name it; close the period again',
            NEW.statement_id, unnamed USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER certified BEFORE INSERT ON claim FOR EACH ROW EXECUTE FUNCTION tonne_claim_certified();

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON energy_certificate
    FOR EACH ROW EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON energy_certificate
    FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON energy_certified
    FOR EACH ROW EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON energy_certified
    FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only();
GRANT SELECT ON energy_certificate, energy_certified TO tonne_mrv, tonne_api, tonne_grafana;
GRANT INSERT ON energy_certificate TO tonne_mrv;
