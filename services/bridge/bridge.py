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
from services.intake.start import ending_quietly, waited_for

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from ingest.mqtt.tls import Tls
    from services.intake.principal_quota import Limits
    from services.kafka_access import KafkaAccess
    from services.metrics import Metrics

# a batch's fixed price, here and behind, is that of a hundred messages; see docs/benchmarks.md
EVERY_S = 0.03


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
        self._metrics, self._log, self._wait_s = metrics, log, wait_s
        self._stopping = threading.Event()
        self._handover = Handover()
        receive = Receive(
            mqtt_url, client_id, metrics, log, batch, share,
            host_id=host_id, tls=tls, every_s=EVERY_S, single=True,
        )  # fmt: skip
        self._receiver = Receiver(receive, self._handover, self._stopping, metrics, log)
        self._chain = BridgeChain(
            database_url, kafka, topic, metrics, log, self._stopping, rebirth_s, limits
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
            When a server cannot be reached at start, or refuses us later.
        """
        with closing(self._handover), closing(self._chain) as chain, ending_quietly():
            what = "database or Kafka"
            waited_for(what, chain.open, self._wait_s, self._stopping, self._log)
            self._handover.fleet = chain.fleet
            sending = threading.Thread(target=self._send, name="sending", daemon=True)
            self._receiver.run(sending, self._wait_s)

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
