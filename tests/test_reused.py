"""A connection of the tests is as good as a new one, whatever was done in its session before."""

import psycopg
import pytest
from psycopg import pq
from psycopg.rows import dict_row

from services.store.postgres.pool import connect

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


def test_a_connection_that_was_closed_is_closed(database_url):
    """Whoever uses it after that would be in the session of somebody else."""
    with connect(database_url, role="tonne_mrv") as gone:
        cursor = gone.cursor()
    with connect(database_url, role="tonne_mrv") as conn:
        assert gone.closed
        for use in (gone.commit, lambda: gone.execute("SELECT 1"), lambda: cursor.execute("")):
            with pytest.raises(psycopg.OperationalError, match="closed"):
                use()
        assert conn.info.transaction_status is pq.TransactionStatus.IDLE


def test_a_session_that_was_ended_is_not_lent(database_url):
    """A test would lose its connection by what another one did to it."""
    pid, new = _seen(database_url)
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    other, seen = _seen(database_url)
    assert (other != pid, seen) == (True, new)
