"""A device that moved to another partition: counted once, whoever stores it."""

import random
import threading

import psycopg
import pytest

from ingest.wire import partition_of
from mrv import factors
from services.logs import get_logger
from services.settle import Plan
from services.store.registry import load as registry
from services.store.stream.offsets import Source
from services.stream.replay import Replayer
from tests.integration import stored
from tests.services.stream.records import TOPIC, fleet_of, made, minutes, record
from tests.soak import SOAK, often

MINUTES = 35  # past two ends of a quarter hour
CHECKED = 1 if SOAK else 4


def moved(from_, to):
    """A device's name whose partition changes with their number, and its new partition."""
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
    """A device that a second partition will move; one worker has stored of it, one is to come."""
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
    """It would store a device that moved as its own, by marks its new partition left behind."""
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
    """It would tell the wrong worker of what it stored; the right one would write over it."""
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
