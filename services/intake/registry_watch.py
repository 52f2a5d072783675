"""
When to look for a newer version of the registry.

A process looks now and then, and at once when a message names a device that it
does not know; a version that cannot be taken up whole is asked for again.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from psycopg import Connection

from ingest.model import Fleet
from mrv.accounting.live_emissions import Compiled
from mrv.factors import FactorBook
from mrv.model import Factor
from mrv.registry.project import Project
from services.settle import Plan
from services.store.registry import load as registry
from services.store.registry.factors import load_published

if TYPE_CHECKING:
    from ingest.decode import Rejected

CHECK_S = 2.0
_LOOK_S = 0.5


class RegistryWatch:
    """Looks at the registry's version, not oftener than it must."""

    def __init__(self) -> None:
        self._checked_s = 0.0

    def due(self) -> bool:
        """Whether the last look is a while ago."""
        return time.monotonic() - self._checked_s > _LOOK_S

    def newer(self, connection: Connection, fleet: Fleet | None) -> bool:
        """Return whether there is a version other than the given one."""
        self._checked_s = time.monotonic()
        version = registry.registry_version(connection)
        return fleet is None or fleet.version != version


def names_unknown(rejected: Iterable[Rejected]) -> bool:
    """Whether a message names a device that the registry version does not know."""
    return any(refusal.reason == "unknown_device" for refusal in rejected)


def load_fleet(connection: Connection, before: Fleet | None = None) -> Fleet:
    """Load the devices of one version; of an earlier one, those that have changed."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        if before is not None:
            changes = registry.changed_since(connection, before.version)
            if changes is not None:
                return registry.load_changed_fleet(connection, before, changes)
        return registry.load_fleet(connection)


class Plans:
    """
    Plans of version after version of a registry.

    What a few changed entries do not touch is neither read nor compiled again: a change of
    one meter among a hundred thousand is no pause for all others.
    """

    def __init__(self, factors: FactorBook) -> None:
        self._factors = factors
        self._compiled = Compiled()
        self._held: tuple[Fleet, list[Project], list[Factor]] | None = None
        self._plan: Plan | None = None

    def load(self, connection: Connection) -> Plan:
        """Load and compile devices, projects and published factors of one version."""
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            stored = self._read(connection)
        self._held = stored
        fleet, projects, published = stored
        self._compiled.by(published)
        book = self._factors.with_more(published)
        self._plan = Plan.of(fleet, projects, book, self._compiled, self._plan)
        return self._plan

    def _read(self, connection: Connection) -> tuple[Fleet, list[Project], list[Factor]]:
        if self._held is not None:
            fleet, projects, published = self._held
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
    """Load and compile devices, projects and published factors of one version."""
    return Plans(factors).load(connection)
