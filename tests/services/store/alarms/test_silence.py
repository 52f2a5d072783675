"""Alarms for missing data: one for each cause, cleared automatically, with its cost."""

import secrets

import numpy as np
import pandas as pd
import pytest

from services.store.views import alarms
from tests.services.store.alarms.rounds import HOUR, aged, heard, says, standing, sun, watch


def test_a_silence_is_raised_once_and_cleared_by_itself(conn):
    """A meter that comes and goes would raise an alarm every minute, or none at all."""
    sun(conn, 0)
    heard(conn, 1900, "alone")  # late, and not yet as long as the rule says
    assert watch(conn).raised == 0
    heard(conn, 2 * HOUR, "alone", "inv")
    done = watch(conn)
    # an inverter sleeps at night
    assert (done.raised, done.alarms) == (1, {("device_silent", "major", "open"): 1})
    assert watch(conn).raised == 0
    heard(conn, 0, "alone")
    assert watch(conn).cleared == 0
    heard(conn, 2 * HOUR, "alone")
    watch(conn)
    assert conn.execute("SELECT ending_since FROM alarm").fetchall() == [(None,)]
    heard(conn, 0, "alone")
    watch(conn)
    aged(conn)
    done = watch(conn)
    assert (done.raised, done.cleared, done.alarms) == (0, 1, {})
    history = alarms.by_id(conn, None, 1)["history"]
    assert [one["event"] for one in history] == ["raised", "cleared"]


def test_devices_behind_one_gateway_are_one_alarm(conn):
    """Ten thousand alarms of one cause hide all others."""
    heard(conn, 2 * HOUR, "a")
    watch(conn)
    assert standing(conn) == {("device_silent", "a")}
    heard(conn, 2 * HOUR, "a", "b", "c")
    done = watch(conn)
    assert (done.raised, done.cleared) == (1, 1)
    assert standing(conn) == {("gateway_silent", "gw")}
    (found,) = alarms.listed(conn, None, 10)
    assert (found["devices"], found["projects"]) == (3, ["p1", "p2"])
    joined = alarms.by_id(conn, None, 1)["history"][-1]
    assert joined["text"] == "joined the alarm of gw"
    # whoever sees one project learns of the gateway, and not how many devices others have
    (found,) = alarms.listed(conn, ["p1"], 10)
    assert (found["devices"], found["projects"]) == (None, ["p1"])
    assert alarms.listed(conn, ["other"], 10) == []


def test_inverters_are_missed_once_the_sun_has_shone_for_an_hour(conn):
    """A plant that is cut off in the morning would be found in the evening."""
    conn.execute("UPDATE device SET class = 'pv_inverter' WHERE id = ANY ('{a,b,c}')")
    sun(conn, 0)
    heard(conn, 5 * HOUR, "a", "b", "c", "inv")
    assert watch(conn).raised == 0  # they sleep
    sun(conn, 7)  # the sun stands at 15 degrees, and has not been above 10 for an hour
    assert watch(conn).raised == 0
    sun(conn, 9)
    assert watch(conn).raised == 2
    assert standing(conn) == {("device_silent", "inv"), ("gateway_silent", "gw")}
    sun(conn, 0)  # at night it stays
    assert (watch(conn).cleared, len(standing(conn))) == (0, 2)
    # who wants more patience for a device has it
    conn.execute(
        'UPDATE device SET attributes = \'{"alarms": {"device_silent": {"after_s": 43200}}}\''
        " WHERE id = 'alone'"
    )
    conn.execute("UPDATE device SET class = 'pv_inverter' WHERE id = 'alone'")
    sun(conn, 12)
    heard(conn, 5 * HOUR, "alone")
    assert watch(conn).raised == 0
    heard(conn, 13 * HOUR, "alone")
    assert watch(conn).raised == 1


def test_a_gateway_that_left_is_an_alarm_at_once(conn):
    """A gateway that fails would not be reported while its devices' last data are recent."""
    says(conn, "gw", "offline")
    assert watch(conn).raised == 1
    (found,) = alarms.listed(conn, None, 10)
    assert (found["kind"], found["subject"], found["cause"]) == ("gateway_silent", "gw", "will")
    assert (found["devices"], found["projects"]) == (3, ["p1", "p2"])
    heard(conn, 0, "b")  # it came back without a word; one that is late does not tell of it
    heard(conn, 2 * HOUR, "a")
    watch(conn)
    aged(conn)
    assert watch(conn).cleared == 1
    assert standing(conn) == {("device_silent", "a")}


def test_a_gateway_of_inverters_may_leave_at_dusk(conn):
    """Loggers that live on the inverters' power would be an alarm each evening."""
    conn.execute("UPDATE device SET class = 'pv_inverter' WHERE id = ANY ('{a,b,c}')")
    sun(conn, 20)
    says(conn, "gw", "offline")
    assert watch(conn).raised == 0
    sun(conn, 12)
    assert watch(conn).raised == 1


def test_a_device_that_left_has_five_minutes_to_come_back(conn):
    """A modem that dials in again would be an alarm, a meter without power none for an hour."""
    sun(conn, 0)
    for name in ("alone", "inv"):
        heard(conn, 400, name)
        says(conn, name, "offline", 200)
    assert watch(conn).raised == 0
    for name in ("alone", "inv"):
        says(conn, name, "offline", 350)
    watch(conn)
    assert standing(conn) == {("device_silent", "alone")}  # the inverter went to sleep
    sun(conn, 12)
    watch(conn)
    assert standing(conn) == {("device_silent", "alone"), ("device_silent", "inv")}


def test_the_sun_stands_where_pvlib_has_it(conn):
    """Plants would be missed by night, or in the afternoon alone."""
    import pvlib  # noqa: PLC0415 - takes a second, and this test alone needs it

    seed = secrets.randbits(32)
    chance = np.random.default_rng(seed)
    for latitude, longitude in ((20.9, 106.6), *chance.uniform((-66, -180), (66, 180), (4, 2))):
        times = pd.to_datetime(chance.integers(15 * 10**8, 22 * 10**8, 50), unit="s", utc=True)
        rows = conn.execute(
            "SELECT tonne_sun_elevation(%s, %s, at) FROM unnest(%s::timestamptz[])"
            " WITH ORDINALITY AS t (at, n) ORDER BY n",
            [float(latitude), float(longitude), [one.to_pydatetime() for one in times]],
        ).fetchall()
        sun = pvlib.solarposition.get_solarposition(times, latitude, longitude)
        error = np.abs(np.array(rows)[:, 0] - sun["elevation"].to_numpy())
        assert error.max() < 0.1, f"seed {seed}"


def test_a_project_that_is_silent_as_a_whole_is_one_alarm(conn):
    """A site whose network is down would look like as many faults as it has meters."""
    conn.execute("UPDATE device SET gateway = NULL")
    heard(conn, 2 * HOUR, "a")
    watch(conn)
    heard(conn, 2 * HOUR, "a", "b")
    watch(conn)
    assert standing(conn) == {("project_silent", "p1")}  # the gateway measures nothing by itself


def test_what_silence_costs_stands_in_the_alarm(conn):
    """The alarm with the largest loss would not be listed first."""
    conn.execute("INSERT INTO silence_rate VALUES ('p2', 'alone', 'fuel', 'project', 1e9)")
    heard(conn, 2 * HOUR, "alone")
    watch(conn)
    (found,) = alarms.listed(conn, None, 10)
    wanted = conn.execute(
        "SELECT cost_t_per_day FROM v_silence_cost WHERE device_id = 'alone'"
    ).fetchone()[0]
    assert found["cost_t_per_day"] == wanted > 0


def test_silences_of_a_project_cost_no_more_than_it_was_expected_to_make(conn):
    """Two meters of one project would cost ten times what it makes, and the sum mean nothing."""
    conn.execute("UPDATE project SET expected = '{\"reduction_t_per_year\": 365}' WHERE id = 'p2'")
    conn.execute("UPDATE device SET gateway = NULL")
    conn.execute(
        "INSERT INTO silence_rate VALUES ('p2', 'alone', 'fuel', 'project', 1e13),"
        " ('p2', 'c', 'fuel', 'project', 1e10)"
    )
    heard(conn, 49 * HOUR, "alone")
    heard(conn, 25 * HOUR, "c")
    found = conn.execute(
        "SELECT device_id, cost_t, tonne_expected_t('p2', since), cost_t_per_day,"
        " sum(cost_t) OVER (), max(tonne_expected_t('p2', since)) OVER ()"
        " FROM v_silence_cost WHERE project_id = 'p2' ORDER BY device_id"
    ).fetchall()
    assert [row[0] for row in found] == ["alone", "c"]
    for _, cost, expected, a_day, together, most in found:
        assert 0 < cost <= expected
        assert 0 < a_day < 1
        assert together == pytest.approx(most)
    assert float(sum(row[3] for row in found)) == pytest.approx(1)
    watch(conn)
    (alarm,) = (a for a in alarms.listed(conn, None, 10) if a["subject"] == "p2")
    assert float(alarm["cost_t_per_day"]) == pytest.approx(1)
    # its time is over
    conn.execute("UPDATE project SET crediting = '[2026-01-01,2026-01-02)' WHERE id = 'p2'")
    over = conn.execute("SELECT cost_t, cost_t_per_day FROM v_silence_cost WHERE side = 'project'")
    assert over.fetchall() == [(0, 0), (0, 0)]
