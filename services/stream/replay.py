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
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from psycopg import Connection
from structlog.typing import FilteringBoundLogger

from ingest.sparkplug import Rules
from mrv import factors
from services.intake.database import Database
from services.intake.registry_watch import RegistryWatch, load_plan, names_unknown
from services.intake.sparkplug import SparkplugNodes, Turn
from services.intake.topics import partitions as count_partitions
from services.intake.writer_lock import share
from services.processing.batch import Committed
from services.processing.commit import Store
from services.processing.parts import UNSTORABLE
from services.settings import Settings
from services.store.stream import offsets
from services.store.stream import topic_source as source
from services.store.stream.topic_source import Source
from services.stream.chain import LIMITS
from services.stream.partition_map import Homes
from services.stream.read import joined, read_records, refusals
from services.stream.record_range import Since, past
from services.stream.records import Record, portions
from services.stream.registry_version import Version
from services.stream.sparkplug import MISSING


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
    kafka = settings.require_kafka()
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
        self._held: Version | None = None
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
            while not self._tried(partition, portion):
                pass  # the database was lost, and is back
            self.done.records += len(portion)

    def _tried(self, partition: int, records: Sequence[Record]) -> bool:
        """Store records over the connection; whether it lasted."""
        with self._database.attempt() as connection:
            while not self._stored(connection, partition, records):
                self._agree(source.grow(connection, Source(self._topic, self._partitions)))
            return True
        return False

    def _stored(self, connection: Connection, partition: int, records: Sequence[Record]) -> bool:
        """Store records, unless the topic has more partitions than we knew."""
        held, turn = self._version(connection), Turn(self._nodes, connection)
        found = read_records(held.fleet, self._topic, partition, records, turn)
        if names_unknown(refusals(found)):
            held = self._refreshed(connection)
            found = read_records(held.fleet, self._topic, partition, records, turn)
        parcel, letters = joined(found, repeated=True)
        # a birth before the first record is not known here, and was when they first came
        parcel.rejected = [one for one in parcel.rejected if one.reason not in MISSING]
        homes = held.homes.all(parcel.frames)
        held.store.forget()
        with connection.transaction(), connection.cursor() as cursor:
            offsets.lock(cursor, self._topic, homes)
            if source.read(connection) != Source(self._topic, self._partitions):
                return False
            done = held.store.commit(connection, parcel.frames, parcel.rejected, letters)
            if any(rows for table, rows in done.rows.items() if table != "dead_letter"):
                offsets.visit(cursor, self._topic, homes)
        turn.keep()
        self._tell(done)
        self.done.messages += len(parcel)
        for table, rows in done.rows.items():
            if rows:
                self.done.changed[table] = self.done.changed.get(table, 0) + rows
        return True

    def _tell(self, done: Committed) -> None:
        """Log what the server does not take; a dead letter has it."""
        for refusal in done.rejected:
            if refusal.reason == UNSTORABLE:
                self.done.unstorable += 1
                self._log.warning("message left out", error=refusal.detail)

    def _join(self, connection: Connection) -> None:
        self._agree(share(connection, Source(self._topic, self._partitions)))

    def _agree(self, partitions: int) -> None:
        """Take up the number of partitions; whose a device is follows from it."""
        if partitions != self._partitions:
            self._partitions = partitions
            self._held = None

    def _version(self, connection: Connection) -> Version:
        """Return the registry version in use; a newer one is looked for now and then."""
        if self._held is None or self._watch.due():
            return self._refreshed(connection)
        return self._held

    def _refreshed(self, connection: Connection) -> Version:
        """Take up a new registry version, if there is one; return the one to use."""
        held = self._held
        newer = self._watch.newer(connection, None if held is None else held.fleet)
        if held is not None and not newer:
            return held
        plan = load_plan(connection, self._factors)
        store, homes = Store(plan), Homes.of_fleet(plan.fleet, self._partitions)
        store.share(homes.by_device, tuple)
        self._held = Version(store, homes)
        return self._held

    def close(self) -> None:
        """Close the connection."""
        self._database.close()
