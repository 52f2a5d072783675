"""
The receiving thread of `tonne run` and `tonne bridge`: the first step, and the last.

It receives and hands on; a second thread admits and stores; what comes back is
acknowledged.  SIGTERM stores and acknowledges what was received, then leaves; the
broker keeps the rest for the next start.
"""

from __future__ import annotations

import threading
import time

from structlog.typing import FilteringBoundLogger

from services.intake.acknowledge import Acknowledge
from services.intake.handover import Handover
from services.intake.receive import Receive
from services.intake.start import wait_for_server
from services.metrics import Metrics

_DRAIN_S = 30.0


class Receiver:
    """
    Receives, and acknowledges what is durable.

    Parameters
    ----------
    stopping : threading.Event
        Shared with the storing thread, which gives up waiting for a server once it is set.
    """

    def __init__(
        self,
        receive: Receive,
        handover: Handover,
        stopping: threading.Event,
        metrics: Metrics,
        log: FilteringBoundLogger,
    ) -> None:
        self._receive = receive
        self._acknowledge = Acknowledge(receive.session, metrics)
        self._handover = handover
        self._stopping = stopping
        self._metrics, self._log = metrics, log
        self._pending = 0

    def run(self, storing: threading.Thread, wait_s: float = 0.0) -> None:
        """
        Receive until asked to stop, with the storing thread beside.

        Parameters
        ----------
        wait_s : float
            How long a broker that is not there is waited for at the start. [s]

        Raises
        ------
        ServerError
            When the broker cannot be reached at start, or a server refuses us later.
        """
        wait_for_server("broker", self._connect, wait_s, self._stopping, self._log)
        storing.start()
        try:
            while not self._stopping.is_set() and self._handover.failure is None:
                self._metrics.pulse.beat("receiving")
                self._receive.step(self._handover)
                self._pass(stopping=False)
                self._receive.listen(self._handover.fleet)
            self._finish()
        finally:
            self._leave(storing)
        if self._handover.failure is not None:
            raise self._handover.failure

    def _connect(self) -> None:
        self._receive.connect(self._handover.fleet)

    def _pass(self, *, stopping: bool) -> None:
        self._pending -= self._acknowledge.step(self._handover)
        self._pending += self._receive.hand_on(self._handover, stopping=stopping)

    def _finish(self) -> None:
        """
        Store what was received before the stop; leave the rest to the broker.

        Nothing more is read: under load, each acknowledgement brings new messages,
        and there would be no end.
        """
        deadline_s = time.monotonic() + _DRAIN_S
        while self._handover.failure is None and time.monotonic() < deadline_s:
            self._pass(stopping=True)
            if not self._pending and not self._receive.session.waiting:
                break
            self._receive.step_unread(self._handover)
        self._acknowledge.finish()

    def _leave(self, storing: threading.Thread) -> None:
        self._stopping.set()
        if left := self._handover.end():
            self._log.warning("left unstored batches to the broker", batches=left)
        storing.join(timeout=_DRAIN_S)
        if not self._receive.session.close(self._handover.bell.descriptor):
            self._log.warning("the broker may send again what is stored; nothing is lost")
