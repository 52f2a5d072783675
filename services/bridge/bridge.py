"""`tonne bridge`: MQTT to Kafka."""

from __future__ import annotations

import threading
from contextlib import closing
from typing import TYPE_CHECKING

from services.bridge.chain import BridgeChain
from services.intake.handover import Handover
from services.intake.receive import BATCH, Receive
from services.intake.receiver import Receiver
from services.intake.sparkplug import REBIRTH_S
from services.waiting import WAIT_S, Start

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from ingest.mqtt.tls import Tls
    from services.kafka_access import KafkaAccess
    from services.metrics import Metrics

# small records cost several times as much a message, here and at every stage behind
EVERY_S = 0.02


class Bridge:
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
        How long servers are waited for that are not there yet. [s]
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
        wait_s: float = WAIT_S,
    ) -> None:
        self._metrics = metrics
        self._stopping = threading.Event()
        self._wait_s, self._log = wait_s, log
        self._handover = Handover()
        receive = Receive(
            mqtt_url, client_id, metrics, log, batch, share,
            host_id=host_id, tls=tls, every_s=EVERY_S,
        )  # fmt: skip
        self._receiver = Receiver(receive, self._handover, self._stopping, metrics, log)
        self._chain = BridgeChain(
            database_url, kafka, topic, metrics, log, self._stopping, rebirth_s
        )

    def stop(self) -> None:
        """Ask to finish what it holds and leave; safe in a signal handler."""
        self._stopping.set()
        self._handover.bell.ring()

    def run(self) -> None:
        """
        Receive and send until told to stop.

        Raises
        ------
        ServerError
            When a server is not there in time, or refuses us later.
        """
        with closing(self._handover), closing(self._chain) as chain:
            start = Start(self._wait_s, self._log, self._stopping)
            start.reach(chain.open)
            self._handover.fleet = chain.fleet
            start.reach(self._receiver.connect)
            self._receiver.run(threading.Thread(target=self._send, name="sending", daemon=True))

    def _send(self) -> None:
        """The sending thread."""
        chain, handover = self._chain, self._handover
        with handover.ending():
            for inbox in handover.batches():
                self._metrics.pulse.beat("storing")
                if inbox is None:
                    chain.idle()
                else:
                    handover.take_back(chain.store(inbox))
                handover.fleet = chain.fleet
                handover.tell(chain.between(handover.said()))
