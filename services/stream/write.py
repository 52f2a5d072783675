"""
Steps 3 and 4 of `tonne worker`: derive and write in one transaction.

The partitions' offsets move in that transaction.  Records from before the number of partitions
changed may have devices of another partition; they are stored under that partition's lock and from
the database's state.

A refused batch is stored in parts, and the message at fault becomes a dead letter.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from psycopg import Connection, Cursor

from services.intake.sparkplug import Turn
from services.processing.batch import Batch, Committed
from services.processing.commit import Written
from services.processing.parts import in_parts
from services.store.stream import offsets
from services.store.stream.offsets import Position
from services.stream.own_partitions import OwnPartitions, Version

# where a partition stands, the next record after a batch, SHA-256 of the batch's last record
Step = tuple[Position, int, bytes | None]


def write(
    connection: Connection,
    version: Version,
    own: OwnPartitions,
    steps: Sequence[Step],
    batch: Batch,
    turn: Turn,
) -> Committed:
    """
    Store a batch of one or more partitions with their offsets; return the result once durable.

    Parameters
    ----------
    steps : sequence of (Position, int, bytes or None)
        Position of each partition, the next record after the batch, and the SHA-256 of its last
        record.

    Raises
    ------
    FencedError
        When another worker took the partition over.
    VisitedError
        When another process wrote for its devices.
    psycopg.Error
        No offset has moved, and the same call can be repeated.
    """
    ends = {position.partition: (end, digest) for position, end, digest in steps}
    homes = ends.keys()
    store = version.store
    strangers = version.homes.strangers(batch.frames, homes)
    theirs = {*version.homes.of(strangers), *map(own.home_of, turn.names)} - homes

    now = [own.positions[partition] for partition in sorted(ends)]
    moves: list[tuple[list[Step], dict[int, int]]] = []

    def commit(batch: Batch, *, last: bool) -> Committed:
        """Store a part; the offsets move with the last part."""
        to = [(p, *(ends[p.partition] if last else (p.offset, p.digest))) for p in now]
        visits: dict[int, int] = {}

        def fill(cursor: Cursor, batch: Batch) -> Written:
            visits.clear()
            visits.update(_move(cursor, to, sorted(theirs)))
            if last:
                turn.write(cursor)
            return store.write(cursor, batch)

        store.forget(strangers)
        committed = store.durably(connection, batch, fill)
        store.forget(strangers)
        moves.append((to, visits))
        return committed

    committed = in_parts(batch, commit, partial(store.around, connection))
    for to, visits in moves:  # only now is it durable
        own.moved(to, visits)
    turn.keep()
    return committed


def _move(cursor: Cursor, steps: Sequence[Step], theirs: list[int]) -> dict[int, int]:
    """Move the offsets; lock the other partitions concerned, and return their visits."""
    topic = steps[0][0].topic
    if theirs:
        offsets.lock(cursor, topic, [*(position.partition for position, _, _ in steps), *theirs])
    for step in steps:
        offsets.advance(cursor, *step)
    return offsets.visit(cursor, topic, theirs) if theirs else {}
