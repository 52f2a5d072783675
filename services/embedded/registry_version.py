"""What one registry version is to `tonne run`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ingest.mqtt.topics import Router
from services.intake.registry_watch import load_plan
from services.processing.commit import Store

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow
    from structlog.typing import FilteringBoundLogger

    from ingest.model import Fleet
    from mrv.factors import FactorBook


@dataclass(frozen=True, slots=True)
class Version:
    """The store of a registry version, and its topics."""

    store: Store
    router: Router

    @property
    def fleet(self) -> Fleet:
        """The fleet of this version."""
        return self.router.fleet


def take_up(
    connection: Connection[TupleRow], factors: FactorBook, log: FilteringBoundLogger
) -> Version:
    """Read the newest version, and make again what its changes ask for."""
    plan = load_plan(connection, factors)
    store = Store(plan)
    remade = store.remake_requested(connection)
    fleet = plan.fleet
    log.info("registry", version=fleet.version, devices=len(fleet), devices_remade=remade)
    return Version(store, Router(fleet))
