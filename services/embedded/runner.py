"""`tonne run`: MQTT to TimescaleDB in one process."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from services.embedded.committer import Committer
from services.intake.receiver import BATCH, Receiver

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from services.metrics import Metrics


class Runner(Receiver):
    """
    The embedded pipeline.

    Parameters
    ----------
    database_url, mqtt_url : str
    client_id : str
        Names the durable session at the broker.
    batch : int
        Most messages a transaction.
    """

    def __init__(
        self,
        database_url: str,
        mqtt_url: str,
        client_id: str,
        metrics: Metrics,
        log: FilteringBoundLogger,
        batch: int = BATCH,
    ) -> None:
        stopping = threading.Event()
        committer = Committer(database_url, metrics, log, stopping)
        super().__init__(committer, mqtt_url, client_id, metrics, log, stopping, batch)
