"""Stored Kafka offsets of the workers, by partition, and their topic."""

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
    """Return the topic that workers of this database read; None before the first worker."""
    row = connection.execute("SELECT topic, partitions FROM stream_source").fetchone()
    return None if row is None else Source(*row)


def choose(connection: Connection, wanted: Source) -> None:
    """Change the workers' topic; the caller must hold the exclusive lock of the database."""
    connection.execute(
        "INSERT INTO stream_source (topic, partitions) VALUES (%s, %s)"
        " ON CONFLICT (single) DO UPDATE"
        " SET topic = excluded.topic, partitions = excluded.partitions",
        wanted,
    )
    _fill(connection, wanted)


def grow(connection: Connection, source: Source) -> int:
    """
    Record Kafka's number of partitions; return the recorded number.
    It never decreases, as Kafka removes no partition.
    """
    with connection.transaction():
        row = connection.execute(
            "SELECT partitions FROM stream_source WHERE topic = %s FOR UPDATE", [source.topic]
        ).fetchone()
        known = 0 if row is None else int(row[0])
        if source.partitions <= known:
            return known
        connection.execute("UPDATE stream_source SET partitions = %s", [source.partitions])
        _fill(connection, source)
    return source.partitions


def _fill(connection: Connection, source: Source) -> None:
    """Create a row for each partition; for an existing row count a visit (`visit`)."""
    connection.execute(
        'INSERT INTO stream_offset (topic, partition, "offset")'
        " SELECT %s, p, 0 FROM generate_series(0, %s - 1) AS p ORDER BY p"
        " ON CONFLICT (topic, partition) DO UPDATE SET visits = stream_offset.visits + 1",
        source,
    )
    connection.execute("SELECT tonne_fold_underived(NULL)")


class FencedError(TonneError):
    """Another worker has taken over a partition; nothing that this worker sent since was stored."""


class VisitedError(TonneError):
    """Another process wrote rows of this partition's devices, whose state must be loaded again."""


@dataclass(frozen=True, slots=True)
class Position:
    """
    Partition that this worker owns.

    `epoch`: number of take-overs.  `offset`: next record to store.  `visits`: number of writes by
    other processes for its devices.  `digest`: SHA-256 of the record before `offset`; None if
    unknown.
    """

    topic: str
    partition: int
    epoch: int
    offset: int
    visits: int = 0
    digest: bytes | None = None


def take_over(connection: Connection, topic: str, partitions: Iterable[int]) -> list[Position]:
    """
    Take over partitions, after running transactions have ended; return the positions to continue
    at.  The offset is 0 if nothing was stored.
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
    """Return the offset of the next record to store, by partition of a topic."""
    rows = connection.execute(
        'SELECT partition, "offset" FROM stream_offset WHERE topic = %s ORDER BY partition', [topic]
    )
    return dict(rows.fetchall())


def advance(cursor: Cursor, position: Position, offset: int, digest: bytes | None) -> None:
    """
    Move a partition to `offset`, in the transaction that stores the records before it.

    `digest`: SHA-256 of the record before `offset`, if one was stored.
    Raises FencedError when another worker has the partition.
    Raises VisitedError when another process wrote for its devices since `position` was read.
    """
    cursor.execute(
        'UPDATE stream_offset SET "offset" = %s, last_sha256 = %s'
        ' WHERE topic = %s AND partition = %s AND epoch = %s AND "offset" = %s RETURNING visits',
        (offset, digest, position.topic, position.partition, position.epoch, position.offset),
    )
    _check(position, cursor.fetchone())


def lock(cursor: Cursor, topic: str, partitions: Iterable[int]) -> None:
    """
    Lock partitions against writes for their devices until the transaction ends.

    Rows are locked in ascending order, which prevents deadlocks.
    """
    cursor.execute(
        "SELECT FROM stream_offset WHERE topic = %s AND partition = ANY(%s)"
        " ORDER BY partition FOR UPDATE",
        (topic, sorted(partitions)),
    )


def visit(cursor: Cursor, topic: str, partitions: Iterable[int]) -> dict[int, int]:
    """
    Record that this process wrote rows for devices of locked partitions of workers; return the new
    number of visits of each.
    """
    cursor.execute(
        "UPDATE stream_offset SET visits = visits + 1 WHERE topic = %s AND partition = ANY(%s)"
        " RETURNING partition, visits",
        (topic, sorted(partitions)),
    )
    return dict(cursor.fetchall())


def confirm(cursor: Cursor, positions: Sequence[Position]) -> None:
    """
    Check and lock a worker's partitions until the transaction ends.

    Raises FencedError when another worker has one.
    Raises VisitedError when another process wrote for the devices of one.
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
        raise VisitedError(
            f"another process wrote readings of partition {position.partition} of topic "
            f"{position.topic!r}; the state of its devices must be loaded again"
        )


def visited(connection: Connection, topic: str, positions: Iterable[Position]) -> bool:
    """Return whether another process wrote rows for devices of partitions that are still owned."""
    rows = connection.execute(
        "SELECT partition, epoch, visits FROM stream_offset WHERE topic = %s", [topic]
    )
    result = {(partition, epoch): visits for partition, epoch, visits in rows.fetchall()}
    return any(result.get((p.partition, p.epoch), p.visits) != p.visits for p in positions)


def reread(connection: Connection, position: Position) -> Position:
    """
    Return the stored position of a partition, after a commit whose result is unknown.

    Raises FencedError when another process has the partition.
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
        " was stored twice. Start this worker again, with the --group of the other workers"
    )
