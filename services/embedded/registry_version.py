"""What one registry version is to `tonne run`."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import Connection
from structlog.typing import FilteringBoundLogger

from ingest.model import Fleet
from ingest.mqtt.topics import Router
from services.intake.newer_registry import Prepared
from services.processing.commit import Store


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
    connection: Connection, prepared: Prepared, before: Version | None, log: FilteringBoundLogger
) -> Version:
    """Use a newer version of the registry; rows that its changes ask for wait from then on."""
    store = prepared.store
    if before is not None:
        store.go_on_from(before.store, prepared.here, prepared.there)
    fleet = store.plan.fleet
    waiting = store.look_for_requests(connection)
    log.info("registry", version=fleet.version, devices=len(fleet), devices_to_remake=waiting)
    return Version(store, Router(fleet))
