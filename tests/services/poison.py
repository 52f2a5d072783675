"""A server that refuses one device's readings, with a given error code."""

import psycopg

# One code of every class of PostgreSQL's appendix A that says more than "the server is away",
# and one of TimescaleDB's own.
REFUSALS = (
    "01000", "02000", "03000", "09000", "0A000", "0B000", "0F000", "0L000", "0P000", "0Z000",
    "10608", "20000", "21000", "22003", "22P02", "23502", "23505", "23514", "24000", "25001",
    "25P02", "26000", "27000", "28000", "2B000", "2D000", "2F000", "34000", "38000", "39000",
    "3B000", "3D000", "3F000", "42501", "42703", "42P01", "44000", "53000", "53400", "54000",
    "55000", "58030", "72000", "F0000", "HV000", "P0001", "TS501", "XX000",
)  # fmt: skip
COLLISIONS = ("40001", "40P01", "55P03", "57014")
AWAY = ("53100", "08006", "57P01", "25006")


def refuse(database_url: str, device: str, code: str, table: str = "reading_energy_meter") -> None:
    """Let the server refuse this device's rows of a table from now on."""
    with psycopg.connect(database_url) as connection:
        there = "SELECT FROM pg_trigger WHERE tgname = 'refuse' AND tgrelid = %s::regclass"
        if connection.execute(there, [table]).fetchone() is not None:
            connection.execute("UPDATE refusal SET device = %s, code = %s", [device, code])
            return
        # in the order in which who stores takes them
        connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        connection.execute("DROP TABLE IF EXISTS refusal")
        connection.execute(
            "CREATE TABLE refusal AS SELECT %s::text AS device, %s::text AS code", [device, code]
        )
        connection.execute("GRANT SELECT ON refusal TO tonne_ingest")
        connection.execute(
            "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$"
            "DECLARE r record; BEGIN SELECT * INTO r FROM refusal;"
            " IF NEW.device_id = r.device THEN RAISE EXCEPTION 'not this one'"
            " USING ERRCODE = r.code; END IF; RETURN NEW; END $$"
        )
        connection.execute(
            f"CREATE OR REPLACE TRIGGER refuse BEFORE INSERT ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION refuse()"
        )
