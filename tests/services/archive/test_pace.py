"""A run beside ingest works in small steps, and continues from night to night."""

import time

from mrv.signatures.day_digests import DayLeaf
from services import archive as rounds
from services.archive import Pace, batches
from services.cli.local.doctor_checks import storage
from services.logs import get_logger
from services.store.postgres.pool import connect
from tests.services.archive import shelved
from tests.services.issuer import plant


def _leaves(*rows):
    return [DayLeaf(f"d-{k}", "2026-03-01", "reading_x", n, "0" * 64) for k, n in enumerate(rows)]


def test_device_days_come_a_few_readings_at_a_time():
    """A city's day in one go would hold up ingest, and fill the memory."""
    leaves = _leaves(8_640, 8_640, 8_640, 86_400, 96, 96)
    assert [len(some) for some in batches(leaves)] == [2, 1, 1, 2]
    assert [leaf for some in batches(leaves) for leaf in some] == leaves
    assert list(batches([])) == []


def test_a_pace_is_kept_and_not_made_up_for():
    """After an hour in which the store was away, a run would take the whole processor."""
    began, pace = time.monotonic(), Pace(100_000)
    for _ in range(3):
        pace.did(10_000)
    assert time.monotonic() - began >= 0.3
    pace._until -= 3_600
    before = time.monotonic()
    pace.did(120_000)
    assert time.monotonic() - before >= 0.19
    Pace(None).did(10**12)


def test_a_round_that_fails_is_finished_by_the_next(sealed_url, tmp_path):
    """A store that was away for a night would end archiving for good."""
    file, log = tmp_path / "file", get_logger("test")
    file.write_text("in the way")
    place = file / "archive"
    assert not rounds.archive_once(sealed_url, str(place), shelved.LATER, log)
    before = shelved.hot(sealed_url)
    file.unlink()
    assert rounds.archive_once(sealed_url, str(place), shelved.LATER, log, rows_per_s=100_000)
    assert (sum(before) > 0, shelved.hot(sealed_url)) == (True, [0, 0, 0])


def test_doctor_tells_of_days_that_should_be_archived(sealed_url, tmp_path, monkeypatch):
    """The disk would be full before anyone notices that archiving stopped months ago."""
    monkeypatch.setenv("TONNE_ARCHIVE_DAYS", "7")
    found = {}
    for state, before in (("late", plant.us("2026-03-03")), ("whole", shelved.LATER)):
        shelved.archive(sealed_url, tmp_path / "archive", before)
        with connect(sealed_url) as conn:
            found[state] = list(storage(conn))[-1]
    assert (found["late"].state, found["whole"].state) == ("wrong", "ok")
    assert (
        "2 sealed days have waited for more than 10 days, since 2026-03-03" in found["late"].found
    )
