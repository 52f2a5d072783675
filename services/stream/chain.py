"""
The storing thread of `tonne worker`: reads and writes each record until it is durable.

Rows are derived by the deriving thread, as in `tonne run`; requested spans here, under the lock of
the offsets.

Records below a partition's stored offset are skipped.  An unreadable record, or a message that
cannot be stored, becomes a dead letter with its bytes, and the partition continues.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial

from psycopg import Connection, Cursor
from structlog.typing import FilteringBoundLogger

from ingest.sparkplug import Rules
from ingest.wire import Parcel
from mrv import factors
from services.clock import now_us
from services.intake.database import SUSPENDED_S, Database, count_commit, count_messages, share
from services.intake.deriving import Deriving
from services.intake.registry_watch import (
    NewerRegistry,
    Plans,
    Prepared,
    RegistryWatch,
    names_unknown,
)
from services.intake.retry import PULSE, require_same_time
from services.intake.sparkplug import SparkplugNodes, Turn
from services.metrics import Metrics
from services.processing.batch import Batch, Committed, in_parts
from services.processing.commit import Written
from services.store import offsets
from services.store.dead_letter_write import DAY_BYTES
from services.store.offsets import Position, Source, VisitedError
from services.store.timeseries.last_seen import see
from services.stream import (
    DeadTopic,
    Homes,
    Record,
    Spoiled,
    joined,
    portions,
    read_records,
    refusals,
    small,
    swept,
    together,
)
from services.stream.partitions import OwnPartitions, Version, answer_requests

# position of a partition, the next record after a batch, SHA-256 of the batch's last record
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

    `steps`: position of each partition, the next record after the batch, and the SHA-256 of its
    last record.
    Raises FencedError when another worker took the partition over.
    Raises VisitedError when another process wrote for its devices.
    Raises psycopg.Error: no offset has moved, and the same call can be repeated.
    """
    ends = {position.partition: (end, digest) for position, end, digest in steps}
    homes = ends.keys()
    store = version.store
    strangers = version.homes.strangers(batch.frames, homes)
    theirs = {*version.homes.of(strangers), *map(own.home_of, turn.names)} - homes

    now = [own.positions[partition] for partition in sorted(ends)]
    moves: list[tuple[list[Step], dict[int, int]]] = []

    def commit(batch: Batch, *, last: bool) -> Committed:
        """Store a part and return the result; the offsets move with the last part."""
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
    for to, visits in moves:  # only now is the batch durable
        own.moved(to, visits)
    turn.keep()
    return committed


def _move(cursor: Cursor, steps: Sequence[Step], theirs: list[int]) -> dict[int, int]:
    """Move the offsets; return how often each other partition was written to by now."""
    topic = steps[0][0].topic
    if theirs:
        offsets.lock(cursor, topic, [*(position.partition for position, _, _ in steps), *theirs])
    for step in steps:
        offsets.advance(cursor, *step)
    return offsets.visit(cursor, topic, theirs) if theirs else {}


# time for rows of requests before the next records [s]
_AT_ONCE_S = 1.0
# a suspended worker must not keep its partition: a successor that waited this long reconnects,
# which ends the suspended worker's sessions (`end_suspended`)
LIMITS = (
    f"idle_in_transaction_session_timeout={SUSPENDED_S}s",
    f"lock_timeout={SUSPENDED_S}s",
    "statement_timeout=5min",
)


class StreamChain:
    """
    Stores records on one connection; rows are derived on another.

    `seen`: the topic, and its number of partitions in Kafka.
    `dead_topic`: topic for records that cannot be stored, written before the table.
    """

    def __init__(
        self,
        database_url: str,
        seen: Source,
        dead_topic: DeadTopic,
        metrics: Metrics,
        log: FilteringBoundLogger,
        stopping: threading.Event,
        nodes: SparkplugNodes | None = None,
        letter_bytes: int = DAY_BYTES,
    ) -> None:
        self._database = Database(
            database_url, "tonne worker", log, stopping, LIMITS,
            pulse=metrics.pulse, join=self._join, opened=self._connected_again,
        )  # fmt: skip
        self._own = OwnPartitions(seen)
        self._dead_topic = dead_topic
        self._metrics = metrics
        self._log = log
        self._newer = NewerRegistry(database_url, Plans(factors.load()), letter_bytes, log)
        self._watch = RegistryWatch()
        self._current: Version | None = None
        self._nodes = nodes or SparkplugNodes(Rules())
        self._unsure = False
        self._deriving = Deriving(
            database_url, "tonne worker (rows)", metrics, log, stopping, LIMITS,
            self._own.answer_for, waiting=False,
        )  # fmt: skip

    def open(self) -> None:
        """
        Connect to the database.

        Raises InputError when the clock is wrong.
        Raises ServerError when the database cannot be reached at the start, or a process that must
        be the only writer uses it.
        """
        try:
            require_same_time(self._database.connection())
        except BaseException:
            self._database.close()
            raise

    def take_over(self, begins: Mapping[int, int], seen: int) -> dict[int, int]:
        """
        Take over exactly these partitions; return the next offset of each.

        All cached state is discarded, as another worker may have stored readings.

        `begins`: partition to its first available record.
        `seen`: current number of partitions in Kafka.
        """
        self._deriving.leave()
        self._own.release_all()
        while True:
            with self._database.attempt() as connection, suppress(VisitedError):
                self._look_again(connection)
                return self._take_over(connection, begins, seen)
            self._unsure = True

    def _take_over(
        self, connection: Connection, begins: Mapping[int, int], seen: int
    ) -> dict[int, int]:
        self._own.take_over(connection, begins, seen, self._log)
        self._unsure = False
        self._nodes.forget()
        self._current = None
        self._version(connection)
        self._deriving.start()
        # rows noted by the previous worker are derived before new readings are stored
        self._deriving.settle(_AT_ONCE_S)
        result = self.positions()
        self._log.info(
            "partitions", topic=self._own.topic, offsets={str(k): v for k, v in result.items()}
        )
        if not result:
            self._log.warning(
                "no partition is left for this worker: it waits until another worker stops; more"
                " partitions would be assigned to it, see docs/scaling.md",
                partitions=self._own.count,
            )
        return result

    def store_all(self, records: Mapping[int, Sequence[Record]]) -> None:
        """
        Store records of several partitions, as `store` does; in one transaction if possible.

        A transaction costs more than the few messages of a record.
        """
        if not (len(records) > 1 and small(records.values()) and self._stored_together(records)):
            for partition, subset in records.items():
                self.store(partition, subset)

    def _stored_together(self, records: Mapping[int, Sequence[Record]]) -> bool:
        """Store records in one transaction, unless one needs its own; return whether done."""
        while True:
            with self._database.attempt() as connection, suppress(VisitedError):
                self._look_again(connection)
                return self._together(connection, records)
            self._unsure = True

    def _together(self, connection: Connection, records: Mapping[int, Sequence[Record]]) -> bool:
        todo = {
            position: subset
            for partition, position in sorted(self._own.positions.items())
            if partition in records
            and (subset := self._own.following.of(position, records[partition]))
        }
        version = self._version(connection)
        parcels = together(version.fleet, version.homes, self._own.topic, todo)
        if parcels is not None and names_unknown(refusals(parcels)):
            version = self._refreshed(connection)
            parcels = together(version.fleet, version.homes, self._own.topic, todo)
        if parcels is None:
            return False
        if parcels:
            steps = [_step(position, records[-1]) for position, records in todo.items()]
            self._write(connection, version, steps, parcels, Turn(self._nodes, connection))
        return True

    def store(self, partition: int, records: Sequence[Record]) -> None:
        """
        Store records of a partition, waiting for the database if necessary.

        Raises FencedError when another worker took the partition over.
        Raises GaveUpError when the process is stopped while the database is unreachable.
        """
        for portion in portions(records):
            self._store_portion(partition, portion)

    def _store_portion(self, partition: int, records: Sequence[Record]) -> None:
        """
        Store records in one transaction, repeated after reloading state if another process wrote.

        A rolled-back transaction leaves neither offset nor row of `dead_letter`.
        """
        while True:
            with self._database.attempt() as connection, suppress(VisitedError):
                self._look_again(connection)
                return self._store(connection, partition, records)
            self._unsure = True

    def _store(self, connection: Connection, partition: int, records: Sequence[Record]) -> None:
        """Store records in one transaction: check sequence, decode, write, move the offset."""
        version = self._version(connection)
        position = self._own.positions.get(partition)
        if position is None:
            return  # the partition was lost while its records waited; its new worker reads them
        todo = self._own.following.of(position, records)
        if not todo:
            return
        turn = Turn(self._nodes, connection)
        result = read_records(version.fleet, self._own.topic, partition, todo, turn)
        if names_unknown(refusals(result)):
            version = self._refreshed(connection)
            result = read_records(version.fleet, self._own.topic, partition, todo, turn)
        self._write(connection, version, [_step(position, todo[-1])], result, turn)

    def _write(
        self,
        connection: Connection,
        version: Version,
        steps: Sequence[Step],
        result: Sequence[Parcel | Spoiled],
        turn: Turn,
    ) -> None:
        if spoiled := [outcome for outcome in result if isinstance(outcome, Spoiled)]:
            self._dead_topic.keep(spoiled)
        parcel, letters = joined(result)
        batch = Batch(parcel.frames, parcel.rejected, letters)
        began = time.monotonic()
        committed = write(connection, version, self._own, steps, batch, turn)
        self._deriving.wake()
        self._metrics.commit_seconds.observe(time.monotonic() - began)
        count_messages(self._metrics, parcel.codecs, committed.rejected, "stored")
        count_commit(self._metrics, committed)
        homes = {position.partition for position, _, _ in steps}
        if any(self._own.home_of(name) not in homes for name in turn.names):
            self._nodes.forget()
        self._answer(connection, version)

    def look(self) -> None:
        """Load a new registry version while no record arrives."""
        if not self._own.positions:
            return
        with self._database.if_connected() as connection, suppress(VisitedError):
            if connection is not None:
                self._unsure = self._unsure or self._own.visited(connection)
                self._look_again(connection)
                version = self._refreshed(connection, waits=False)
                self._sweep(connection)
                self._answer(connection, version)
                return
        self._unsure = True

    def _sweep(self, connection: Connection) -> None:
        """Decide on messages of edge nodes that have waited too long."""
        version, now = self._version(connection), now_us()
        for name in self._nodes.waiting(connection, now):
            position = self._own.positions.get(self._own.home_of(name))
            if position is not None:
                turn = Turn(self._nodes, connection)
                parcels = [swept(turn, version.fleet, [name], now)]
                here = (position, position.offset, position.digest)
                self._write(connection, version, [here], parcels, turn)

    def _join(self, connection: Connection) -> None:
        self._agree(share(connection, self._own.source))

    def _agree(self, partitions: int) -> None:
        """Adopt a number of partitions, which determines each device's partition."""
        if partitions != self._own.count:
            self._own.count = partitions
            self._current = None

    def _connected_again(self) -> None:
        """Discard all cached state after a reconnection, as others may have written."""
        self._unsure = True
        self._metrics.pulse.beat(PULSE)

    def _look_again(self, connection: Connection) -> None:
        """Reload state that may be outdated."""
        if not self._unsure:
            return
        self._nodes.forget()
        # afterwards the remaining notes are those of other processes
        self._deriving.settle(_AT_ONCE_S)
        self._agree(self._own.read_again(connection))
        if self._current is not None:
            self._current.store.forget()
        self._unsure = False

    def _version(self, connection: Connection) -> Version:
        """Return the registry version in use; newer ones are checked for at intervals."""
        if self._current is None or self._watch.due() or self._newer.ready:
            return self._refreshed(connection, waits=False)
        return self._current

    def _refreshed(self, connection: Connection, *, waits: bool = True) -> Version:
        """
        Adopt a newer registry version if there is one; return the one to use.

        `waits`: prepare a newer version now.  Without it, a newer version is prepared in the
        background, and the current one is returned until then.
        """
        if self._current is None:
            # a version prepared before is dropped: other processes may have written since
            self._watch.newer(connection, None)
            see(connection)
            return self._take_up(connection, self._newer.now(connection, None))
        if prepared := self._newer.taken():
            self._take_up(connection, prepared)
        version = self._current
        if self._watch.newer(connection, version.fleet):
            if waits:
                self._take_up(connection, self._newer.now(connection, version.store))
            else:
                self._newer.begin(version.store)
        return self._current

    def _take_up(self, connection: Connection, prepared: Prepared) -> Version:
        """
        Switch to a newer version and return it.

        The rows that its changes request are derived for a short time; the rest follows later.
        """
        store, here, there = prepared
        before, fleet = self._current, store.plan.fleet
        with self._deriving.changing():
            if before is None:
                homes = Homes.of_fleet(fleet, self._own.count)
            else:
                store.go_on_from(before.store, here, there)
                homes = before.homes.moved(fleet, here, there)
            store.share(homes.by_device, lambda: [*self._own.positions])
            self._deriving.use(store)
            waiting = store.look_for_requests(connection, self._own.answer_for)
        self._log.info(
            "registry", version=fleet.version, devices=len(fleet), devices_to_remake=waiting
        )
        self._current = Version(store, homes)
        self._answer(connection, self._current)
        return self._current

    def _answer(self, connection: Connection, version: Version) -> None:
        """Derive requested rows for a short time, once the rows of new readings are derived."""
        if version.store.behind and self._deriving.settle(_AT_ONCE_S):
            with self._deriving.changing():
                done = answer_requests(connection, version.store, self._own, _AT_ONCE_S)
            count_commit(self._metrics, done)

    def positions(self) -> dict[int, int]:
        """Return the offset of the next record to store, by own partition; safe from any thread."""
        return self._own.next_offsets()

    def last_records(self) -> dict[int, tuple[int, bytes | None]]:
        """
        Return, by own partition, the offset of the next record to store, and the SHA-256 of the
        record before it; None where that is not known. Safe from any thread.
        """
        return self._own.last_records()

    def close(self) -> None:
        """Close the connections, after deriving the remaining rows."""
        self._deriving.close()
        self._database.close()


def _step(position: Position, last: Record) -> Step:
    return position, last.offset + 1, hashlib.sha256(last.value).digest()
