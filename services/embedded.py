"""`tonne run`: from MQTT to TimescaleDB in one process."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from psycopg import Connection, Cursor
from structlog.typing import FilteringBoundLogger

from ingest.addresses import Tls
from ingest.columns import Rejected
from ingest.decode import SPARKPLUG
from ingest.model import Fleet
from ingest.mqtt import Router
from ingest.mqtt.client import Inbox
from ingest.pipeline import admit as decoding
from ingest.pipeline.admit import Admitted
from ingest.reading import Given
from ingest.sparkplug import Rules
from mrv import factors
from services.clock import now_us
from services.intake.database import (
    Database,
    Ignored,
    Statuses,
    alone,
    count_commit,
    count_lag,
    count_messages,
)
from services.intake.deriving import Deriving
from services.intake.handover import Done, Read
from services.intake.principal_quota import Limits, PrincipalQuota
from services.intake.receive import BATCH, Receive
from services.intake.registry_watch import (
    CHECK_S,
    NewerRegistry,
    Plans,
    Prepared,
    RegistryWatch,
    names_unknown,
)
from services.intake.retry import require_same_time
from services.intake.sparkplug import SparkplugNodes, Turn, of_nodes
from services.intake.two_threads import TwoThreads
from services.metrics import Metrics
from services.processing.batch import Batch, Committed, in_parts
from services.processing.commit import Store, Written
from services.store.dead_letter_write import DAY_BYTES
from services.store.principal_status import Status
from services.store.timeseries.last_seen import see, since_received_s


def write(connection: Connection, store: Store, batch: Batch, turn: Turn) -> Committed:
    """
    Store a batch with its changes of Sparkplug nodes; return the result once durable.

    Raises psycopg.Error if not all of the batch is stored; the same call can be repeated.
    """

    def commit(batch: Batch, *, last: bool) -> Committed:
        def fill(cursor: Cursor, batch: Batch) -> Written:
            if last:
                turn.write(cursor)
            return store.write(cursor, batch)

        return store.durably(connection, batch, fill)

    committed = in_parts(batch, commit, partial(store.around, connection))
    turn.keep()
    return committed


@dataclass(frozen=True, slots=True)
class Version:
    """The store of a registry version, and its topics."""

    store: Store
    router: Router

    @property
    def fleet(self) -> Fleet:
        """Return the fleet of this version."""
        return self.router.fleet


def take_up(
    connection: Connection, prepared: Prepared, before: Version | None, log: FilteringBoundLogger
) -> Version:
    """
    Switch to a newer registry version and return it.

    Rows that its changes affect are recalculated later.
    """
    store = prepared.store
    if before is not None:
        store.go_on_from(before.store, prepared.here, prepared.there)
    fleet = store.plan.fleet
    waiting = store.look_for_requests(connection)
    log.info("registry", version=fleet.version, devices=len(fleet), devices_to_remake=waiting)
    return Version(store, Router(fleet))


def admit(
    router: Router, inbox: Inbox, values: Sequence[Given], unread: Sequence[Rejected]
) -> Admitted:
    """
    Return the accepted readings of a batch under a registry version.

    `values`: decoded Sparkplug messages; `unread`: messages rejected without decoding.
    """
    return decoding.admit(
        router.fleet,
        router.route,
        inbox.topics,
        inbox.payloads,
        inbox.content_types,
        inbox.received_us,
        values,
        unread,
    )


def admit_turn(
    router: Router, inbox: Inbox, turn: Turn, unread: Sequence[Rejected] = ()
) -> Admitted:
    """
    Return the accepted readings of a batch; changes of Sparkplug nodes are collected in `turn`.

    A batch that was not stored yet can be decoded again, by a newer version of the registry.
    """
    shut = {rejected.message for rejected in unread}
    nodes = [k for k in of_nodes(inbox.topics) if k not in shut]
    admitted = admit(router, inbox, turn.decode_again(router.fleet, inbox, nodes), unread)
    admitted.rejected.extend(turn.outcome.rejected)
    admitted.codecs.extend(SPARKPLUG for _ in turn.outcome.released)
    return admitted


# the settings of the login may limit statements and locks, which would stop the pipeline
LIMITS = ("statement_timeout=0", "lock_timeout=0")


class EmbeddedChain:
    """Stores batches on one connection; rows are derived on another."""

    def __init__(
        self,
        database_url: str,
        metrics: Metrics,
        log: FilteringBoundLogger,
        stopping: threading.Event,
        nodes: SparkplugNodes,
        letter_bytes: int = DAY_BYTES,
        limits: Limits | None = None,
    ) -> None:
        self._quota = PrincipalQuota(limits)
        self._database = Database(
            database_url,
            "tonne run",
            log,
            stopping,
            LIMITS,
            pulse=metrics.pulse,
            join=alone,
            opened=self._forget,
        )
        self._metrics = metrics
        self._log = log
        self._newer = NewerRegistry(database_url, Plans(factors.load()), letter_bytes, log)
        self._watch = RegistryWatch()
        self._current: Version | None = None
        self._ignored = Ignored(log)
        self._statuses = Statuses(log)
        self._nodes = nodes
        self._swept_s = 0.0
        self._deriving = Deriving(database_url, "tonne run (rows)", metrics, log, stopping, LIMITS)

    def open(self) -> None:
        """
        Connect and read the registry.

        Raises ServerError when the database cannot be reached at the start.
        Raises InputError when the clock is wrong.
        """
        try:
            connection = self._database.connection()
            require_same_time(connection)
            self._refreshed(connection)
            self._quota.note_pause(since_received_s(connection))
        except BaseException:
            self._database.close()
            self._current = None
            raise
        self._deriving.start()

    @property
    def fleet(self) -> Fleet:
        """Return the fleet of the current registry version."""
        return self._version.fleet

    @property
    def _version(self) -> Version:
        if self._current is None:
            raise RuntimeError("the registry was not read; call open() first")
        return self._current

    def read(self, inbox: Inbox) -> Read:
        """
        Return a batch read by the current registry version; Sparkplug messages are read
        in `store`.
        """
        router = self._version.router
        unread = self._quota.over(router, inbox)
        if of_nodes(inbox.topics):
            return Read(router, unread, None)
        return Read(router, unread, admit(router, inbox, (), unread))

    def store(self, inbox: Inbox, read: Read | None = None) -> Done:
        """
        Store a batch, waiting for the database if necessary; return it with its receipts.

        Raises GaveUpError when the process is stopped while the database is unreachable.
        """
        read = read or self.read(inbox)
        began_s = time.monotonic()
        while True:
            with self._database.attempt() as connection:
                done = self._store(connection, inbox, read)
                self._quota.stored(time.monotonic() - began_s)
                return done
            # the commit may have succeeded without an answer: check before storing a rejection
            # twice
            inbox.repeated = [True] * len(inbox)

    def _store(self, connection: Connection, inbox: Inbox, read: Read) -> Done:
        """
        Decode a batch by the newest registry version and store it; return it with its
        receipts.
        """
        if time.monotonic() - self._swept_s > CHECK_S:
            self._sweep(connection)
        if self._watch.due() or self._newer.ready:
            self._refreshed(connection, waits=False)
        version = self._version
        turn = Turn(self._nodes, connection)
        admitted = read.admitted
        if admitted is None or read.router is not version.router:
            admitted = admit_turn(version.router, inbox, turn, read.unread)
        if names_unknown(admitted.rejected) and self._refreshed(connection) is not version:
            version = self._version
            admitted = admit_turn(version.router, inbox, turn, read.unread)
        self._write(connection, version, admitted, turn, inbox)
        return Done.of(inbox, version.router, admitted)

    def _write(
        self, connection: Connection, version: Version, admitted: Admitted, turn: Turn, inbox: Inbox
    ) -> None:
        began = time.monotonic()
        batch = Batch(admitted.frames, admitted.rejected, turn.letters(inbox))
        committed = write(connection, version.store, batch, turn)
        self._deriving.wake()
        self._metrics.commit_seconds.observe(time.monotonic() - began)
        count_messages(self._metrics, admitted.codecs, committed.rejected, "stored")
        count_lag(self._metrics, admitted.frames, inbox.received_us)
        count_commit(self._metrics, committed)
        self._ignored.log_new(admitted)

    def _refreshed(self, connection: Connection, *, waits: bool = True) -> Version:
        """
        Adopt a newer registry version, if there is one; return the one to use.

        `waits`: prepare a newer version now.  Without it, a newer version is prepared in the
        background, and the current one is returned until then.
        """
        if prepared := self._newer.taken():
            self._take_up(connection, prepared)
        version = self._current
        if self._watch.newer(connection, None if version is None else version.fleet):
            if version is None:
                see(connection)
                self._take_up(connection, self._newer.now(connection, None))
            elif waits:
                self._take_up(connection, self._newer.now(connection, version.store))
            else:
                self._newer.begin(version.store)
        return self._version

    def _take_up(self, connection: Connection, prepared: Prepared) -> None:
        with self._deriving.changing():
            self._current = take_up(connection, prepared, self._current, self._log)
            self._deriving.use(self._current.store)

    def between(self, lines: list[list[Status]]) -> list[tuple[str, bytes]]:
        """
        Store status messages between batches; return messages to edge nodes (topic, payload).

        A failure is retried later.
        """
        with self._database.if_connected() as connection:
            if connection is not None:
                for subset in lines:
                    self._statuses.keep(connection, self.fleet, subset)
                result = self._nodes.commands(connection)
                for topic, _ in result:
                    self._log.info("rebirth requested", topic=topic)
                return result
        return []

    def idle(self) -> None:
        """Do periodic work while no batch arrives; a failure is retried later."""
        with self._database.if_connected() as connection:
            if connection is not None:
                self._refreshed(connection)
                self._sweep(connection)
                self._version.store.flush(connection)

    def _sweep(self, connection: Connection) -> None:
        """Decide on messages of edge nodes that have waited too long."""
        self._swept_s = time.monotonic()
        now = now_us()
        if names := self._nodes.waiting(connection, now):
            turn = Turn(self._nodes, connection)
            turn.sweep(names, now)
            version = self._version
            admitted = turn.admit_released(version.router, now)
            self._write(connection, version, admitted, turn, Inbox(0, received_us=now))

    def _forget(self) -> None:
        """Discard all cached state after a lost connection, as another process may have written."""
        self._nodes.forget()
        if self._current is not None:
            self._current.store.forget()

    def close(self) -> None:
        """Close the connections, after deriving the remaining rows."""
        self._deriving.close()
        self._database.close()


class Runner(TwoThreads):
    """
    Embedded pipeline: one thread receives and acknowledges, one stores.

    `client_id`: name of the persistent session at the broker.
    `batch`: maximum number of messages per transaction.
    `nodes`: settings of the Sparkplug session.
    `host_id`: name of this Sparkplug host application.
    `tls`: TLS identity at the broker.
    `wait_s`: maximum waiting time for unreachable servers at the start. [s]
    `letter_bytes`: daily quota of stored dead letters per principal.
    `limits`: quota of one principal per minute.
    """

    def __init__(
        self,
        database_url: str,
        mqtt_url: str,
        client_id: str,
        metrics: Metrics,
        log: FilteringBoundLogger,
        batch: int = BATCH,
        nodes: SparkplugNodes | None = None,
        host_id: str | None = None,
        tls: Tls | None = None,
        *,
        wait_s: float = 0.0,
        letter_bytes: int = DAY_BYTES,
        limits: Limits | None = None,
    ) -> None:
        stopping = threading.Event()
        receive = Receive(mqtt_url, client_id, metrics, log, batch, host_id=host_id, tls=tls)
        nodes = nodes or SparkplugNodes(Rules())
        chain = EmbeddedChain(database_url, metrics, log, stopping, nodes, letter_bytes, limits)
        super().__init__(receive, chain, "database", stopping, metrics, log, wait_s=wait_s)
