"""Devices with and without data, and the cause."""

from datetime import UTC, datetime, timedelta

import numpy as np
import psycopg
import pytest

from ingest.model import Device, Fleet
from services.store.postgres.pool import connect
from services.store.principal_status import Status, keep
from services.store.views.device_page import devices
from tests.services.store import placed
from tests.services.stored_power import commit

S = 1_000_000


@pytest.fixture
def conn(database_url):
    """Return a database with a site in UTC."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        placed.site(connection, "UTC")
        connection.url = database_url
        yield connection


def _device(conn, name, gateway=None, cadence=None):
    known = "{}" if cadence is None else f'{{"cadence_s": {cadence}}}'
    placed.device(conn, name, gateway=gateway, attributes=known)


def _health(conn):
    rows = conn.execute("SELECT device_id, state, alarm FROM v_device_health")
    return {name: (state, alarm) for name, state, alarm in rows}


def _say(conn, name, payload, at=None):
    fleet = Fleet(tuple(Device(n, "s", "pv_inverter") for n in _health(conn)), 1)
    at_us = int((at or datetime.now(UTC)).timestamp() * 1e6)
    with connect(conn.url, role="tonne_ingest", autocommit=True) as writer:
        return keep(writer, fleet, [Status(name, payload, at_us)])


def test_a_gateway_that_goes_dark_is_one_alarm(conn):
    """Five hundred alarms for one modem would teach the control room to ignore them."""
    _device(conn, "gw")
    for k in range(500):
        _device(conn, f"d{k}", gateway="gw")
        placed.heard(conn, f"d{k}", 10_000)
    health = _health(conn)
    assert [name for name, (_, alarm) in health.items() if alarm] == ["gw"]
    assert {state for state, _ in health.values()} == {"offline"}


def test_one_silent_device_behind_a_gateway_that_speaks_is_its_own_alarm(conn):
    """A dead inverter would hide behind a gateway that is well."""
    _device(conn, "gw")
    for name, ago in (("a", 10), ("b", 10_000)):
        _device(conn, name, gateway="gw")
        placed.heard(conn, name, ago)
    assert _health(conn) == {
        "gw": ("online", False),
        "a": ("online", False),
        "b": ("offline", True),
    }


def test_a_dark_gateway_behind_a_dark_gateway_is_one_alarm(conn):
    """A failed router of a site would raise an alarm for each gateway behind it."""
    _device(conn, "router")
    _device(conn, "cabinet", gateway="router")
    _device(conn, "inv", gateway="cabinet")
    placed.heard(conn, "inv", 100_000)
    assert [n for n, (_, alarm) in _health(conn).items() if alarm] == ["router"]


def test_the_expected_cadence_says_what_is_late(conn):
    """A device is silent after its expected interval."""
    for name, cadence, ago in (("fast", 10, 30), ("dead", 10, 90), ("usual", None, 90)):
        _device(conn, name, cadence=cadence)
        placed.heard(conn, name, ago)
    states = {name: state for name, (state, _) in _health(conn).items()}
    assert states == {"fast": "late", "dead": "offline", "usual": "online"}


def test_a_will_counts_at_once_and_the_next_reading_takes_it_back(conn):
    """
    A cut cable would be seen only when the cadence is over, or a device
    called dead permanently.
    """
    _device(conn, "d")
    placed.heard(conn, "d", 20)
    assert _say(conn, "d", b'{"state":"offline"}') == []
    assert _health(conn)["d"] == ("offline", True)
    placed.heard(conn, "d", -1)
    assert _health(conn)["d"] == ("online", False)
    assert _say(conn, "d", b'{"state":"online","firmware":"1.4.2"}') == []
    assert conn.execute("SELECT firmware FROM v_device_health").fetchone() == ("1.4.2",)


def test_a_gateway_that_measures_tells_its_own_clock(conn):
    """
    A gateway that corrects the times of readings would not be
    reported for its own wrong clock.
    """
    for name in ("gw", "plain"):
        _device(conn, name)
        conn.execute("INSERT INTO clock_lag VALUES (%s, current_date, 2000000)", [name])
    _say(conn, "gw", b'{"state":"online","clock_ahead_s":86400.5}')
    found = {row["device"]: row["clock_offset_s"] for row in devices(conn)}
    assert found == {"gw": 86_400.5, "plain": -2.0}


@pytest.mark.parametrize("payload", [b"", b"offline", b'{"state":"dead"}', b"\xff", b"[1]"])
def test_a_status_that_says_nothing_changes_nothing(conn, payload):
    """A misspelt birth would end the thread that stores readings."""
    _device(conn, "d")
    assert len(_say(conn, "d", payload)) == 1
    assert len(_say(conn, "stranger", b'{"state":"online"}')) == 1
    assert conn.execute("SELECT count(*) FROM principal_status").fetchone() == (0,)


def test_completeness_counts_quarter_hours_with_a_reading(conn):
    """A day that is half missing would look whole, or grow with each repetition."""
    now = datetime.now(UTC)
    # where it is between twelve and one: no midnight is near
    east = 12 - now.hour
    conn.execute("UPDATE site SET timezone = %s", [f"Etc/GMT{-east:+d}"])
    midnight = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=12)
    begin, now_us = int(midnight.timestamp()) * S, int(now.timestamp() * 1e6)
    passed = -(-(now_us - begin) // (900 * S))
    quarters = np.arange(0, passed, 2)
    times = np.minimum(begin + quarters * 900 * S + S, now_us)
    for name in ("whole", "parts"):
        _device(conn, name)
    commit(conn.url, "whole", times, np.zeros(len(times)), now_us)
    for k in [*range(len(times))[::-1], 0]:
        commit(conn.url, "parts", times[k : k + 1], [0.0], now_us)
    shares = conn.execute("SELECT completeness_today FROM v_device_health").fetchall()
    assert shares == [(pytest.approx(len(quarters) / passed, abs=1.5 / passed),)] * 2


def test_the_newest_time_is_found_again_after_a_crash(conn):
    """A device that spoke a second before a power cut would be called late."""
    _device(conn, "d")
    now_us = int(datetime.now(UTC).timestamp() * 1e6)
    commit(conn.url, "d", np.array([now_us - 9_000 * S]), [1.0], now_us - 8_999 * S)
    conn.execute(
        "INSERT INTO reading_pv_inverter (device_id, time, active_power_w) VALUES ('d', now(), 1)"
    )
    assert _health(conn)["d"][0] == "offline"
    with connect(conn.url, role="tonne_ingest", autocommit=True) as writer:
        writer.execute("SELECT tonne_see_devices()")
    assert _health(conn)["d"][0] == "online"
