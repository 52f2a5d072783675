-- Tokens of time-stamp authorities (RFC 3161) over heads of the log and over signed statements, as
-- they came.  One of an authority for the same bytes is enough: a later one shows less.
SET LOCAL ROLE tonne_owner;

CREATE TABLE timestamp_token (
    sequence     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest       bytea NOT NULL CHECK (length(digest) = 32),  -- SHA-256 of what was stamped
    size         bigint REFERENCES log_checkpoint,            -- a head of the log, by its text,
    statement_id text COLLATE "C" REFERENCES statement,       -- or a signed statement
    authority    text NOT NULL CHECK (authority <> ''),
    signer       text NOT NULL,
    url          text NOT NULL,
    time         timestamptz NOT NULL,
    token        bytea NOT NULL,
    chain        text NOT NULL,
    received     timestamptz NOT NULL DEFAULT now(),
    CHECK ((size IS NULL) <> (statement_id IS NULL)),
    UNIQUE (digest, authority)
);
CREATE INDEX timestamp_token_size ON timestamp_token (size) WHERE size IS NOT NULL;
CREATE INDEX timestamp_token_statement ON timestamp_token (statement_id) WHERE statement_id IS NOT NULL;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON timestamp_token
    FOR EACH ROW EXECUTE FUNCTION tonne_append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON timestamp_token
    FOR EACH STATEMENT EXECUTE FUNCTION tonne_append_only();

GRANT SELECT ON timestamp_token TO tonne_mrv, tonne_api, tonne_grafana;
GRANT INSERT ON timestamp_token TO tonne_mrv;
