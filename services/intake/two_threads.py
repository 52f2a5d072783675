"""
The two threads of `tonne run` and `tonne bridge`: one receives and acknowledges, one stores.

Each runner brings its own chain of steps, which the storing thread takes batches through.
"""

from __future__ import annotations

import threading
from contextlib import closing
from typing import Protocol

from structlog.typing import FilteringBoundLogger

from ingest.model import Fleet
from ingest.mqtt.client import Inbox
from services.intake.durable_batch import Done
from services.intake.handover import Handover
from services.intake.receive import Receive
from services.intake.receiver import Receiver
from services.intake.start import quiet_stop, wait_for_server
from services.metrics import Metrics
from services.store.messages.principal_status import Said


class Chain(Protocol):
    """Steps from a received batch to a durable one."""

    @property
    def fleet(self) -> Fleet:
        """The fleet of the registry version that is in use."""

    def open(self) -> None:
        """Connect, and read the registry."""

    def store(self, inbox: Inbox) -> Done:
        """Make a batch durable."""

    def between(self, said: list[list[Said]]) -> list[tuple[str, bytes]]:
        """Do what is due between batches; return what edge nodes are to be sent."""

    def idle(self) -> None:
        """Do what is due while no batch comes."""

    def close(self) -> None:
        """Close the connections."""


class TwoThreads:
    """
    A receiving thread and a storing one, from start to stop.

    Parameters
    ----------
    servers : str
        What the chain connects to, as a log names it.
    stopping : threading.Event
        Shared with the chain, which gives up waiting for a server once it is set.
    wait_s : float
        How long servers that are not there are waited for at the start. [s]
    """

    def __init__(
        self,
        receive: Receive,
        chain: Chain,
        servers: str,
        stopping: threading.Event,
        metrics: Metrics,
        log: FilteringBoundLogger,
        *,
        wait_s: float = 0.0,
    ) -> None:
        self._chain, self._servers, self._stopping = chain, servers, stopping
        self._metrics, self._log, self._wait_s = metrics, log, wait_s
        self._handover = Handover()
        self._receiver = Receiver(receive, self._handover, stopping, metrics, log)

    def stop(self) -> None:
        """Ask to finish what it holds and leave; safe in a signal handler."""
        self._stopping.set()
        self._handover.bell.ring()

    def run(self) -> None:
        """
        Receive and store until asked to stop.

        Raises
        ------
        ServerError
            When a server cannot be reached at start, or refuses us later.
        """
        with closing(self._handover), closing(self._chain) as chain, quiet_stop():
            wait_for_server(self._servers, chain.open, self._wait_s, self._stopping, self._log)
            self._handover.fleet = chain.fleet
            storing = threading.Thread(target=self._store, name="storing", daemon=True)
            self._receiver.run(storing, self._wait_s)

    def _store(self) -> None:
        """The storing thread."""
        chain, handover = self._chain, self._handover
        with handover.ending():
            while True:
                inbox = handover.take()
                if handover.ended:
                    return
                self._metrics.pulse.beat("storing")
                if inbox is None:
                    chain.idle()
                else:
                    handover.give_back(chain.store(inbox))
                handover.fleet = chain.fleet
                handover.tell(chain.between(handover.said()))
