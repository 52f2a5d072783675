"""`tonne bridge`: MQTT to Kafka."""

from __future__ import annotations

import threading

from structlog.typing import FilteringBoundLogger

from ingest.mqtt.tls import Tls
from services.bridge.chain import BridgeChain
from services.intake.principal_quota import Limits
from services.intake.receive import BATCH, Receive
from services.intake.sparkplug import REBIRTH_S
from services.intake.two_threads import TwoThreads
from services.kafka_access import KafkaAccess
from services.metrics import Metrics

# a batch's fixed price, here and behind, is that of a hundred messages; see docs/benchmarks.md
EVERY_S = 0.03


class Bridge(TwoThreads):
    """
    The pipeline to Kafka: a thread that receives and acknowledges, one that sends.

    Parameters
    ----------
    database_url : str
        Where the registry is, and what edge nodes are to be asked for.
    mqtt_url : str
    kafka : KafkaAccess
    topic : str
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
    wait_s : float
        How long servers that are not there are waited for at the start. [s]
    limits : Limits, optional
        What one principal may send in a minute.
    """

    def __init__(
        self,
        database_url: str,
        mqtt_url: str,
        kafka: KafkaAccess,
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
        wait_s: float = 0.0,
        limits: Limits | None = None,
    ) -> None:
        stopping = threading.Event()
        receive = Receive(
            mqtt_url, client_id, metrics, log, batch, share,
            host_id=host_id, tls=tls, every_s=EVERY_S, single=True,
        )  # fmt: skip
        chain = BridgeChain(database_url, kafka, topic, metrics, log, stopping, rebirth_s, limits)
        super().__init__(receive, chain, "database or Kafka", stopping, metrics, log, wait_s=wait_s)
