-- Public versions of statements, as zip files, as their operators signed them; the API gives the newest.
SET LOCAL ROLE tonne_owner;

CREATE TABLE public_version (
    sequence     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    statement_id text COLLATE "C" NOT NULL REFERENCES statement,
    signed       timestamptz NOT NULL,
    multikey     text COLLATE "C" NOT NULL REFERENCES enrolled_key,
    files        bytea NOT NULL CHECK (octet_length(files) <= 33554432),
    stored       timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX public_version_statement ON public_version (statement_id, sequence DESC);

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON public_version FOR EACH ROW EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public_version FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only();

GRANT SELECT ON public_version TO tonne_mrv, tonne_api;
GRANT INSERT ON public_version TO tonne_mrv;
