"""
How far each Kafka partition has been stored, and who may store on.

`stream_offset.offset` is the next record that is not stored yet.  It moves in
the transaction that stores what lies below it, so it is the truth, and what
Kafka's consumer group believes is a hint.  Each taking over of a partition
raises its epoch: a worker that lost the partition without noticing cannot
move the offset any more, and what it would have stored rolls back with that.

A partition's row also guards its devices.  Anyone who writes rows of devices that
another partition answers for (records from before the number of partitions
changed, a replay) locks that partition's row and counts a visit: the holder
then knows that what it remembers of registers may be out of date.

Which topic the workers of a database read, and into how many partitions it is cut.

Every worker must have the same answer, since by it a device is one partition's
to write.  Where Kafka shows more partitions than the database knows of, all
partitions count a visit, so that every worker asks again before its next commit.  What is
noted to be derived then waits by device: its partition may be another one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from psycopg import Connection, Cursor
from psycopg.rows import TupleRow

from ingest.errors import TonneError


class Source(NamedTuple):
    """A topic and its number of partitions."""

    topic: str
    partitions: int


def read(connection: Connection) -> Source | None:
    """Return what workers of this database read; None before the first one."""
    row = connection.execute("SELECT topic, partitions FROM stream_source").fetchone()
    return None if row is None else Source(*row)


def choose(connection: Connection, wanted: Source) -> None:
    """Make another topic the source; the caller holds the database for itself alone."""
    connection.execute(
        "INSERT INTO stream_source (topic, partitions) VALUES (%s, %s)"
        " ON CONFLICT (single) DO UPDATE"
        " SET topic = excluded.topic, partitions = excluded.partitions",
        wanted,
    )
    _fill(connection, wanted)


def grow(connection: Connection, seen: Source) -> int:
    """
    Record Kafka's number of partitions; return the number that the workers use.

    The number never falls: Kafka takes no partition away.
    """
    with connection.transaction():
        row = connection.execute(
            "SELECT partitions FROM stream_source WHERE topic = %s FOR UPDATE", [seen.topic]
        ).fetchone()
        known = 0 if row is None else int(row[0])
        if seen.partitions <= known:
            return known
        connection.execute("UPDATE stream_source SET partitions = %s", [seen.partitions])
        _fill(connection, seen)
    return seen.partitions


def _fill(connection: Connection, source: Source) -> None:
    """Make a row a partition, so that each can be locked; those there count a visit."""
    connection.execute(
        'INSERT INTO stream_offset (topic, partition, "offset")'
        " SELECT %s, p, 0 FROM generate_series(0, %s - 1) AS p ORDER BY p"
        " ON CONFLICT (topic, partition) DO UPDATE SET visits = stream_offset.visits + 1",
        source,
    )
    connection.execute("SELECT tonne_fold_underived(NULL)")


class FencedError(TonneError):
    """Another worker has taken a partition over; nothing of this process was stored since."""


class VisitedError(TonneError):
    """Someone wrote for this partition's devices: look at the database again, then go on."""


@dataclass(frozen=True, slots=True)
class Position:
    """
    A partition that is ours: by which epoch, the next record to store, visits so far.

    `digest` is the SHA-256 of the record before it, None where that is not known.
    """

    topic: str
    partition: int
    epoch: int
    offset: int
    visits: int = 0
    digest: bytes | None = None


def take_over(connection: Connection, topic: str, partitions: Iterable[int]) -> list[Position]:
    """
    Make partitions ours, once a transaction that is storing into one has ended.

    Returns
    -------
    list of Position
        Where to read on; offset 0 where nothing was ever stored.
    """
    wanted = sorted(partitions)
    rows = connection.execute(
        'INSERT INTO stream_offset (topic, partition, "offset", epoch)'
        " SELECT %s, p, 0, 1 FROM unnest(%s::int[]) AS p ORDER BY p"
        " ON CONFLICT (topic, partition) DO UPDATE SET epoch = stream_offset.epoch + 1"
        ' RETURNING partition, epoch, "offset", visits, last_sha256',
        (topic, wanted),
    ).fetchall()
    return [Position(topic, *row) for row in rows]


def stored(connection: Connection, topic: str) -> dict[int, int]:
    """Return the next record to store of every partition of a topic that is known."""
    rows = connection.execute(
        'SELECT partition, "offset" FROM stream_offset WHERE topic = %s ORDER BY partition', [topic]
    )
    return dict(rows.fetchall())


def advance(cursor: Cursor, position: Position, offset: int, digest: bytes | None) -> None:
    """
    Move a partition on to `offset`, in the transaction that stores what lies before.

    Parameters
    ----------
    digest : bytes, optional
        SHA-256 of the record before `offset`, where there is one that was stored.

    Raises
    ------
    FencedError
        When the partition is no longer ours.
    VisitedError
        When another party wrote for its devices since `position` was read.
    """
    cursor.execute(
        'UPDATE stream_offset SET "offset" = %s, last_sha256 = %s'
        ' WHERE topic = %s AND partition = %s AND epoch = %s AND "offset" = %s RETURNING visits',
        (offset, digest, position.topic, position.partition, position.epoch, position.offset),
    )
    _check(position, cursor.fetchone())


def lock(cursor: Cursor, topic: str, partitions: Iterable[int]) -> None:
    """
    Keep everybody else from writing for these partitions' devices until the transaction ends.

    In ascending order, as all who lock several do: no one waits in a circle.
    """
    cursor.execute(
        "SELECT FROM stream_offset WHERE topic = %s AND partition = ANY(%s)"
        " ORDER BY partition FOR UPDATE",
        (topic, sorted(partitions)),
    )


def visit(cursor: Cursor, topic: str, partitions: Iterable[int]) -> dict[int, int]:
    """Count a visit to partitions that are locked; return the new counts."""
    cursor.execute(
        "UPDATE stream_offset SET visits = visits + 1 WHERE topic = %s AND partition = ANY(%s)"
        " RETURNING partition, visits",
        (topic, sorted(partitions)),
    )
    return dict(cursor.fetchall())


def confirm(cursor: Cursor, positions: Sequence[Position]) -> None:
    """
    Hold on to partitions until the transaction ends.

    Raises
    ------
    FencedError
        When one is no longer ours.
    VisitedError
        When another party wrote for the devices of one.
    """
    for position in sorted(positions, key=lambda p: p.partition):
        cursor.execute(
            "SELECT visits FROM stream_offset WHERE topic = %s AND partition = %s AND epoch = %s"
            " FOR SHARE",
            (position.topic, position.partition, position.epoch),
        )
        _check(position, cursor.fetchone())


def _check(position: Position, row: TupleRow | None) -> None:
    if row is None:
        raise _fenced(position)
    if row[0] != position.visits:
        raise VisitedError(f"partition {position.partition} of {position.topic!r} was written for")


def visited(connection: Connection, topic: str, positions: Iterable[Position]) -> bool:
    """Return whether another process wrote for devices of these partitions; False for lost ones."""
    rows = connection.execute(
        "SELECT partition, epoch, visits FROM stream_offset WHERE topic = %s", [topic]
    )
    result = {(partition, epoch): visits for partition, epoch, visits in rows.fetchall()}
    return any(result.get((p.partition, p.epoch), p.visits) != p.visits for p in positions)


def reread(connection: Connection, position: Position) -> Position:
    """
    Return the stored position of a partition: a commit may have succeeded without an answer.

    Raises
    ------
    FencedError
        When another process has the partition.
    """
    row = connection.execute(
        'SELECT "offset", visits, last_sha256 FROM stream_offset'
        " WHERE topic = %s AND partition = %s AND epoch = %s",
        (position.topic, position.partition, position.epoch),
    ).fetchone()
    if row is None:
        raise _fenced(position)
    return Position(position.topic, position.partition, position.epoch, *row)


def _fenced(position: Position) -> FencedError:
    return FencedError(
        f"another worker took over partition {position.partition} of {position.topic!r}; nothing"
        " was stored twice. Start this one again; let all workers of a topic have one --group"
    )
