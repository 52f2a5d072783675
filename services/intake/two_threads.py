"""
The threads of `tonne run` and `tonne bridge`: one receives, reads and acknowledges, one stores.

Each runner has its own chain of steps.  A batch is decoded while the previous one is stored, as the
storing thread mostly waits for a server.

The receiving thread receives and decodes; the second thread stores; the receiving thread
acknowledges.  SIGTERM stores and acknowledges received messages, then ends; the broker keeps the
rest for the next start.

The broker gets a PUBACK on the connection of the message; the device gets a receipt, as a PUBACK of
the broker does not confirm storage.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import Protocol

from structlog.typing import FilteringBoundLogger

from ingest.heap import collect_seldom
from ingest.model import Fleet
from ingest.mqtt.client import Inbox
from ingest.mqtt.session import Session
from services.intake.handover import Done, Handover, Read
from services.intake.receive import Receipts, Receive
from services.intake.retry import quiet_stop, take_turns_often, wait_for_server
from services.metrics import Metrics
from services.store.principal_status import Status


class Acknowledge:
    """Acknowledges durable batches, and sends receipts and other messages to devices."""

    def __init__(self, session: Session, metrics: Metrics) -> None:
        self._session, self._metrics = session, metrics
        self._receipts = Receipts()

    def step(self, handover: Handover) -> int:
        """Acknowledge durable batches; return their number."""
        now_s = time.monotonic()
        durable = handover.durable()
        for done in durable:
            self._metrics.unacked.dec(len(done.inbox))
            self._session.ack(done.inbox)
            self._receipts.add(done.fleet, done.seen, now_s, done.refused)
        self._session.publish(self._receipts.due(now_s))
        self._session.publish(handover.messages())
        return len(durable)

    def finish(self) -> None:
        """Send the remaining receipts."""
        self._session.publish(self._receipts.due(float("inf")))


_DRAIN_S = 30.0


class Receiver:
    """
    Receives messages, and acknowledges durable ones.

    `read`: reads a batch before it is handed on: `Chain.read`.
    `stopping`: shared with the storing thread, which stops waiting for a server once it is set.
    """

    def __init__(
        self,
        receive: Receive,
        read: Callable[[Inbox], Read],
        handover: Handover,
        stopping: threading.Event,
        metrics: Metrics,
        log: FilteringBoundLogger,
    ) -> None:
        self._receive, self._read = receive, read
        self._acknowledge = Acknowledge(receive.session, metrics)
        self._handover = handover
        self._stopping = stopping
        self._metrics, self._log = metrics, log
        self._pending = 0

    def run(self, storing: threading.Thread, wait_s: float = 0.0) -> None:
        """
        Receive until stopped, while the storing thread runs.

        `wait_s`: maximum waiting time for an unreachable broker at the start. [s]
        Raises ServerError when the broker cannot be reached at the start, or a server refuses
        later.
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
        self._pending += self._receive.hand_on(self._handover, self._read, stopping=stopping)

    def _finish(self) -> None:
        """
        Store messages received before the stop; leave the rest to the broker.

        Nothing more is read, as each acknowledgement brings new messages.
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
        if remaining := self._handover.end():
            self._log.warning("left unstored batches to the broker", batches=remaining)
        storing.join(timeout=_DRAIN_S)
        if not self._receive.session.close(self._handover.bell.descriptor):
            self._log.warning(
                "the broker may send stored messages again; they are not stored twice"
            )


class Chain(Protocol):
    """
    Steps from a received batch to a durable one.

    `read` runs on the receiving thread, all others run on the storing thread.
    """

    @property
    def fleet(self) -> Fleet:
        """Return the fleet of the registry version in use."""

    def open(self) -> None:
        """Connect, and read the registry."""

    def read(self, inbox: Inbox) -> Read:
        """Return the content of a batch, decoded by the current registry version."""

    def store(self, inbox: Inbox, read: Read | None = None) -> Done:
        """
        Make a batch durable and return its receipts; a batch that `read` left undecoded
        is decoded.
        """

    def between(self, lines: list[list[Status]]) -> list[tuple[str, bytes]]:
        """Do periodic work between two batches; return messages for edge nodes."""

    def idle(self) -> None:
        """Do periodic work while no batch arrives."""

    def close(self) -> None:
        """Close the connections."""


class TwoThreads:
    """
    A receiving and a storing thread, from start to stop.

    `servers`: name of the chain's servers in the log.
    `stopping`: shared with the chain, which stops waiting for a server once it is set.
    `wait_s`: maximum waiting time for unreachable servers at the start. [s]
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
        self._receiver = Receiver(receive, chain.read, self._handover, stopping, metrics, log)

    def stop(self) -> None:
        """Request to finish the current work and end; safe in a signal handler."""
        self._stopping.set()
        self._handover.bell.ring()

    def run(self) -> None:
        """
        Receive and store until stopped.

        Raises ServerError when a server cannot be reached at start, or refuses later.
        """
        collect_seldom()
        take_turns_often()
        with closing(self._handover), closing(self._chain) as chain, quiet_stop():
            wait_for_server(self._servers, chain.open, self._wait_s, self._stopping, self._log)
            self._handover.fleet = chain.fleet
            storing = threading.Thread(target=self._store, name="storing", daemon=True)
            self._receiver.run(storing, self._wait_s)

    def _store(self) -> None:
        chain, handover = self._chain, self._handover
        with handover.ending():
            while True:
                batch = handover.take()
                if handover.ended:
                    return
                self._metrics.pulse.beat("storing")
                if batch is None:
                    chain.idle()
                else:
                    handover.give_back(chain.store(*batch))
                handover.fleet = chain.fleet
                handover.queue_messages(chain.between(handover.statuses()))
