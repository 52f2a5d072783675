"""Days and changes enter the log in time; what was changed by hand never does by itself."""

import psycopg
import pytest

from services.issuer.audit import audit
from services.issuer.sealed_day_contents import ended, parts_of, together
from services.store.postgres.pool import connect
from services.store.registry.load import load_fleet
from services.store.statements import sealed_days as seals
from tests.planted import planted
from tests.services.issuer import logged, plant


@pytest.fixture
def who(database_url, tmp_path):
    """Return the signers over a plant with three days of readings."""
    return planted(logged.with_buses, database_url, tmp_path)


def _audit(url, now=logged.NOW, held=()):
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        return audit(conn, now, held)


def _execute(url, statement):
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("SET session_replication_role = replica")
        conn.execute(statement)


def test_a_day_is_sealed_once_and_an_audit_holds(database_url, who):
    """Nobody could say later what the data of a day had been."""
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
    with connect(database_url, role="tonne_mrv", autocommit=True) as conn, conn.cursor() as cursor:
        fleet = load_fleet(conn)
        runs = list(together(ended(conn, fleet, logged.NOW), lambda job: job))
        assert max(map(len, runs)) > 2
        for run in runs:
            alone = [parts_of(cursor, fleet, [job])[0] for job in run]
            assert parts_of(cursor, fleet, run) == alone
            assert any(day["readings"].leaves for day in alone)


def test_late_readings_are_a_new_leaf(database_url, who):
    """A day could be rewritten in silence after it was sealed."""
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
    """The sealer itself would make a forgery look right."""
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


def test_a_day_that_is_not_sealed_in_time_is_named(database_url, who):
    """A log that stopped would look like one that holds."""
    logged.seal_now(database_url, who)
    late = logged.NOW + 30 * 3_600_000_000
    plant.fill_pv(database_url, "2026-03-04", "2026-03-06", 15)
    assert _audit(database_url).first_break is None
    assert "2026-03-04 ended more than 36 hours ago" in _audit(database_url, late).first_break


def test_a_device_that_was_taken_out_of_the_registry_began_as_before(database_url, who):
    """Nobody would seal the days of a meter whose row somebody removed by hand."""
    names = ("inv-1", "bus-1", "nobody")
    with psycopg.connect(database_url) as conn, conn.cursor() as cursor:
        began = seals.first_us(cursor, names)
        assert began.keys() == {"inv-1", "bus-1"}
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("DELETE FROM device WHERE id = 'inv-1'")
        assert seals.first_us(cursor, names) == began
