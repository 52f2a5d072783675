"""What one registry version is to `tonne run`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ingest.mqtt.topics import Router
from services.intake.batch_metrics import count_commit
from services.processing.commit import Store
from services.store.messages.dead_letter_write import DAY_BYTES

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow
    from structlog.typing import FilteringBoundLogger

    from ingest.model import Fleet
    from services.intake.registry_watch import Plans
    from services.metrics import Metrics

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
    connection: Connection[TupleRow],
    plans: Plans,
    metrics: Metrics,
    log: FilteringBoundLogger,
    letter_bytes: int = DAY_BYTES,
) -> Version:
    """Read the newest version, and begin with what its changes ask for."""
    plan = plans.load(connection)
    store = Store(plan, letter_bytes)
    fleet = plan.fleet
    waiting = store.look_for_requests(connection)
    log.info("registry", version=fleet.version, devices=len(fleet), devices_to_remake=waiting)
    version = Version(store, Router(fleet))
    until_s = time.monotonic() + _AT_ONCE_S
    while time.monotonic() < until_s and store.behind:
        if not step(connection, version, metrics, log):
            break
    return version


def step(
    connection: Connection[TupleRow],
    version: Version,
    metrics: Metrics,
    log: FilteringBoundLogger,
) -> bool:
    """Derive a span of what waits; return whether anything was done."""
    answered = version.store.catch_up(connection)
    count_commit(metrics, answered.committed)
    left = version.store.behind
    if not left:
        log.info("all rows are made", devices=len(answered.ended))
    return bool(answered)
