-- Units after issue: whole tonnes of a statement's vintage, numbered from 1 to what it credited, and
-- what became of them.  A number is issued once, first transferred once and ended once; what ended
-- has no further event.  So there are never more units than tonnes that were issued.
SET LOCAL ROLE tonne_owner;

CREATE TABLE unit_event (
    sequence     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    statement_id text COLLATE "C" NOT NULL REFERENCES statement,
    vintage      integer NOT NULL,
    units        int8range NOT NULL
        CHECK (NOT isempty(units) AND lower(units) >= 1 AND upper(units) IS NOT NULL),
    event        text NOT NULL
        CHECK (event IN ('issued', 'first transferred', 'transferred', 'cancelled', 'retired')),
    day          date NOT NULL,
    document     text NOT NULL CHECK (document <> ''),
    holder       text,
    author       text NOT NULL DEFAULT session_user,
    recorded     timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT unit_issued_once
        EXCLUDE USING gist (statement_id WITH =, vintage WITH =, units WITH &&) WHERE (event = 'issued'),
    CONSTRAINT unit_first_transferred_once
        EXCLUDE USING gist (statement_id WITH =, vintage WITH =, units WITH &&)
        WHERE (event = 'first transferred'),
    CONSTRAINT unit_ended_once
        EXCLUDE USING gist (statement_id WITH =, vintage WITH =, units WITH &&)
        WHERE (event IN ('cancelled', 'retired'))
);

CREATE FUNCTION tonne_unit_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    mine     statement;
    credited bigint;
    said     text := format('units %s to %s of vintage %s of %s',
                            lower(NEW.units), upper(NEW.units) - 1, NEW.vintage, NEW.statement_id);
BEGIN
    -- one event of a statement at a time
    SELECT * INTO mine FROM statement WHERE id = NEW.statement_id FOR NO KEY UPDATE;
    IF NEW.event = 'issued' THEN
        IF NOT EXISTS (SELECT FROM claim c WHERE c.statement_id = NEW.statement_id) THEN
            RAISE EXCEPTION '% cannot be issued: the statement is not issued, or counts no more', said
                USING ERRCODE = 'check_violation';
        END IF;
        SELECT (v ->> 'credited_t')::bigint INTO credited
            FROM jsonb_array_elements(mine.document #> '{credentialSubject,credited,vintages}') v
            WHERE (v ->> 'year')::integer = NEW.vintage;
        IF upper(NEW.units) - 1 > coalesce(credited, 0) THEN
            RAISE EXCEPTION '% cannot be issued: it credits % t of that vintage', said, coalesce(credited, 0)
                USING ERRCODE = 'check_violation';
        END IF;
        -- a statement that was replaced must have given its units back
        IF EXISTS (
            SELECT FROM unit_event o JOIN statement s ON s.id = o.statement_id
            WHERE o.event = 'issued' AND s.project_id = mine.project_id AND s.id <> mine.id
              AND s.period && mine.period
              AND NOT int8multirange(o.units) <@ coalesce((
                  SELECT range_agg(c.units) FROM unit_event c WHERE c.event = 'cancelled'
                  AND c.statement_id = o.statement_id AND c.vintage = o.vintage), '{}')
        ) THEN
            RAISE EXCEPTION '% cannot be issued: units of another statement of that time are not cancelled', said
                USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END IF;
    IF NOT int8multirange(NEW.units) <@ coalesce((
        SELECT range_agg(o.units) FROM unit_event o
        WHERE o.statement_id = NEW.statement_id AND o.vintage = NEW.vintage
          AND o.event = CASE NEW.event WHEN 'transferred' THEN 'first transferred' ELSE 'issued' END
    ), '{}') THEN
        RAISE EXCEPTION '% cannot be %: not all of them are %', said, NEW.event,
            CASE NEW.event WHEN 'transferred' THEN 'first transferred' ELSE 'issued' END
            USING ERRCODE = 'check_violation';
    END IF;
    IF EXISTS (
        SELECT FROM unit_event o
        WHERE o.statement_id = NEW.statement_id AND o.vintage = NEW.vintage AND o.units && NEW.units
          AND (o.event IN ('cancelled', 'retired') OR o.day > NEW.day)
    ) THEN
        RAISE EXCEPTION '% cannot be % on %: some are cancelled or retired, or have a later event',
            said, NEW.event, NEW.day USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER unit_event BEFORE INSERT ON unit_event FOR EACH ROW EXECUTE FUNCTION tonne_unit_event();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON unit_event
    FOR EACH ROW EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON unit_event
    FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only();

GRANT SELECT ON unit_event TO tonne_mrv, tonne_api, tonne_grafana;
GRANT INSERT ON unit_event TO tonne_mrv;
