-- The login of `tonne run`, `bridge` and `worker`: what tonne_ingest may do and no more;
-- and the one of `tonne api`: what tonne_api and tonne_mrv may.
-- Run by the service `logins` after `tonne migrate` has made the group roles; again changes
-- nothing but the password.
\set ON_ERROR_STOP on
\set password `cat /run/secrets/pipeline_password`
SELECT 'CREATE ROLE tonne_pipeline LOGIN' WHERE NOT EXISTS
    (SELECT FROM pg_roles WHERE rolname = 'tonne_pipeline') \gexec
ALTER ROLE tonne_pipeline PASSWORD :'password';
GRANT tonne_ingest TO tonne_pipeline;

\set password `cat /run/secrets/api_password`
SELECT 'CREATE ROLE tonne_service LOGIN' WHERE NOT EXISTS
    (SELECT FROM pg_roles WHERE rolname = 'tonne_service') \gexec
ALTER ROLE tonne_service PASSWORD :'password';
GRANT tonne_api, tonne_mrv TO tonne_service;
