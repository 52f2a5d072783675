-- The login of `tonne run`, `bridge` and `worker`: what tonne_ingest may do and no more;
-- the one of `tonne api` and `tonne watch`: what tonne_api and tonne_mrv may; the one of
-- dashboards, which reads what tonne_grafana may and writes nothing; and the one of
-- `tonne archive run`, which reads and may drop what is archived.
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

\set password `cat /run/secrets/archive_password`
SELECT 'CREATE ROLE tonne_archivist LOGIN' WHERE NOT EXISTS
    (SELECT FROM pg_roles WHERE rolname = 'tonne_archivist') \gexec
ALTER ROLE tonne_archivist PASSWORD :'password';
GRANT tonne_archive TO tonne_archivist;

\set password `cat /run/secrets/dashboards_password`
SELECT 'CREATE ROLE tonne_dashboards LOGIN' WHERE NOT EXISTS
    (SELECT FROM pg_roles WHERE rolname = 'tonne_dashboards') \gexec
ALTER ROLE tonne_dashboards PASSWORD :'password';
-- a panel that asks too much ends; settings of a role are not handed down to its members
ALTER ROLE tonne_dashboards SET statement_timeout = '30s';
ALTER ROLE tonne_dashboards SET default_transaction_read_only = on;
ALTER ROLE tonne_dashboards SET timezone = 'UTC';
GRANT tonne_grafana TO tonne_dashboards;
