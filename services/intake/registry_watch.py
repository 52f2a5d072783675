"""
The registry version in use, and what a process makes of it.

A process looks now and then, and at once when a message names a device that it
does not know; a version that cannot be taken up whole is asked for again.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from ingest.decode import SPARKPLUG
from ingest.pipeline import Admitted, admit
from services.settle import Plan
from services.store.registry import load as registry
from services.store.registry.factors import load_published

if TYPE_CHECKING:
    from collections.abc import Callable

    from psycopg import Connection
    from psycopg.rows import TupleRow

    from ingest.model import Fleet
    from ingest.mqtt.inbox import Inbox
    from ingest.mqtt.topics import Router
    from mrv.factors import FactorBook
    from services.intake.sparkplug import Turn

CHECK_S = 2.0


class HasFleet(Protocol):
    """What is made of a registry version."""

    @property
    def fleet(self) -> Fleet:
        """The fleet of that version."""


_T = TypeVar("_T", bound=HasFleet)


class Registered(Generic[_T]):
    """
    Holds what `take_up` made of the newest registry version.

    Parameters
    ----------
    take_up : callable
        Reads a version over a connection; a failure leaves the held one in use.
    """

    def __init__(self, take_up: Callable[[Connection[TupleRow]], _T]) -> None:
        self._take_up = take_up
        self._held: _T | None = None
        self._checked_s = 0.0

    @property
    def held(self) -> _T:
        """What was made of the version in use."""
        if self._held is None:
            raise RuntimeError("refresh() reads the registry first")
        return self._held

    @property
    def ready(self) -> bool:
        """Whether a version is in use."""
        return self._held is not None

    def forget(self) -> None:
        """Make the next look take the registry up again, whatever its version."""
        self._held = None

    def look(self, connection: Connection[TupleRow]) -> None:
        """Take up a new version if the last look is a while ago."""
        if self._held is None or time.monotonic() - self._checked_s > CHECK_S:
            self.refresh(connection)

    def refresh(self, connection: Connection[TupleRow]) -> bool:
        """Take up a new version, if there is one."""
        self._checked_s = time.monotonic()
        version = registry.registry_version(connection)
        if self._held is not None and self._held.fleet.version == version:
            return False
        self._held = self._take_up(connection)
        return True


def load_plan(connection: Connection[TupleRow], factors: FactorBook) -> Plan:
    """Load and compile devices, projects and published factors of one version."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        fleet, projects = registry.load_fleet(connection), registry.load_projects(connection)
        book = factors.with_more(load_published(connection))
    return Plan.of(fleet, projects, book)


class HasRouter(HasFleet, Protocol):
    """What messages can be admitted by."""

    @property
    def router(self) -> Router:
        """Topic to device."""


_R = TypeVar("_R", bound=HasRouter)


def admit_inbox(
    registered: Registered[_R],
    ask: Callable[[Callable[[Connection[TupleRow]], object]], object],
    inbox: Inbox,
    turn: Turn | None = None,
) -> Admitted:
    """
    Admit messages; a device not known is looked for in a newer registry first.

    Parameters
    ----------
    ask : callable
        Does what it is given over a connection: or not, where the version in
        use is good enough while the database is away.
    turn : Turn, optional
        Reads Sparkplug's messages; without it they are passed on unread.
    """
    ask(registered.look)
    router = registered.held.router
    admitted = _admit(router, inbox, turn)
    if any(r.reason == "unknown_device" for r in admitted.rejected):
        ask(registered.refresh)
        if registered.held.router is not router:
            admitted = _admit(registered.held.router, inbox, turn)
    return admitted


def _admit(router: Router, inbox: Inbox, turn: Turn | None) -> Admitted:
    admitted = admit(
        router.fleet,
        router.route,
        inbox.topics,
        inbox.payloads,
        inbox.content_types,
        inbox.received_us,
        None if turn is None else partial(turn.read_anew, router.fleet, inbox),
    )
    if turn is not None:
        admitted.rejected.extend(turn.outcome.rejected)
        admitted.codecs.extend(SPARKPLUG for _ in turn.outcome.released)
    return admitted
