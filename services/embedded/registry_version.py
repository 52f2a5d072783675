"""What one registry version is to `tonne run`."""

from __future__ import annotations

import time
from dataclasses import dataclass

from psycopg import Connection
from structlog.typing import FilteringBoundLogger

from ingest.model import Fleet
from ingest.mqtt.topics import Router
from services.intake.batch_metrics import count_commit
from services.intake.newer_registry import Prepared
from services.metrics import Metrics
from services.processing.commit import Store

# so long a change of the registry is worked on before the next batch
_AT_ONCE_S = 0.5


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
    connection: Connection,
    prepared: Prepared,
    before: Version | None,
    metrics: Metrics,
    log: FilteringBoundLogger,
) -> Version:
    """Use a newer version of the registry, and derive the rows that its changes ask for."""
    store = prepared.store
    if before is not None:
        store.go_on_from(before.store, prepared.here, prepared.there)
    fleet = store.plan.fleet
    waiting = store.look_for_requests(connection)
    log.info("registry", version=fleet.version, devices=len(fleet), devices_to_remake=waiting)
    version = Version(store, Router(fleet))
    until_s = time.monotonic() + _AT_ONCE_S
    while time.monotonic() < until_s and store.behind:
        if not step(connection, version, metrics, log):
            break
    return version


def step(
    connection: Connection, version: Version, metrics: Metrics, log: FilteringBoundLogger
) -> bool:
    """Derive a span of what waits; return whether anything was done."""
    answered = version.store.catch_up(connection)
    count_commit(metrics, answered.committed)
    left = version.store.behind
    if not left:
        log.info("all rows are made", devices=len(answered.ended))
    return bool(answered)
