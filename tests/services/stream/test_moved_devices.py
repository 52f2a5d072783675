"""
A device that moved to another partition is counted once, for any storing worker.

Records of several partitions in one transaction are stored as in separate ones.
"""

import random
import threading

import psycopg
import pytest

from ingest.wire import partition_of
from mrv import factors
from services.logs import get_logger
from services.settle import Plan
from services.store.offsets import FencedError, Source
from services.store.registry import load as registry
from services.stream import Record
from services.stream.replay import Replayer
from tests.integration import stored
from tests.services.poison import REFUSALS, refuse
from tests.services.stream.records import TOPIC, fleet_of, letters, made, minutes, record
from tests.soak import SOAK, often

NAMES = [next(f"m-{k}" for k in range(1, 99) if partition_of(f"m-{k}", 2) == p) for p in (0, 1)]
FLEET = fleet_of(*NAMES)


@pytest.fixture
def worker(committer, register):
    """Return a worker of two partitions, each with a device."""
    register(*NAMES)
    found = committer(2)
    found.take_over({0: 0, 1: 0}, 2)
    return found


def of(partition, offset, *minutes_of, device=None):
    return record(offset, minutes_of, device or NAMES[partition], FLEET)


def offsets(database_url):
    with psycopg.connect(database_url) as connection:
        return [
            offset
            for (offset,) in connection.execute(
                'SELECT "offset" FROM stream_offset ORDER BY partition'
            )
        ]


def transactions(worker):
    return sum(b.get() for b in worker._metrics.commit_seconds._buckets)


def test_several_partitions_share_a_transaction(database_url, worker):
    """Four partitions at a moderate rate would cost four times the transactions."""
    worker.store_all({1: [of(1, 0, 0), of(1, 1, 1)], 0: [of(0, 0, 5)]})
    assert (offsets(database_url), transactions(worker)) == ([1, 2], 1)
    assert [minutes(database_url, name) for name in NAMES] == [[5], [0, 1]]
    again = {1: [of(1, 1, 1), of(1, 2, 2)], 0: [of(0, 0, 5)]}  # some of it is stored
    worker.store_all(again)
    worker.store_all(again)
    assert (offsets(database_url), transactions(worker)) == ([1, 3], 2)
    assert minutes(database_url, NAMES[1]) == [0, 1, 2]


def test_a_partition_that_was_taken_takes_all_back(database_url, worker, committer):
    """Rows of one partition would be stored without its offset, and counted again."""
    committer(2).take_over({1: 0}, 2)
    with pytest.raises(FencedError):
        worker.store_all({0: [of(0, 0, 0)], 1: [of(1, 0, 0)]})
    assert offsets(database_url) == [0, 0]
    assert [minutes(database_url, name) for name in NAMES] == [[], []]


def test_what_the_server_refuses_of_one_costs_the_other_nothing(database_url, worker):
    """One meter would stop every partition of its worker."""
    refuse(database_url, NAMES[0], REFUSALS[0])
    worker.store_all({0: [of(0, 0, 0)], 1: [of(1, 0, 0)]})
    assert offsets(database_url) == [1, 1]
    assert [minutes(database_url, name) for name in NAMES] == [[], [0]]
    assert [reason for reason, *_ in letters(database_url)] == ["unstorable"]


def test_what_must_stand_alone_does(database_url, worker):
    """
    A foreign record, or a device of another partition, would be
    handled differently among others.
    """
    worker.store_all({0: [Record(0, b"hello"), of(0, 1, 0)], 1: [of(1, 0, 0)]})
    assert (offsets(database_url), transactions(worker)) == ([2, 1], 2)
    worker.store_all({0: [of(0, 2, 1)], 1: [of(1, 1, 2, device=NAMES[0])]})
    assert (offsets(database_url), transactions(worker)) == ([3, 2], 4)
    assert [minutes(database_url, name) for name in NAMES] == [[0, 1, 2], [0]]
    assert [reason for reason, *_ in letters(database_url)] == ["foreign_record"]
    assert len(worker.spoiled) == 1


MINUTES = 35  # past two ends of a quarter hour
CHECKED = 1 if SOAK else 4


def moved(from_, to):
    """
    Return a device whose partition changes with the number of
    partitions, and its new partition.
    """
    names = (f"m-{k}" for k in range(1, 100))
    return next(
        (name, partition_of(name, to))
        for name in names
        if partition_of(name, from_) == 0 != partition_of(name, to)
    )


@pytest.mark.parametrize("seed", range(often(1, 4)))
def test_two_partitions_may_hold_one_device(database_url, committer, register, seed):
    """A device that moved would be counted from two marks until its old records are through."""
    device, home = moved(1, 2)
    register("m-1", device)
    chance = random.Random(seed)  # noqa: S311 - the same order each time
    fleet = fleet_of(device)
    old, new = committer(1), committer(2)
    old.take_over({0: 0}, 1)
    old.store(0, [record(0, [0], device, fleet)])
    new.take_over({home: 0}, 2)
    at = {0: 1, home: 0}
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("SET timezone = 'UTC'")
        plan = Plan.of(registry.load_fleet(connection), [], factors.load())
        for minute in range(1, MINUTES):
            worker, partition = chance.choice([(old, 0), (new, home)])
            # the register of a meter that starts anew now and then
            sent = record(at[partition], [minute], device, fleet, base=900 - 97 * (minute // 7))
            worker.store(partition, [sent])
            at[partition] += 1
            if minute % CHECKED == 0 or minute == MINUTES - 1:
                made(database_url, old, new)
                stored.check(connection, plan)
    assert min(at.values()) > 5
    assert minutes(database_url, device) == list(range(MINUTES))


def one_stored(committer, register):
    """Return a device that moves to a second partition, with one reading stored and one pending."""
    device, home = moved(1, 2)
    register("m-1", device)
    fleet = fleet_of(device)
    old, new = committer(1), committer(2)
    old.take_over({0: 0}, 1)
    old.store(0, [record(0, [0], device, fleet)])
    return device, home, fleet, old, new


def _cut_off(database_url):
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name LIKE 'tonne worker%' AND datname = current_database()"
        )


def _visits(database_url, partition):
    with psycopg.connect(database_url) as connection:
        found = connection.execute(
            "SELECT visits FROM stream_offset WHERE partition = %s", [partition]
        )
        return found.fetchone()[0]


def _check(database_url, *workers):
    made(database_url, *workers)
    with psycopg.connect(database_url) as connection:
        connection.execute("SET timezone = 'UTC'")
        stored.check(connection, Plan.of(registry.load_fleet(connection), [], factors.load()))


def test_a_worker_that_was_cut_off_hears_that_partitions_were_added(
    database_url, committer, register
):
    """A worker would meter a moved device from an outdated register state."""
    device, home, fleet, old, new = one_stored(committer, register)
    _cut_off(database_url)
    new.take_over({home: 0}, 2)  # the number grows while the other has no connection
    new.store(home, [record(0, [10], device, fleet)])
    old.store(0, [record(1, [20], device, fleet)])
    new.store(home, [record(1, [30], device, fleet, base=60)])  # a register that starts anew
    old.store(0, [record(2, [40], device, fleet, base=60)])
    _check(database_url, old, new)
    assert minutes(database_url, device) == [0, 10, 20, 30, 40]


def test_a_replay_that_was_cut_off_hears_that_partitions_were_added(
    database_url, committer, register
):
    """
    The wrong worker would be notified of stored rows, and the
    responsible one would overwrite them.
    """
    device, home, fleet, _, new = one_stored(committer, register)
    replayer = Replayer(database_url, Source(TOPIC, 1), get_logger("test"), threading.Event())
    replayer.store(0, [record(0, [0], device, fleet)])
    _cut_off(database_url)
    new.take_over({home: 0}, 2)
    new.store(home, [record(0, [30], device, fleet)])
    before = _visits(database_url, home)
    replayer.store(0, [record(1, [31], device, fleet)])  # lost from a backup, say
    replayer.close()
    assert _visits(database_url, home) == before + 1
    new.store(home, [record(1, [50], device, fleet)])
    _check(database_url, new)
    assert minutes(database_url, device) == [0, 30, 31, 50]
