"""
A reused connection of the tests equals a new one, whatever its session did before.

Tests that run at the same time must not use the same port.
"""

import subprocess
import sys
from contextlib import closing
from itertools import pairwise

from psycopg.rows import dict_row

from services.store.postgres.pool import connect
from tests import ports

_OTHER = """
import sys
from tests.ports import Block
block = Block()
print(block.first, flush=True)
sys.stdin.read()
"""


def test_processes_hold_blocks_of_their_own():
    """Two servers would be given one port, and a test would fail for another's sake."""
    with subprocess.Popen(
        [sys.executable, "-c", _OTHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        theirs = int(other.stdout.readline())
        with closing(ports.Block()) as block:
            assert block.first not in {theirs, ports.own().first}
        other.stdin.close()
        assert other.wait(60) == 0


def test_ports_come_in_turn_and_stay_in_the_block():
    """A port that a server just left would be given to the next one."""
    with closing(ports.Block()) as block:
        given = [block.free() for _ in range(60)] + [block.free(3) for _ in range(10)]
        assert len(set(given)) == len(given)
        assert all(block.first < port < block.first + ports.SIZE for port in given)
        assert all(b - a >= 3 for a, b in pairwise(given[60:]))


_SEEN = (
    "SELECT pg_backend_pid(), current_user, current_setting('search_path'),"
    " current_setting('timezone'), to_regclass('pg_temp.left_behind'),"
    " (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()),"
    " (SELECT count(*) FROM pg_prepared_statements), now() = statement_timestamp()"
)


def _seen(url):
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        pid, *seen = conn.execute(_SEEN).fetchone()
        return pid, seen


def test_what_was_left_in_a_session_does_not_reach_the_next(database_url):
    """A test could pass, or fail, by what another one did."""
    pid, new = _seen(database_url)
    left = connect(database_url, role="tonne_mrv", autocommit=True)
    assert left.info.backend_pid == pid
    left.execute("SET ROLE NONE; SET search_path = 'pg_catalog'; SET timezone = 'Asia/Tokyo'")
    left.execute("CREATE TEMPORARY TABLE left_behind (); SELECT pg_advisory_lock(1)")
    left.execute("SELECT %s::int", [1], prepare=True)
    left.row_factory = dict_row
    left.execute("BEGIN; DELETE FROM public.schema_migration")
    left.close()
    assert _seen(database_url) == (pid, new)
    with connect(database_url) as conn:
        assert conn.execute("SELECT count(*) > 0 FROM schema_migration").fetchone() == (True,)
