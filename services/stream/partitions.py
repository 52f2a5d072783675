"""
Partitions of the Kafka topic: their assignment to workers, and the state of a worker's own ones.

Queries on the topic use a separate connection, since Faust's own one answers nothing while it waits
for Kafka.

Kafka lets one member, the leader, assign the partitions.  A leader restarted under its name
(`--instance`) is readmitted without learning that it is the leader, and no longer checks the number
of partitions.  So each assignment states its number of partitions; a worker that sees more in Kafka
rejoins with changed metadata, which makes Kafka request a new assignment.

A worker keeps for each of its partitions the stored offset, the sequence of records and the
registry version.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from secrets import token_bytes
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.client import CoordinationType
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.protocol import (
    ConsumerProtocolMemberAssignment,
    ConsumerProtocolMemberMetadata,
)
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    KafkaError,
    UnsupportedVersionError,
    for_code,
)
from psycopg import Connection
from structlog.typing import FilteringBoundLogger

from ingest.errors import ServerError, TonneError
from ingest.model import Fleet
from ingest.wire import partition_of
from services.environment import KafkaAccess
from services.intake.kafka_client import Reasons, client_options, run_once, without_leader, words
from services.intake.topics import administering
from services.processing.batch import Committed
from services.processing.commit import Store
from services.store import offsets
from services.store import offsets as source
from services.store.offsets import Position, Source
from services.stream import MAX_BYTES, Homes, Record, in_sequence

_MARK = 8


class Sharing(RoundRobinPartitionAssignor):  # type: ignore[misc]  # aiokafka has no types
    """
    Kafka's round-robin assignment with the number of partitions, compatible with older workers.

    `covered`: number of partitions of the current assignment; None before the first, or if made by
    an older worker.
    `by_older`: whether an older worker made it.
    """

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._mark = b""
        self._join: Callable[[], object] = lambda: None
        self.covered: int | None = None
        self.by_older = False

    def joined_by(self, join: Callable[[], object]) -> None:
        """Set the function that rejoins the group."""
        self._join = join

    def reassign(self) -> None:
        """Make the group assign partitions again."""
        self._mark = token_bytes(_MARK)
        self._join()

    def metadata(self, topics: Any) -> Any:
        """Return the metadata for joining the group."""
        return ConsumerProtocolMemberMetadata(self.version, list(topics), self._mark)

    def assign(self, cluster: Any, members: Any) -> dict[str, Any]:
        """Return the assignment of partitions by member, calculated by the group's leader."""
        count = len(cluster.partitions_for_topic(self._topic) or ())
        shares = super().assign(cluster, members)
        return {
            member: ConsumerProtocolMemberAssignment(
                self.version, share.assignment, str(count).encode()
            )
            for member, share in shares.items()
        }

    def on_assignment(self, assignment: Any) -> None:
        """Record the partitions that the group assigned to this worker."""
        user_data = assignment.user_data or b""
        self.covered = int(user_data) if user_data.isdigit() else None
        self.by_older = self.covered is None


_T = TypeVar("_T")

ANSWER_S = 10.0
FRESH_MS = 10_000  # maximum age of the known partitions [ms]


class AwayError(Exception):
    """Kafka does not answer; the text states the reason."""


@dataclass(frozen=True, slots=True)
class Seen:
    """
    SHA-256 of a Kafka record, and the time at which Kafka stored the record. [ms since
    1970 UTC]
    """

    digest: bytes
    time_ms: int


class TopicView:
    """Queries on a topic in Kafka. Each raises `AwayError` when Kafka does not answer in time."""

    def __init__(self, kafka: KafkaAccess, topic: str) -> None:
        self._kafka, self.topic = kafka, topic
        self._consumer: Any = None
        self._lock = asyncio.Lock()  # locks, so that one query runs at a time

    async def partitions(self) -> list[int]:
        """Return the topic's partitions; empty if it does not exist."""
        return await self._answer(self._partitions)

    async def ends(self, partitions: Iterable[int]) -> dict[int, int]:
        """Return the ends of partitions: the offset of the next record of each."""
        return await self._answer(partial(self._ends, list(partitions)))

    async def record(self, partition: int, offset: int) -> Seen | None:
        """Return a record's data; None if the partition has none at the offset."""
        return await self._answer(
            partial(self._record, TopicPartition(self.topic, partition), offset)
        )

    async def require_group(self, group: str) -> None:
        """
        Raise `AwayError` if the user has no right to read in a group, as Faust would wait without
        an error.
        """
        await self._answer(partial(self._may_read_as, group), f"read as group {group!r}")

    async def close(self) -> None:
        """Disconnect."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            with contextlib.suppress(KafkaError, OSError, TimeoutError):
                await asyncio.wait_for(consumer.stop(), 2)

    async def _answer(self, question: Callable[[], Awaitable[_T]], doing: str = "") -> _T:
        with Reasons(self._kafka) as reasons:
            try:
                async with asyncio.timeout(ANSWER_S), self._lock:
                    return await question()
            except (KafkaError, OSError) as error:
                known = self._consumer
                leaderless = known and without_leader(known._client, self.topic)  # noqa: SLF001
                await self.close()
                why = await asyncio.to_thread(reasons.of, error)
                doing = doing or f"read topic {self.topic!r}"
                raise AwayError(leaderless or words(why, doing)) from error

    async def _connected(self) -> Any:
        if self._consumer is None:
            made = AIOKafkaConsumer(
                **client_options(self._kafka),
                enable_auto_commit=False,
                auto_offset_reset="none",
                metadata_max_age_ms=FRESH_MS,
                request_timeout_ms=int(ANSWER_S * 1_000),
                max_partition_fetch_bytes=MAX_BYTES,
            )
            try:
                await made.start()
            except BaseException:
                with contextlib.suppress(KafkaError, OSError, TimeoutError):
                    await asyncio.wait_for(made.stop(), 2)
                raise
            self._consumer = made
        return self._consumer

    async def _partitions(self) -> list[int]:
        consumer = await self._connected()
        # the consumer gets the partitions of a topic only after its first query on it
        with contextlib.suppress(KafkaError):
            await consumer.end_offsets([TopicPartition(self.topic, 0)])
        return sorted(consumer.partitions_for_topic(self.topic) or ())

    async def _may_read_as(self, group: str) -> None:
        client = (await self._connected())._client  # noqa: SLF001 (no other way is offered)
        with contextlib.suppress(GroupCoordinatorNotAvailableError, UnsupportedVersionError):
            await client.coordinator_lookup(CoordinationType.GROUP, group)

    async def _ends(self, partitions: list[int]) -> dict[int, int]:
        consumer = await self._connected()
        wanted = [TopicPartition(self.topic, partition) for partition in partitions]
        end_offsets = await consumer.end_offsets(wanted)
        return {tp.partition: end for tp, end in end_offsets.items()}

    async def _record(self, tp: Any, offset: int) -> Seen | None:
        consumer = await self._connected()
        consumer.assign([tp])
        try:
            consumer.seek(tp, offset)
            while True:
                result = (await consumer.getmany(tp, timeout_ms=1_000, max_records=1)).get(tp, ())
                for message in result:
                    if message.offset != offset:
                        return None
                    digest = hashlib.sha256(message.value or b"").digest()
                    return Seen(digest, message.timestamp)
        finally:
            consumer.unsubscribe()


async def assigned(kafka: KafkaAccess, group: str, topic: str) -> set[int]:
    """
    Return the partitions of a topic assigned to members of a group.

    Raises ServerError when Kafka does not answer or refuses.
    """
    async with administering(kafka, doing=f"look at group {group!r}") as admin:
        (answer,) = await admin.describe_consumer_groups([group])
    result: set[int] = set()
    for code, _name, _state, _type, _protocol, members, *_ in answer.groups:
        if code:
            raise ServerError(words(for_code(code)(), f"look at group {group!r}"))
        for member in members:  # fields: id, client, host, metadata, assignment
            share = member[4]
            if share:
                taken = ConsumerProtocolMemberAssignment.decode(share)
                result |= {tp.partition for tp in taken.partitions() if tp.topic == topic}
    return result


@dataclass(frozen=True, slots=True)
class TopicState:
    """
    Records in Kafka beyond the stored ones.

    `lag`: number of unstored records of each partition.
    `oldest_s`: age of the oldest of them; 0 without any. [s]
    `cut`: partitions that end before their stored offset, with their end.
    `unassigned`: partitions without a worker of the group; None if Kafka does not answer.
    `no_answer`: reason for that.
    """

    lag: dict[int, int]
    oldest_s: float
    cut: dict[int, int]
    unassigned: tuple[int, ...] | None
    no_answer: str = ""


def topic_state(
    kafka: KafkaAccess, topic: str, stored: Mapping[int, int], group: str
) -> TopicState:
    """Return the state of the topic in Kafka. Raises ServerError when Kafka does not answer."""
    return run_once(_state(kafka, topic, stored, group))


async def _state(
    kafka: KafkaAccess, topic: str, stored: Mapping[int, int], group: str
) -> TopicState:
    view = TopicView(kafka, topic)
    try:
        ends = await view.ends(await view.partitions())
        lag = {p: max(0, end - stored.get(p, 0)) for p, end in ends.items()}
        waiting = [await view.record(p, stored.get(p, 0)) for p, count in lag.items() if count]
    except AwayError as error:
        raise ServerError(f"topic {topic!r}: {error}") from error
    finally:
        await view.close()
    oldest_ms = min((seen.time_ms for seen in waiting if seen is not None), default=None)
    oldest_s = 0.0 if oldest_ms is None else max(0.0, time.time() - oldest_ms / 1_000)
    cut = {p: end for p, end in ends.items() if stored.get(p, 0) > end}
    try:
        taken = await assigned(kafka, group, topic)
    except ServerError as error:
        return TopicState(lag, oldest_s, cut, None, str(error))
    return TopicState(lag, oldest_s, cut, tuple(sorted(ends.keys() - taken)))


AHEAD_S = 30.0


class MissingError(TonneError):
    """Later records arrive, but the next one is missing; the worker has skipped none."""


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
    Return a position, moved up to the first record that Kafka still has.

    Records that are thereby skipped are logged as an error. `first`: offset of Kafka's first
    record.
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
    Partitions assigned to this worker (own partitions), as last read from the database.

    `seen`: the topic with its number of partitions in Kafka, which determines each device's
    partition.
    """

    def __init__(self, seen: Source) -> None:
        self.topic, self.count = seen.topic, seen.partitions
        self.positions: dict[int, Position] = {}
        self.following = Following(seen.topic)

    @property
    def source(self) -> Source:
        """Return the name of the topic, and its number of partitions in the database."""
        return Source(self.topic, self.count)

    def release_all(self) -> None:
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
        """Reload the offsets of own partitions; return the number of partitions of the topic."""
        self.positions = {k: offsets.reread(connection, p) for k, p in self.positions.items()}
        return source.grow(connection, self.source)

    def visited(self, connection: Connection) -> bool:
        """Return whether another process wrote for own devices, so that rows must be derived."""
        return offsets.visited(connection, self.topic, self.positions.values())

    def next_offsets(self) -> dict[int, int]:
        """Return the offset of the next record to store, by partition; safe from any thread."""
        return {p.partition: p.offset for p in self.positions.values()}

    def last_records(self) -> dict[int, tuple[int, bytes | None]]:
        """
        Return, by partition, the offset of the next record to store, and the SHA-256 of the record
        before it; None where that is not known.
        """
        return {p.partition: (p.offset, p.digest) for p in self.positions.values()}

    def home_of(self, principal: str) -> int:
        """Return the number of the partition that has the records of a principal."""
        return partition_of(principal, self.count)

    def answer_for(self, fleet: Fleet, device_id: str) -> bool:
        """Return whether the records of a device are in a partition assigned to this worker."""
        index = fleet.by_id.get(device_id)
        gateway = None if index is None else fleet.devices[index].gateway
        return self.home_of(gateway or device_id) in self.positions

    def moved(
        self, steps: Sequence[tuple[Position, int, bytes | None]], visits: Mapping[int, int]
    ) -> None:
        """
        Adopt the offsets and the visit counts that a transaction of this worker has stored.

        `visits`: number of visits (transactions of other processes) of each partition, after it.
        A count is adopted only if it is one higher: otherwise another process visited as well, and
        `visited` must report that.
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
    connection: Connection, store: Store, own: OwnPartitions, maximum_s: float
) -> Committed:
    """
    Derive requested rows of own devices for a limited time; return the rows written.

    Requests of other devices wait for their workers.

    Raises FencedError when another worker has a partition.
    Raises VisitedError when another process wrote for the devices of one.
    """
    until_s, out = time.monotonic() + maximum_s, Committed()
    while store.behind and time.monotonic() < until_s:
        derived_span = store.catch_up(
            connection, lambda cursor: offsets.confirm(cursor, list(own.positions.values()))
        )
        if not derived_span:
            break
        out.add(derived_span.committed)
    return out
