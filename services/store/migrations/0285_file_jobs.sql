-- Reports and packs that somebody asked for and does not wait for, and how far each job is.
SET LOCAL ROLE tonne_owner;

-- Made by a process of the API, in its own folder; a row is removed a day after it was asked for.
CREATE TABLE file_job (
    id        uuid PRIMARY KEY,
    kind      text COLLATE "C" NOT NULL CHECK (kind IN ('pack', 'report')),
    statement text COLLATE "C" NOT NULL REFERENCES statement (id),
    format    text COLLATE "C" NOT NULL CHECK (format IN ('zip', 'pdf', 'xlsx')),
    language  text COLLATE "C" CHECK (language ~ '^[A-Za-z0-9-]{2,35}$'),
    principal text NOT NULL CHECK (length(principal) <= 500),
    asked     timestamptz NOT NULL DEFAULT clock_timestamp(),
    attempts  integer NOT NULL DEFAULT 0,
    began     timestamptz,
    ended     timestamptz,
    status    integer,
    detail    text,
    bytes     bigint,
    CHECK ((kind = 'pack') = (language IS NULL)),
    CHECK ((ended IS NULL) = (status IS NULL))
);
CREATE INDEX file_job_waiting ON file_job (asked) WHERE ended IS NULL;

-- Of these and of the signer's requests: steps done, of how many, and which one goes on.
CREATE TABLE job_progress (
    job   uuid PRIMARY KEY,
    done  integer NOT NULL CHECK (done >= 0),
    total integer CHECK (total >= done),
    step  text NOT NULL CHECK (length(step) <= 200),
    at    timestamptz NOT NULL DEFAULT clock_timestamp()
);

GRANT SELECT, INSERT, UPDATE, DELETE ON file_job TO tonne_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON job_progress TO tonne_api, tonne_mrv;
GRANT SELECT ON file_job, job_progress TO tonne_watch;
