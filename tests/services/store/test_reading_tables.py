"""Tables of readings follow from the device classes, and stored readings stay."""

from dataclasses import replace

import psycopg

from ingest import classes
from services.store.postgres import columnstore
from services.store.postgres.migrate import migrate, pending_work

HEAT = classes.parse(
    {
        "id": "heat_meter",
        "title": "Heat meter",
        "channel": {
            "heat_wh": {"kind": "register", "unit": "Wh", "quantity": "heat"},
            "active_power_w": {"kind": "gauge", "unit": "W"},
        },
    }
)


def _columns(conn, table):
    return conn.execute(
        "SELECT column_name, data_type FROM information_schema.columns"
        " WHERE table_name = %s ORDER BY ordinal_position",
        [table],
    ).fetchall()


def test_a_new_class_gets_its_table(database_url):
    """Anyone who adds a class would write a migration, or readings would have nowhere to go."""
    known = {**classes.load(), "heat_meter": HEAT}
    with psycopg.connect(database_url) as conn:
        assert columnstore.make(conn, known) == ["reading_heat_meter"]
        assert columnstore.make(conn, known) == []
        assert _columns(conn, "reading_heat_meter") == [
            ("device_id", "text"),
            ("time", "timestamp with time zone"),
            ("heat_wh", "bigint"),
            ("active_power_w", "double precision"),
            ("flags", "jsonb"),
        ]
        conn.execute("SET ROLE tonne_ingest")
        conn.execute("INSERT INTO reading_heat_meter VALUES ('h-1', now(), 1, 2, NULL)")
        conn.execute("SET ROLE tonne_grafana")
        assert conn.execute("SELECT count(*) FROM reading_heat_meter").fetchone() == (1,)
        (view,) = conn.execute("SELECT pg_get_viewdef('v_power_kw'::regclass)").fetchone()
        assert "reading_heat_meter" in view


def test_a_new_channel_gets_its_column_and_the_rest_stays(database_url):
    """A class that grows would lose its history, or its new channel."""
    known = classes.load()
    vehicle = known["vehicle"]
    torque = classes.Channel("torque_nm", "gauge", "N.m")
    grown = replace(vehicle, channels={**vehicle.channels, "torque_nm": torque})
    with psycopg.connect(database_url) as conn:
        conn.execute(
            "INSERT INTO reading_vehicle (device_id, time, odometer_m) VALUES ('v', now(), 7)"
        )
        before = _columns(conn, "reading_vehicle")
        assert columnstore.make(conn, {**known, "vehicle": grown}) == ["reading_vehicle"]
        assert _columns(conn, "reading_vehicle") == [*before, ("torque_nm", "double precision")]
        row = conn.execute("SELECT odometer_m, torque_nm FROM reading_vehicle").fetchone()
        assert row == (7, None)


def test_what_lacks_is_named_and_made(database_url):
    """A process would start, and fail at the first reading of the class."""
    with psycopg.connect(database_url) as conn:
        assert pending_work(conn) == ""
        conn.execute("DROP TABLE reading_pump CASCADE")
        conn.execute("ALTER TABLE reading_chiller DROP COLUMN supply_temperature_c")
        said = pending_work(conn)
    assert said.endswith(
        "lacks reading_chiller.supply_temperature_c, reading_pump of the device classes"
    )
    report = migrate(database_url)
    assert "reading_chiller, reading_pump" in report.notes[-1]
    with psycopg.connect(database_url) as conn:
        assert pending_work(conn) == ""
