"""A worker's own partitions: stored offsets, sequence of records, and registry version."""

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
from services.store import offsets
from services.store import offsets as source
from services.store.offsets import Position, Source
from services.stream import Homes, Record, in_sequence

AHEAD_S = 30.0


class MissingError(TonneError):
    """Later records arrive, but the next one is missing; none was skipped."""


class Following:
    """
    Accepts records in sequence, and waits for missing ones.

    `topic`: topic, for the error text of a missing record.
    """

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._ahead_since_s: dict[int, float] = {}

    def forget(self) -> None:
        """Reset after a change of partitions."""
        self._ahead_since_s = {}

    def of(self, position: Position, records: Sequence[Record]) -> list[Record]:
        """
        Return the next records without a gap.

        Earlier ones are stored already.  Later ones may be left over from before a reassignment;
        they come again, and storing them now would skip others.

        Raises MissingError when only later ones have arrived for a while.
        """
        todo, ahead = in_sequence(records, position.offset)
        if todo or not ahead:
            self._ahead_since_s.pop(position.partition, None)
            return todo
        since_s = self._ahead_since_s.setdefault(position.partition, time.monotonic())
        if time.monotonic() - since_s > AHEAD_S:
            raise MissingError(
                f"record {position.offset} of partition {position.partition} of {self._topic!r} "
                "is missing; only later records arrived. Restart this worker: it requests the "
                "record from Kafka"
            )
        return todo


def begin(
    connection: Connection, position: Position, first: int, log: FilteringBoundLogger
) -> Position:
    """
    Return the position at Kafka's first available record; skipped ones are logged as an
    error.
    """
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
    Own partitions, as last read from the database.

    `seen`: the topic with its number of partitions in Kafka, which determines each device's
    partition.
    """

    def __init__(self, seen: Source) -> None:
        self.topic, self.count = seen.topic, seen.partitions
        self.positions: dict[int, Position] = {}
        self.following = Following(seen.topic)

    @property
    def source(self) -> Source:
        """Return the topic, and its known number of partitions."""
        return Source(self.topic, self.count)

    def none(self) -> None:
        """Release all partitions, which may now belong to another worker."""
        self.positions = {}
        self.following.forget()

    def take_over(
        self,
        connection: Connection,
        begins: Mapping[int, int],
        seen: int,
        log: FilteringBoundLogger,
    ) -> None:
        """Take over these partitions, from Kafka's first available record of each."""
        if seen > self.count:
            self.count = source.grow(connection, Source(self.topic, seen))
        taken = offsets.take_over(connection, self.topic, begins)
        self.positions = {
            position.partition: begin(connection, position, begins[position.partition], log)
            for position in taken
        }

    def read_again(self, connection: Connection) -> int:
        """Reload the offsets of own partitions; return the topic's number of partitions."""
        self.positions = {k: offsets.reread(connection, p) for k, p in self.positions.items()}
        return source.grow(connection, self.source)

    def visited(self, connection: Connection) -> bool:
        """Return whether another process wrote for own devices, so that rows must be derived."""
        return offsets.visited(connection, self.topic, self.positions.values())

    def next_offsets(self) -> dict[int, int]:
        """Return the next record to store of each partition; safe from any thread."""
        return {p.partition: p.offset for p in self.positions.values()}

    def last_records(self) -> dict[int, tuple[int, bytes | None]]:
        """Return each partition's next record with the SHA-256 of the previous one, if known."""
        return {p.partition: (p.offset, p.digest) for p in self.positions.values()}

    def home_of(self, principal: str) -> int:
        """Return the partition of a principal."""
        return partition_of(principal, self.count)

    def answer_for(self, fleet: Fleet, device_id: str) -> bool:
        """Return whether a device belongs to an own partition."""
        index = fleet.by_id.get(device_id)
        gateway = None if index is None else fleet.devices[index].gateway
        return self.home_of(gateway or device_id) in self.positions

    def moved(
        self, steps: Sequence[tuple[Position, int, bytes | None]], visits: Mapping[int, int]
    ) -> None:
        """
        Record the effect of an own transaction: offsets and visits.

        The process's own visit is ignored, unless another process made one as well.
        """
        for position, offset, digest in steps:
            position_ = self.positions[position.partition]
            self.positions[position.partition] = replace(position_, offset=offset, digest=digest)
        for partition, count in visits.items():
            visited = self.positions.get(partition)
            if visited is not None and visited.visits + 1 == count:
                self.positions[partition] = replace(visited, visits=count)


@dataclass(frozen=True, slots=True)
class Version:
    """The store of a registry version, and the partition of each device."""

    store: Store
    homes: Homes

    @property
    def fleet(self) -> Fleet:
        """Return the fleet of this version."""
        return self.store.plan.fleet


def answer_requests(
    connection: Connection, store: Store, own: OwnPartitions, most_s: float
) -> Committed:
    """
    Derive requested rows of own devices for a limited time; return the rows written.

    Requests of other devices wait for their workers.

    Raises FencedError when another worker has a partition.
    Raises VisitedError when another process wrote for the devices of one.
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
