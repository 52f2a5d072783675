"""What receipts say of devices' clocks, and where it is shown."""

import numpy as np
import psycopg
import pytest

from tests.services.store import placed
from tests.services.stored_power import commit

DAY_US = 86_400_000_000
T0_US = 1_773_964_800_000_000  # 2026-03-20T00:00Z
S = 1_000_000


@pytest.fixture
def url(database_url):
    """A database with one inverter."""
    with psycopg.connect(database_url) as conn:
        placed.site(conn)
        placed.device(conn, "d")
    return database_url


def _health(url):
    with psycopg.connect(url) as conn:
        return conn.execute(
            "SELECT clock, clock_offset_s, round(clock_drift_s_per_day::numeric, 1)"
            " FROM v_device_health"
        ).fetchone()


@pytest.mark.parametrize(("offset_s", "clock"), [(0.0, "good"), (-240.0, "good"), (90.0, "ahead")])
def test_a_clock_that_is_off_is_reported(url, offset_s, clock):
    """A device clock that deviates is reported."""
    received = T0_US + 12 * 3600 * S + np.arange(5) * 60 * S
    lag = np.array([3.0, 0.5, 2.0, 9.0, 1.0]) - offset_s
    commit(url, "d", received - (lag * S).astype(np.int64), np.arange(5.0), received.tolist())
    told, offset, _ = _health(url)
    assert told == clock
    assert offset == pytest.approx(offset_s - 0.5, abs=0.11)


def test_a_clock_is_behind_once_a_second_day_shows_it(url):
    """A device that sends every 15 minutes what it kept would get a technician for it."""
    behind = 420 * S
    for day in range(2):
        received = T0_US + day * DAY_US + 12 * 3600 * S
        commit(url, "d", np.array([received - behind]), np.array([float(day)]), received)
        assert _health(url)[0] == ("not known", "behind")[day]


def test_a_backlog_says_nothing_of_the_clock(url):
    """Each device that was offline for a day would be sent a technician for its clock."""
    now = T0_US + DAY_US
    times = now - np.arange(100)[::-1] * 600 * S - 2 * S
    commit(url, "d", times, np.arange(100.0), now)
    assert _health(url)[:2] == ("good", -2.0)


def test_a_day_of_readings_that_were_kept_says_nothing_of_the_clock(url):
    """A recording that is sent ten months later would be a clock fault of ten months, each day."""
    kept = T0_US - 300 * DAY_US
    for day in range(2):
        received = T0_US + day * DAY_US + 12 * 3600 * S
        commit(url, "d", np.array([kept + day * 600 * S]), [1.0], received)
        assert _health(url)[:2] == ("not known", None)
    # two days that say the same are a clock
    for day in range(2, 4):
        received = T0_US + day * DAY_US + 12 * 3600 * S
        commit(url, "d", np.array([received - 7 * 3600 * S]), [1.0], received)
    assert _health(url)[0] == "behind"


def test_a_clock_that_drifts_is_told_before_it_is_off(url):
    """A clock that loses 15 s a day is a 15 minutes off after two months."""
    for day in range(8):
        received = T0_US + day * DAY_US + 12 * 3600 * S
        time_us = received - (1 + 15 * day) * S
        commit(url, "d", np.array([time_us]), [1.0], received)
    assert _health(url)[0] == "drifting"
    assert float(_health(url)[2]) == -15.0


def test_order_and_repetition_change_no_clock(url):
    """A redelivery or another cut would move a clock that no one touched."""
    rng = np.random.default_rng(7)
    received = T0_US + rng.integers(0, 3 * DAY_US, 60)
    times = received - rng.integers(-30 * S, 20_000 * S, 60)
    found = []
    for name in ("d", "e", "f"):
        if name != "d":
            with psycopg.connect(url) as conn:
                placed.device(conn, name)
        order = np.concatenate([rng.permutation(60), rng.integers(0, 60, 20)])
        for part in np.array_split(order, 1 if name == "d" else 6):
            commit(url, name, times[part], np.zeros(len(part)), received[part].tolist())
        with psycopg.connect(url) as conn:
            found.append(
                conn.execute(
                    "SELECT day, least_us FROM clock_lag WHERE device_id = %s ORDER BY day", [name]
                ).fetchall()
            )
    assert len(found[0]) == 3
    assert found[0] == found[1] == found[2]
