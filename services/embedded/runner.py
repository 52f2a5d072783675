"""`tonne run`: MQTT to TimescaleDB in one process."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from ingest.sparkplug import Rules
from services.embedded.committer import Committer
from services.intake.receiver import BATCH, Receiver
from services.intake.sparkplug import SparkplugNodes

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from ingest.mqtt.tls import Tls
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
    nodes : SparkplugNodes, optional
        By which rules Sparkplug's edge nodes are heard.
    host_id : str, optional
        Name of this Sparkplug host application.
    tls : Tls, optional
        Who we are to a broker by TLS.
    """

    def __init__(
        self,
        database_url: str,
        mqtt_url: str,
        client_id: str,
        metrics: Metrics,
        log: FilteringBoundLogger,
        batch: int = BATCH,
        nodes: SparkplugNodes | None = None,
        host_id: str | None = None,
        tls: Tls | None = None,
    ) -> None:
        stopping = threading.Event()
        nodes = nodes or SparkplugNodes(Rules())
        committer = Committer(database_url, metrics, log, stopping, nodes)
        super().__init__(
            committer,
            mqtt_url,
            client_id,
            metrics,
            log,
            stopping,
            batch,
            host_id=host_id,
            tls=tls,
        )
