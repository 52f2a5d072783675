"""A worker's own partitions: how far each is stored, and how many the topic has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from psycopg import Connection
from structlog.typing import FilteringBoundLogger

from ingest.model import Fleet
from ingest.wire import partition_of
from services.store.stream import offsets
from services.store.stream import offsets as source
from services.store.stream.offsets import Position, Source
from services.stream.sequence import Following, begin


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
