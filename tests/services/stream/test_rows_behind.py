"""Workers derive rows after their commits, each for its own partitions."""

import threading

import psycopg
import pytest

from services.logs import get_logger
from services.store.offsets import Source
from services.stream.replay import Replayer
from tests.services.stream.records import TOPIC, fleet_of, made, minutes, record
from tests.waiting import until

from .test_moved_devices import _check


def _notes(database_url):
    with psycopg.connect(database_url) as connection:
        return connection.execute("SELECT id, home FROM underived ORDER BY id").fetchall()


def _waiting(locking, name):
    """Return whether a connection of the test waits for a lock."""
    return locking.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
        " AND wait_event_type = 'Lock' AND datname = current_database()",
        (name,),
    ).fetchone()[0]


@pytest.fixture
def worker(database_url, committer):
    """Return a worker of the one partition, with a reading whose rows are derived."""
    one = committer()
    one.take_over({0: 0}, 1)
    one.store(0, [record(0, [0])])
    made(database_url, one)
    return one


def test_a_table_of_rows_that_is_locked_holds_up_no_record(database_url, worker):
    """A rebuild of an hour would leave Kafka's records of a city where they are."""
    with psycopg.connect(database_url) as locking:
        locking.execute("LOCK TABLE interval_quantity IN ACCESS EXCLUSIVE MODE")
        for minute in range(1, 20):
            worker.store(0, [record(minute, [minute])])
        assert minutes(database_url) == list(range(20))
        assert {home for _, home in _notes(database_url)} == {0}
    _check(database_url, worker)


def test_who_takes_a_partition_over_makes_what_the_other_left(database_url, committer, worker):
    """Rows that two workers make would be those of the one that knows of fewer readings."""
    with psycopg.connect(database_url) as locking:
        locking.execute("LOCK TABLE interval_quantity IN ACCESS EXCLUSIVE MODE")
        worker.store(0, [record(1, [1])])
        until(lambda: _waiting(locking, "tonne worker (rows)"))
        other = committer()
        other.take_over({0: 0}, 1)  # while the first one's rows are under way
        assert _notes(database_url) == []
    other.store(0, [record(2, [2])])
    _check(database_url, other)
    assert minutes(database_url) == [0, 1, 2]
    other.store(0, [record(3, [20])])  # the mark that it goes on from is its own
    _check(database_url, other)


def test_rows_of_a_replay_beside_a_worker(database_url, worker):
    """Readings that a backup lacked would be stored again, but not metered."""
    worker.store(0, [record(1, [10])])
    replayer = Replayer(database_url, Source(TOPIC, 1), get_logger("test"), threading.Event())
    replayer.store(0, [record(2, [5, 40])])
    replayer.close()
    _check(database_url, worker)
    worker.store(0, [record(2, [50], fleet=fleet_of("m-1"))])
    _check(database_url, worker)
    assert minutes(database_url) == [0, 5, 10, 40, 50]
