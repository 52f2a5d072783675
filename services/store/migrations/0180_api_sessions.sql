-- Who is signed in to the console, and how often somebody failed to.
SET LOCAL ROLE tonne_owner;

-- The browser holds the secret; only its hash is kept.  A session ends by itself, by its
-- end here, or with its key.
CREATE TABLE api_session (
    secret_sha256 bytea PRIMARY KEY CHECK (length(secret_sha256) = 32),
    key_id        text COLLATE "C" NOT NULL REFERENCES api_key,
    opened        timestamptz NOT NULL DEFAULT now(),
    until         timestamptz NOT NULL CHECK (until > opened),
    ended         timestamptz
);
CREATE INDEX api_session_until ON api_session (until);

-- Attempts of those who could not say who they are, counted by the hour: nobody without a
-- key can make a table grow.
CREATE TABLE api_refusal (
    hour   timestamptz NOT NULL,
    method text NOT NULL,
    path   text NOT NULL,
    status integer NOT NULL,
    times  bigint NOT NULL CHECK (times > 0),
    first  timestamptz NOT NULL DEFAULT clock_timestamp(),
    last   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (hour, method, path, status)
);

GRANT SELECT, INSERT, DELETE ON api_session TO tonne_api;
GRANT UPDATE (ended) ON api_session TO tonne_api;
GRANT SELECT, INSERT, DELETE ON api_refusal TO tonne_api;
GRANT UPDATE (times, last) ON api_refusal TO tonne_api;
GRANT SELECT ON api_refusal TO tonne_grafana;
