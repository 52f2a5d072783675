"""Sealed days move from the database to files, and readers see no difference."""

import json

import numpy as np
import psycopg
import pytest

from ingest import classes
from services import archived_files as check
from services.issuer.audit import audit
from services.issuer.pack import export
from services.store.postgres.pool import connect
from tests.services.archive import shelved
from tests.services.issuer import logged, plant
from tests.services.issuer.sealed import close_period


@pytest.fixture
def place(tmp_path):
    return tmp_path / "archive"


def _audit(url):
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        return audit(conn, logged.NOW, ())


def _check(url):
    with connect(url, role="tonne_archive", autocommit=True) as conn:
        return check.check(conn)


def _close(url):
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        closed = close_period(conn, "pv", plant.us("2026-03-02"), plant.us("2026-03-03"), "test")
        return closed.statement, closed.document["credentialSubject"]["digests"]


def _pack(url, name, out):
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        export(conn, name, out)
    return {f.relative_to(out).as_posix(): f.read_bytes() for f in out.rglob("*") if f.is_file()}


def test_archived_days_are_read_as_before(sealed_url, who, place, tmp_path):
    """A period could not be closed, proved or rebuilt once its days had left the database."""
    before = shelved.hot(sealed_url)
    name, digests = _close(sealed_url)
    packed = _pack(sealed_url, name, tmp_path / "one")
    report = shelved.archive(sealed_url, place)
    assert (report.days, report.refused, report.waiting) == (6, [], [])
    assert report.rows == sum(before)
    assert len(report.dropped) == 3
    assert shelved.hot(sealed_url) == [0, 0, 0]
    assert _close(sealed_url) == (name, digests)
    again = _pack(sealed_url, name, tmp_path / "two")
    # where the readings stand is another file, and so is the list of files; all else is the same
    assert {n for n in packed.keys() | again.keys() if packed.get(n) != again.get(n)} == {
        "manifest.json",
        "readings/pv_inverter.parquet",
        *(n for n in again if n.count("/") == 2),
    }
    assert shelved.underived(sealed_url) == []
    assert _audit(sealed_url).first_break is None
    found = _check(sealed_url)
    assert (found.breaks, found.notes, found.rows) == ([], [], sum(before))
    again = shelved.archive(sealed_url, place)
    assert (again.days, again.parts, again.dropped, again.waiting) == (0, 0, [], [])


def test_late_readings_of_an_archived_day_make_a_new_part(sealed_url, who, place):
    """What a device kept for months would be refused, or would vanish behind the archive."""
    shelved.archive(sealed_url, place)
    noon = slice(96 + 40, 96 + 44)
    times, energy, power = (c[noon] for c in plant.sunny("2026-03-01", "2026-03-04", 15))
    # one that was archived, one that fills a channel, one that contradicts, one that is new
    shelved.send(
        sealed_url,
        "inv-1",
        np.add(times, [0, 0, 0, 60_000_000]),
        energy_export_wh=np.add(energy, [0, 0, 7, 0]),
        active_power_w=power,
        frequency_hz=[np.nan, 50.5, np.nan, 50.0],
    )
    assert shelved.hot(sealed_url) == [2, 0, 0]
    with connect(sealed_url) as conn:
        reasons = conn.execute("SELECT reason FROM dead_letter").fetchall()
    assert shelved.underived(sealed_url) == []
    assert any(
        "late readings are not sealed" in w for w in shelved.archive(sealed_url, place).waiting
    )
    assert shelved.hot(sealed_url) == [2, 0, 0]
    assert logged.seal_now(sealed_url, who).again >= 1
    report = shelved.archive(sealed_url, place)
    assert (report.parts, report.refused, len(report.dropped)) == (1, [], 1)
    assert shelved.hot(sealed_url) == [0, 0, 0]
    assert shelved.underived(sealed_url) == []
    assert _audit(sealed_url).first_break is None
    assert _check(sealed_url).breaks == []
    assert reasons == [("conflict",)]


def test_nothing_is_dropped_that_is_not_archived(sealed_url, who, place):
    """Readings that no seal and no file holds would be lost with the chunk they lie in."""
    with psycopg.connect(sealed_url, autocommit=True) as conn:
        conn.execute(
            "INSERT INTO reading_pv_inverter (device_id, time)"
            " VALUES ('stranger', '2026-03-01T12:00Z'), ('inv-1', '2026-02-27T12:00Z')"
        )
    report = shelved.archive(sealed_url, place)
    assert [w for w in report.waiting if "no archived part holds" in w]
    assert shelved.hot(sealed_url)[0] > 0
    assert shelved.hot(sealed_url)[1:] == [0, 0]


def _change_by_hand(url):
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("SET session_replication_role = replica")
        conn.execute(
            "UPDATE reading_pv_inverter SET active_power_w = 1"
            " WHERE device_id = 'inv-1' AND time = (SELECT min(time)"
            " FROM reading_pv_inverter WHERE time >= '2026-03-02T05:00Z')"
        )


def test_a_late_reading_hides_no_change_from_the_archive(sealed_url, who, place):
    """A forged day with one late reading would wait for its seal as an honest one."""
    _change_by_hand(sealed_url)
    times, energy, _ = plant.sunny("2026-03-02", "2026-03-03", 15)
    shelved.send(sealed_url, "inv-1", times[40:41] + 60_000_000, energy_export_wh=energy[40:41])
    report = shelved.archive(sealed_url, place)
    assert len(report.refused) == 1
    assert "inv-1 on 2026-03-02 differs from its seal, values among its 96" in report.refused[0]
    late = "2026-03-02 pv: late readings of inv-1 are not sealed yet"
    assert any(late in one for one in report.waiting)
    assert shelved.hot(sealed_url)[0] > 0


def test_young_days_stay(sealed_url, who, place):
    """Dashboards would lose the days that they show."""
    report = shelved.archive(sealed_url, place, plant.us("2026-03-03"))
    assert (report.days, report.dropped) == (4, [])
    assert shelved.underived(sealed_url) == []


def test_raw_rows_stay_append_only_for_everybody_else(sealed_url, who, place):
    """A stolen login could drop what it had sent."""
    drop = "SELECT tonne_drop_archived('pv_inverter', '2026-02-26Z', '2026-03-05Z')"
    for role in ("tonne_ingest", "tonne_mrv", "tonne_api", "tonne_grafana"):
        with (
            connect(sealed_url, role=role) as conn,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            conn.execute(drop)
    with connect(sealed_url, role="tonne_archive", autocommit=True) as conn:
        assert conn.execute(drop).fetchone() == ("sealed again",)
        for statement in (
            "DELETE FROM reading_pv_inverter",
            "UPDATE reading_pv_inverter SET state = 1",
            "INSERT INTO reading_pv_inverter (device_id, time) VALUES ('x', now())",
            "TRUNCATE reading_pv_inverter",
            "SELECT drop_chunks('reading_pv_inverter', older_than => now())",
            (
                "INSERT INTO archive_drop (class_id, from_time, to_time, bytes)"
                " VALUES ('pv_inverter', now(), now(), 1)"
            ),
            "DELETE FROM archive_part",
        ):
            with pytest.raises(
                (psycopg.errors.InsufficientPrivilege, psycopg.errors.RaiseException)
            ):
                conn.execute(statement)
    assert shelved.hot(sealed_url)[0] > 0


def test_every_class_can_be_archived(sealed_url):
    """Readings of a class that came later would fill the disk, and the run would fail."""
    with connect(sealed_url, role="tonne_archive") as conn:
        for class_id in classes.load():
            conn.execute(f"SELECT FROM reading_{class_id} LIMIT 1")


def test_readers_hold_a_chunk(sealed_url, who, place):
    """A period that is being closed would see its readings vanish halfway."""
    with connect(sealed_url, role="tonne_mrv", autocommit=True) as conn, conn.transaction():
        conn.execute(
            "SELECT pg_advisory_xact_lock_shared(hashtextextended('tonne archived readings', 0))"
        )
        report = shelved.archive(sealed_url, place)
        assert (report.days, report.dropped, len(report.waiting)) == (6, [], 3)
    assert len(shelved.archive(sealed_url, place).dropped) == 3


def test_files_say_what_they_hold(sealed_url, who, place):
    """An auditor with the folder alone could not tell which sealed day a file is of."""
    shelved.archive(sealed_url, place)
    file = next(place.glob("pv_inverter/2026/03/2026-03-02_hp_pv_*.json"))
    manifest = json.loads(file.read_text())
    assert (manifest["class"], manifest["site"], manifest["project"]) == ("pv_inverter", "hp", "pv")
    assert [leaf["device"] for leaf in manifest["leaves"]] == ["inv-1", "inv-2"]
    with connect(sealed_url) as conn:
        detail = conn.execute(
            "SELECT convert_from(content, 'UTF8')::jsonb -> 'readings' FROM log_detail"
            " WHERE index = %s",
            [manifest["seal"]],
        ).fetchone()[0]
    assert manifest["leaves"] == detail
