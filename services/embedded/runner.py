"""`tonne run`: MQTT to TimescaleDB in one process."""

from __future__ import annotations

import threading
from contextlib import closing
from typing import TYPE_CHECKING

from ingest.sparkplug import Rules
from services.embedded.chain import EmbeddedChain
from services.intake.handover import Handover
from services.intake.receive import BATCH, Receive
from services.intake.receiver import Receiver
from services.intake.sparkplug import SparkplugNodes
from services.intake.start import ending_quietly, waited_for
from services.store.messages.dead_letter_write import DAY_BYTES

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from ingest.mqtt.tls import Tls
    from services.intake.principal_quota import Limits
    from services.metrics import Metrics


class Runner:
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
        self._metrics, self._log, self._wait_s = metrics, log, wait_s
        self._stopping = threading.Event()
        self._handover = Handover()
        receive = Receive(mqtt_url, client_id, metrics, log, batch, host_id=host_id, tls=tls)
        self._receiver = Receiver(receive, self._handover, self._stopping, metrics, log)
        nodes = nodes or SparkplugNodes(Rules())
        self._chain = EmbeddedChain(
            database_url, metrics, log, self._stopping, nodes, letter_bytes, limits
        )

    def stop(self) -> None:
        """Ask to finish what it holds and leave; safe in a signal handler."""
        self._stopping.set()
        self._handover.bell.ring()

    def run(self) -> None:
        """
        Receive and store until told to stop.

        Raises
        ------
        ServerError
            When a server cannot be reached at start, or refuses us later.
        """
        with closing(self._handover), closing(self._chain) as chain, ending_quietly():
            waited_for("database", chain.open, self._wait_s, self._stopping, self._log)
            self._handover.fleet = chain.fleet
            storing = threading.Thread(target=self._store, name="storing", daemon=True)
            self._receiver.run(storing, self._wait_s)

    def _store(self) -> None:
        """The storing thread."""
        chain, handover = self._chain, self._handover
        with handover.ending():
            for inbox in handover.batches(lambda: chain.behind):
                self._metrics.pulse.beat("storing")
                if inbox is None:
                    chain.idle()
                else:
                    handover.take_back(chain.store(inbox))
                handover.fleet = chain.fleet
                handover.tell(chain.between(handover.said()))
                if chain.behind:
                    chain.catch_up()
