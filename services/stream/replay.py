"""
Replay of records stored before; existing rows stay unchanged, missing ones are added.

It reads partitions from an offset or a time up to their stored offset, then ends.  It moves no
offset and belongs to no group.  Its transactions lock the partitions of the affected devices, use
stored rows only, and signal any change to the partitions' workers.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from psycopg import Connection
from structlog.typing import FilteringBoundLogger

from ingest.sparkplug import Rules
from mrv import factors
from services.environment import KafkaAccess
from services.intake.database import Database, share
from services.intake.kafka_client import client_options, unreachable
from services.intake.registry_watch import RegistryWatch, load_plan, names_unknown
from services.intake.sparkplug import SparkplugNodes, Turn
from services.intake.topics import partitions as count_partitions
from services.processing.batch import UNSTORABLE, Committed
from services.processing.commit import Store
from services.settings import Settings
from services.store import offsets
from services.store import offsets as source
from services.store.offsets import Source
from services.stream import (
    MAX_BYTES,
    MISSING,
    Homes,
    Record,
    joined,
    portions,
    read_records,
    refusals,
)
from services.stream.chain import LIMITS
from services.stream.partitions import Version

_WAIT_MS = 1_000


@dataclass(frozen=True, slots=True)
class Since:
    """
    Start of a replay: an offset of every partition, or the time at which Kafka stored a record.

    `partitions` limits it; None for all.
    """

    offset: int | None = None
    time_ms: int | None = None
    partitions: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class _Span:
    """Records of a partition: [first, end)."""

    tp: Any
    first: int
    end: int


async def past(
    kafka: KafkaAccess,
    topic: str,
    stored: Mapping[int, int],
    since: Since,
    log: FilteringBoundLogger,
) -> AsyncIterator[tuple[int, list[Record], int]]:
    """
    Yield stored records: partition, some of its records, and the total number.

    `stored`: stored offset of each partition; later records are left to the workers.
    Raises ServerError when Kafka cannot be reached.
    """
    consumer = AIOKafkaConsumer(
        **client_options(kafka),
        enable_auto_commit=False,
        auto_offset_reset="none",
        max_partition_fetch_bytes=MAX_BYTES,
    )
    try:
        await consumer.start()
        spans = [
            await _span(consumer, TopicPartition(topic, partition), end, since, log)
            for partition, end in stored.items()
            if since.partitions is None or partition in since.partitions
        ]
        total = sum(max(0, span.end - span.first) for span in spans)
        for span in spans:
            async for records in _read(consumer, span, since.time_ms or 0):
                yield span.tp.partition, records, total
    except (KafkaError, OSError) as error:
        raise unreachable(kafka, error) from error
    finally:
        await consumer.stop()


async def _span(
    consumer: Any, tp: Any, stored: int, since: Since, log: FilteringBoundLogger
) -> _Span:
    begins = (await consumer.beginning_offsets([tp]))[tp]
    end = min(stored, (await consumer.end_offsets([tp]))[tp])
    first = since.offset or 0
    if since.time_ms is not None:
        answer = (await consumer.offsets_for_times({tp: since.time_ms}))[tp]
        first = end if answer is None else answer.offset
    if first < begins:
        log.warning(
            "Kafka no longer holds the first records",
            partition=tp.partition,
            first=first,
            begins=begins,
        )
    return _Span(tp, max(first, begins), end)


async def _read(consumer: Any, span: _Span, since_ms: int) -> AsyncIterator[list[Record]]:
    """Yield a span's records, without those before its start, which a broker may return."""
    if span.first >= span.end:
        return
    consumer.assign([span.tp])
    consumer.seek(span.tp, span.first)
    while await consumer.position(span.tp) < span.end:
        result = await consumer.getmany(span.tp, timeout_ms=_WAIT_MS)
        records = [
            Record(message.offset, message.value or b"")
            for message in result.get(span.tp, ())
            if message.offset < span.end and message.timestamp >= since_ms
        ]
        if records:
            yield records


@dataclass(slots=True)
class Replayed:
    """Numbers of records replayed, and of rows changed by table."""

    records: int = 0
    messages: int = 0
    unstorable: int = 0
    changed: dict[str, int] = field(default_factory=dict)


async def replay(
    settings: Settings,
    topic: str,
    since: Since,
    log: FilteringBoundLogger,
    on_progress: Callable[[int, int], object] = lambda _done, _of: None,
) -> Replayed:
    """
    Store records of a topic again, from an offset or a time; return the numbers.

    `on_progress`: called with the progress: records done, total.
    Raises InputError when the topic does not exist.
    Raises ServerError when a server cannot be reached, or `tonne run` writes to the database.
    """
    kafka = settings.require_kafka()
    count = await asyncio.to_thread(count_partitions, kafka, topic)
    stopping = threading.Event()
    replayer = Replayer(settings.require("database_url"), Source(topic, count), log, stopping)
    try:
        stored = await asyncio.to_thread(replayer.open)
        async for partition, records, of in past(kafka, topic, stored, since, log):
            await asyncio.to_thread(replayer.store, partition, records)
            on_progress(replayer.done.records, of)
    finally:
        stopping.set()
        replayer.close()
    return replayer.done


class Replayer:
    """Stores records of any partition, in addition to the partition's worker."""

    def __init__(
        self, database_url: str, seen: Source, log: FilteringBoundLogger, stopping: threading.Event
    ) -> None:
        self._database = Database(
            database_url, "tonne worker (replay)", log, stopping, LIMITS, join=self._join
        )
        self._topic = seen.topic
        self._partitions = seen.partitions
        self._log = log
        self._factors = factors.load()
        self._watch = RegistryWatch()
        self._current: Version | None = None
        self._nodes = SparkplugNodes(Rules())
        self._nodes.start_empty()
        self.done = Replayed()

    def open(self) -> dict[int, int]:
        """
        Connect; return the stored offset of each partition.

        Raises ServerError when the database cannot be reached, or `tonne run` writes to it.
        """
        return offsets.stored(self._database.connection(), self._topic)

    def store(self, partition: int, records: Sequence[Record]) -> None:
        """Store records of a partition, waiting for the database if necessary."""
        for portion in portions(records):
            while not self._tried(partition, portion):
                pass  # the attempt ended because the database was lost, and it is reachable again
            self.done.records += len(portion)

    def _tried(self, partition: int, records: Sequence[Record]) -> bool:
        """Store records; return whether the connection lasted."""
        with self._database.attempt() as connection:
            while not self._stored(connection, partition, records):
                self._agree(source.grow(connection, Source(self._topic, self._partitions)))
            return True
        return False

    def _stored(self, connection: Connection, partition: int, records: Sequence[Record]) -> bool:
        """Store records; return False if the topic has more partitions than known."""
        version, turn = self._version(connection), Turn(self._nodes, connection)
        result = read_records(version.fleet, self._topic, partition, records, turn)
        if names_unknown(refusals(result)):
            version = self._refreshed(connection)
            result = read_records(version.fleet, self._topic, partition, records, turn)
        parcel, letters = joined(result, repeated=True)
        # a birth before the replayed records is unknown here; it was known when they first arrived
        parcel.rejected = [r for r in parcel.rejected if r.reason not in MISSING]
        homes = version.homes.all(parcel.frames)
        version.store.forget()
        with connection.transaction(), connection.cursor() as cursor:
            offsets.lock(cursor, self._topic, homes)
            if source.read(connection) != Source(self._topic, self._partitions):
                return False
            done = version.store.commit(connection, parcel.frames, parcel.rejected, letters)
            if any(rows for table, rows in done.rows.items() if table != "dead_letter"):
                offsets.visit(cursor, self._topic, homes)
        turn.keep()
        self._log_rejected(done)
        self.done.messages += len(parcel)
        for table, rows in done.rows.items():
            if rows:
                self.done.changed[table] = self.done.changed.get(table, 0) + rows
        return True

    def _log_rejected(self, done: Committed) -> None:
        """Log messages that the server refused; they are dead letters."""
        for refusal in done.rejected:
            if refusal.reason == UNSTORABLE:
                self.done.unstorable += 1
                self._log.warning("message left out", error=refusal.detail)

    def _join(self, connection: Connection) -> None:
        self._agree(share(connection, Source(self._topic, self._partitions)))

    def _agree(self, partitions: int) -> None:
        """Adopt a number of partitions, which determines each device's partition."""
        if partitions != self._partitions:
            self._partitions = partitions
            self._current = None

    def _version(self, connection: Connection) -> Version:
        """Return the registry version in use; newer ones are checked for at intervals."""
        if self._current is None or self._watch.due():
            return self._refreshed(connection)
        return self._current

    def _refreshed(self, connection: Connection) -> Version:
        """Adopt a newer registry version if there is one; return the one to use."""
        version = self._current
        newer = self._watch.newer(connection, None if version is None else version.fleet)
        if version is not None and not newer:
            return version
        plan = load_plan(connection, self._factors)
        store, homes = Store(plan), Homes.of_fleet(plan.fleet, self._partitions)
        store.share(homes.by_device, tuple)
        self._current = Version(store, homes)
        return self._current

    def close(self) -> None:
        """Close the connection."""
        self._database.close()
