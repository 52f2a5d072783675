"""
The storing half of `tonne worker`: records of partitions, each until it is durable.

Runs in one thread.  The partition's offset moves in the transaction that stores
the rows, records below it are dropped, and what cannot be read or stored
becomes a dead letter with the record's bytes: the partition goes on.

Records from before the number of partitions changed may hold devices that are
another partition's now.  They are stored under that partition's lock, from what
the database says of the device and not from what is remembered.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import psycopg

from ingest.sparkplug import Rules
from ingest.wire import Parcel, partition_of
from mrv import factors
from services.clock import now_us
from services.intake.batch_metrics import count_commit, count_messages
from services.intake.clock_check import require_same_time
from services.intake.database import Database
from services.intake.registry_watch import Registered, load_plan
from services.intake.retry import line
from services.intake.sparkplug import SparkplugNodes, Turn
from services.intake.writer_lock import share
from services.processing.commit import Store
from services.store.stream import offsets
from services.store.stream import topic_source as source
from services.store.stream.offsets import VisitedError
from services.store.stream.topic_source import Source
from services.store.timeseries.last_seen import see
from services.stream.partition_map import Homes
from services.stream.records import Spoiled, portions
from services.stream.registry_version import Version, joined, read_all
from services.stream.sequence import Following, begin
from services.stream.sparkplug import swept

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping, Sequence

    from psycopg import Connection, Cursor
    from psycopg.rows import TupleRow
    from structlog.typing import FilteringBoundLogger

    from ingest.model import Fleet
    from services.metrics import Metrics
    from services.processing.commit import Committed
    from services.store.messages.dead_letter_write import Letters
    from services.store.stream.offsets import Position
    from services.stream.records import Record

# A worker that was paused inside a transaction must not hold its partition for ever.
LIMITS = ("idle_in_transaction_session_timeout = '20s'", "statement_timeout = '5min'")
PULSE = "storing"
_T = TypeVar("_T")


class StreamCommitter:
    """
    Settles and commits records over one connection.

    Parameters
    ----------
    database_url : str
    seen : Source
        The topic, and how many partitions Kafka shows: by them a device is ours or
        another worker's.
    keep : callable
        Puts records that cannot be stored where they can be seen, before the table does.
    """

    def __init__(
        self,
        database_url: str,
        seen: Source,
        keep: Callable[[Sequence[Spoiled]], object],
        metrics: Metrics,
        log: FilteringBoundLogger,
        stopping: threading.Event,
        nodes: SparkplugNodes | None = None,
    ) -> None:
        self._database = Database(
            database_url, "tonne worker", log, stopping, LIMITS,
            join=self._join, opened=self._lost,
        )  # fmt: skip
        self._topic = seen.topic
        self._partitions = seen.partitions
        self._keep = keep
        self._metrics = metrics
        self._log = log
        self._factors = factors.load()
        self._registered = Registered(self._take_up)
        self._nodes = nodes or SparkplugNodes(Rules())
        self._positions: dict[int, Position] = {}
        self._following = Following(seen.topic)
        self._unsure = False

    def open(self) -> None:
        """
        Connect.

        Raises
        ------
        InputError
            When our clock is off.
        ServerError
            When the database cannot be reached at start, or others write to it that
            must not while we do.
        """
        require_same_time(self._database.connection())

    def take_over(self, begins: Mapping[int, int], seen: int) -> dict[int, int]:
        """
        Make these partitions ours, and no others; return the next offset of each.

        What was known about any device is forgotten: another worker may have
        stored readings of it meanwhile.

        Parameters
        ----------
        begins : mapping of int to int
            Partition to the first record that Kafka still has.
        seen : int
            How many partitions Kafka shows by now.
        """
        self._positions = {}  # what was ours before may be another's by now
        self._following.forget()
        take = partial(self._take_over, begins=begins, seen=seen)
        return self._hold(take)

    def _take_over(
        self, connection: Connection[TupleRow], begins: Mapping[int, int], seen: int
    ) -> dict[int, int]:
        if seen > self._partitions:
            self._partitions = source.grow(connection, Source(self._topic, seen))
        taken = offsets.take_over(connection, self._topic, begins)
        self._positions = {
            position.partition: begin(connection, position, begins[position.partition], self._log)
            for position in taken
        }
        self._unsure = False
        self._nodes.forget()
        self._registered.forget()
        self._registered.refresh(connection)
        found = self.positions()
        self._log.info(
            "partitions", topic=self._topic, offsets={str(k): v for k, v in found.items()}
        )
        if not found:
            self._log.warning(
                "no partition is left for this worker: it waits for another to leave; more"
                " partitions would give it work, see docs/scaling.md", partitions=self._partitions,
            )  # fmt: skip
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
        for portion in portions(records):
            attempt = partial(self._attempt, partition=partition, records=portion)
            self._hold(attempt)

    def look(self) -> None:
        """Take up a new registry version while no record comes."""
        if self._positions:
            self._database.glance(lambda c: self._awake(c, self._registered.refresh))
            self._database.glance(lambda c: self._awake(c, self._sweep))

    def _sweep(self, connection: Connection[TupleRow]) -> None:
        """Decide on messages of edge nodes that have waited too long."""
        self._registered.look(connection)
        now = now_us()
        for name in self._nodes.waiting(connection, now):
            position = self._positions.get(partition_of(name, self._partitions))
            if position is not None:
                turn = Turn(self._nodes, connection)
                found = [swept(turn, self._registered.held.fleet, [name], now)]
                self._commit(connection, position, position.offset, found, turn)

    def _join(self, connection: Connection[TupleRow]) -> None:
        self._agree(share(connection, Source(self._topic, self._partitions)))

    def _agree(self, partitions: int) -> None:
        """Take up the number of partitions; whose a device is follows from it."""
        if partitions != self._partitions:
            self._partitions = partitions
            self._registered.forget()

    def _lost(self) -> None:
        """Trust nothing remembered: while we had no connection, others may have written."""
        self._unsure = True
        self._metrics.pulse.beat(PULSE)  # a server that is waited for is no standstill

    def _hold(self, work: Callable[[Connection[TupleRow]], _T]) -> _T:
        return self._database.hold(lambda connection: self._awake(connection, work), self._lost)

    def _awake(
        self, connection: Connection[TupleRow], work: Callable[[Connection[TupleRow]], _T]
    ) -> _T:
        """Do work with what the database says now, as often as somebody else changes it."""
        while True:
            try:
                if self._unsure:
                    self._look_again(connection)
                return work(connection)
            except VisitedError:
                self._unsure = True

    def _look_again(self, connection: Connection[TupleRow]) -> None:
        self._positions = {k: offsets.reread(connection, p) for k, p in self._positions.items()}
        self._nodes.forget()
        self._agree(source.grow(connection, Source(self._topic, self._partitions)))
        if self._registered.ready:
            self._registered.held.store.state.forget()
        self._unsure = False

    def _attempt(
        self, connection: Connection[TupleRow], partition: int, records: Sequence[Record]
    ) -> None:
        self._registered.look(connection)
        position = self._positions.get(partition)
        if position is None:
            return  # it was taken from us while its records waited; its new worker reads them
        todo = self._following.of(position, records)
        if not todo:
            return
        try:
            turn = Turn(self._nodes, connection)
            found = read_all(self._registered, connection, self._topic, partition, todo, turn)
            self._commit(connection, position, todo[-1].offset + 1, found, turn)
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
        spoiled = Spoiled(
            self._topic, position.partition, record.offset, record.value, "unstorable", line(error)
        )
        turn = Turn(self._nodes, connection)
        self._commit(connection, position, record.offset + 1, [spoiled], turn)

    def _commit(
        self,
        connection: Connection[TupleRow],
        position: Position,
        end: int,
        found: Sequence[Parcel | Spoiled],
        turn: Turn,
    ) -> None:
        spoiled = [one for one in found if isinstance(one, Spoiled)]
        if spoiled:
            self._keep(spoiled)
        parcel, letters = joined(found)
        began = time.monotonic()
        committed = self._store(connection, position, end, parcel, letters, turn)
        self._metrics.commit_seconds.observe(time.monotonic() - began)
        count_messages(self._metrics, parcel.codecs, committed.rejected, "stored")
        count_commit(self._metrics, committed)

    def _store(
        self,
        connection: Connection[TupleRow],
        position: Position,
        end: int,
        parcel: Parcel,
        letters: Letters,
        turn: Turn,
    ) -> Committed:
        """Store a parcel and move the offset; devices of other partitions as their guests."""
        store, homes = self._registered.held.store, self._registered.held.homes
        strangers = homes.strangers(parcel.frames, position.partition)
        theirs = {partition_of(name, self._partitions) for name in turn.names}
        elsewhere = sorted({*homes.of(strangers), *theirs} - {position.partition})
        visits: dict[int, int] = {}

        def first(cursor: Cursor[TupleRow]) -> None:
            if elsewhere:
                offsets.lock(cursor, self._topic, [position.partition, *elsewhere])
            offsets.advance(cursor, position, end)
            turn.write(cursor)
            if elsewhere:
                visits.update(offsets.visit(cursor, self._topic, elsewhere))

        store.state.forget(strangers)
        committed = store.commit(connection, parcel.frames, parcel.rejected, letters, first)
        store.state.forget(strangers)
        turn.keep()
        if theirs - {position.partition}:
            self._nodes.forget()
        self._positions[position.partition] = replace(position, offset=end)
        self._own_visits(visits)
        return committed

    def _own_visits(self, visits: dict[int, int]) -> None:
        """A visit that was our own is no news, unless another came between."""
        for partition, count in visits.items():
            position = self._positions.get(partition)
            if position is not None and position.visits + 1 == count:
                self._positions[partition] = replace(position, visits=count)

    def _take_up(self, connection: Connection[TupleRow]) -> Version:
        """Make the store of a new version; answer its requests for the devices that are ours."""
        plan = load_plan(connection, self._factors)
        store = Store(plan)
        if not self._registered.ready:
            see(connection)
        remade = store.remake_requested(connection, self._confirm, partial(self._mine, plan.fleet))
        fleet = plan.fleet
        self._log.info("registry", version=fleet.version, devices=len(fleet), devices_remade=remade)
        return Version(store, Homes(fleet, self._partitions))

    def _confirm(self, cursor: Cursor[TupleRow]) -> None:
        offsets.confirm(cursor, list(self._positions.values()))

    def _mine(self, fleet: Fleet, device_id: str) -> bool:
        index = fleet.by_id.get(device_id)
        gateway = None if index is None else fleet.devices[index].gateway
        return partition_of(gateway or device_id, self._partitions) in self._positions

    def positions(self) -> dict[int, int]:
        """Return the next record to store of each partition that is ours; safe from any thread."""
        return {p.partition: p.offset for p in self._positions.values()}

    def close(self) -> None:
        """Close the connection."""
        self._database.close()
