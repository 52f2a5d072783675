"""Records of several partitions in one transaction: stored as one after the other would be."""

import psycopg
import pytest

from ingest.wire import partition_of
from services.store.stream.offsets import FencedError
from services.stream.records import Record
from tests.services.poison import REFUSALS, refuse
from tests.services.stream.records import fleet_of, letters, minutes, record

NAMES = [next(f"m-{k}" for k in range(1, 99) if partition_of(f"m-{k}", 2) == p) for p in (0, 1)]
FLEET = fleet_of(*NAMES)


@pytest.fixture
def worker(committer, register):
    """A worker of two partitions, each with a device."""
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
    """Rows of the one would be stored without its offset, and counted again."""
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
    """A foreign record, or a device of another partition, would go another way than alone."""
    worker.store_all({0: [Record(0, b"hello"), of(0, 1, 0)], 1: [of(1, 0, 0)]})
    assert (offsets(database_url), transactions(worker)) == ([2, 1], 2)
    worker.store_all({0: [of(0, 2, 1)], 1: [of(1, 1, 2, device=NAMES[0])]})
    assert (offsets(database_url), transactions(worker)) == ([3, 2], 4)
    assert [minutes(database_url, name) for name in NAMES] == [[0, 1, 2], [0]]
    assert [reason for reason, *_ in letters(database_url)] == ["foreign_record"]
    assert len(worker.spoiled) == 1
