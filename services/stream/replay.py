"""
Records that were stored, stored once more: a replay over live data changes nothing.

What is missing comes back, from a backup that was behind for instance; what is
there stays.  A replay reads a partition from an offset or a time up to what was
stored of it when the replay began, and ends.  It moves no offset and belongs
to no group.  Its transactions lock the partitions whose devices they touch, work
from stored rows alone, and tell the partitions' holders of any change.
"""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import psycopg

from ingest.sparkplug import Rules
from mrv import factors
from services.intake.database import Database
from services.intake.registry_watch import Registered, load_plan
from services.intake.retry import line
from services.intake.sparkplug import SparkplugNodes, Turn
from services.intake.topics import partitions as count_partitions
from services.intake.writer_lock import share
from services.processing.commit import Store
from services.store.stream import offsets
from services.store.stream import topic_source as source
from services.store.stream.topic_source import Source
from services.stream.committer import LIMITS
from services.stream.partition_map import Homes
from services.stream.record_range import Since, past
from services.stream.records import portions
from services.stream.registry_version import Version, joined, read_all
from services.stream.sparkplug import MISSING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from psycopg import Connection
    from psycopg.rows import TupleRow
    from structlog.typing import FilteringBoundLogger

    from services.settings import Settings
    from services.stream.records import Record


@dataclass(slots=True)
class Replayed:
    """What a replay read, and the rows that it changed by table."""

    records: int = 0
    messages: int = 0
    unstorable: int = 0
    changed: dict[str, int] = field(default_factory=dict)


async def replay(
    settings: Settings,
    topic: str,
    since: Since,
    log: FilteringBoundLogger,
    told: Callable[[int, int], object] = lambda _done, _of: None,
) -> Replayed:
    """
    Store once more what was stored of a topic since an offset or a time.

    Parameters
    ----------
    told : callable
        Hears of progress: records done, records in all.

    Raises
    ------
    InputError
        When the topic is not there.
    ServerError
        When a server cannot be reached, or `tonne run` writes to the database.
    """
    kafka = settings.require("kafka_url")
    count = await asyncio.to_thread(count_partitions, kafka, topic)
    stopping = threading.Event()
    replayer = Replayer(settings.require("database_url"), Source(topic, count), log, stopping)
    try:
        stored = await asyncio.to_thread(replayer.open)
        async for partition, records, of in past(kafka, topic, stored, since, log):
            await asyncio.to_thread(replayer.store, partition, records)
            told(replayer.done.records, of)
    finally:
        stopping.set()
        replayer.close()
    return replayer.done


class Replayer:
    """Stores records of any partition as a guest of the partition's holder."""

    def __init__(
        self,
        database_url: str,
        seen: Source,
        log: FilteringBoundLogger,
        stopping: threading.Event,
    ) -> None:
        self._database = Database(
            database_url, "tonne worker (replay)", log, stopping, LIMITS, join=self._join
        )
        self._topic = seen.topic
        self._partitions = seen.partitions
        self._log = log
        self._factors = factors.load()
        self._registered = Registered(self._take_up)
        self._nodes = SparkplugNodes(Rules())
        self._nodes.start_empty()
        self.done = Replayed()

    def open(self) -> dict[int, int]:
        """
        Connect; return how far each partition is stored.

        Raises
        ------
        ServerError
            When the database cannot be reached, or `tonne run` writes to it.
        """
        return offsets.stored(self._database.connection(), self._topic)

    def store(self, partition: int, records: Sequence[Record]) -> None:
        """Store records of a partition, however long the database takes."""
        for portion in portions(records):
            attempt = partial(self._attempt, partition=partition, records=portion)
            self._database.hold(attempt, lambda: None)
            self.done.records += len(portion)

    def _attempt(
        self, connection: Connection[TupleRow], partition: int, records: Sequence[Record]
    ) -> None:
        self._registered.look(connection)
        while not self._stored(connection, partition, records):
            self._agree(source.grow(connection, Source(self._topic, self._partitions)))
            self._registered.look(connection)

    def _stored(
        self, connection: Connection[TupleRow], partition: int, records: Sequence[Record]
    ) -> bool:
        """Store records, unless the topic has more partitions than we knew."""
        turn = Turn(self._nodes, connection)
        found = read_all(self._registered, connection, self._topic, partition, records, turn)
        parcel, letters = joined(found, repeated=True)
        # a birth before the first record is not known here, and was when they first came
        parcel.rejected = [one for one in parcel.rejected if one.reason not in MISSING]
        held = self._registered.held
        homes = held.homes.all(parcel.frames)
        held.store.state.forget()
        try:
            with connection.transaction(), connection.cursor() as cursor:
                offsets.lock(cursor, self._topic, homes)
                if source.read(connection) != Source(self._topic, self._partitions):
                    return False
                done = held.store.commit(connection, parcel.frames, parcel.rejected, letters)
                if any(rows for table, rows in done.rows.items() if table != "dead_letter"):
                    offsets.visit(cursor, self._topic, homes)
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            return self._stored_apart(connection, partition, records, error)
        turn.keep()
        self.done.messages += len(parcel)
        for table, rows in done.rows.items():
            if rows:
                self.done.changed[table] = self.done.changed.get(table, 0) + rows
        return True

    def _stored_apart(
        self,
        connection: Connection[TupleRow],
        partition: int,
        records: Sequence[Record],
        error: psycopg.Error,
    ) -> bool:
        """One of these cannot be stored: its dead letter was kept when it first came."""
        if len(records) > 1:
            return all(self._stored(connection, partition, [record]) for record in records)
        self._log.warning(
            "record left out", partition=partition, offset=records[0].offset, error=line(error)
        )
        self.done.unstorable += 1
        return True

    def _join(self, connection: Connection[TupleRow]) -> None:
        self._agree(share(connection, Source(self._topic, self._partitions)))

    def _agree(self, partitions: int) -> None:
        """Take up the number of partitions; whose a device is follows from it."""
        if partitions != self._partitions:
            self._partitions = partitions
            self._registered.forget()

    def _take_up(self, connection: Connection[TupleRow]) -> Version:
        plan = load_plan(connection, self._factors)
        return Version(Store(plan), Homes(plan.fleet, self._partitions))

    def close(self) -> None:
        """Close the connection."""
        self._database.close()
