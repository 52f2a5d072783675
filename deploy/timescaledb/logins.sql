-- The login of `tonne run`, `bridge` and `worker`: what tonne_ingest may do and no more;
-- the one of `tonne api`: what tonne_api may, which neither signs nor enrols; the one of
-- `tonne signer`: what tonne_mrv may; the one of `tonne watch`: tonne_watch; the one of `tonne est`: tonne_enrol; the one of
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
GRANT tonne_api TO tonne_service;
-- it had this until `tonne signer` was a process of its own
SELECT 'REVOKE tonne_mrv FROM tonne_service' WHERE pg_has_role('tonne_service', 'tonne_mrv', 'MEMBER') \gexec

\set password `cat /run/secrets/signer_password`
SELECT 'CREATE ROLE tonne_signer LOGIN' WHERE NOT EXISTS
    (SELECT FROM pg_roles WHERE rolname = 'tonne_signer') \gexec
ALTER ROLE tonne_signer PASSWORD :'password';
GRANT tonne_mrv TO tonne_signer;

\set password `cat /run/secrets/watch_password`
SELECT 'CREATE ROLE tonne_watcher LOGIN' WHERE NOT EXISTS
    (SELECT FROM pg_roles WHERE rolname = 'tonne_watcher') \gexec
ALTER ROLE tonne_watcher PASSWORD :'password';
GRANT tonne_watch, tonne_events TO tonne_watcher;

\set password `cat /run/secrets/est_password`
SELECT 'CREATE ROLE tonne_enroller LOGIN' WHERE NOT EXISTS
    (SELECT FROM pg_roles WHERE rolname = 'tonne_enroller') \gexec
ALTER ROLE tonne_enroller PASSWORD :'password';
GRANT tonne_enrol TO tonne_enroller;

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
