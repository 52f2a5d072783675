"""`tonne bridge`: MQTT to Kafka."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from services.bridge.forwarder import Forwarder
from services.intake.receiver import BATCH, Receiver
from services.intake.sparkplug import REBIRTH_S

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from ingest.mqtt.tls import Tls
    from services.metrics import Metrics

# small records cost several times as much a message, here and at every stage behind
EVERY_S = 0.1


class Bridge(Receiver):
    """
    The receiving pipeline with Kafka behind it.

    Parameters
    ----------
    database_url : str
        Where the registry is, and what edge nodes are to be asked for.
    mqtt_url, kafka_url, topic : str
    client_id : str
        Names the durable session at the broker, each bridge its own.
    share : str, optional
        Name of the subscription that several bridges share.
    rebirth_s : float
        A Sparkplug edge node is asked for a rebirth at most this often. [s]
    host_id : str, optional
        Name of this Sparkplug host application; one bridge's only.
    tls : Tls, optional
        Who we are to a broker by TLS.
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
        *,
        rebirth_s: float = REBIRTH_S,
        host_id: str | None = None,
        tls: Tls | None = None,
    ) -> None:
        stopping = threading.Event()
        sink = Forwarder(database_url, kafka_url, topic, metrics, log, stopping, rebirth_s)
        super().__init__(
            sink,
            mqtt_url,
            client_id,
            metrics,
            log,
            stopping,
            batch,
            share,
            host_id=host_id,
            tls=tls,
            every_s=EVERY_S,
        )
