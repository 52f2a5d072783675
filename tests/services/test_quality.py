"""`tonne quality` on a real database."""

import json

import numpy as np
import psycopg
import pytest

from tests.invoked import tonne as invoke
from tests.registering import register
from tests.services.stored_power import commit

REGISTRY = """
sites:
  - {id: roof, name: Roof, latitude: 20.9, longitude: 106.6, timezone: Asia/Ho_Chi_Minh}
devices:
  - {id: inv-1, site: roof, class: pv_inverter, profile: generic, rated_power_w: 1000,
     installed: 2026-01-01T00:00:00Z}
"""


@pytest.fixture
def tonne(database_url, tmp_path, monkeypatch):
    """Run a command on a database with one inverter: a spike at noon and a gap behind it."""
    monkeypatch.setenv("TONNE_DATABASE_URL", database_url)
    register(database_url, tmp_path, REGISTRY)
    # 09:00 to 15:00 in Hai Phong, every five minutes, then one at 17:00
    minutes = [*range(0, 360, 5), 480]
    power = [300.0 + 3 * m**0.5 + (700 if m == 180 else 0) for m in minutes]
    times = np.datetime64("2026-03-20T02:00") + np.array(minutes, dtype="timedelta64[m]")
    commit(database_url, "inv-1", times.astype("datetime64[us]").astype(np.int64), power)
    return invoke


SPAN = ("--from", "2026-03-20", "--to", "2026-03-21")


def test_what_is_unusual_is_told_with_its_time(tonne):
    """A technician would look through a day's readings for the one that is wrong."""
    told = tonne("quality", "--device", "inv-1", *SPAN)
    assert told.exit_code == 0, told.output
    assert "73 readings of inv-1" in told.output
    assert "spike" in told.output
    assert "2026-03-20T12:00" in told.output


def test_a_clock_that_is_not_known_is_said_to_be(tonne, database_url):
    """Readings that were imported from a file say nothing of a clock: the command would fail."""
    with psycopg.connect(database_url) as conn:
        conn.execute("UPDATE clock_lag SET least_us = 86400000000::bigint * 300")
        assert conn.execute("SELECT clock FROM v_device_clock").fetchall() == [("not known",)]
    found = tonne("quality", "--device", "inv-1", *SPAN)
    assert found.exit_code == 0, found.exception
    assert "73 readings of inv-1; clock not known" in found.output


def test_marked_readings_as_json(tonne):
    """A script could not act on what was found."""
    told = tonne("quality", "--device", "inv-1", *SPAN, "--json")
    found = {(row["test"], row["channel"], row["time"][:16]) for row in json.loads(told.output)}
    assert found == {
        ("spike", "active_power_w", "2026-03-20T05:00"),
        ("time_gap", "time", "2026-03-20T10:00"),
    }


def test_a_device_that_is_not_there_is_named(tonne):
    """A slip in an id would look like a device without faults."""
    told = tonne("quality", "--device", "inv-9", *SPAN)
    assert told.exit_code == 2
    assert "inv-9" in str(told.exception or "") + told.output


def test_meters_that_do_not_agree_are_told(tonne, database_url):
    """A main meter that counts a fifth too much would be found by an auditor, not by its owner."""
    with psycopg.connect(database_url) as conn:
        conn.execute(
            "INSERT INTO device (id, site, class, profile, installed) VALUES "
            "('m', 'roof', 'pv_inverter', 'generic', now()), "
            "('a', 'roof', 'pv_inverter', 'generic', now()), "
            "('b', 'roof', 'pv_inverter', 'generic', now())"
        )
        conn.cursor().executemany(
            "INSERT INTO interval_quantity (device_id, quantity, start, value, measured_us, "
            "estimated_us, unknown_us) "
            "VALUES (%s, 'energy_export', %s::timestamptz, %s, %s, %s, 0)",
            [
                (device, f"2026-03-20T{hour:02}:00Z", value, measured, 900_000_000 - measured)
                for device, values in {
                    "m": (20_000, 24_000, 50, 90_000),
                    "a": (10_000, 10_000, 0, 10_000),
                    "b": (9_900, 10_000, 0, 10_000),
                }.items()
                for hour, value in enumerate(values)
                for measured in [900_000_000 if hour < 3 else 100_000_000]
            ],
        )
    words = ("quality", "--device", "m", "--against", "a", "--against", "b", *SPAN)
    rows = [r for r in json.loads(tonne(*words, "--json").output) if r["test"] == "sum_check"]
    assert [(r["time"], r["value"], r["others"]) for r in rows] == [
        ("2026-03-20T01:00:00Z", 24_000, 20_000)
    ]
    told = tonne(*words)
    assert "3 intervals compared with a + b, 1 differs" in told.output
    assert "2026-03-20T08:00:00+07:00  energy_export       24000       20000" in told.output
    assert "a + b, 0 differ" in tonne(*words, "--tolerance", "20").output
    assert tonne("quality", "--device", "m", "--against", "nobody", *SPAN).exit_code == 2


def test_meters_that_the_registry_puts_side_by_side_are_compared_unasked(tonne, database_url):
    """A technician at a meter would have to remember which meter checks it."""
    with psycopg.connect(database_url) as conn:
        conn.execute(
            "INSERT INTO device (id, site, class, profile, installed, check_of, check_percent)"
            " VALUES ('main', 'roof', 'pv_inverter', 'generic', now(), NULL, 2),"
            " ('check', 'roof', 'pv_inverter', 'generic', now(), 'main', 10)"
        )
        conn.cursor().executemany(
            "INSERT INTO interval_quantity (device_id, quantity, start, value, measured_us, "
            "estimated_us, unknown_us) VALUES (%s, 'energy_export', '2026-03-20T04:00Z', %s, "
            "900000000, 0, 0)",
            [("main", 20_000), ("check", 21_500)],
        )
    for device, other in (("main", "check"), ("check", "main")):
        told = tonne("quality", "--device", device, *SPAN).output
        assert f"1 interval compared with {other}, 0 differ" in told
        told = tonne("quality", "--device", device, "--tolerance", "5", *SPAN).output
        assert "1 differs" in told


def test_what_was_refused_at_arrival_is_told_beside_the_flags(tonne, database_url):
    """The worst value of a day would be missing among those that a technician is shown."""
    with psycopg.connect(database_url) as conn:
        conn.execute(
            'UPDATE reading_pv_inverter SET flags = \'{"dc_voltage_v": "out_of_range"}\''
            " WHERE time = '2026-03-20T04:00Z'"
        )
    found = json.loads(tonne("quality", "--device", "inv-1", *SPAN, "--json").output)
    assert [row for row in found if row["test"] == "out_of_range"] == [
        {
            "time": "2026-03-20T04:00:00Z",
            "channel": "dc_voltage_v",
            "test": "out_of_range",
            "value": None,
        }
    ]
