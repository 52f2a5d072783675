"""
The storing half of `tonne worker`: records of partitions, each until it is durable.

Runs in one thread.  The partition's offset moves in the transaction that stores
the rows, records below it are dropped, and what cannot be read or stored
becomes a dead letter with the record's bytes: the partition goes on.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import psycopg

from ingest.decode import Rejected
from ingest.encodings import UNREAD
from ingest.wire import Parcel, WireError, decode, join, partition_of
from mrv import factors
from services.clock import now_us
from services.intake.counts import count_commit, count_fleet, count_messages
from services.intake.database import Database
from services.intake.patience import line
from services.intake.registered import Registered, load_plan
from services.store import offsets
from services.store.commit import Store
from services.store.letters import Letters

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence

    from psycopg import Connection, Cursor
    from psycopg.rows import TupleRow
    from structlog.typing import FilteringBoundLogger

    from ingest.model import Fleet
    from services.metrics import Metrics
    from services.store.offsets import Position

# A worker that was paused inside a transaction must not hold its partition for ever.
LIMITS = ("idle_in_transaction_session_timeout = '20s'", "statement_timeout = '5min'")
MAX_BYTES = 2_000_000  # about 10,000 messages of 12 channels


@dataclass(frozen=True, slots=True)
class Record:
    """A Kafka record: its place in the partition, and its bytes."""

    offset: int
    value: bytes


@dataclass(frozen=True, slots=True)
class _Version:
    """What one registry version is to this process."""

    store: Store

    @property
    def fleet(self) -> Fleet:
        return self.store.plan.fleet


class StreamCommitter:
    """
    Settles and commits records over one connection.

    Parameters
    ----------
    database_url, topic : str
    partitions : int
        How many the topic has: by them a device is ours or another worker's.
    """

    def __init__(
        self,
        database_url: str,
        topic: str,
        partitions: int,
        metrics: Metrics,
        log: FilteringBoundLogger,
        stopping: threading.Event,
    ) -> None:
        self._database = Database(database_url, "tonne worker", log, stopping, LIMITS)
        self._topic = topic
        self._partitions = partitions
        self._metrics = metrics
        self._log = log
        self._factors = factors.load()
        self._registered = Registered(self._take_up)
        self._positions: dict[int, Position] = {}
        self._unsure = False

    def open(self) -> None:
        """
        Connect.

        Raises
        ------
        ServerError
            When the database cannot be reached at start.
        """
        self._database.connection()

    def take_over(self, partitions: Sequence[int]) -> dict[int, int]:
        """
        Make these partitions ours, and no others; return the next offset of each.

        What was known about any device is forgotten: another worker may have
        stored readings of it meanwhile.
        """
        return self._database.hold(lambda c: self._take_over(c, partitions), self._lost)

    def _take_over(
        self, connection: Connection[TupleRow], partitions: Sequence[int]
    ) -> dict[int, int]:
        taken = offsets.take_over(connection, self._topic, partitions)
        self._positions = {position.partition: position for position in taken}
        self._registered.forget()
        self._registered.refresh(connection)
        found = {p.partition: p.offset for p in taken}
        self._log.info(
            "partitions", topic=self._topic, offsets={str(k): v for k, v in found.items()}
        )
        return found

    def store(self, partition: int, records: Sequence[Record]) -> None:
        """
        Make records of a partition durable, however long the database takes.

        Raises
        ------
        FencedError
            When another worker took the partition over.
        GaveUpError
            When the process is told to stop while the database is down.
        """
        for portion in _portions(records):
            attempt = partial(self._attempt, partition=partition, records=portion)
            self._database.hold(attempt, self._lost)

    def look(self) -> None:
        """Take up a new registry version while no record comes."""
        if self._positions:
            self._database.glance(self._registered.refresh)

    def _lost(self) -> None:
        self._unsure = True

    def _attempt(
        self, connection: Connection[TupleRow], partition: int, records: Sequence[Record]
    ) -> None:
        if self._unsure:
            self._positions = {k: offsets.reread(connection, p) for k, p in self._positions.items()}
            self._unsure = False
        self._registered.look(connection)
        position = self._positions.get(partition)
        if position is None:
            return  # it was taken from us while its records waited; its new worker reads them
        todo = [record for record in records if record.offset >= position.offset]
        if not todo:
            return
        if todo[0].offset > position.offset:
            self._log.error(
                "records missing: Kafka no longer had them", partition=partition,
                first=position.offset, count=todo[0].offset - position.offset,
            )  # fmt: skip
        try:
            self._commit(connection, position, todo, self._read(connection, todo))
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            self._store_apart(connection, position, todo, error)

    def _store_apart(
        self,
        connection: Connection[TupleRow],
        position: Position,
        records: Sequence[Record],
        error: psycopg.Error,
    ) -> None:
        """One of these records cannot be stored: find it, and keep it as a dead letter."""
        if len(records) > 1:
            for record in records:
                self._attempt(connection, position.partition, [record])
            return
        (record,) = records
        poison = self._poison(record, "unstorable", line(error))
        self._commit(connection, position, records, [poison])

    def _read(self, connection: Connection[TupleRow], records: Sequence[Record]) -> list[Parcel]:
        parcels = [self._decode(record) for record in records]
        unknown = any(r.reason == "unknown_device" for p in parcels for r in p.rejected)
        if unknown and self._registered.refresh(connection):
            parcels = [self._decode(record) for record in records]
        return parcels

    def _decode(self, record: Record) -> Parcel:
        try:
            return decode(record.value, self._registered.held.fleet)
        except WireError as error:
            return self._poison(record, error.reason, error.detail)

    def _poison(self, record: Record, reason: str, detail: str) -> Parcel:
        """Return a record that is no parcel as a message of its own, refused."""
        where = f"kafka:{self._topic}"
        refusal = Rejected(0, reason, f"offset {record.offset}: {detail}")
        return Parcel([where], [record.value], [None], [False], [UNREAD], now_us(), [], [refusal])

    def _commit(
        self,
        connection: Connection[TupleRow],
        position: Position,
        records: Sequence[Record],
        parcels: Sequence[Parcel],
    ) -> None:
        parcel, received = join(parcels)
        letters = Letters(
            parcel.topics, parcel.payloads, parcel.content_types, parcel.repeated, received
        )
        end = records[-1].offset + 1
        began = time.monotonic()
        committed = self._registered.held.store.commit(
            connection,
            parcel.frames,
            parcel.rejected,
            letters,
            lambda cursor: offsets.advance(cursor, position, end),
        )
        self._positions[position.partition] = replace(position, offset=end)
        self._metrics.commit_seconds.observe(time.monotonic() - began)
        count_messages(self._metrics, parcel.codecs, committed.rejected, "stored")
        count_commit(self._metrics, committed)

    def _take_up(self, connection: Connection[TupleRow]) -> _Version:
        """Make the store of a new version; answer its requests for the devices that are ours."""
        plan = load_plan(connection, self._factors)
        store = Store(plan)
        remade = store.remake_requested(connection, self._confirm, self._mine)
        fleet = plan.fleet
        self._log.info("registry", version=fleet.version, devices=len(fleet), devices_remade=remade)
        return _Version(store)

    def _confirm(self, cursor: Cursor[TupleRow]) -> None:
        offsets.confirm(cursor, list(self._positions.values()))

    def _mine(self, device_id: str) -> bool:
        return partition_of(device_id, self._partitions) in self._positions

    def report(self) -> None:
        """Set the gauges that follow from the live state."""
        if self._registered.ready:
            count_fleet(self._metrics, self._registered.held.store)

    def close(self) -> None:
        """Close the connection."""
        self._database.close()


def _portions(records: Sequence[Record]) -> list[list[Record]]:
    """Cut records into transactions by size; a record is never cut."""
    portions: list[list[Record]] = []
    size = MAX_BYTES
    for record in records:
        if size + len(record.value) > MAX_BYTES:
            portions.append([])
            size = 0
        portions[-1].append(record)
        size += len(record.value)
    return portions
