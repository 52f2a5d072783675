"""Data of the database are reported to Prometheus; for an unreachable database, nothing is."""

from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest

from services.issuer import watcher as watched_by
from services.issuer.watcher import Keep, Watcher
from services.logs import get_logger
from services.metrics import Metrics
from services.settle import Plan
from services.store.postgres.pool import connect
from services.store.registry.load import load_book, load_fleet, load_projects
from services.store.views import fleet_metrics as gauges
from tests.planted import planted
from tests.services.issuer import logged, plant


def _issued(url, home):
    """Return a plant with an issued statement and a sealed log."""
    who = logged.with_buses(url, home)
    logged.issue(url, who)
    logged.seal_now(url, who)
    _made_again(url)


@pytest.fixture
def watched(database_url, tmp_path):
    """Return metrics and a watcher over a plant with an issued statement and a sealed log."""
    planted(_issued, database_url, tmp_path)
    metrics = Metrics()
    return metrics, Watcher(database_url, metrics, get_logger("watch"))


def _made_again(url):
    """Derive rows again, as the pipeline does after a registry change."""
    with psycopg.connect(url) as conn:
        conn.execute("DELETE FROM remake_request")


def _broken(metrics):
    """Return the failed steps of the last audit; late days of this old plant are ignored."""
    found = [s for f in metrics.registry.collect() for s in f.samples]
    return {s.labels["step"] for s in found if s.name == "tonne_log_audit_breaks" and s.value} - {
        "lateness"
    }


def _value(metrics, name, **labels):
    return metrics.registry.get_sample_value(name, labels)


def test_fleet_statements_and_calibrations_are_counted(watched):
    """Alerts on devices or certificates would have no metric."""
    metrics, watcher = watched
    watcher.look()
    assert _value(metrics, "tonne_database_up") == 1
    offline = {"state": "offline", "class": "pv_inverter"}
    assert _value(metrics, "tonne_fleet_devices", **offline) == 2
    assert _value(metrics, "tonne_statements_total", state="issued") == 1
    assert _value(metrics, "tonne_coverage_ratio", project="pv") == 1
    expired = date(2026, 3, 3) < datetime.now(UTC).date()
    state = "expired" if expired else "expiring"
    assert _value(metrics, "tonne_calibration_devices", project="pv", state=state) == 1
    assert _value(metrics, "tonne_calibration_devices", project="bus", state="missing") == 2
    watcher.look()
    assert _value(metrics, "tonne_statements_total", state="issued") == 1


class Heard:
    """Records the log messages of a watcher."""

    def __init__(self):
        self.said = []

    def warning(self, event, **more):
        """Record a reported fault."""
        self.said.append((event, more))

    error = warning

    def info(self, *_, **__):
        """Ignore information."""

    debug = info


def test_its_own_role_suffices_for_all_that_it_does(database_url, tmp_path):
    """
    A part of a round that may not write ends in a warning, and boards are
    not updated, unnoticed.
    """
    planted(_issued, database_url, tmp_path)
    heard = Heard()
    watcher = Watcher(database_url, Metrics(), heard, keep=Keep(90, event_days=90, sky_days=400))
    for part in (
        watcher.look,
        watcher.update_alarms,
        watcher.add_up,
        watcher.update_outlook,
        watcher.compress,
        watcher.expire,
        watcher.audit,
    ):
        part()
    assert [one for one in heard.said if one[0] != "the audit found differences"] == []
    with psycopg.connect(database_url) as conn:
        conn.execute("SET ROLE tonne_watch")
        for table in ("log_entry", "statement_event", "enrolled_key", "interval_quantity"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), conn.transaction():
                conn.execute(f"INSERT INTO {table} DEFAULT VALUES")


def test_a_database_that_is_away_shows_as_down(watched, timescale):
    """A fleet would be shown as online for as long as no one can look."""
    metrics, watcher = watched
    watcher.look()
    timescale.kill()
    try:
        watcher.look()
        assert _value(metrics, "tonne_database_up") == 0
        offline = {"state": "offline", "class": "pv_inverter"}
        assert _value(metrics, "tonne_fleet_devices", **offline) is None
        assert _value(metrics, "tonne_last_reading_time_seconds") is None
        assert _value(metrics, "tonne_calibration_devices", project="bus", state="missing") is None
    finally:
        timescale.start()
    watcher.look()
    assert _value(metrics, "tonne_database_up") == 1


def test_an_audit_counts_what_is_broken(watched, database_url):
    """A row changed by hand would be found only by a manual check."""
    metrics, watcher = watched
    watcher.audit()
    assert _broken(metrics) == set()
    assert _value(metrics, "tonne_log_audit_breaks", step="lateness") > 0
    assert _value(metrics, "tonne_log_audit_time_seconds") > 1.7e9
    assert _value(metrics, "tonne_rebuild_checked_devices_total") == 4
    assert _value(metrics, "tonne_rebuild_mismatch_total") == 0
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("SET session_replication_role = replica")
        conn.execute("UPDATE statement_event SET actor = 'somebody else' WHERE state = 'issued'")
    watcher.audit()
    assert _broken(metrics) == {"append-only tables"}


def test_a_derived_row_that_was_changed_is_counted(database_url, tmp_path):
    """Interval rows that their readings do not give would appear in dashboards unnoticed."""
    plant.register(database_url, tmp_path)
    now = datetime.now(UTC)
    begin = (now - timedelta(days=2)).strftime("%Y-%m-%d")
    times, energy, _ = plant.sunny(begin, (now - timedelta(days=1)).strftime("%Y-%m-%d"), 15)
    plant.send(database_url, "inv-1", times, energy_export_wh=energy)
    _made_again(database_url)
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute(
            "UPDATE interval_quantity SET value = value + 1 WHERE start = ("
            " SELECT max(start) FROM interval_quantity WHERE value > 0)"
        )
    metrics = Metrics()
    Watcher(database_url, metrics, get_logger("watch")).audit()
    assert _value(metrics, "tonne_rebuild_mismatch_total") == 1


def _added_up(conn):
    """Sum the days that changed; there must be some."""
    assert conn.execute("SELECT tonne_refresh_days()").fetchone()[0] > 0


def test_a_change_of_the_registry_alone_adds_no_day_up_again(database_url, tmp_path):
    """A serial number entered would have years of a whole city added up again."""
    planted(plant.quarter_hours, database_url, tmp_path)
    with logged.issuer(database_url) as conn:
        assert gauges.refresh_days(conn) > 0
        text = plant.REGISTRY.replace("name: ", "name: New ", 1)
        plant.register(database_url, tmp_path, text)
        assert gauges.refresh_days(conn) == 0


def test_a_late_reading_writes_its_own_days_alone(database_url, tmp_path):
    """The current month would be written again every five minutes, for every device."""
    planted(plant.quarter_hours, database_url, tmp_path)
    written = (
        "SELECT device_id, quantity, day::text, xmin::text FROM day_quantity UNION ALL"
        " SELECT device_id, project_id, day::text, xmin::text FROM day_emission UNION ALL"
        " SELECT device_id, 'pv', day::text, xmin::text FROM day_pv"
    )
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("SELECT tonne_refresh_days()")
        before = set(conn.execute(written).fetchall())
        times, energy, _ = plant.sunny("2026-03-04", "2026-03-05", 15)
        plant.send(database_url, "inv-1", times, energy_export_wh=energy + 19_000_000)
        _added_up(conn)
        fresh = set(conn.execute(written).fetchall()) - before
        assert {row[0] for row in fresh} == {"inv-1"}
        assert {row[2] for row in fresh} <= {"2026-03-03", "2026-03-04", "2026-03-05"}
        # a day whose quarter hours are gone is gone
        conn.execute("DELETE FROM interval_quantity WHERE device_id = 'inv-2'")
        _added_up(conn)
        left = conn.execute("SELECT DISTINCT device_id FROM day_quantity").fetchall()
        assert left == [("inv-1",)]


def test_sunshine_of_archived_days_stays(database_url, tmp_path):
    """Once a plant's readings left for the archive, its past would have no performance ratio."""
    planted(plant.quarter_hours, database_url, tmp_path)
    sunny = (
        "SELECT device_id, day, insolation_wh_m2, sunny_s, clipped_s FROM day_pv"
        " WHERE device_id = 'inv-1' ORDER BY day"
    )
    with psycopg.connect(database_url, autocommit=True) as conn:
        times = [plant.us("2026-03-03T00:00:00Z") + k * 900_000_000 for k in range(8)]
        plant.send(database_url, "inv-1", times, irradiance_w_m2=[500.0] * 8)
        conn.execute("SELECT tonne_refresh_days()")
        known = conn.execute(sunny).fetchall()
        assert any(row[2] for row in known)
        first = conn.execute("SELECT min(day) FROM day_pv").fetchone()[0]
        (begins, ends), *_ = conn.execute(
            "SELECT range_start, range_end FROM timescaledb_information.chunks"
            " WHERE hypertable_name = 'reading_pv_inverter' ORDER BY 1"
        ).fetchall()
        conn.execute(
            "INSERT INTO archive_drop (class_id, from_time, to_time, bytes)"
            " VALUES ('pv_inverter', %s, %s, 1)",
            [begins, ends],
        )
        conn.execute("SELECT drop_chunks('reading_pv_inverter', older_than => %s)", [ends])
        # a late reading brings the chunk back, with that reading alone
        late = plant.us(f"{first}T12:00:00+07:00")
        plant.send(database_url, "inv-1", [late, late + 60_000_000], irradiance_w_m2=[900.0] * 2)
        _added_up(conn)
        assert conn.execute(sunny).fetchall()[: len(known)] == known


def test_silence_costs_by_whole_local_days(database_url, tmp_path):
    """The evening of an outage would count as a whole day, and the loss look too small."""
    text = plant.REGISTRY.replace("timezone: Asia/Ho_Chi_Minh", "timezone: America/Denver")
    plant.register(database_url, tmp_path, text)
    begin = plant.us("2026-02-01T00:00:00-07:00")
    # whole days, and the last until eight in the evening, when it is the next day by UTC
    times = [begin + k * 900_000_000 for k in range(4 * (24 * 4 + 20) + 1)]
    plant.send(
        database_url, "inv-1", times, energy_export_wh=[k * 10_000 for k in range(len(times))]
    )
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("SELECT tonne_see_devices()")
        conn.execute("SELECT tonne_refresh_days()")
        (found,) = conn.execute(
            "SELECT avoided_t_per_day::float FROM v_silence_cost WHERE device_id = 'inv-1'"
        ).fetchone()
        (wanted,) = conn.execute(
            "SELECT (sum(reduction_ug) / 4 / 1e12)::float FROM day_emission"
            " WHERE device_id = 'inv-1' AND day < '2026-02-05'"
        ).fetchone()
    assert wanted > 0
    assert found == pytest.approx(wanted)


def test_rows_that_are_made_again_meanwhile_raise_no_alarm(database_url, tmp_path, monkeypatch):
    """An import beside the auditor's round would be reported as rows that someone changed."""
    plant.register(database_url, tmp_path)
    now = datetime.now(UTC)
    first, last = ((now - timedelta(days=n)).strftime("%Y-%m-%d") for n in (2, 1))
    times, energy, _ = plant.sunny(first, last, 15)
    plant.send(database_url, "inv-1", times, energy_export_wh=energy)
    _made_again(database_url)
    compared = watched_by.rebuild

    def beside(conn, *asked, **how):
        """Import a rating that makes most energy unknown, derive rows again, then compare."""
        plant.register(database_url, tmp_path, plant.REGISTRY.replace("1000000", "100000", 1))
        with connect(database_url, role="tonne_ingest", autocommit=True) as other:
            plan = Plan.of(load_fleet(other), load_projects(other), load_book(other))
            edges = plant.us(first), plant.us(last)
            assert compared(other, plan, range(len(plan.fleet)), *edges, replace=True)
        _made_again(database_url)
        return compared(conn, *asked, **how)

    monkeypatch.setattr(watched_by, "rebuild", beside)
    metrics = Metrics()
    Watcher(database_url, metrics, get_logger("watch")).audit()
    assert _value(metrics, "tonne_rebuild_checked_devices_total") == 4
    assert _value(metrics, "tonne_rebuild_mismatch_total") == 0
