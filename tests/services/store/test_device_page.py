"""The page of a device: the cause of missing data, its quantities, its refused messages."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from services.processing.pv_outlook import refresh_rates as refresh
from services.store.postgres.pool import connect
from services.store.views.alarms import TO_DO
from services.store.views.device_page import device_page
from tests.invoked import tonne
from tests.registering import imported
from tests.services.store import placed

CATALOG = Path(__file__).parents[3] / "deploy/catalog/haiphong"


@pytest.fixture
def conn(database_url):
    """Return a database with a gateway, two inverters behind it and a separate one."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        placed.site(connection)
        for name, gateway in (("gw", None), ("a", "gw"), ("b", "gw"), ("alone", None)):
            placed.device(connection, name, gateway=gateway, installed="2026-01-01Z")
        yield connection


def _refused(conn, topic, principal, device, reason, ago_s):
    conn.execute(
        "INSERT INTO dead_letter (received, topic, principal, device_id, reason, detail, payload,"
        " sha256)"
        " VALUES (now() - %s * interval '1 s', %s, %s, %s, %s, 'made up', 'x', sha256('x'))",
        [ago_s, topic, principal, device, reason],
    )


def _cause(conn, name):
    page = device_page(conn, None, name)
    assert page["what_to_do"] == TO_DO[page["cause"]][1]
    return page["cause"]


def test_each_silence_has_its_cause(conn):
    """A technician would be sent to a meter whose gateway lost its power."""
    for name in ("a", "b", "alone"):
        placed.heard(conn, name, 10_000)
    assert [_cause(conn, name) for name in ("a", "alone")] == ["gateway", "silence"]
    # a gateway that only relays was heard with the devices behind it
    dark = device_page(conn, None, "gw")
    assert dark["behind"] == {"devices": 2, "online": 0}
    assert dark["cause"] == "silence"
    assert dark["since"] > datetime.now(UTC) - timedelta(days=1)
    assert dark["runbook"] == "docs/runbook.md#gatewaydark"
    conn.execute(
        "UPDATE device_seen SET last_reading = now(), received = now() WHERE device_id = 'b'"
    )
    assert [_cause(conn, name) for name in ("a", "b")] == ["silence", ""]
    assert device_page(conn, None, "gw")["behind"] == {"devices": 2, "online": 1}
    assert device_page(conn, None, "a")["behind"] == {"devices": 0, "online": 0}
    conn.execute("INSERT INTO principal_status VALUES ('alone', 'offline', now())")
    assert _cause(conn, "alone") == "will"
    conn.execute(
        "INSERT INTO credential (principal, kind, revoked, revoked_by, reason)"
        " VALUES ('alone', 'password', now(), 'test', 'lost')"
    )
    assert _cause(conn, "alone") == "credential"
    _refused(conn, "tonne/v1/alone/telemetry", "alone", "alone", "out_of_range", 60)
    assert _cause(conn, "alone") == "refused"
    conn.execute("UPDATE device SET removed = now() - interval '1 day' WHERE id = 'alone'")
    assert _cause(conn, "alone") == "removed"


def test_a_device_that_was_never_heard_says_so(conn):
    """A meter that was wired and never spoke would look like one that fell silent."""
    page = device_page(conn, None, "alone")
    assert (page["state"], page["cause"], page["since"]) == ("not commissioned",) * 2 + (None,)
    # days that were imported: who sent them hung up
    conn.execute(
        "INSERT INTO device_seen VALUES ('alone', now() - interval '90 days', now(), '-infinity',"
        " repeat('0', 100)::bit(100))"
    )
    conn.execute("INSERT INTO principal_status VALUES ('alone', 'offline', now())")
    assert _cause(conn, "alone") == "not commissioned"
    conn.execute("DELETE FROM device_seen WHERE device_id = 'alone'")
    conn.execute("DELETE FROM principal_status")
    conn.execute("UPDATE device SET commissioned = '2026-01-05' WHERE id = 'alone'")
    page = device_page(conn, None, "alone")
    assert (page["state"], page["cause"]) == ("offline", "never heard")
    assert page["since"] == datetime(2026, 1, 4, 17, tzinfo=UTC)  # the site's own midnight


def test_messages_of_a_device_that_is_not_registered_are_found(conn, database_url, monkeypatch):
    """The owner of an unregistered device would not find it, and look for a fault of the device."""
    _refused(conn, "tonne/v1/gw/new-1/telemetry", "gw", None, "unknown_device", 60)
    _refused(conn, "tonne/v1/new-2/telemetry", "new-2", None, "unknown_device", 60)
    for name in ("new-1", "new-2"):
        page = device_page(conn, None, name)
        assert (page["registered"], page["cause"], len(page["refused"])) == (False, "unknown", 1)
        assert device_page(conn, ["some"], name) is None  # of no project: for nobody's scope
    assert device_page(conn, None, "nobody") is None
    monkeypatch.setenv("TONNE_DATABASE_URL", database_url)
    said = tonne("devices", "show", "new-1", code=0)
    assert "not registered" in said.output
    assert "tonne/v1/gw/new-1/telemetry" in said.output
    _refused(conn, "tonne/v1/gw/alome/telemetry", "gw", None, "unknown_device", 60)
    near = tonne("devices", "show", "alome", code=0).output
    assert "alome is not registered; did you mean 'alone'? Then correct the id" in near


def test_the_command_shows_what_was_metered(conn, database_url, monkeypatch):
    """Anyone who stands before a meter would have no register to compare it with."""
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    conn.execute(
        "INSERT INTO interval_quantity (device_id, quantity, start, value, measured_us,"
        " estimated_us, unknown_us, register_value, register_read, register_changed)"
        " VALUES ('alone', 'energy_export', %(t)s, 12345, 900000000, 0, 0, 987654, %(t)s, %(t)s)",
        {"t": start},
    )
    placed.heard(conn, "alone", 1)
    monkeypatch.setenv("TONNE_DATABASE_URL", database_url)
    said = tonne("devices", "show", "alone", code=0)
    assert "987.7 kWh" in said.output
    assert "12.34 kWh" in said.output
    assert "cause" not in said.output
    wrong = tonne("devices", "show", "alon", code=2)
    assert "alone" in wrong.output


def test_a_silent_fuel_meter_costs_the_highest_plausible_value(database_url):
    """A fuel meter without data would count as a gain, and the costliest outages be listed last."""
    assert not imported(database_url, CATALOG).refused
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("UPDATE device SET commissioned = '2026-01-01'")
    with connect(database_url, role="tonne_mrv", autocommit=True) as conn:
        assert refresh(conn)
        assert not refresh(conn)  # nothing changed
        rates = {
            (device, role): (side, ug)
            for device, role, side, ug in conn.execute(
                "SELECT device_id, role, side, ug_per_h FROM silence_rate"
            )
        }
        silent = conn.execute(
            "SELECT device_id, cost_t FROM v_silence_cost WHERE side = 'project'"
        ).fetchall()
    fuel = {device: ug for (device, role), (side, ug) in rates.items() if "fuel" in device}
    assert fuel
    # a class limit bounds some of them; nothing bounds the others until they were metered
    assert all(ug is None or ug > 0 for ug in fuel.values())
    power = [ug for (_, role), (side, ug) in rates.items() if side == "project" and role == "power"]
    assert power
    assert all(ug > 0 for ug in power)
    # what was never heard costs from the day on which it began to serve
    assert {cost is None or cost > 0 for _, cost in silent} <= {True}
    assert [cost for _, cost in silent if cost]
