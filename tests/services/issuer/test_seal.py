"""Days and changes enter the log in time; a manual change never enters automatically."""

import json

import psycopg
import pytest
from structlog import get_logger

from services.cli.local import doctor
from services.issuer import keys, log_differences, seal
from services.issuer.audit import audit
from services.issuer.sealed_contents import (
    HOUR_US,
    PROMISED_US,
    SETTLE_US,
    ended,
    parts_of,
    together,
)
from services.metrics import Metrics
from services.store.postgres.pool import connect
from services.store.registry.load import load_fleet
from services.store.statements import sealed_days as seals
from tests.invoked import tonne
from tests.planted import planted
from tests.services.issuer import logged, plant

BEGIN = plant.us("2026-03-02")


@pytest.fixture
def at(database_url, tmp_path, monkeypatch):
    """Return a run of the sealer at a time, over three days of readings, and its metrics."""
    plant.register(database_url, tmp_path)
    plant.fill_pv(database_url, minutes=60)
    metrics = Metrics()
    one = seal.Sealer(
        database_url, tmp_path, keys.LOG_KEY, seal.EVERY_S, metrics, get_logger("test")
    )

    def at(now):
        monkeypatch.setattr(seal, "now_us", lambda: now)
        one.once()
        assert metrics.registry.get_sample_value("tonne_log_seal_failures_total") == 0
        return metrics.registry.get_sample_value("tonne_log_seal_late_seconds")

    return at


def _sealed(url):
    """Return the end of each sealed day by project and day. [us UTC]"""
    with connect(url, role="tonne_mrv") as conn:
        rows = conn.execute(
            "SELECT project_id, day, (extract(epoch FROM to_time) * 1000000)::bigint"
            " FROM data_seal WHERE sequence = 1"
        )
        return {(project, day): int(us) for project, day, us in rows}


def test_the_sealer_leaves_no_day_longer_than_promised(at, database_url):
    """Stored data could be changed for days before they are sealed."""
    assert SETTLE_US + seal.EVERY_S * 1_000_000 < PROMISED_US
    waited, step = {}, 11 * HOUR_US  # eleven times as rarely as it does
    for now in range(BEGIN, BEGIN + 5 * 24 * HOUR_US, step):
        assert at(now) == 0
        for key, end in _sealed(database_url).items():
            waited.setdefault(key, now - end)
    days = sorted(day.isoformat() for project, day in waited if project == "pv")
    assert days[:3] == ["2026-03-01", "2026-03-02", "2026-03-03"]
    assert min(waited.values()) >= SETTLE_US
    assert max(waited.values()) <= SETTLE_US + step <= PROMISED_US


def test_a_sealer_that_was_away_says_how_late_it_is(at, database_url):
    """Three days without a seal would look like three days with one."""
    first_ends = BEGIN
    assert at(first_ends + PROMISED_US + 30 * HOUR_US) == 30 * 3_600
    assert len(_sealed(database_url)) >= 2
    assert at(first_ends + PROMISED_US + 31 * HOUR_US) == 0


def test_the_doctor_names_a_day_that_waits(database_url, tmp_path, monkeypatch):
    """`tonne doctor` would report no fault while the log does not advance."""
    plant.register(database_url, tmp_path)
    plant.fill_pv(database_url, minutes=60)
    monkeypatch.setenv("TONNE_DATABASE_URL", database_url)
    monkeypatch.setenv("TONNE_MQTT_URL", "mqtt://127.0.0.1:1")
    monkeypatch.setenv("TONNE_HOME", str(tmp_path))
    monkeypatch.setattr(doctor, "now_us", lambda: logged.NOW)

    def told():
        found = json.loads(tonne("doctor", "--json").stdout)
        return next(one for one in found if one["what"] == "seals")

    late = told()
    assert late["state"] == "wrong"
    assert "project pv, 2026-03-01" in late["found"]
    assert "tonne log seal" in late["fix"]
    who = logged.signers(database_url, tmp_path)
    logged.seal_now(database_url, who)
    assert told()["state"] == "ok"
    times, energy, _ = plant.sunny("2026-03-02", "2026-03-03", 60)
    plant.send(
        database_url, "inv-1", times[12:13] + 60_000_000, energy_export_wh=energy[12:13] + 100
    )
    with psycopg.connect(database_url) as conn:
        conn.execute("UPDATE late_reading SET noted = '2026-03-03'")
    assert told()["found"] == "late readings of inv-1 have waited for their seal since 2026-03-03"
    logged.seal_now(database_url, who)
    assert told()["state"] == "ok"


@pytest.fixture
def who(database_url, tmp_path):
    """Return the signers over a plant with three days of readings."""
    return planted(logged.with_buses, database_url, tmp_path)


def _audit(url, now=logged.NOW, held=()):
    with logged.issuer(url) as conn:
        return audit(conn, now, held)


def _execute(url, statement):
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("SET session_replication_role = replica")
        conn.execute(statement)


def test_a_day_is_sealed_once_and_an_audit_holds(database_url, who):
    """No one could say later what the data of a day had been."""
    report = logged.seal_now(database_url, who)
    assert report.days == 6
    assert {"registry", "plan", "calibration", "keys", "factors", "records"} <= set(report.entries)
    assert report.refused == []
    found = _audit(database_url)
    assert found.first_break is None, found.to_json()
    again = logged.seal_now(database_url, who)
    assert (again.days, again.again, again.entries, again.refused) == (0, 0, [], [])
    logged.issue(database_url, who)
    assert _audit(database_url).first_break is None


def test_days_that_are_read_together_hold_what_each_holds_alone(database_url, who):
    """A row at midnight would be sealed under another day, and an audit would not know why."""
    del who
    with logged.issuer(database_url) as conn, conn.cursor() as cursor:
        fleet = load_fleet(conn)
        runs = list(together(ended(conn, fleet, logged.NOW), lambda job: job))
        assert max(map(len, runs)) > 2
        for run in runs:
            alone = [parts_of(cursor, fleet, [job])[0] for job in run]
            assert parts_of(cursor, fleet, run) == alone
            assert any(day["readings"].leaves for day in alone)


def test_late_readings_are_a_new_leaf(database_url, who):
    """A day could be rewritten without a message after it was sealed."""
    logged.seal_now(database_url, who)
    times, energy, _ = plant.sunny("2026-03-02", "2026-03-03", 15)
    plant.send(
        database_url, "inv-1", times[40:44] + 60_000_000, energy_export_wh=energy[40:44] + 100
    )
    notes = [n for step in _audit(database_url).steps for n in step.notes]
    assert any("late readings" in note for note in notes)
    assert _audit(database_url).first_break is None
    report = logged.seal_now(database_url, who)
    assert (report.days, report.refused) == (0, [])
    assert report.again >= 1
    assert _audit(database_url).first_break is None
    assert not [n for step in _audit(database_url).steps for n in step.notes if "late" in n]


def test_a_change_by_hand_is_not_sealed_unless_somebody_says_why(database_url, who):
    """Sealing again would make changed data look genuine."""
    logged.seal_now(database_url, who)
    _execute(
        database_url,
        "UPDATE reading_pv_inverter SET active_power_w = active_power_w + 1"
        " WHERE device_id = 'inv-1' AND time >= '2026-03-02T05:00Z'"
        " AND time < '2026-03-02T05:16Z'",
    )
    _execute(database_url, "UPDATE calibration SET valid_until = '2030-01-01'")
    for recheck in (False, True):
        report = logged.seal_now(database_url, who, recheck=recheck)
    assert any("inv-1 on 2026-03-02: values" in what for what in report.refused)
    assert any("calibration" in what for what in report.refused)
    assert "inv-1 on 2026-03-02" in str(_audit(database_url).to_json())
    logged.seal_now(database_url, who, accept="ticket 17")
    assert _audit(database_url).first_break is None
    with connect(database_url) as conn:
        reasons = conn.execute(
            "SELECT convert_from(body, 'UTF8')::jsonb ->> 'reason' FROM log_entry"
        ).fetchall()
    assert ("ticket 17",) in reasons


def test_rows_changed_of_many_devices_are_named_a_few_at_a_time(database_url, who, monkeypatch):
    """A day of a large fleet would be held in memory at once."""
    logged.seal_now(database_url, who)
    _execute(database_url, "UPDATE interval_quantity SET value = value + 1")
    breaks = str(_audit(database_url).to_json())
    monkeypatch.setattr(log_differences, "MAX_ROWS", 1)
    assert str(_audit(database_url).to_json()) == breaks
    for device in ("inv-1", "inv-2"):
        assert f"{device} energy_export 2026-03-02T05:00:00Z does not follow" in breaks


def test_a_day_that_is_not_sealed_in_time_is_named(database_url, who):
    """A log that stopped would look intact."""
    logged.seal_now(database_url, who)
    late = logged.NOW + 30 * 3_600_000_000
    plant.fill_pv(database_url, "2026-03-04", "2026-03-06", 15)
    assert _audit(database_url).first_break is None
    assert "2026-03-04 ended more than 36 hours ago" in _audit(database_url, late).first_break


def test_a_device_that_was_taken_out_of_the_registry_began_as_before(database_url, who):
    """No one would seal the days of a meter whose row someone removed by hand."""
    names = ("inv-1", "bus-1", "nobody")
    with psycopg.connect(database_url) as conn, conn.cursor() as cursor:
        began = seals.first_us(cursor, names)
        assert began.keys() == {"inv-1", "bus-1"}
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("DELETE FROM device WHERE id = 'inv-1'")
        assert seals.first_us(cursor, names) == began
