"""
From MQTT to a sink that makes batches durable: the database, or Kafka.

The main thread receives, acknowledges and sends receipts; a second thread
stores.  A message is acknowledged only once its batch is durable, by the
connection that brought it.  SIGTERM stores and acknowledges what was received,
then leaves; the broker keeps the rest for the next start.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from typing import TYPE_CHECKING

from ingest.errors import ServerError
from ingest.mqtt.session import HostState, Session
from ingest.mqtt.topics import SUBSCRIPTIONS, subscriptions
from services.clock import now_us
from services.intake.receipts import Receipts, greetings
from services.intake.registry_watch import CHECK_S
from services.intake.retry import GaveUpError
from services.intake.status_messages import part_statuses
from services.intake.wakeup_pipe import Bell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from structlog.typing import FilteringBoundLogger

    from ingest.model import Fleet
    from ingest.mqtt.inbox import Inbox
    from ingest.mqtt.tls import Tls
    from services.intake.sink import Done, Sink
    from services.metrics import Metrics
    from services.store.messages.principal_status import Said

BATCH = 10_000
IN_FLIGHT = 2
LINGER_S = 0.01
_RETRY_S = 1.0
_DRAIN_S = 30.0
_AWAY_S = 0.1  # without a connection, until the next try


class Receiver:
    """
    The receiving half of `tonne run` and `tonne bridge`.

    Parameters
    ----------
    sink : Sink
    mqtt_url : str
    client_id : str
        Names the durable session at the broker.
    stopping : threading.Event
        Shared with the sink, which gives up waiting for a server once it is set.
    batch : int
        Most messages handed to the sink at once.
    share : str, optional
        Name of a shared subscription, by which several receivers split the messages.
    host_id : str, optional
        Name of this Sparkplug host application, which then says whether it listens.
    tls : Tls, optional
        Who we are to a broker by TLS.
    every_s : float
        While messages keep coming, batches that are not full leave no oftener than
        this; after a silence at once. [s]
    """

    def __init__(
        self,
        sink: Sink,
        mqtt_url: str,
        client_id: str,
        metrics: Metrics,
        log: FilteringBoundLogger,
        stopping: threading.Event,
        batch: int = BATCH,
        share: str | None = None,
        *,
        host_id: str | None = None,
        tls: Tls | None = None,
        every_s: float = 0.0,
    ) -> None:
        self._sink = sink
        self._metrics = metrics
        self._log = log
        self._batch = batch
        self._stopping = stopping
        self._prefix = "" if share is None else f"$share/{share}/"
        maximum = min(batch * (IN_FLIGHT + 1), 65_535)
        state = None if host_id is None else HostState(host_id)
        self._session = Session(
            mqtt_url, client_id, self._filters(SUBSCRIPTIONS), maximum, state, tls
        )
        self._todo: queue.Queue[Inbox | None] = queue.Queue(IN_FLIGHT)
        self._done: queue.SimpleQueue[Done] = queue.SimpleQueue()
        self._commands: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
        self._said: queue.SimpleQueue[list[Said]] = queue.SimpleQueue()
        self._receipts = Receipts()
        self._bell = Bell()
        self._failure: BaseException | None = None
        self._pending = 0
        self._heard: Fleet | None = None
        self._every_s, self._left_s, self._came_s = every_s, 0.0, 0.0

    def stop(self) -> None:
        """Ask to finish what it holds and leave; safe in a signal handler."""
        self._stopping.set()
        self._bell.ring()

    def run(self) -> None:
        """
        Receive and store until told to stop.

        Raises
        ------
        ServerError
            When a server cannot be reached at start, or refuses us later.
        """
        self._sink.open()
        self._listen()
        self._session.connect()
        self._log.info("receiving", client_id=self._session.client_id, batch=self._batch)
        worker = threading.Thread(target=self._work, name="sink", daemon=True)
        worker.start()
        try:
            self._receive()
            self._finish()
        finally:
            self._stopping.set()
            self._give(None)
            worker.join(timeout=_DRAIN_S)
            self._sink.close()
            if not self._session.close(self._bell.descriptor):
                self._log.warning("the broker may send again what is stored; nothing is lost")
        if self._failure is not None:
            raise self._failure

    def _receive(self) -> None:
        retry_s = 0.0
        while not self._stopping.is_set() and self._failure is None:
            now_s = time.monotonic()
            self._metrics.pulse.beat("receiving")
            waiting = self._session.waiting
            if not self._session.step(self._patience(), self._bell.descriptor):
                self._bell.wait(_AWAY_S)
                if now_s >= retry_s:
                    retry_s = now_s + _RETRY_S
                    self._reconnect()
            if self._session.waiting > waiting:
                self._came_s = time.monotonic()
            self._bell.silence()
            self._settle_done()
            self._dispatch()
            self._listen()

    def _listen(self) -> None:
        """Listen to the topics of the registry version in use."""
        fleet = self._sink.fleet
        if fleet is not self._heard:
            self._heard = fleet
            self._session.listen(self._filters(subscriptions(fleet)))

    def _filters(self, topics: Sequence[str]) -> list[str]:
        return [self._prefix + topic for topic in topics]

    def _patience(self) -> float:
        return LINGER_S if self._session.waiting and not self._todo.full() else 0.25

    def _reconnect(self) -> None:
        try:
            self._session.connect()
            self._log.info("broker connected again")
        except ServerError as error:
            self._log.warning("broker lost, trying again", error=str(error))

    def _dispatch(self) -> None:
        """Hand over what was received; a busy sink lets it gather."""
        while self._session.waiting and not self._todo.full():
            if self._session.waiting < self._batch and (self._todo.qsize() or self._too_soon()):
                return
            inbox = self._session.take(self._batch, now_us())
            if inbox is None:
                return
            if said := part_statuses(inbox):
                self._said.put(said)
                self._session.publish(greetings(self._sink.fleet, said))
            if not len(inbox):
                continue
            self._pending += 1
            self._metrics.unacked.inc(len(inbox))
            self._todo.put(inbox)
            self._left_s = time.monotonic()

    def _too_soon(self) -> bool:
        """
        Whether messages that wait should gather some more.

        Not where nothing came for a moment: a broker that allows few messages in
        flight sends no more before these are acknowledged.
        """
        now_s = time.monotonic()
        coming = now_s - self._came_s < LINGER_S and not self._stopping.is_set()
        return coming and now_s - self._left_s < self._every_s

    def _settle_done(self) -> None:
        """Acknowledge what is durable, and tell the devices."""
        now_s = time.monotonic()
        while True:
            try:
                done = self._done.get_nowait()
            except queue.Empty:
                break
            self._pending -= 1
            self._metrics.unacked.dec(len(done.inbox))
            self._session.ack(done.inbox)
            self._receipts.add(done.fleet, done.seen, now_s)
        self._session.publish(self._receipts.due(now_s))
        self._command()

    def _command(self) -> None:
        """Publish what the sink has for edge nodes."""
        found = []
        with contextlib.suppress(queue.Empty):
            while True:
                found.append(self._commands.get_nowait())
        self._session.publish(found)

    def _finish(self) -> None:
        """
        Store what was received before the stop; leave the rest to the broker.

        Nothing more is read: under load, each acknowledgement brings new messages,
        and there would be no end.
        """
        deadline_s = time.monotonic() + _DRAIN_S
        while self._failure is None and time.monotonic() < deadline_s:
            self._dispatch()
            if not self._pending and not self._session.waiting:
                break
            self._bell.silence()
            if not self._session.step(0.05, self._bell.descriptor, read=False):
                self._bell.wait(_AWAY_S)
            self._settle_done()
        self._session.publish(self._receipts.due(float("inf")))

    def _give(self, inbox: Inbox | None) -> None:
        try:
            self._todo.put(inbox, timeout=1.0)
        except queue.Full:
            self._log.warning("left unstored batches to the broker", batches=self._todo.qsize())

    def _work(self) -> None:
        try:
            while True:
                self._metrics.pulse.beat("storing")
                try:
                    inbox = self._todo.get(timeout=CHECK_S)
                except queue.Empty:
                    self._sink.look()
                    self._hear()
                    self._gather()
                    continue
                if inbox is None:
                    break
                self._done.put(self._sink.store(inbox))
                self._hear()
                self._gather()
                self._bell.ring()
        except GaveUpError:
            self._failure = ServerError("stopped while a server was down; nothing was lost")
        except BaseException as error:  # noqa: BLE001 (the main thread raises it)
            self._failure = error
        self._bell.ring()

    def _hear(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._sink.hear(self._said.get_nowait())

    def _gather(self) -> None:
        for message in self._sink.commands():
            self._commands.put(message)
            self._log.info("rebirth asked for", topic=message[0])
            self._bell.ring()
