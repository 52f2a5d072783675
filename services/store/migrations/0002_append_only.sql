-- Rules that hold for many tables: what is written is not changed.
SET LOCAL ROLE tonne_owner;

-- A row is never changed or deleted.
CREATE FUNCTION tonne_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'append-only: % on % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege',
              HINT = 'A correction is a new row with its author and reason.';
END $$;

-- Readings are append-only.  An update may do one thing: fill an empty channel, and add flags,
-- when a second message of the same time brings what the first one lacked.
CREATE FUNCTION tonne_fill_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF jsonb_strip_nulls(to_jsonb(OLD) - 'flags') <@ to_jsonb(NEW)
       AND coalesce(OLD.flags, '{}') <@ coalesce(NEW.flags, '{}') THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'append-only: % holds another value for device % at %', TG_TABLE_NAME, OLD.device_id, OLD.time
        USING ERRCODE = 'insufficient_privilege',
              HINT = 'Readings are never changed; only an empty channel may be filled.';
END $$;
