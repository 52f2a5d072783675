"""`tonne bridge`: MQTT to Kafka."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from services.bridge.forwarder import Forwarder
from services.intake.receiver import BATCH, Receiver

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from services.metrics import Metrics


class Bridge(Receiver):
    """
    The receiving pipeline with Kafka behind it.

    Parameters
    ----------
    database_url : str
        Where the registry is; nothing is written to it.
    mqtt_url, kafka_url, topic : str
    client_id : str
        Names the durable session at the broker, each bridge its own.
    share : str, optional
        Name of the subscription that several bridges share.
    """

    def __init__(
        self,
        database_url: str,
        mqtt_url: str,
        kafka_url: str,
        topic: str,
        client_id: str,
        metrics: Metrics,
        log: FilteringBoundLogger,
        batch: int = BATCH,
        share: str | None = None,
    ) -> None:
        stopping = threading.Event()
        sink = Forwarder(database_url, kafka_url, topic, metrics, log, stopping)
        super().__init__(sink, mqtt_url, client_id, metrics, log, stopping, batch, share)
