"""Alarms: raised once a cause, cleared by themselves, taken up by people, kept for ever."""

import json
import secrets
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import psycopg
import pytest
from click.testing import CliRunner

from ingest.errors import InputError
from mrv.errors import StatementStateError
from services.cli.main import main
from services.issuer.watcher import Watcher
from services.logs import get_logger
from services.metrics import Metrics
from services.registry import alarm_rules
from services.store.views import alarm_round, alarms
from services.store.views.silence_causes import TO_DO

pytestmark = pytest.mark.integration
HOUR = 3600
# days are the site's: by UTC it is yesterday until seven in the morning
_TODAY = "SELECT (now() AT TIME ZONE 'Asia/Ho_Chi_Minh')::date"


@pytest.fixture
def conn(database_url):
    """A gateway with three meters behind it, one meter and one inverter alone; all heard now."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("INSERT INTO site VALUES ('s', 'S', 20.9, 106.6, 'Asia/Ho_Chi_Minh')")
        for name, gateway, class_id in (
            ("gw", None, "energy_meter"),
            ("a", "gw", "energy_meter"),
            ("b", "gw", "energy_meter"),
            ("c", "gw", "energy_meter"),
            ("alone", None, "energy_meter"),
            ("inv", None, "pv_inverter"),
        ):
            connection.execute(
                "INSERT INTO device (id, site, class, profile, installed, gateway)"
                " VALUES (%s, 's', %s, 'generic', '2026-01-01Z', %s)",
                [name, class_id, gateway],
            )
            if name != "gw":
                connection.execute(
                    "INSERT INTO device_seen VALUES (%s, now(), now(), '-infinity',"
                    " repeat('0', 100)::bit(100))",
                    [name],
                )
        for project, devices in (("p1", ["a", "b"]), ("p2", ["c", "alone"])):
            connection.execute(
                "INSERT INTO project (id, name, methodology, version, timezone, crediting,"
                " crediting_from, crediting_to) VALUES (%s, 'P', 'jcm-vn-am007', '1.0',"
                " 'Asia/Ho_Chi_Minh', '[2026-01-01,2036-01-01)', '2026-01-01', '2036-01-01')",
                [project],
            )
            for position, device in enumerate(devices):
                connection.execute(
                    "INSERT INTO project_device (project_id, device_id, role, position, during)"
                    " VALUES (%s, %s, 'generation', %s, '[2026-01-01,2036-01-01)')",
                    [project, device, position],
                )
        yield connection


def _today(conn):
    return conn.execute(_TODAY).fetchone()[0]


def _heard(conn, ago_s, *names):
    conn.execute(
        "UPDATE device_seen SET last_reading = now() - %(s)s * interval '1 s',"
        " received = now() - %(s)s * interval '1 s' WHERE device_id = ANY (%(d)s)",
        {"d": list(names), "s": ago_s},
    )


def _sun(conn, hour):
    """Move the site to where it is this hour by the sun, on the equator."""
    now = datetime.now(UTC)
    east = (hour - now.hour - now.minute / 60) * 15
    conn.execute("UPDATE site SET latitude = 0, longitude = %s", [(east + 540) % 360 - 180])


def _says(conn, name, state, ago_s=0):
    conn.execute(
        "INSERT INTO principal_status VALUES (%(n)s, %(w)s, now() - %(s)s * interval '1 s')"
        " ON CONFLICT (principal) DO UPDATE SET said = excluded.said, at = excluded.at",
        {"n": name, "w": state, "s": ago_s},
    )


def _round(conn):
    conn.execute("SET ROLE tonne_mrv")
    try:
        return alarm_round.run(conn)
    finally:
        conn.execute("RESET ROLE")


def _now(conn, scope=None, states=("open", "acknowledged")):
    found = alarms.listed(conn, scope, 100, states=states)
    return {(one["kind"], one["subject"]) for one in found}


def _aged(conn):
    """Let the time pass for which a cause has to be away."""
    conn.execute("ALTER TABLE alarm DISABLE TRIGGER alarm_life")
    conn.execute(
        "UPDATE alarm SET ending_since = ending_since - interval '1 day',"
        " raised = raised - interval '2 days' WHERE ending_since IS NOT NULL"
    )
    conn.execute("ALTER TABLE alarm ENABLE TRIGGER alarm_life")


def test_a_silence_is_raised_once_and_cleared_by_itself(conn):
    """A meter that comes and goes would raise an alarm every minute, or none at all."""
    _sun(conn, 0)
    _heard(conn, 1900, "alone")  # late, and not yet as long as the rule says
    assert _round(conn).raised == 0
    _heard(conn, 2 * HOUR, "alone", "inv")
    done = _round(conn)
    # an inverter sleeps at night
    assert (done.raised, done.alarms) == (1, {("device_silent", "major", "open"): 1})
    assert _round(conn).raised == 0
    _heard(conn, 0, "alone")
    assert _round(conn).cleared == 0
    _heard(conn, 2 * HOUR, "alone")
    _round(conn)
    assert conn.execute("SELECT ending_since FROM alarm").fetchall() == [(None,)]
    _heard(conn, 0, "alone")
    _round(conn)
    _aged(conn)
    done = _round(conn)
    assert (done.raised, done.cleared, done.alarms) == (0, 1, {})
    history = alarms.one(conn, None, 1)["history"]
    assert [one["event"] for one in history] == ["raised", "cleared"]


def test_devices_behind_one_gateway_are_one_alarm(conn):
    """Ten thousand alarms of one cause hide all others."""
    _heard(conn, 2 * HOUR, "a")
    _round(conn)
    assert _now(conn) == {("device_silent", "a")}
    _heard(conn, 2 * HOUR, "a", "b", "c")
    done = _round(conn)
    assert (done.raised, done.cleared) == (1, 1)
    assert _now(conn) == {("gateway_silent", "gw")}
    (found,) = alarms.listed(conn, None, 10)
    assert (found["devices"], found["projects"]) == (3, ["p1", "p2"])
    joined = alarms.one(conn, None, 1)["history"][-1]
    assert joined["text"] == "joined the alarm of gw"
    # whoever sees one project learns of the gateway, and not how many devices others have
    (found,) = alarms.listed(conn, ["p1"], 10)
    assert (found["devices"], found["projects"]) == (None, ["p1"])
    assert alarms.listed(conn, ["other"], 10) == []


def test_inverters_are_missed_once_the_sun_has_shone_for_an_hour(conn):
    """A plant that is cut off in the morning would be found in the evening."""
    conn.execute("UPDATE device SET class = 'pv_inverter' WHERE id = ANY ('{a,b,c}')")
    _sun(conn, 0)
    _heard(conn, 5 * HOUR, "a", "b", "c", "inv")
    assert _round(conn).raised == 0  # they sleep
    _sun(conn, 7)  # the sun stands at 15 degrees, and has not been above 10 for an hour
    assert _round(conn).raised == 0
    _sun(conn, 9)
    assert _round(conn).raised == 2
    assert _now(conn) == {("device_silent", "inv"), ("gateway_silent", "gw")}
    _sun(conn, 0)  # at night it stays
    assert (_round(conn).cleared, len(_now(conn))) == (0, 2)
    # who wants more patience for a device has it
    conn.execute(
        'UPDATE device SET attributes = \'{"alarms": {"device_silent": {"after_s": 43200}}}\''
        " WHERE id = 'alone'"
    )
    conn.execute("UPDATE device SET class = 'pv_inverter' WHERE id = 'alone'")
    _sun(conn, 12)
    _heard(conn, 5 * HOUR, "alone")
    assert _round(conn).raised == 0
    _heard(conn, 13 * HOUR, "alone")
    assert _round(conn).raised == 1


def test_a_gateway_that_left_is_an_alarm_at_once(conn):
    """Its devices were heard a moment ago, and for half an hour nobody would know."""
    _says(conn, "gw", "offline")
    assert _round(conn).raised == 1
    (found,) = alarms.listed(conn, None, 10)
    assert (found["kind"], found["subject"], found["cause"]) == ("gateway_silent", "gw", "will")
    assert (found["devices"], found["projects"]) == (3, ["p1", "p2"])
    _heard(conn, 0, "b")  # it came back without a word; one that is late does not tell of it
    _heard(conn, 2 * HOUR, "a")
    _round(conn)
    _aged(conn)
    assert _round(conn).cleared == 1
    assert _now(conn) == {("device_silent", "a")}


def test_a_gateway_of_inverters_may_leave_at_dusk(conn):
    """Loggers that live on the inverters' power would be an alarm each evening."""
    conn.execute("UPDATE device SET class = 'pv_inverter' WHERE id = ANY ('{a,b,c}')")
    _sun(conn, 20)
    _says(conn, "gw", "offline")
    assert _round(conn).raised == 0
    _sun(conn, 12)
    assert _round(conn).raised == 1


def test_a_device_that_left_has_five_minutes_to_come_back(conn):
    """A modem that dials in anew would be an alarm, a meter without power none for an hour."""
    _sun(conn, 0)
    for name in ("alone", "inv"):
        _heard(conn, 400, name)
        _says(conn, name, "offline", 200)
    assert _round(conn).raised == 0
    for name in ("alone", "inv"):
        _says(conn, name, "offline", 350)
    _round(conn)
    assert _now(conn) == {("device_silent", "alone")}  # the inverter went to sleep
    _sun(conn, 12)
    _round(conn)
    assert _now(conn) == {("device_silent", "alone"), ("device_silent", "inv")}


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
    _heard(conn, 2 * HOUR, "a")
    _round(conn)
    _heard(conn, 2 * HOUR, "a", "b")
    _round(conn)
    assert _now(conn) == {("project_silent", "p1"), ("device_silent", "gw")}


def test_what_silence_costs_stands_in_the_alarm(conn):
    """The dearest alarm would not be the first that somebody goes to."""
    conn.execute("INSERT INTO silence_rate VALUES ('p2', 'alone', 'fuel', 'project', 1e9)")
    _heard(conn, 2 * HOUR, "alone")
    _round(conn)
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
    _heard(conn, 49 * HOUR, "alone")
    _heard(conn, 25 * HOUR, "c")
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
    _round(conn)
    (alarm,) = (a for a in alarms.listed(conn, None, 10) if a["subject"] == "p2")
    assert float(alarm["cost_t_per_day"]) == pytest.approx(1)
    # its time is over
    conn.execute("UPDATE project SET crediting = '[2026-01-01,2026-01-02)' WHERE id = 'p2'")
    over = conn.execute("SELECT cost_t, cost_t_per_day FROM v_silence_cost WHERE side = 'project'")
    assert over.fetchall() == [(0, 0), (0, 0)]


def test_limits_frozen_gauges_certificates_chargers_and_clocks(conn):
    """What no silence tells would be seen by whoever happens to open the right board."""
    conn.execute(
        "INSERT INTO indicator_value (device_id, indicator, start, value, grade, period) VALUES"
        " ('alone', 'noise', now() - interval '3 hours', 80, 'exceeded', 'hour'),"
        " ('alone', 'noise', now() - interval '2 hours', 50, 'within', 'hour'),"
        " ('alone', 'noise', now() - interval '1 hour', 90, 'exceeded', 'hour'),"
        " ('a', 'noise', now() - interval '2 hours', 90, 'exceeded', 'hour'),"
        " ('a', 'noise', now() - interval '1 hour', 50, 'within', 'hour')"
    )
    conn.execute(
        "INSERT INTO quality_flag SELECT 'inv', now() - k * interval '10 minutes',"
        " 'active_power_w', 'flat_line' FROM generate_series(0, 12) k"
    )
    conn.execute(
        "INSERT INTO calibration VALUES ('a', '2024-01-01', now()::date - 5, 'C-1'),"
        " ('b', '2024-01-01', now()::date + 30, 'C-2')"
    )
    conn.execute("INSERT INTO clock_lag VALUES ('c', now()::date, -120000000)")
    conn.execute(
        "INSERT INTO credential (principal, kind, serial, fingerprint, issued, expires) VALUES"
        " ('gw', 'certificate', 'ab', repeat('0', 64), now() - interval '1 year',"
        " now() + interval '10 days')"
    )
    conn.execute(
        "INSERT INTO device (id, site, class, profile, installed) SELECT n, 's', 'ev_charger',"
        " 'generic', '2026-01-01Z' FROM unnest(ARRAY['dead', 'good']) n"
    )
    conn.execute(
        "INSERT INTO device_seen SELECT n, now(), now(), '-infinity', repeat('0', 100)::bit(100)"
        " FROM unnest(ARRAY['dead', 'good']) n"
    )
    conn.execute(
        "INSERT INTO day_quantity (device_id, quantity, day, timezone, value, measured_us)"
        " SELECT n, 'energy_import', %s::date - k, 'Asia/Ho_Chi_Minh',"
        " CASE n WHEN 'good' THEN 9000 ELSE 0 END, 86400000000"
        " FROM unnest(ARRAY['dead', 'good']) n, generate_series(0, 9) k",
        [_today(conn)],
    )
    charged = (
        "INSERT INTO interval_quantity (device_id, quantity, start, value, measured_us,"
        " estimated_us, unknown_us) SELECT n, 'energy_import', date_bin('15 minutes', now(),"
        " '2000-01-01Z') - k * interval '12 hours', CASE n WHEN 'good' THEN 10 ELSE 0 END,"
        " 900000000, 0, 0 FROM unnest(ARRAY['dead', 'good']) n, generate_series(0, 4) k"
    )
    conn.execute(charged)
    _round(conn)
    assert _now(conn) == {
        ("limit_exceeded", "alone"), ("gauge_frozen", "inv"), ("certificate_expired", "a"),
        ("certificate_expiring", "b"), ("clock_fault", "c"), ("credential_expiring", "gw"),
        ("charger_dead", "dead"),
    }  # fmt: skip


def test_an_inverter_below_its_neighbours_for_days(conn):
    """A string that is out for a season costs a tenth of a plant, and every sensor says well."""
    conn.execute("UPDATE device SET class = 'pv_inverter', rated_power_w = 1000 WHERE id <> 'gw'")
    low = "INSERT INTO day_quantity (device_id, quantity, day, timezone, value, measured_us)"
    today = _today(conn)
    conn.execute(
        low + " SELECT n, 'energy_export', %s::date - k, 'Asia/Ho_Chi_Minh',"
        " CASE WHEN n = 'a' AND k < 7 THEN 2000 WHEN n = 'b' AND k < 4 THEN 2000 ELSE 4500 END,"
        " 86400000000 FROM unnest(ARRAY['a', 'b', 'c', 'alone', 'inv']) n, generate_series(2, 7) k",
        [today],
    )
    _round(conn)
    # b is low on two days alone
    assert _now(conn) == {("inverter_low", "a")}
    (found,) = alarms.listed(conn, None, 10)
    assert found["cause"] == "yield against its site"
    assert (found["detail"]["value"], found["cost_t_per_day"]) == (0.444, None)
    # half a kilogram a kilowatt hour by its project's account, and 2.5 h less than its plant
    conn.execute(
        "INSERT INTO day_emission (project_id, device_id, day, timezone, baseline_ug, project_ug,"
        " leakage_ug, reduction_ug) SELECT 'p1', 'a', %s::date - k, 'Asia/Ho_Chi_Minh',"
        " 1000000000, 0, 0, 1000000000 FROM generate_series(2, 5) k",
        [today],
    )
    _round(conn)
    (found,) = alarms.listed(conn, None, 10)
    assert float(found["cost_t_per_day"]) == pytest.approx(2.5 * 0.0005)
    # the registry expects less of this one
    conn.execute(
        'UPDATE device SET attributes = \'{"alarms": {"inverter_low": {"off": true}}}\''
        " WHERE id = 'a'"
    )
    assert _round(conn).cleared == 1


def test_a_furnace_that_needs_more_than_usual(conn):
    """A lining that wears out burns the reduction of a month, and every meter says well."""
    conn.execute("UPDATE device SET class = 'furnace' WHERE id = 'a'")
    conn.execute("UPDATE device SET class = 'weighbridge' WHERE id = 'b'")
    fill = (
        "INSERT INTO day_quantity (device_id, quantity, day, timezone, value, measured_us)"
        " SELECT 'a', 'energy_import', %(today)s::date - k, 'Asia/Ho_Chi_Minh', CASE WHEN k < 5"
        " THEN %(now)s ELSE 6000000 + 1000 * k END, 1 FROM generate_series(2, 20) k UNION ALL"
        " SELECT 'b', 'mass', %(today)s::date - k, 'Asia/Ho_Chi_Minh', 10000000, 1"
        " FROM generate_series(2, 20) k"
    )
    today = _today(conn)
    conn.execute(
        fill, {"now": 6_600_000, "today": today}
    )  # a tenth above the usual 601.25 kWh/t: not yet
    emitted = (
        "INSERT INTO day_emission (project_id, device_id, day, timezone, baseline_ug, project_ug,"
        " leakage_ug, reduction_ug) SELECT 'p1', 'a', q.day, 'Asia/Ho_Chi_Minh', 0,"
        " q.value * 659200, 0, -q.value * 659200 FROM day_quantity q WHERE q.device_id = 'a'"
    )
    conn.execute(emitted)
    assert _round(conn).raised == 0
    conn.execute("DELETE FROM day_emission")
    conn.execute(
        "UPDATE day_quantity SET value = 7200000 WHERE device_id = 'a' AND day > %s::date - 5",
        [today],
    )
    conn.execute(emitted)
    _round(conn)
    (found,) = alarms.listed(conn, None, 10)
    assert (found["kind"], found["subject"], found["projects"]) == ("energy_high", "p1", ["p1"])
    assert (found["detail"]["value"], found["detail"]["unit"]) == (720.0, "kWh/t")
    usual = 601.25
    assert found["detail"]["usual"] == pytest.approx(usual, abs=0.1)
    # 10 t a day at the grid's factor
    cost = 10 * (720 - usual) * 0.6592e-3
    assert float(found["cost_t_per_day"]) == pytest.approx(cost, rel=1e-3)
    conn.execute(
        "UPDATE day_quantity SET value = 6300000 WHERE device_id = 'a' AND day = %s::date - 2",
        [today],
    )
    assert _round(conn).cleared == 1


def test_people_take_up_and_comment(conn, database_url, monkeypatch):
    """Two technicians would drive to the same meter, and nobody know what the first one found."""
    monkeypatch.setenv("TONNE_DATABASE_URL", database_url)
    _heard(conn, 2 * HOUR, "alone")
    _round(conn)

    def tonne(*words, fails=0):
        said = CliRunner().invoke(main, ["alarms", *words])
        assert said.exit_code == fails, said.output
        return said.output

    assert "device_silent" in tonne("list")
    # by the clock of its site, as devices are shown
    assert all("+07:00" in text and "Z" not in text for text in (tonne("list"), tonne("show", "1")))
    tonne("acknowledge", "1", "--text", "on the way", "--author", "Mai")
    tonne("comment", "1", "--text", "fuse", "--author", "Mai")
    tonne("comment", "1", "--text", " ", fails=2)
    tonne("comment", "99", "--text", "x", fails=2)
    found = json.loads(tonne("show", "1", "--json"))
    assert (found["state"], found["acknowledged_by"]) == ("acknowledged", "Mai")
    assert [e["event"] for e in found["history"]] == ["raised", "acknowledged", "commented"]
    assert "Look at its power" in tonne("show", "1")
    assert json.loads(tonne("list", "--state", "cleared", "--json")) == []
    with pytest.raises(StatementStateError, match="by Mai"):
        alarms.acknowledge(conn, 1, "Nam")
    with pytest.raises(InputError):
        alarms.comment(conn, 1, "Nam", "x" * 3000)


def test_what_to_do_goes_by_the_cause_of_now(conn, database_url, monkeypatch):
    """A technician would drive at night to a meter that speaks, and is refused."""
    monkeypatch.setenv("TONNE_DATABASE_URL", database_url)
    _heard(conn, 2 * HOUR, "alone", "inv")
    conn.execute("UPDATE device SET class = 'energy_meter' WHERE id = 'inv'")
    _round(conn)

    def told(subject):
        (found,) = alarms.listed(conn, None, 100, subject=subject)
        assert alarms.one(conn, None, found["id"])["what_to_do"] == found["what_to_do"]
        return found["cause"], found["cause_now"], found["what_to_do"]

    assert told("alone")[:2] == ("silence", None)
    conn.execute(
        "INSERT INTO dead_letter (received, topic, principal, reason, detail, payload, sha256)"
        " VALUES (now(), 'tonne/v1/alone/telemetry', 'alone', 'malformed_json', 'x', 'x',"
        " sha256('x'))"
    )
    conn.execute(
        "INSERT INTO credential (principal, kind, revoked, revoked_by, reason)"
        " VALUES ('inv', 'password', now(), 'test', 'lost')"
    )
    assert told("alone") == ("silence", "refused", TO_DO["refused"][1])
    assert told("inv") == ("silence", "credential", TO_DO["credential"][1])
    (number,) = [one["id"] for one in alarms.listed(conn, None, 100, subject="alone")]
    said = CliRunner().invoke(main, ["alarms", "show", str(number)]).output
    assert "its messages are refused" in said
    assert "its power" not in said
    # what is stored after it was refused was good: it is silent by itself again
    _heard(conn, 0, "alone")
    assert told("alone")[:2] == ("silence", None)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM alarm",
        "UPDATE alarm SET since = now()",
        "UPDATE alarm_event SET text = 'x'",
        "DELETE FROM alarm_event",
        "TRUNCATE alarm_event, alarm",
    ],
)
def test_history_is_only_added_to(conn, statement):
    """Whoever overlooked an alarm could make it not have been."""
    _heard(conn, 2 * HOUR, "alone")
    _round(conn)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        conn.execute(statement)


def test_the_watcher_tells_prometheus(conn, database_url):
    """Alertmanager would know of the pipeline alone."""
    _heard(conn, 2 * HOUR, "alone")
    metrics = Metrics()
    Watcher(database_url, metrics, get_logger("watch")).see_alarms()
    labels = {"kind": "device_silent", "severity": "major", "state": "open"}
    assert metrics.registry.get_sample_value("tonne_alarms", labels) == 1


def test_many_alarms_at_once_are_counted_for_plans(conn):
    """A list of alarms would take seconds on the night on which there are many."""
    with conn.transaction(), conn.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO device (id, site, class, profile, installed)"
            " VALUES (%s, 's', 'energy_meter', 'generic', '2026-01-01Z')",
            [[f"m{k}"] for k in range(200)],
        )
    assert _round(conn).raised >= 200
    known = conn.execute(
        "SELECT reltuples FROM pg_class WHERE oid IN ('alarm'::regclass, 'alarm_event'::regclass)"
    ).fetchall()
    assert min(known) >= (200,)


def test_what_the_registry_sets_for_a_device_is_held_against_the_rules():
    """A misspelt override would be ignored, and the alarm raised or missed all the same."""
    assert list(alarm_rules.problems({"device_silent": {"after_s": 7200, "off": False}})) == []
    wrong = {"silence": {}, "clock_fault": 3, "device_silent": {"days": 3, "after_s": -1, "off": 1}}
    assert len(list(alarm_rules.problems(wrong))) == 5
    assert len(list(alarm_rules.problems([]))) == 1
