"""
The storing half of `tonne run`: one batch after another, each until it is durable.

Runs in a thread of its own, so that receiving goes on while the database
works.  A database that is down is waited for; the batch is not let go.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ingest.mqtt.inbox import Inbox
from ingest.mqtt.topics import Router
from mrv import factors
from services.clock import now_us
from services.intake.batch_metrics import Ignored, Statuses, count_commit, count_lag, count_messages
from services.intake.clock_check import require_same_time
from services.intake.database import Database
from services.intake.registry_watch import CHECK_S, Registered, admit_inbox, load_plan
from services.intake.sink import Done
from services.intake.sparkplug import Turn
from services.intake.writer_lock import alone
from services.processing.commit import Store
from services.store.timeseries.last_seen import see

if TYPE_CHECKING:
    import threading

    from psycopg import Connection
    from psycopg.rows import TupleRow
    from structlog.typing import FilteringBoundLogger

    from ingest.model import Fleet
    from ingest.pipeline import Admitted
    from services.intake.sparkplug import SparkplugNodes
    from services.metrics import Metrics
    from services.store.messages.dead_letter_write import Letters
    from services.store.messages.principal_status import Said


@dataclass(frozen=True, slots=True)
class _Version:
    """What one registry version is to this process."""

    store: Store
    router: Router

    @property
    def fleet(self) -> Fleet:
        return self.store.plan.fleet


class Committer:
    """Admits, settles and commits batches over one connection."""

    def __init__(
        self,
        database_url: str,
        metrics: Metrics,
        log: FilteringBoundLogger,
        stopping: threading.Event,
        nodes: SparkplugNodes,
    ) -> None:
        self._database = Database(
            database_url, "tonne run", log, stopping, join=alone, opened=self._forget
        )
        self._metrics = metrics
        self._log = log
        self._factors = factors.load()
        self._registered = Registered(self._take_up)
        self._ignored = Ignored(log)
        self._statuses = Statuses(log)
        self._nodes = nodes
        self._swept_s = 0.0

    def open(self) -> None:
        """
        Connect and read the registry.

        Raises
        ------
        ServerError
            When the database cannot be reached at start.
        InputError
            When our clock is off.
        """
        require_same_time(self._database.connection())
        self._registered.refresh(self._database.connection())

    @property
    def fleet(self) -> Fleet:
        """The fleet of the registry version that is in use."""
        return self._registered.held.fleet

    def look(self) -> None:
        """Take up a new registry version while no message comes; a lost database waits."""
        self._database.glance(self._registered.refresh)
        self._database.glance(self._sweep)
        self._database.glance(self._registered.held.store.flush)

    def hear(self, said: list[Said]) -> None:
        """Keep what principals say of themselves; a lost database misses it."""
        self._database.glance(lambda connection: self._statuses.keep(connection, self.fleet, said))

    def commands(self) -> list[tuple[str, bytes]]:
        """Return what edge nodes are to be told now: topics and payloads."""
        found: list[tuple[str, bytes]] = []
        self._database.glance(lambda c: found.extend(self._nodes.commands(c)))
        return found

    def store(self, inbox: Inbox) -> Done:
        """
        Make a batch durable, however long the database takes.

        Raises
        ------
        GaveUpError
            When the process is told to stop while the database is down.
        """

        def lost() -> None:
            # the answer may be lost and not the commit: look before keeping a refusal twice
            inbox.repeated = [True] * len(inbox)
            self._metrics.pulse.beat("storing")  # a server that is waited for is no standstill

        return self._database.hold(lambda connection: self._attempt(connection, inbox), lost)

    def _attempt(self, connection: Connection[TupleRow], inbox: Inbox) -> Done:
        if time.monotonic() - self._swept_s > CHECK_S:
            self._sweep(connection)
        turn = Turn(self._nodes, connection)
        admitted = admit_inbox(self._registered, lambda work: work(connection), inbox, turn)
        held = self._registered.held
        self._commit(connection, turn, admitted, turn.letters(inbox), inbox.received_us)
        route = held.router.route
        seen = [(route(inbox.topics[k]), found) for k, found in admitted.seen.items()]
        return Done(inbox, held.fleet, seen)

    def _sweep(self, connection: Connection[TupleRow]) -> None:
        """Decide on messages of edge nodes that have waited too long."""
        self._swept_s = time.monotonic()
        now = now_us()
        if names := self._nodes.waiting(connection, now):
            turn = Turn(self._nodes, connection)
            turn.sweep(names, now)
            admitted = turn.admit_released(self._registered.held.router, now)
            self._commit(connection, turn, admitted, turn.letters(Inbox(0)), now)

    def _commit(
        self,
        connection: Connection[TupleRow],
        turn: Turn,
        admitted: Admitted,
        letters: Letters,
        received_us: int,
    ) -> None:
        began = time.monotonic()
        committed = self._registered.held.store.commit(
            connection, admitted.frames, admitted.rejected, letters, turn.write
        )
        turn.keep()
        self._metrics.commit_seconds.observe(time.monotonic() - began)
        count_messages(self._metrics, admitted.codecs, committed.rejected, "stored")
        count_lag(self._metrics, admitted.frames, received_us)
        count_commit(self._metrics, committed)
        self._ignored.tell(admitted)

    def _take_up(self, connection: Connection[TupleRow]) -> _Version:
        """Make the store of a new registry version, and again what the registry asks for."""
        plan = load_plan(connection, self._factors)
        store = Store(plan)
        if not self._registered.ready:
            see(connection)
        remade = store.remake_requested(connection)
        fleet = plan.fleet
        self._log.info("registry", version=fleet.version, devices=len(fleet), devices_remade=remade)
        return _Version(store, Router(fleet))

    def _forget(self) -> None:
        """Trust no remembered mark: while we had no connection, another may have written."""
        self._nodes.forget()
        if self._registered.ready:
            self._registered.held.store.state.forget()

    def close(self) -> None:
        """Close the connection."""
        self._database.close()
