-- Who asked the API for what is sealed with all other append-only tables: the sealer reads it.
SET LOCAL ROLE tonne_owner;

GRANT SELECT ON api_audit TO tonne_mrv;
