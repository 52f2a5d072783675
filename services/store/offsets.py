"""
How far each Kafka partition has been stored, and who may store on.

`stream_offset.offset` is the next record that is not stored yet.  It moves in
the transaction that stores what lies below it, so it is the truth, and what
Kafka's consumer group believes is a hint.  Each taking over of a partition
raises its epoch: a worker that lost the partition without noticing cannot
move the offset any more, and what it would have stored rolls back with that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ingest.errors import TonneError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from psycopg import Connection, Cursor
    from psycopg.rows import TupleRow


class FencedError(TonneError):
    """Another worker has taken a partition over; nothing of ours was stored since."""


@dataclass(frozen=True, slots=True)
class Position:
    """A partition that is ours: by which epoch, and the next record to store."""

    topic: str
    partition: int
    epoch: int
    offset: int


def take_over(
    connection: Connection[TupleRow], topic: str, partitions: Iterable[int]
) -> list[Position]:
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
        ' RETURNING partition, epoch, "offset"',
        (topic, wanted),
    ).fetchall()
    return [Position(topic, *row) for row in rows]


def advance(cursor: Cursor[TupleRow], position: Position, offset: int) -> None:
    """
    Move a partition on to `offset`, in the transaction that stores what lies before.

    Raises
    ------
    FencedError
        When the partition is no longer ours.
    """
    cursor.execute(
        'UPDATE stream_offset SET "offset" = %s'
        ' WHERE topic = %s AND partition = %s AND epoch = %s AND "offset" = %s',
        (offset, position.topic, position.partition, position.epoch, position.offset),
    )
    if cursor.rowcount != 1:
        raise _fenced(position)


def confirm(cursor: Cursor[TupleRow], positions: Sequence[Position]) -> None:
    """
    Hold on to partitions until the transaction ends.

    Raises
    ------
    FencedError
        When one is no longer ours.
    """
    for position in sorted(positions, key=lambda p: p.partition):
        cursor.execute(
            "SELECT FROM stream_offset WHERE topic = %s AND partition = %s AND epoch = %s"
            " FOR SHARE",
            (position.topic, position.partition, position.epoch),
        )
        if cursor.rowcount != 1:
            raise _fenced(position)


def reread(connection: Connection[TupleRow], position: Position) -> Position:
    """
    Return where a partition of ours stands: a commit may have held though its answer was lost.

    Raises
    ------
    FencedError
        When the partition is no longer ours.
    """
    row = connection.execute(
        'SELECT "offset" FROM stream_offset WHERE topic = %s AND partition = %s AND epoch = %s',
        (position.topic, position.partition, position.epoch),
    ).fetchone()
    if row is None:
        raise _fenced(position)
    return Position(position.topic, position.partition, position.epoch, row[0])


def _fenced(position: Position) -> FencedError:
    return FencedError(
        f"another worker took over partition {position.partition} of {position.topic!r}; nothing"
        " was stored twice. Start this one again; let all workers of a topic have one --group"
    )
