"""After a kill at any step, the next run finishes: nothing is lost or doubled."""

import signal

import pytest

from services import archived_files as check
from services.archived_files import Wanted
from services.store.postgres.pool import connect
from tests import commands
from tests.services.archive import killed, shelved

pytestmark = pytest.mark.faults


def _die(step, command, url, place):
    words = [step, command, url, place]
    done = commands.run(
        words, module="tests.services.archive.killed", capture_output=True, text=True, timeout=120
    )
    assert done.returncode == -signal.SIGKILL, (step, done.stderr)


def _check(url):
    with connect(url, role="tonne_archive", autocommit=True) as conn:
        return check.check(conn)


def test_a_run_that_dies_at_any_step_is_finished_by_the_next(sealed_url, tmp_path):
    """A power cut would lose a chunk of readings, or leave two truths of one."""
    before, place = shelved.hot(sealed_url), tmp_path / "archive"
    for step in killed.STEPS:
        # what this run does before it dies, the next ones need not do again
        _die(step, "run", sealed_url, place)
        assert shelved.underived(sealed_url) == [], step
    shelved.archive(sealed_url, place)
    found = _check(sealed_url)
    assert (found.breaks, found.notes, found.rows) == ([], [], sum(before))
    assert shelved.hot(sealed_url) == [0, 0, 0]
    assert shelved.underived(sealed_url) == []


def test_a_restore_that_dies_at_any_step_is_finished_by_the_next(sealed_url, tmp_path):
    """Readings would come back twice, or be dropped again while they are looked at."""
    before, place = shelved.hot(sealed_url), tmp_path / "archive"
    shelved.archive(sealed_url, place)
    for step in killed.RESTORE_STEPS:
        _die(step, "restore", sealed_url, place)
        assert shelved.underived(sealed_url) == [], step
    with connect(sealed_url, role="tonne_ingest", autocommit=True) as conn:
        check.restore(conn, Wanted(), 30, "test")
    assert shelved.hot(sealed_url) == before
    assert shelved.underived(sealed_url) == []
    held = shelved.archive(sealed_url, place)
    assert (held.parts, held.dropped) == (0, [])
    assert all("kept since it was restored" in what for what in held.waiting)
    assert shelved.hot(sealed_url) == before
