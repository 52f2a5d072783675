-- Who may do what.  `tonne_owner` holds the tables; the other roles are groups that login
-- users are granted (GRANT tonne_ingest TO ...).  None of them can log in.
-- Roles belong to the whole cluster.  Another database may make the same roles at this
-- moment; then this one takes those that are there.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['tonne_owner', 'tonne_ingest', 'tonne_mrv', 'tonne_api', 'tonne_grafana',
                                'tonne_retention', 'tonne_archive'] LOOP
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
    FOREACH name IN ARRAY ARRAY['tonne_owner', 'tonne_retention'] LOOP
        IF NOT pg_has_role(current_user, name, 'SET') THEN
            EXECUTE format('GRANT %I TO %I', name, current_user);
        END IF;
    END LOOP;
END $$;

REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO tonne_owner;
GRANT USAGE ON SCHEMA public TO tonne_ingest, tonne_mrv, tonne_api, tonne_grafana, tonne_retention, tonne_archive;
-- The archive reads whatever dashboards may read, also tables of device classes that come later.
GRANT tonne_grafana TO tonne_archive;
