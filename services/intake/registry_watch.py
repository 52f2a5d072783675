"""
When to look for a newer version of the registry.

A process looks now and then, and at once when a message names a device that it
does not know; a version that cannot be taken up whole is asked for again.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from services.settle import Plan
from services.store.registry import load as registry
from services.store.registry.factors import load_published

if TYPE_CHECKING:
    from collections.abc import Iterable

    from psycopg import Connection
    from psycopg.rows import TupleRow

    from ingest.decode import Rejected
    from ingest.model import Fleet
    from mrv.factors import FactorBook

CHECK_S = 2.0


class RegistryWatch:
    """Looks at the registry's version, not oftener than it must."""

    def __init__(self) -> None:
        self._checked_s = 0.0

    def due(self) -> bool:
        """Whether the last look is a while ago."""
        return time.monotonic() - self._checked_s > CHECK_S

    def newer(self, connection: Connection[TupleRow], held: Fleet | None) -> bool:
        """Look whether there is another version than the one held."""
        self._checked_s = time.monotonic()
        version = registry.registry_version(connection)
        return held is None or held.version != version


def names_unknown(rejected: Iterable[Rejected]) -> bool:
    """Whether a message names a device that the registry version does not know."""
    return any(refusal.reason == "unknown_device" for refusal in rejected)


def load_fleet(connection: Connection[TupleRow]) -> Fleet:
    """Load the devices of one version."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        return registry.load_fleet(connection)


def load_plan(connection: Connection[TupleRow], factors: FactorBook) -> Plan:
    """Load and compile devices, projects and published factors of one version."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        fleet, projects = registry.load_fleet(connection), registry.load_projects(connection)
        book = factors.with_more(load_published(connection))
    return Plan.of(fleet, projects, book)
