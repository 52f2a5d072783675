"""Devices that have not reported yet: a separate list, and no alarm before their first day."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import psycopg
import pytest

from services.store.views.device_page import not_commissioned
from tests.invoked import tonne
from tests.registering import imported
from tests.services.store import placed
from tests.services.store.alarms.rounds import HOUR, site_today, standing, sun, watch
from tests.services.stored_power import commit

DAY_US = 86_400_000_000
FILE = """id,site,class,profile,rated_power_w,installed,gateway,commissioned
new-1,s,pv_inverter,generic,1000,2026-01-01T00:00:00+07:00,,
new-2,s,pv_inverter,generic,1000,2026-01-01T00:00:00+07:00,,
late-1,s,pv_inverter,generic,1000,2026-01-01T00:00:00+07:00,,{today}
"""


def _now_us():
    return int(datetime.now(UTC).timestamp() * 1e6)


def _states(conn):
    return dict(conn.execute("SELECT device_id, state FROM v_device_health").fetchall())


def _stored(url, device, ended_us, received_us):
    """Store a day of 15-minute intervals up to a time, all received at once."""
    times = ended_us - np.arange(96)[::-1] * 900_000_000
    commit(url, device, times, np.linspace(100, 900, 96), received_us)


def test_a_list_of_devices_raises_nothing_before_one_of_them_is_wired(
    database_url, tmp_path, monkeypatch
):
    """An import would wake the control room and every receiver of events for meters in boxes."""
    with psycopg.connect(database_url, autocommit=True) as conn:
        placed.site(conn)
        sun(conn, 12)
        (tmp_path / "devices.csv").write_text(FILE.format(today=""), "utf-8")
        assert not imported(database_url, tmp_path / "devices.csv").refused
        assert set(_states(conn).values()) == {"not commissioned"}
        # readings of earlier days, brought in from a file, are no device that reports
        _stored(database_url, "new-1", _now_us() - 30 * DAY_US, _now_us())
        assert watch(conn).raised == 0
        assert conn.execute("SELECT count(*) FROM alarm_event").fetchone() == (0,)
        assert conn.execute("SELECT count(*) FROM v_silence_cost").fetchone() == (0,)
        monkeypatch.setenv("TONNE_DATABASE_URL", database_url)
        said = tonne("devices", "list", "--state", "not commissioned", "--json", code=0)
        assert [one["device"] for one in json.loads(said.stdout)] == ["late-1", "new-1", "new-2"]
        waiting = {one.device: one.stored for one in not_commissioned(conn, None)}
        assert waiting["new-1"] < datetime.now(UTC) - timedelta(days=29)
        assert waiting["new-2"] is None
        # its first reading that comes on time commissions it; from then on it is missed
        _stored(database_url, "new-1", _now_us() - 60_000_000, _now_us())
        assert _states(conn) == {
            "new-1": "online", "new-2": "not commissioned", "late-1": "not commissioned",
        }  # fmt: skip
        conn.execute("UPDATE device_seen SET last_reading = last_reading - interval '3 hours'")
        watch(conn)
        assert standing(conn) == {("device_silent", "new-1")}


def test_a_device_that_never_came_is_missed_from_its_day_on(conn):
    """A meter that was wired wrongly would wait in a list, and its owner would never hear."""
    placed.device(conn, "wrong", "energy_meter")
    conn.execute(
        "UPDATE device SET commissioned = %s::date + 1 WHERE id = 'wrong'", [site_today(conn)]
    )
    assert watch(conn).raised == 0
    assert _states(conn)["wrong"] == "not commissioned"
    conn.execute("UPDATE device SET commissioned = commissioned - 2 WHERE id = 'wrong'")
    assert watch(conn).raised == 1
    row = conn.execute("SELECT kind, subject, cause, since FROM alarm").fetchone()
    yesterday = conn.execute(
        "SELECT tonne_clock('Asia/Ho_Chi_Minh', (%s::date - 1)::timestamp)", [site_today(conn)]
    ).fetchone()
    assert row == ("device_silent", "wrong", "never heard", *yesterday)
    # late readings end the false alarm in the next round; the true one has their time
    conn.execute(
        "INSERT INTO device_seen VALUES ('wrong', now() - interval '6 hours', now(), '-infinity',"
        " repeat('0', 100)::bit(100))"
    )
    late = "SELECT cause, extract(epoch FROM now() - since)::int / 3600 FROM v_alarm"
    assert conn.execute(late).fetchone() == ("silence", 6)
    assert (watch(conn).cleared, watch(conn).raised) == (1, 1)
    cause, hours = conn.execute(
        "SELECT cause, extract(epoch FROM now() - since) / 3600 FROM alarm WHERE cleared IS NULL"
    ).fetchone()
    assert cause == "silence"
    assert 5.9 < hours < 6.1


def test_what_is_not_commissioned_makes_no_gateway_dark_and_hides_none(conn):
    """
    A gateway still being equipped with meters would be an alarm,
    or one without data would not.
    """
    placed.device(conn, "gw-2", "energy_meter")
    for name in ("x", "y"):
        placed.device(conn, name, "energy_meter", gateway="gw-2")
    assert watch(conn).raised == 0
    assert _states(conn)["gw-2"] == "not commissioned"
    placed.heard(conn, "x", 2 * HOUR)
    watch(conn)
    assert standing(conn) == {("gateway_silent", "gw-2")}
    assert conn.execute("SELECT devices FROM alarm").fetchone() == (1,)


@pytest.mark.parametrize(
    ("heard_s", "day", "state"),
    [
        (None, None, "not commissioned"),
        (None, 10, "never heard"),
        (9000, None, "silent"),
        (10, None, "heard"),
    ],
)
def test_a_project_is_as_its_devices_are(conn, heard_s, day, state):
    """A project that is being built would be called silent, and what it missed be counted."""
    sun(conn, 12)
    placed.project(conn, "p3")
    conn.execute("UPDATE project SET expected = '{\"reduction_t_per_year\": 365}' WHERE id = 'p3'")
    placed.device(conn, "m", "energy_meter")
    placed.serve(conn, "p3", "m", 0)
    if heard_s is not None:
        placed.heard(conn, "m", heard_s)
    if day is not None:
        conn.execute("UPDATE device SET commissioned = now()::date - %s WHERE id = 'm'", [day])
    row = conn.execute(
        "SELECT state, silent_since IS NOT NULL, missed_t FROM v_project_state"
        " WHERE project_id = 'p3'"
    ).fetchone()
    assert row[:2] == (state, state == "silent")
    assert (row[2] is None) == (state in {"not commissioned", "heard"})
    if state == "never heard":  # since its day, and not since it began to serve
        assert 8 < row[2] < 12
