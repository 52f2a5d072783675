-- Time zones of a site are dated: `site.timezone` and `project.timezone` hold an IANA name, or names
-- with the first local date of each later one: 'Asia/Ho_Chi_Minh, from 2026-07-01 Asia/Kathmandu'.
-- A local date belongs to one zone and begins at its midnight; what the earlier clock shows beyond the
-- end of its last date is still of that date.  `mrv/calendar.py` says the same.
SET LOCAL ROLE tonne_owner;

-- Zone that a local date belongs to.
CREATE FUNCTION tonne_zone_of(zones text, day date) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN n = 1 THEN part ELSE substr(part, 12) END
    FROM regexp_split_to_table(zones, ', from ') WITH ORDINALITY AS p (part, n)
    WHERE n = 1 OR substr(part, 1, 10)::date <= day
    ORDER BY n DESC LIMIT 1
$$;

CREATE FUNCTION tonne_dated_clock(zones text, at timestamptz) RETURNS timestamp LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    parts text[] := regexp_split_to_array(zones, ', from ');
    least_next timestamp := 'infinity';
    begins timestamp;
BEGIN
    FOR n IN REVERSE array_length(parts, 1)..2 LOOP
        begins := substr(parts[n], 1, 10)::date::timestamp;
        IF at >= begins AT TIME ZONE substr(parts[n], 12) THEN
            RETURN least(at AT TIME ZONE substr(parts[n], 12), least_next - INTERVAL '1 microsecond');
        END IF;
        least_next := begins;
    END LOOP;
    RETURN least(at AT TIME ZONE parts[1], least_next - INTERVAL '1 microsecond');
END $$;

-- `at AT TIME ZONE zones`, where zones may be dated; the second is its inverse, as AT TIME ZONE is.
CREATE FUNCTION tonne_clock(zones text, at timestamptz) RETURNS timestamp LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN zones LIKE '%,%' THEN tonne_dated_clock(zones, at) ELSE at AT TIME ZONE zones END
$$;
CREATE FUNCTION tonne_clock(zones text, at timestamp) RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN zones LIKE '%,%' THEN at AT TIME ZONE tonne_zone_of(zones, at::date) ELSE at AT TIME ZONE zones END
$$;

-- Sums by day note by which clock they were made, as before, and begin by it.
ALTER TABLE day_quantity ALTER COLUMN begins DROP EXPRESSION;
ALTER TABLE day_emission ALTER COLUMN begins DROP EXPRESSION;
CREATE FUNCTION tonne_day_begins() RETURNS trigger LANGUAGE plpgsql SET search_path = public AS $$
BEGIN
    NEW.begins := tonne_clock(NEW.timezone, NEW.day::timestamp);
    RETURN NEW;
END $$;
CREATE TRIGGER begins BEFORE INSERT OR UPDATE ON day_quantity FOR EACH ROW EXECUTE FUNCTION tonne_day_begins();
CREATE TRIGGER begins BEFORE INSERT OR UPDATE ON day_emission FOR EACH ROW EXECUTE FUNCTION tonne_day_begins();

-- Views, and what makes the sums by day, read the clock of a site, of a project or of a day's row by
-- `tonne_clock` from now on; nothing else of them changes.  A view writes it as `(.. AT TIME ZONE x.timezone)`.
CREATE FUNCTION pg_temp.clocked(source text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    found text[];
    depth int;
    at int;
    letter text;
BEGIN
    LOOP
        -- what stands before the first of them, its zone, and the rest
        found := regexp_match(source, '^(.*?) AT TIME ZONE ((?:[a-z_]+\.)?timezone)\M(.*)$');
        EXIT WHEN found IS NULL;
        depth := 0;
        at := length(found[1]);
        LOOP  -- back to where its operand begins
            letter := substr(found[1], at, 1);
            EXIT WHEN at = 0 OR depth = 0 AND letter IN ('(', ',');
            depth := depth + CASE letter WHEN ')' THEN 1 WHEN '(' THEN -1 ELSE 0 END;
            at := at - 1;
        END LOOP;
        source := left(found[1], at) || ' tonne_clock(' || found[2] || ', ' || trim(substr(found[1], at + 1)) || ')' || found[3];
    END LOOP;
    RETURN source;
END $$;

DO $$
DECLARE
    one record;
    source text;
BEGIN
    FOR one IN SELECT c.oid, c.relname, pg_get_viewdef(c.oid) AS source FROM pg_class c
               WHERE c.relkind = 'v' AND c.relnamespace = 'public'::regnamespace ORDER BY c.oid LOOP
        source := pg_temp.clocked(one.source);
        IF source <> one.source THEN
            EXECUTE format('CREATE OR REPLACE VIEW %I AS %s', one.relname, source);
        END IF;
    END LOOP;
    SELECT pg_get_functiondef(oid) INTO STRICT source FROM pg_proc
        WHERE proname = 'tonne_make_days' AND pronamespace = 'public'::regnamespace;
    EXECUTE pg_temp.clocked(source);
END $$;
