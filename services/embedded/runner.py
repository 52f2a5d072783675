"""`tonne run`: MQTT to TimescaleDB in one process."""

from __future__ import annotations

import threading

from structlog.typing import FilteringBoundLogger

from ingest.mqtt.tls import Tls
from ingest.sparkplug import Rules
from services.embedded.chain import EmbeddedChain
from services.intake.principal_quota import Limits
from services.intake.receive import BATCH, Receive
from services.intake.sparkplug import SparkplugNodes
from services.intake.two_threads import TwoThreads
from services.metrics import Metrics
from services.store.messages.dead_letter_write import DAY_BYTES


class Runner(TwoThreads):
    """
    The embedded pipeline: a thread that receives and acknowledges, one that stores.

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
    wait_s : float
        How long servers that are not there are waited for at the start. [s]
    letter_bytes : int
        What is kept of one principal's dead letters in a day.
    limits : Limits, optional
        What one principal may send in a minute.
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
        *,
        wait_s: float = 0.0,
        letter_bytes: int = DAY_BYTES,
        limits: Limits | None = None,
    ) -> None:
        stopping = threading.Event()
        receive = Receive(mqtt_url, client_id, metrics, log, batch, host_id=host_id, tls=tls)
        nodes = nodes or SparkplugNodes(Rules())
        chain = EmbeddedChain(database_url, metrics, log, stopping, nodes, letter_bytes, limits)
        super().__init__(receive, chain, "database", stopping, metrics, log, wait_s=wait_s)
