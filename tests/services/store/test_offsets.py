"""Only the owner of a partition moves its offset, and rows are stored with it or not at all."""

import psycopg
import pytest

from services.store import offsets
from services.store.offsets import FencedError

TOPIC = "t"


@pytest.fixture
def connection(database_url):
    """Return a connection to a fresh database."""
    with psycopg.connect(database_url, autocommit=True) as opened:
        yield opened


def advance(connection, position, offset):
    with connection.transaction(), connection.cursor() as cursor:
        offsets.advance(cursor, position, offset, None)


def test_a_partition_goes_on_where_it_was_stored(connection):
    """A successor that does not begin at the stored offset would lose or repeat records."""
    zero, one = offsets.take_over(connection, TOPIC, [1, 0])
    assert [(p.partition, p.offset) for p in (zero, one)] == [(0, 0), (1, 0)]
    advance(connection, one, 7)
    again = offsets.take_over(connection, TOPIC, [1])
    assert [(p.partition, p.offset, p.epoch) for p in again] == [(1, 7, 2)]
    assert offsets.take_over(connection, "other", [1])[0].offset == 0


def test_a_worker_that_was_replaced_can_do_nothing(connection):
    """A replaced worker cannot write."""
    (old,) = offsets.take_over(connection, TOPIC, [0])
    (new,) = offsets.take_over(connection, TOPIC, [0])
    for act in (
        lambda: advance(connection, old, 3),
        lambda: offsets.reread(connection, old),
        lambda: offsets.confirm(connection.cursor(), [old]),
    ):
        with pytest.raises(FencedError, match="partition 0"):
            act()
    advance(connection, new, 3)
    assert offsets.reread(connection, new).offset == 3
    offsets.confirm(connection.cursor(), [offsets.reread(connection, new)])


def test_an_offset_moves_from_where_it_is(connection):
    """A commit repeated after its answer was lost would store its records twice."""
    (position,) = offsets.take_over(connection, TOPIC, [0])
    advance(connection, position, 3)
    with pytest.raises(FencedError):
        advance(connection, position, 3)


def test_taking_over_waits_for_a_commit_that_runs(connection, database_url):
    """A successor must not read the offset while its predecessor is moving it."""
    (old,) = offsets.take_over(connection, TOPIC, [0])
    with psycopg.connect(database_url, autocommit=True) as other:
        other.execute("SET lock_timeout = '100ms'")
        with connection.transaction(), connection.cursor() as cursor:
            offsets.advance(cursor, old, 5, None)
            with pytest.raises(psycopg.errors.LockNotAvailable):
                offsets.take_over(other, TOPIC, [0])
        assert offsets.take_over(other, TOPIC, [0])[0].offset == 5
