-- Who may do what.  The owner holds the tables and cannot log in; the others
-- are groups that login users are granted (GRANT tonne_ingest TO ...).
-- Roles belong to the whole cluster: another database may be making the same
-- ones at this moment, so losing that race is fine.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['tonne_owner', 'tonne_ingest', 'tonne_mrv', 'tonne_api', 'tonne_grafana'] LOOP
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
                EXECUTE format('CREATE ROLE %I NOLOGIN', name);
                IF name = 'tonne_grafana' THEN
                    -- Holds when a dashboard logs in as this role itself
                    -- (ALTER ROLE tonne_grafana LOGIN PASSWORD ..): settings of
                    -- a role are not handed down to its members.
                    ALTER ROLE tonne_grafana SET statement_timeout = '30s';
                    ALTER ROLE tonne_grafana SET default_transaction_read_only = on;
                END IF;
            END IF;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END;
    END LOOP;
    IF NOT pg_has_role(current_user, 'tonne_owner', 'SET') THEN
        EXECUTE format('GRANT tonne_owner TO %I', current_user);
    END IF;
END $$;

REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO tonne_owner;
GRANT USAGE ON SCHEMA public TO tonne_ingest, tonne_mrv, tonne_api, tonne_grafana;
