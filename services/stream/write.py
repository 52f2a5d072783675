"""
Steps 3 and 4 of `tonne worker`: settle and write, in one transaction; its commit is the last step.

The partition's offset moves in that transaction.  Records from before the number of
partitions changed may hold devices that are another partition's now.  They are
stored under that partition's lock, from what the database says of the device and
not from what is remembered.

What the server refuses is stored in parts, and the message that it does not take
becomes a dead letter.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from services.processing.parts import in_parts
from services.store.stream import offsets

if TYPE_CHECKING:
    from psycopg import Connection, Cursor
    from psycopg.rows import TupleRow

    from services.intake.sparkplug import Turn
    from services.processing.batch import Batch, Committed
    from services.store.stream.offsets import Position
    from services.stream.own_partitions import OwnPartitions
    from services.stream.registry_version import Version


def write(
    connection: Connection[TupleRow],
    version: Version,
    own: OwnPartitions,
    step: tuple[Position, int, bytes | None],
    batch: Batch,
    turn: Turn,
) -> Committed:
    """
    Store a batch of a partition and move its offset; return once that is durable.

    Parameters
    ----------
    step : (Position, int, bytes or None)
        Where the partition stands, the next record after the batch, and the SHA-256 of
        its last record.

    Raises
    ------
    FencedError
        When another worker took the partition over.
    VisitedError
        When somebody else wrote for its devices.
    psycopg.Error
        The offset has not moved, and the same call may be made again.
    """
    position, end, digest = step
    store = version.store
    strangers = version.homes.strangers(batch.frames, position.partition)
    theirs = {*version.homes.of(strangers), *map(own.home_of, turn.names)} - {position.partition}

    now = own.positions[position.partition]
    moves: list[tuple[tuple[int, bytes | None], dict[int, int]]] = []

    def commit(batch: Batch, *, last: bool) -> Committed:
        """Store a part; the offset moves with the last."""
        to = (end, digest) if last else (now.offset, now.digest)
        store.state.forget(strangers)
        while True:
            try:
                with connection.transaction(), connection.cursor() as cursor:
                    visits = _move(cursor, (now, to), sorted(theirs))
                    if last:
                        turn.write(cursor)
                    written = store.write(cursor, batch)
            except BaseException as error:  # noqa: BLE001 (raised again, unless it can be mended)
                batch = store.after_failure(connection, batch, error)
            else:
                break
        committed = store.remember(written)
        store.state.forget(strangers)
        moves.append((to, visits))
        return committed

    committed = in_parts(batch, commit, partial(store.around, connection))
    for to, visits in moves:  # only now is it durable
        own.moved(now, to, visits)
    turn.keep()
    return committed


def _move(
    cursor: Cursor[TupleRow], step: tuple[Position, tuple[int, bytes | None]], theirs: list[int]
) -> dict[int, int]:
    """Move the offset; lock the partitions whose guests we are, and return their visits."""
    position, to = step
    if theirs:
        offsets.lock(cursor, position.topic, [position.partition, *theirs])
    offsets.advance(cursor, position, *to)
    return offsets.visit(cursor, position.topic, theirs) if theirs else {}
