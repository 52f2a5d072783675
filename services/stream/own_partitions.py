"""A worker's own partitions: how far each is stored, and how many the topic has.

What one registry version is to a process that stores records.

Continuity of a partition's offsets: no record is left out, none is stored twice.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from psycopg import Connection
from structlog.typing import FilteringBoundLogger

from ingest.errors import TonneError
from ingest.model import Fleet
from ingest.wire import partition_of
from services.processing.batch import Committed
from services.processing.commit import Store
from services.store.stream import offsets
from services.store.stream import offsets as source
from services.store.stream.offsets import Position, Source
from services.stream.read import Homes
from services.stream.records import Record, in_sequence

AHEAD_S = 30.0


class MissingError(TonneError):
    """Records come, but not the one that is next; nothing was left out."""


class Following:
    """
    Takes what follows, and waits for what is missing.

    Parameters
    ----------
    topic : str
        Named where a record does not come.
    """

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._ahead_since_s: dict[int, float] = {}

    def forget(self) -> None:
        """Begin anew: partitions changed hands."""
        self._ahead_since_s = {}

    def of(self, position: Position, records: Sequence[Record]) -> list[Record]:
        """
        Return the records that are next, without a gap.

        Those before are stored.  Those after may be left over from before partitions
        changed hands: they come again in their turn, and taking them now would leave
        out what is between.

        Raises
        ------
        MissingError
            When only later ones have come for a while.
        """
        todo, ahead = in_sequence(records, position.offset)
        if todo or not ahead:
            self._ahead_since_s.pop(position.partition, None)
            return todo
        since_s = self._ahead_since_s.setdefault(position.partition, time.monotonic())
        if time.monotonic() - since_s > AHEAD_S:
            raise MissingError(
                f"record {position.offset} of partition {position.partition} of {self._topic!r} is "
                "missing, only later records came. Restart this worker: it requests the record "
                "from Kafka"
            )
        return todo


def begin(
    connection: Connection, position: Position, first: int, log: FilteringBoundLogger
) -> Position:
    """Go on from where Kafka has records, and say which it no longer had."""
    if first <= position.offset:
        return position
    log.error(
        "records missing: Kafka no longer had them",
        partition=position.partition,
        first=position.offset,
        count=first - position.offset,
    )
    with connection.transaction(), connection.cursor() as cursor:
        offsets.advance(cursor, position, first, None)
    return replace(position, offset=first, digest=None)


class OwnPartitions:
    """
    What the database said last of our partitions.

    Parameters
    ----------
    seen : Source
        The topic, and how many partitions Kafka shows: by them a device is ours or
        another worker's.
    """

    def __init__(self, seen: Source) -> None:
        self.topic, self.count = seen.topic, seen.partitions
        self.positions: dict[int, Position] = {}
        self.following = Following(seen.topic)

    @property
    def source(self) -> Source:
        """The topic, and how many partitions we know it to have."""
        return Source(self.topic, self.count)

    def none(self) -> None:
        """Hold no partition: what was ours may be another's by now."""
        self.positions = {}
        self.following.forget()

    def take_over(
        self,
        connection: Connection,
        begins: Mapping[int, int],
        seen: int,
        log: FilteringBoundLogger,
    ) -> None:
        """Make these partitions ours, from the first record that Kafka still has of each."""
        if seen > self.count:
            self.count = source.grow(connection, Source(self.topic, seen))
        taken = offsets.take_over(connection, self.topic, begins)
        self.positions = {
            position.partition: begin(connection, position, begins[position.partition], log)
            for position in taken
        }

    def read_again(self, connection: Connection) -> int:
        """Read where our partitions stand; return how many the topic has."""
        self.positions = {k: offsets.reread(connection, p) for k, p in self.positions.items()}
        return source.grow(connection, self.source)

    def visited(self, connection: Connection) -> bool:
        """Whether another party wrote for devices of ours: we make the rows that follow."""
        return offsets.visited(connection, self.topic, self.positions.values())

    def next_offsets(self) -> dict[int, int]:
        """Return the next record to store of each partition; safe from any thread."""
        return {p.partition: p.offset for p in self.positions.values()}

    def last_records(self) -> dict[int, tuple[int, bytes | None]]:
        """Return the same with the SHA-256 of the record before it, where it is known."""
        return {p.partition: (p.offset, p.digest) for p in self.positions.values()}

    def home_of(self, principal: str) -> int:
        """Return the partition that answers for a principal."""
        return partition_of(principal, self.count)

    def answer_for(self, fleet: Fleet, device_id: str) -> bool:
        """Whether a device is of a partition of ours."""
        index = fleet.by_id.get(device_id)
        gateway = None if index is None else fleet.devices[index].gateway
        return self.home_of(gateway or device_id) in self.positions

    def moved(
        self, steps: Sequence[tuple[Position, int, bytes | None]], visits: Mapping[int, int]
    ) -> None:
        """
        Take note of what a transaction of ours did: to which records, with which before them.

        A visit that was our own is no news, unless another came between.
        """
        for position, offset, digest in steps:
            held = self.positions[position.partition]
            self.positions[position.partition] = replace(held, offset=offset, digest=digest)
        for partition, count in visits.items():
            visited = self.positions.get(partition)
            if visited is not None and visited.visits + 1 == count:
                self.positions[partition] = replace(visited, visits=count)


@dataclass(frozen=True, slots=True)
class Version:
    """A store of a registry version, and which partition answers for each device."""

    store: Store
    homes: Homes

    @property
    def fleet(self) -> Fleet:
        """The fleet of this version."""
        return self.store.plan.fleet


def answer_requests(
    connection: Connection, store: Store, own: OwnPartitions, most_s: float
) -> Committed:
    """
    Derive rows that our devices lack, for at most some seconds; return what was written.

    Requests of others' devices wait for their workers.

    Raises
    ------
    FencedError
        When a partition is no longer ours.
    VisitedError
        When another party wrote for the devices of one.
    """
    until_s, out = time.monotonic() + most_s, Committed()
    while store.behind and time.monotonic() < until_s:
        answered = store.catch_up(
            connection, lambda cursor: offsets.confirm(cursor, list(own.positions.values()))
        )
        if not answered:
            break
        out.add(answered.committed)
    return out
