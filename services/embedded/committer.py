"""
The storing half of `tonne run`: one batch after another, each until it is durable.

Runs in a thread of its own, so that receiving goes on while the database
works.  A database that is down is waited for; the batch is not let go.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import psycopg

from ingest.errors import ServerError
from ingest.mqtt.topics import Router
from ingest.pipeline import Admitted, admit
from mrv import factors
from services.clock import now_us
from services.flow import Plan
from services.store import registry
from services.store.commit import Committed, Store
from services.store.letters import Letters
from services.store.pool import connect

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence

    from psycopg import Connection
    from psycopg.rows import TupleRow
    from structlog.typing import FilteringBoundLogger

    from ingest.model import Fleet
    from ingest.mqtt.inbox import Inbox
    from ingest.reading import Reading
    from services.metrics import Metrics

CHECK_S = 2.0
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 5.0


@dataclass(frozen=True, slots=True)
class Done:
    """A batch that is durable, and what receipts say of it."""

    inbox: Inbox
    plan: Plan
    seen: list[tuple[int, Sequence[Reading]]]


class GaveUpError(Exception):
    """The process stops before the database came back; nothing was acknowledged."""


class Committer:
    """Admits, settles and commits batches over one connection."""

    def __init__(
        self,
        database_url: str,
        metrics: Metrics,
        log: FilteringBoundLogger,
        stopping: threading.Event,
    ) -> None:
        self._url = database_url
        self._metrics = metrics
        self._log = log
        self._stopping = stopping
        self._connection: Connection[TupleRow] | None = None
        self._checked_s = 0.0
        self._ignored: set[tuple[str, str, str]] = set()
        self._factors = factors.load()
        self._store: Store | None = None
        self._router: Router | None = None

    def open(self) -> None:
        """
        Connect and read the registry.

        Raises
        ------
        ServerError
            When the database cannot be reached at start.
        """
        self._refresh(self._connected())

    @property
    def fleet(self) -> Fleet:
        """The fleet of the registry version that is in use."""
        return self._ready()[0].plan.fleet

    def look(self) -> None:
        """Take up a new registry version while no message comes; a lost database waits."""
        try:
            self._refresh(self._connected())
        except (psycopg.OperationalError, ServerError) as error:
            self._drop_connection()
            self._log.warning("database lost", error=_line(error))

    def store(self, inbox: Inbox) -> Done:
        """
        Make a batch durable, however long the database takes.

        Raises
        ------
        GaveUpError
            When the process is told to stop while the database is down.
        """
        wait_s = _FIRST_WAIT_S
        while True:
            try:
                return self._attempt(inbox)
            except (psycopg.OperationalError, ServerError) as error:
                self._drop_connection()
                # the answer may be lost and not the commit: look before keeping a refusal twice
                inbox.repeated = [True] * len(inbox)
                self._log.warning("database lost, holding", error=_line(error), wait_s=wait_s)
                if self._stopping.wait(wait_s):
                    raise GaveUpError from None
                wait_s = min(wait_s * 2, _LONGEST_WAIT_S)

    def _attempt(self, inbox: Inbox) -> Done:
        connection = self._connected()
        if time.monotonic() - self._checked_s > CHECK_S:
            self._refresh(connection)
        admitted = self._admit(inbox)
        if any(r.reason == "unknown_device" for r in admitted.rejected) and self._refresh(
            connection
        ):
            admitted = self._admit(inbox)
        store, router = self._ready()
        letters = Letters(
            inbox.topics, inbox.payloads, inbox.content_types, inbox.repeated, inbox.received_us
        )
        began = time.monotonic()
        committed = store.commit(connection, admitted.frames, admitted.rejected, letters)
        self._metrics.commit_seconds.observe(time.monotonic() - began)
        self._count(inbox, admitted, committed)
        seen = [(router.route(inbox.topics[k]), found) for k, found in admitted.seen.items()]
        return Done(inbox, store.plan, seen)

    def _ready(self) -> tuple[Store, Router]:
        if self._store is None or self._router is None:
            raise RuntimeError("open() reads the registry first")
        return self._store, self._router

    def _admit(self, inbox: Inbox) -> Admitted:
        store, router = self._ready()
        return admit(
            store.plan.fleet,
            router.route,
            inbox.topics,
            inbox.payloads,
            inbox.content_types,
            inbox.received_us,
        )

    def _connected(self) -> Connection[TupleRow]:
        if self._connection is None or self._connection.closed:
            self._connection = connect(
                self._url, role="tonne_ingest", name="tonne run", autocommit=True
            )
        return self._connection

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _refresh(self, connection: Connection[TupleRow]) -> bool:
        """Take up a new registry version, if there is one, and what it asks to be made again."""
        self._checked_s = time.monotonic()
        version = registry.registry_version(connection)
        if self._store is not None and self._store.plan.fleet.version == version:
            return False
        with connection.transaction():  # devices and projects of one version
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            fleet, projects = registry.load_fleet(connection), registry.load_projects(connection)
        plan = Plan.of(fleet, projects, self._factors)
        store = Store(plan)
        remade = store.remake_requested(connection)
        # only now: a failure before must ask again
        self._store, self._router = store, Router(plan.fleet)
        self._log.info("registry", version=version, devices=len(plan.fleet), devices_remade=remade)
        return True

    def _count(self, inbox: Inbox, admitted: Admitted, committed: Committed) -> None:
        metrics = self._metrics
        refused = {r.message for r in committed.rejected}
        for codec, count in Counter(admitted.codecs[k] for k in refused).items():
            metrics.messages.labels(codec, "refused").inc(count)
        stored = Counter(admitted.codecs)
        stored.subtract(admitted.codecs[k] for k in refused)
        for codec, count in stored.items():
            metrics.messages.labels(codec, "stored").inc(count)
        for refusal in committed.rejected:
            metrics.dead_letters.labels(refusal.reason).inc()
        for event in committed.events:
            metrics.counter_events.labels(event).inc()
        for table, rows in committed.rows.items():
            metrics.commit_rows.labels(table).inc(rows)
        metrics.late_readings.inc(committed.late)
        for frame in admitted.frames:
            metrics.event_lag.observe((inbox.received_us - float(np.median(frame.time_us))) / 1e6)
        for key in admitted.ignored.keys() - self._ignored:
            self._ignored.add(key)
            self._log.warning(
                "channel ignored", device_class=key[0], profile=key[1], channel=key[2][:80]
            )

    def count_fleet(self) -> None:
        """Set the gauge of devices by state: online within 15 minutes, late within a day."""
        if self._store is None:
            return
        fleet, age = self._store.plan.fleet, now_us() - self._store.state.last_us
        found: dict[tuple[str, str], int] = {}
        for device, us in zip(fleet.devices, age.tolist(), strict=True):
            state = "online" if us < 9e8 else "late" if us < 8.64e10 else "offline"  # noqa: PLR2004
            found[state, device.class_id] = found.get((state, device.class_id), 0) + 1
        self._metrics.fleet_devices.clear()
        for labels, count in found.items():
            self._metrics.fleet_devices.labels(*labels).set(count)

    def close(self) -> None:
        """Close the connection."""
        self._drop_connection()


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
