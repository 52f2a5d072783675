"""
A seal and a commit of readings see each other, whichever comes first.

Readings stored by the pipeline after a seal are late; rows that no commit stored were changed. A
real sealer and a real pipeline are stopped at the critical times: the sealer waits for the log's
lock, the pipeline keeps its transaction open.
"""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import psycopg
import pytest

from ingest.errors import ServerError
from mrv.errors import StatementStateError
from services.issuer import audit as audit_sealed
from services.issuer import close
from services.issuer import transitions as life
from services.issuer.audit import audit
from services.processing.batch import Batch
from services.store.dead_letter_write import Letters
from services.store.postgres.pool import connect
from services.store.statements import late_readings
from services.store.statements import transparency_log as log
from tests import waiting
from tests.services.issuer import logged, plant

MINUTE_US = 60_000_000
LOG = "hashtextextended('transparency log', 0)"


@pytest.fixture
def in_background():
    """Return a function that runs another one in the background."""
    with ThreadPoolExecutor(4) as threads:
        yield threads.submit


def _audit(url):
    with logged.issuer(url) as conn:
        return audit(conn, logged.NOW)


def _notes(report):
    return [note for step in report.steps for note in step.notes]


def _day(day="2026-03-02"):
    """Return times and register of inv-1 on a day, a reading each 15-minute interval."""
    return plant.sunny(day, f"{day[:-1]}{int(day[-1]) + 1}", 15)[:2]


def _late(day="2026-03-02", device="inv-1", at=40, count=2):
    """Return a few readings of a day at times between the stored ones."""
    times, energy = _day(day)
    half = 1 if device == "inv-1" else 2
    some = slice(at, at + count)
    columns = {"energy_export_wh": (energy[some] + 100) // half}
    return device, times[some] + 7 * MINUTE_US, columns


def _send(url, *late):
    device, times, columns = late
    plant.send(url, device, times, **columns)


@contextmanager
def _under_way(url, *late):
    """Store readings in a transaction that is committed at the end of the block."""
    device, times, columns = late
    with connect(url, role="tonne_ingest", autocommit=True) as conn:
        store = plant.store_of(conn)
        index = store.plan.fleet.by_id[device]
        frame = plant.frame(store.plan.fleet.devices[index].class_id, index, times, **columns)
        with conn.transaction(), conn.cursor() as cursor:
            store.write(cursor, Batch([frame], [], Letters([], [], [], [], 0)))
            yield


@contextmanager
def _log_locked(url):
    """Lock the log, so that a seal waits between its snapshot and its entry."""
    with logged.issuer(url) as conn, conn.transaction():
        log.lock(conn)
        yield


def _stands_at_the_log(url):
    """Wait until a sealer waits for the log."""
    with psycopg.connect(url, autocommit=True) as conn:
        waiting.until(
            lambda: conn.execute(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
                f" AND (classid::bigint << 32) + objid::bigint = {LOG}"
            ).fetchone()[0],
            what="the sealer never came to the log",
        )


def _rows(url, day="2026-03-02"):
    """Return the readings of inv-1 under the last seal of a day."""
    with connect(url) as conn:
        return conn.execute(
            "SELECT (SELECT (leaf ->> 'rows')::int FROM jsonb_array_elements("
            " convert_from(d.content, 'UTF8')::jsonb -> 'readings') leaf"
            " WHERE leaf ->> 'device' = 'inv-1')"
            " FROM data_seal s JOIN log_detail d USING (index)"
            " WHERE s.project_id = 'pv' AND s.day = %s ORDER BY s.sequence",
            [day],
        ).fetchall()


SWAP = (
    "    replacements:\n      - {channel: energy_export_kwh, at: 2026-03-02T10:05:00+07:00,"
    " last: 6900.5, first: 0.1, reason: defect}\n"
)
BOUND = "      - {device: inv-2, role: generation, case: 3}\n"


def _changed(url, statement):
    """Change rows as the owner of the database can."""
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("SET session_replication_role = replica")
        assert conn.execute(statement).rowcount > 0


def test_what_is_committed_between_a_seals_snapshot_and_its_entry_is_late(
    database_url, who, in_background
):
    """A day would hold readings that are neither under its seal nor known to be late."""
    logged.seal_now(database_url, who, projects=["bus"])  # all but the days is in the log
    with _log_locked(database_url):
        sealing = in_background(logged.seal_now, database_url, who)
        _stands_at_the_log(database_url)
        _send(database_url, *_late())
    report = sealing.result()
    assert (report.days, report.refused) == (3, [])
    found = _audit(database_url)
    assert found.first_break is None, found.to_json()
    report = logged.seal_now(database_url, who)
    assert report.refused == []
    assert _rows(database_url)[-1] == (98,)
    found = _audit(database_url)
    assert (found.first_break, [n for n in _notes(found) if "late" in n]) == (None, [])


def test_a_commit_under_way_when_a_seal_begins_is_under_it(database_url, who, in_background):
    """Rows committed while a day is sealed would be neither sealed nor noted as late."""
    with _under_way(database_url, *_late()):
        sealing = in_background(logged.seal_now, database_url, who)
        with psycopg.connect(database_url, autocommit=True) as conn:
            waiting.until(
                lambda: (
                    sealing.done()
                    or conn.execute(
                        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tonne'"
                        " AND query LIKE '%pg_locks%' AND pid <> pg_backend_pid()"
                    ).fetchone()[0]
                ),
                what="the sealer neither waited nor ended",
            )
            assert not sealing.done()
    assert sealing.result().refused == []
    assert _rows(database_url) == [(98,)]
    assert _audit(database_url).first_break is None
    report = logged.seal_now(database_url, who)
    assert (report.again, report.refused) == (0, [])


def test_readings_that_come_while_late_days_are_compared_are_late(database_url, who, in_background):
    """`log seal` ended with 1, 'changed manually', for rows that came over MQTT."""
    logged.seal_now(database_url, who)
    _send(database_url, *_late("2026-03-02"))
    _send(database_url, *_late("2026-03-03"))
    with _log_locked(database_url):
        sealing = in_background(logged.seal_now, database_url, who)
        _stands_at_the_log(database_url)  # with the first of the two days
        _send(database_url, *_late("2026-03-03", "inv-2"))
        _send(database_url, *_late("2026-03-02", at=50))
    assert sealing.result().refused == []
    assert logged.seal_now(database_url, who).refused == []
    found = _audit(database_url)
    assert (found.first_break, [n for n in _notes(found) if "late" in n]) == (None, [])
    assert [_rows(database_url, day)[-1] for day in ("2026-03-02", "2026-03-03")] == [(100,), (98,)]


@pytest.mark.parametrize("what", ["stored", "stored and sealed", "imported"])
def test_an_audit_beside_the_pipeline_finds_no_change(
    database_url, who, tmp_path, monkeypatch, in_background, what
):
    """The log would be said to be broken because readings came, or were sealed, meanwhile."""
    logged.seal_now(database_url, who)
    ended = audit_sealed.ended

    def meanwhile(*given):
        """Continue after something was done between reading the log and comparing the days."""
        if what == "imported":
            text = plant.REGISTRY.replace("    serial: A1\n", "    serial: A1\n" + SWAP)
            in_background(plant.imported, database_url, tmp_path, text).result()
        else:
            in_background(_send, database_url, *_late()).result()
        if what == "stored and sealed":
            in_background(logged.seal_now, database_url, who).result()
        return ended(*given)

    monkeypatch.setattr(audit_sealed, "ended", meanwhile)
    found = _audit(database_url)
    assert found.first_break is None, found.to_json()


@pytest.mark.parametrize("sealed_before", [True, False])
def test_a_channel_that_is_filled_is_late_too(database_url, who, in_background, sealed_before):
    """A meter that sends its channels in two messages would be called changed by hand."""
    times, _ = _day()
    device, times, columns = "inv-1", times[40:43], {"frequency_hz": [50.0, 50.1, 50.2]}
    logged.seal_now(database_url, who, projects=None if sealed_before else ["bus"])
    if sealed_before:
        _send(database_url, device, times, columns)
        assert any("late readings" in note for note in _notes(_audit(database_url)))
    else:
        with _log_locked(database_url):
            sealing = in_background(logged.seal_now, database_url, who)
            _stands_at_the_log(database_url)
            _send(database_url, device, times, columns)
        assert sealing.result().refused == []
    assert _audit(database_url).first_break is None
    assert logged.seal_now(database_url, who).refused == []
    assert len(_rows(database_url)) == 2  # sealed, and sealed again
    found = _audit(database_url)
    assert (found.first_break, [n for n in _notes(found) if "late" in n]) == (None, [])


BY_HAND = {
    "updated": "UPDATE reading_pv_inverter SET active_power_w = active_power_w + 1",
    "deleted": "DELETE FROM reading_pv_inverter",
}
ROW = " WHERE device_id = 'inv-1' AND time >= '2026-03-02T05:00Z' AND time < '2026-03-02T05:15Z'"


@pytest.mark.parametrize("how", BY_HAND)
def test_a_late_reading_hides_no_change_by_hand(database_url, who, how):
    """One late reading would have a forged day sealed again as an honest one."""
    logged.seal_now(database_url, who)
    with psycopg.connect(database_url) as conn:
        was = conn.execute("SELECT * FROM reading_pv_inverter" + ROW).fetchall()
        assert len(was) == 1
    _changed(database_url, BY_HAND[how] + ROW)
    _send(database_url, *_late())
    _send(database_url, *_late(device="inv-2"))
    for _ in range(2):  # and it is not forgotten
        report = logged.seal_now(database_url, who)
        assert report.again == 0
        assert ["inv-1 on 2026-03-02" in one for one in report.refused] == [True]
        assert [one for one in report.late if "inv-1" in one]
        assert [one for one in report.late if "inv-2" in one]
        found = _audit(database_url)
        assert "inv-1 on 2026-03-02" in found.first_break
        assert any("late readings" in note for note in _notes(found))
    _changed(database_url, "DELETE FROM reading_pv_inverter" + ROW) if how == "updated" else None
    with psycopg.connect(database_url) as conn:
        conn.execute("SET session_replication_role = replica")
        marks = ", ".join(["%s"] * len(was[0]))
        conn.execute(f"INSERT INTO reading_pv_inverter VALUES ({marks})", was[0])
    plant.derive(database_url)  # what was made without the row
    report = logged.seal_now(database_url, who)
    assert (report.again >= 1, report.refused, report.late) == (True, [], [])
    assert _audit(database_url).first_break is None


def test_sealing_earlier_days_forgets_no_late_reading_of_others(database_url, who):
    """`tonne log seal --until` of one day would make late readings of another look forged."""
    logged.seal_now(database_url, who)
    _send(database_url, *_late("2026-03-03"))
    logged.seal_now(database_url, who, plant.us("2026-03-02T12:00:00+07:00"))
    found = _audit(database_url)
    assert found.first_break is None, found.to_json()
    assert logged.seal_now(database_url, who).refused == []
    assert _rows(database_url, "2026-03-03")[-1] == (98,)


def test_a_sealer_that_is_killed_leaves_nothing_unknown(database_url, who, in_background):
    """Readings stored during an interrupted sealing would be neither sealed nor noted as late."""
    logged.seal_now(database_url, who, projects=["bus"])
    with _log_locked(database_url):
        sealing = in_background(logged.seal_now, database_url, who)
        _stands_at_the_log(database_url)
        _send(database_url, *_late())
        with psycopg.connect(database_url, autocommit=True) as conn:
            conn.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
                f" AND NOT granted AND (classid::bigint << 32) + objid::bigint = {LOG}"
            )
        with pytest.raises(psycopg.OperationalError):
            sealing.result()
    _send(database_url, *_late(at=50))
    assert logged.seal_now(database_url, who).refused == []
    assert _rows(database_url) == [(100,)]
    report = logged.seal_now(database_url, who)
    assert (report.again, report.refused) == (0, [])
    assert _audit(database_url).first_break is None


def test_two_sealers_take_turns(database_url, who, in_background):
    """`tonne log seal` beside `tonne run` ended with an error of the database."""
    logged.seal_now(database_url, who, projects=["bus"])
    with _log_locked(database_url):
        one = in_background(logged.seal_now, database_url, who)
        _stands_at_the_log(database_url)
        two = in_background(logged.seal_now, database_url, who)
    assert sorted([one.result().days, two.result().days]) == [0, 3]
    assert _audit(database_url).first_break is None


def test_a_commit_that_never_ends_is_named(database_url, who, monkeypatch):
    """A program that hangs would keep every day from its seal, and nothing would say which."""
    monkeypatch.setattr(late_readings, "_PATIENCE_S", 0.1)
    with (
        _under_way(database_url, *_late()),
        pytest.raises(ServerError, match=r"open for 0 minutes: process \d+ of the server"),
    ):
        logged.seal_now(database_url, who)
    assert logged.seal_now(database_url, who).days == 3


def _verified(url, who):
    """Close and verify a day as it is stored, whatever is sealed."""
    with logged.issuer(url) as conn:
        span = plant.us("2026-03-02"), plant.us("2026-03-03")
        return logged.signed(conn, close.close_period(conn, "pv", *span, "test").statement, who)


def _refused(url, who, name):
    with logged.issuer(url) as conn, pytest.raises(StatementStateError) as error:
        life.issue(conn, name, who["log"], "test")
    return str(error.value)


def test_an_issue_says_that_late_readings_wait_for_their_seal(database_url, who):
    """The operator would look for a forger where `tonne log seal` is all that is missing."""
    logged.seal_now(database_url, who)
    _send(database_url, *_late())
    name = _verified(database_url, who)
    said = _refused(database_url, who, name)
    assert "late readings of inv-1 arrived; run `tonne log seal`" in said
    assert "changed" not in said
    logged.seal_now(database_url, who)
    with logged.issuer(database_url) as conn:
        life.issue(conn, name, who["log"], "test")


@pytest.mark.parametrize("late", [False, True])
def test_an_issue_says_what_was_changed_by_hand(database_url, who, late):
    """The operator would seal a forged day again because of allegedly late readings."""
    logged.seal_now(database_url, who)
    _changed(database_url, BY_HAND["updated"] + ROW)
    if late:
        _send(database_url, *_late())
    said = _refused(database_url, who, _verified(database_url, who))
    assert "changed manually: reading_pv_inverter of inv-1 on 2026-03-02: values among" in said
    assert ("late readings of inv-1 arrived, too" in said) == late
    assert "run `tonne log seal`" not in said


def test_an_issue_says_when_its_readings_are_between_two_seals(database_url, who):
    """
    `tonne log seal` and `tonne log audit` would report nothing,
    and the issue would stay refused.
    """
    logged.seal_now(database_url, who)
    _send(database_url, *_late())
    name = _verified(database_url, who)
    _send(database_url, *_late(at=50))
    logged.seal_now(database_url, who)
    said = _refused(database_url, who, name)
    assert "late readings were sealed after the period was closed" in said
    assert "close the period again" in said


NOTES = {
    # in the table that 0.1.0 wrote
    "day": "INSERT INTO late_day (device_id, day) VALUES ('inv-1', '2026-03-02')",
    "value": "INSERT INTO late_reading (device_id, day, added, filled) SELECT device_id,"
    " '2026-03-02', ARRAY[t], jsonb_build_object('active_power_w', ARRAY[t]) FROM (SELECT"
    " device_id, (extract(epoch FROM time) * 1000000)::bigint AS t"
    f" FROM reading_pv_inverter{ROW}) r",
}


@pytest.mark.parametrize("note", NOTES)
def test_a_note_hides_no_change_by_hand(database_url, who, note):
    """A forged day would be taken for a late one by a row that its forger writes."""
    logged.seal_now(database_url, who)
    _changed(database_url, BY_HAND["updated"] + ROW)
    with psycopg.connect(database_url) as conn:
        conn.execute(NOTES[note])
    (refused,) = logged.seal_now(database_url, who).refused
    # of a row that is noted as late the rest of the day shows that it was sealed
    said = {"day": "values among its 96 rows were changed", "value": "96 rows became 95"}
    assert f"inv-1 on 2026-03-02: {said[note]}" in refused


def test_a_late_reading_under_two_seals_is_sealed_under_both(
    database_url, who, tmp_path, in_background
):
    """A meter that leaves its project in the midst of a UTC day would be called changed by hand."""
    leaves = plant.REGISTRY.replace(BOUND, BOUND.replace("case: 3", "case: 3, to: 2026-03-02"))
    plant.imported(database_url, tmp_path, leaves)
    logged.seal_now(database_url, who)
    _send(database_url, *_late("2026-03-01", "inv-2", count=1))
    with _log_locked(database_url):
        sealing = in_background(logged.seal_now, database_url, who)
        _stands_at_the_log(database_url)  # with the first of the two
        _send(database_url, *_late("2026-03-01", "inv-2", at=44, count=1))
    assert sealing.result().refused == []
    assert _audit(database_url).first_break is None
    report = logged.seal_now(database_url, who)
    assert (report.again, report.refused) == (1, [])
    found = _audit(database_url)
    assert (found.first_break, [n for n in _notes(found) if "late" in n]) == (None, [])
    with connect(database_url) as conn:
        assert conn.execute("SELECT count(*) FROM late_reading").fetchone() == (0,)
        sealed = dict(conn.execute("SELECT project_id, max(sequence) FROM data_seal GROUP BY 1"))
    assert sorted(sealed.values()) == [2, 3]  # one held both readings at once, one each by itself


def test_many_late_readings_are_forgotten_once_they_are_sealed(database_url, who):
    """Notes that wait for a seal would accumulate."""
    logged.seal_now(database_url, who)
    times, energy = _day("2026-03-03")
    for at in range(0, 90, 9):
        _send(database_url, "inv-1", times[at : at + 9] + MINUTE_US,
              {"energy_export_wh": np.array(energy[at : at + 9])})  # fmt: skip
    assert logged.seal_now(database_url, who).refused == []
    with connect(database_url) as conn:
        assert conn.execute("SELECT count(*) FROM late_reading").fetchone() == (0,)
