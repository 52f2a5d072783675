"""Limits of a device: stored with their history, refused if contradictory, applied again."""

from functools import partial

import numpy as np
import psycopg
import pytest

from ingest.model import NULL
from mrv import factors
from services.processing.commit import Store
from services.processing.rebuild import rebuild
from services.settle import Plan
from services.store.postgres.pool import connect
from services.store.registry.load import load_fleet, load_projects
from tests import registering
from tests.services.stored_power import commit

BASE = """
sites:
  - {id: roof, name: Roof, latitude: 20.9, longitude: 106.6, timezone: Asia/Ho_Chi_Minh}
devices:
  - id: inv-1
    site: roof
    class: pv_inverter
    profile: generic
    rated_power_w: 1000
    installed: 2026-01-01T00:00:00Z
"""
TIGHTER = (
    BASE
    + """
    quality:
      - channel: active_power_w
        from: 2026-03-20T05:00:00Z
        bound_of_rated: [-0.05, 0.9]
        reason: curtailed to 90 %
"""
)
T0_US = 1_773_968_400_000_000  # 2026-03-20T01:00Z, morning in Hai Phong
HOUR_US = 3_600_000_000


@pytest.fixture
def load(database_url, tmp_path):
    """Import a registry text; return the result."""
    return partial(registering.told, database_url, tmp_path)


def _flags(url):
    with psycopg.connect(url) as conn:
        return conn.execute(
            "SELECT (extract(epoch FROM time) * 1000000)::bigint, channel, test FROM quality_flag"
            " ORDER BY time"
        ).fetchall()


def _take_up(url):
    """Apply a new registry version as a running pipeline does."""
    with connect(url, role="tonne_ingest", autocommit=True) as conn:
        held = Plan.of(load_fleet(conn), load_projects(conn), factors.load())
        remade = Store(held).remake_requested(conn)
        return remade, rebuild(conn, held, [0], 0, 2**52, replace=False)


def test_readings_are_judged_again_from_the_day_that_limits_change(load, database_url):
    """A limit registered later would not apply from its start, or would flag older readings."""
    load(BASE)
    times = T0_US + np.arange(8) * HOUR_US // 2
    commit(database_url, "inv-1", times, [950.0 + k for k in range(8)])
    assert _flags(database_url) == []
    load(TIGHTER)
    assert _take_up(database_url) == (1, [])
    # 05:00 is the first half hour under the new limits
    expected = [
        (int(us), "active_power_w", "gross_range") for us in times if us >= T0_US + 4 * HOUR_US
    ]
    assert _flags(database_url) == expected
    load(BASE + "    quality: []\n")
    assert _take_up(database_url) == (1, [])
    assert _flags(database_url) == []


def test_who_changed_a_limit_and_when_is_kept(load, database_url):
    """No one could say why a fault was no fault in March."""
    load(TIGHTER, author="lan")
    load(TIGHTER.replace("serial", "x"), author="minh")  # nothing new: it stays lan's
    with psycopg.connect(database_url) as conn:
        rows = conn.execute("SELECT author, reason, limits FROM device_quality").fetchall()
        history = conn.execute("SELECT author FROM registry_version ORDER BY version").fetchall()
    assert rows == [("lan", "curtailed to 90 %", {"bound_of_rated": [-0.05, 0.9]})]
    assert history == [("lan",)]


METERS = (
    BASE
    + """
  - {id: main, site: roof, class: energy_meter, profile: generic, installed: 2026-01-01T00:00:00Z}
  - {id: check, site: roof, class: energy_meter, profile: generic, installed: 2026-01-01T00:00:00Z,
     check_of: main, check_percent: 1.5}
"""
)


def test_a_check_meter_is_held_against_its_main_meter(load, database_url):
    """A meter that counts a fifth too much would be found by an auditor, not by its owner."""
    assert not load(METERS).refused
    with psycopg.connect(database_url) as conn:
        conn.cursor().executemany(
            "INSERT INTO interval_quantity (device_id, quantity, start, value, measured_us, "
            "estimated_us, unknown_us) VALUES (%s, 'energy_import', "
            "'2026-03-20T00:00Z'::timestamptz + %s * interval '15 min', %s, 900000000, 0, 0)",
            [
                (device, k, value + 150 * (device == "check" and k >= 4))
                for device in ("main", "check")
                for k, value in enumerate([10_000] * 4 + [1_000] * 8)
            ],
        )
        hours = conn.execute(
            "SELECT device_id, check_of, quarters, main_value, check_value, differs"
            " FROM v_meter_check_hour ORDER BY time"
        ).fetchall()
        days = conn.execute("SELECT day::text, differs FROM v_meter_check_day").fetchall()
    assert hours == [
        ("check", "main", 4, 40_000, 40_000, False),
        ("check", "main", 4, 4_000, 4_600, True),
        ("check", "main", 4, 4_000, 4_600, True),
    ]
    assert days == [("2026-03-20", True)]


EIGHTH_US = HOUR_US // 8


def _load(n, share):
    """Return a plant at a constant power whose register counts a share of its power."""
    times = T0_US + np.arange(n) * EIGHTH_US
    return times, np.full(n, 500.0), 10_000 + np.floor(np.arange(n) * 500 * share / 8)


def _whole_pass(url):
    """Return the differences between one pass over everything and the stored rows."""
    with connect(url, role="tonne_ingest", autocommit=True) as conn:
        held = Plan.of(load_fleet(conn), load_projects(conn), factors.load())
        return rebuild(conn, held, [0], 0, 2**52, replace=False)


@pytest.mark.parametrize(("share", "flagged"), [(1.0, 0), (0.5, 15)])
def test_a_standstill_is_corroborated_across_restarts(load, database_url, share, flagged):
    """Each restart at night would flag honest plants in the morning, or forget those that hang."""
    load(BASE)
    times, power, register = _load(64, share)
    for k in range(0, 64, 3):
        some = slice(k, k + 3)
        commit(database_url, "inv-1", times[some], power[some], export_wh=register[some])
    found = [us for us, channel, test in _flags(database_url) if test == "flat_line"]
    assert found == (times[49:].tolist() if flagged else [])
    assert _whole_pass(database_url) == []


def test_late_registers_corroborate_a_standstill(load, database_url):
    """What an outage of the meter's line flagged would stay flagged when its readings come."""
    load(BASE)
    times, power, register = _load(64, 1.0)
    late = (np.arange(64) > 4) & (np.arange(64) < 60)
    commit(database_url, "inv-1", times, power, export_wh=np.where(late, NULL, register))
    assert {test for *_, test in _flags(database_url)} == {"flat_line"}
    assert _whole_pass(database_url) == []
    for first in (30, 48, 8):  # those of a part of time, or two
        some = slice(first, first + 9)
        commit(database_url, "inv-1", times[some], power[some], export_wh=register[some])
        assert _whole_pass(database_url) == []
    commit(database_url, "inv-1", times[late], power[late], export_wh=register[late])
    assert _flags(database_url) == []
    assert _whole_pass(database_url) == []
