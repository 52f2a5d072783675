-- Who may ask the API for what, what was asked, and what was answered once.
SET LOCAL ROLE tonne_owner;

-- A key's secret is nowhere: only its hash is kept.  No projects: all of them.
CREATE TABLE api_key (
    id            text COLLATE "C" PRIMARY KEY CHECK (id ~ '^[a-z0-9]{12}$'),
    name          text NOT NULL,
    role          text NOT NULL CHECK (role IN ('operator', 'verifier', 'auditor', 'admin')),
    projects      text[],
    secret_sha256 bytea NOT NULL CHECK (length(secret_sha256) = 32),
    created       timestamptz NOT NULL DEFAULT now(),
    created_by    text NOT NULL,
    expires       timestamptz CHECK (expires > created),
    revoked       timestamptz
);

-- A row for every write and every evidence download, done or refused.
CREATE TABLE api_audit (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    principal text NOT NULL,
    role      text NOT NULL,
    method    text NOT NULL,
    path      text NOT NULL,
    status    integer NOT NULL,
    request   text NOT NULL
);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['api_audit'] LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION tonne_append_only()', name);
        EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only()', name);
    END LOOP;
END $$;

-- The answer to a request that named itself, to be given again when it is repeated.
CREATE TABLE api_answer (
    principal text NOT NULL,
    key       text NOT NULL,
    request   bytea NOT NULL CHECK (length(request) = 32),
    status    integer NOT NULL,
    body      bytea NOT NULL,
    given     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (principal, key)
);

-- With it the API recognises the page marks that it gave out itself.
CREATE TABLE api_cursor_secret (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    secret   bytea NOT NULL CHECK (length(secret) = 32)
);
INSERT INTO api_cursor_secret (secret)
    VALUES (sha256(convert_to(gen_random_uuid()::text || gen_random_uuid()::text, 'UTF8')));

GRANT SELECT, INSERT ON api_key, api_audit, api_answer TO tonne_api;
GRANT UPDATE (revoked) ON api_key TO tonne_api;
GRANT DELETE ON api_answer TO tonne_api;
GRANT SELECT ON api_cursor_secret TO tonne_api;
-- the sealer seals it with all other append-only tables
GRANT SELECT ON api_audit TO tonne_mrv, tonne_grafana;
