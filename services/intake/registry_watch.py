"""
Checks for a newer version of the registry.

A process checks at intervals, and at once when a message names an unknown device; a version that
could not be loaded is tried again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

import psycopg
from psycopg import Connection
from structlog.typing import FilteringBoundLogger

from ingest.errors import ServerError
from ingest.model import Fleet, Int32
from mrv.accounting.live_emissions import Compiled
from mrv.factors import FactorBook
from mrv.model import Factor
from mrv.registry.project import Project
from services.intake.retry import line
from services.processing.commit import Store
from services.settle import Plan
from services.store.postgres.pool import connect
from services.store.registry import load as registry
from services.store.registry.load import load_published

if TYPE_CHECKING:
    from ingest.decode import Rejected


CHECK_S = 2.0
_LOOK_S = 0.5


class RegistryWatch:
    """Checks the registry's version at limited intervals."""

    def __init__(self) -> None:
        self._checked_s = 0.0

    def due(self) -> bool:
        """Return whether the last check is long enough ago."""
        return time.monotonic() - self._checked_s > _LOOK_S

    def newer(self, connection: Connection, fleet: Fleet | None) -> bool:
        """Return whether the database has another version than the given fleet's."""
        self._checked_s = time.monotonic()
        version = registry.registry_version(connection)
        return fleet is None or fleet.version != version


def names_unknown(rejected: Iterable[Rejected]) -> bool:
    """Return whether a message names a device unknown to the registry version."""
    return any(refusal.reason == "unknown_device" for refusal in rejected)


def load_fleet(connection: Connection, before: Fleet | None = None) -> Fleet:
    """Return the current version's devices; only those changed since an earlier one are read."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        if before is not None:
            changes = registry.changed_since(connection, before.version)
            if changes is not None:
                return registry.load_changed_fleet(connection, before, changes)
        return registry.load_fleet(connection)


class Plans:
    """
    Compiled plans of successive registry versions.

    Only changed entries are read and compiled again, so that a large fleet is not delayed by a
    change of one meter.
    """

    def __init__(self, factors: FactorBook) -> None:
        self._factors = factors
        self._compiled = Compiled()
        self._stored: tuple[Fleet, list[Project], list[Factor]] | None = None
        self._plan: Plan | None = None

    def load(self, connection: Connection) -> Plan:
        """Return the compiled devices, projects and published factors of the current version."""
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            stored = self._read(connection)
        self._stored = stored
        fleet, projects, published = stored
        self._compiled.by(published)
        book = self._factors.with_more(published)
        self._plan = Plan.of(fleet, projects, book, self._compiled, self._plan)
        return self._plan

    def _read(self, connection: Connection) -> tuple[Fleet, list[Project], list[Factor]]:
        if self._stored is not None:
            fleet, projects, published = self._stored
            changes = registry.changed_since(connection, fleet.version)
            if changes is not None:
                return (
                    registry.load_changed_fleet(connection, fleet, changes),
                    registry.load_changed_projects(connection, projects, changes),
                    published,
                )
        return (
            registry.load_fleet(connection),
            registry.load_projects(connection),
            load_published(connection),
        )


def load_plan(connection: Connection, factors: FactorBook) -> Plan:
    """Return the compiled devices, projects and published factors of the current version."""
    return Plans(factors).load(connection)


class Prepared(NamedTuple):
    """
    Store of a newer registry version.

    Unchanged devices have the index `here` in it, and `there` in the previous one.
    """

    store: Store
    here: Int32
    there: Int32


class NewerRegistry:
    """
    Prepares one newer version at a time, in its own thread and connection.

    `url`: database.
    `plans`: compiled plans, used by this thread only.
    """

    def __init__(
        self, url: str, plans: Plans, letter_bytes: int, log: FilteringBoundLogger
    ) -> None:
        self._url, self._plans, self._letter_bytes, self._log = url, plans, letter_bytes, log
        self._thread: threading.Thread | None = None
        self._prepared: Prepared | None = None
        self._failure: Exception | None = None

    @property
    def ready(self) -> bool:
        """Return whether a prepared version is available."""
        return self._thread is not None and not self._thread.is_alive()

    def begin(self, before: Store) -> None:
        """Start preparing the current version, unless a preparation is running."""
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._prepare, args=(before,), name="registry", daemon=True
            )
            self._thread.start()

    def taken(self) -> Prepared | None:
        """
        Return the prepared version; None without one, or if the database was lost.

        Raises Exception: the error of compiling that version.
        """
        if not self.ready:
            return None
        prepared, failure = self._prepared, self._failure
        self._thread = self._prepared = self._failure = None
        if failure is not None:
            raise failure
        return prepared

    def now(self, connection: Connection, before: Store | None) -> Prepared:
        """Return the current version, prepared now; a running preparation is dropped."""
        if self._thread is not None:
            self._thread.join()
            self._thread = self._prepared = self._failure = None
        return self._read(connection, before)

    def _prepare(self, before: Store) -> None:
        try:
            with closing(
                connect(
                    self._url,
                    role="tonne_ingest",
                    name="tonne registry",
                    autocommit=True,
                    limits=("statement_timeout=0",),
                )
            ) as connection:
                self._prepared = self._read(connection, before)
        except (psycopg.Error, ServerError) as error:
            self._log.warning("registry not read, left for later", error=line(error))
        except Exception as error:  # noqa: BLE001 (the storing thread raises it)
            self._failure = error

    def _read(self, connection: Connection, before: Store | None) -> Prepared:
        store = Store(self._plans.load(connection), self._letter_bytes, before)
        fleet = store.plan.fleet
        same = fleet.unchanged(fleet if before is None else before.plan.fleet)
        return Prepared(store, *same)
