"""
Queues between the receiving and the storing thread of a process.

At most `IN_FLIGHT` batches wait for the storing thread; durable ones come back.  Status messages
and messages to devices are passed as well.  A self-pipe (`Bell`) wakes the receiving thread, which
waits in `select`.
"""

from __future__ import annotations

import contextlib
import os
import queue
import select
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ingest.columns import Rejected
from ingest.errors import PayloadError, ServerError
from ingest.model import Fleet
from ingest.mqtt.client import Inbox
from ingest.mqtt.topics import Router
from ingest.pipeline.admit import Admitted
from ingest.reading import SIGNED_VALUE, Reading
from services.intake.registry_watch import CHECK_S
from services.intake.retry import GaveUpError
from services.store.messages.principal_status import Status

# of a batch: a device that sends nothing else tells itself of these, and shows the rest to nobody
_MOST = 2_000


@dataclass(frozen=True, slots=True)
class Done:
    """Durable batch with the data of its receipts: readings, and rejected messages."""

    inbox: Inbox
    fleet: Fleet
    seen: list[tuple[int, Sequence[Reading]]]
    refused: list[tuple[int, Rejected, Sequence[Reading]]]

    @staticmethod
    def of(inbox: Inbox, router: Router, admitted: Admitted) -> Done:
        """Return a durable batch with the data of its receipts."""
        route = router.route
        seen = [(route(inbox.topics[k]), readings) for k, readings in admitted.seen.items()]
        refused = [
            (index, rejected, admitted.seen.get(rejected.message, ()))
            for rejected in admitted.rejected[:_MOST]
            if rejected.reason != SIGNED_VALUE
            and (index := _routed(router, inbox.topics[rejected.message])) >= 0
        ]
        return Done(inbox, router.fleet, seen, refused)


def _routed(router: Router, topic: str) -> int:
    """Return the device of a topic by fleet index; -1 if none."""
    try:
        return router.route(topic)
    except PayloadError:
        return -1


class Bell:
    """
    Self-pipe by which one thread wakes another that waits in `select`.

    Attributes
    ----------
    descriptor : int
        Readable after `ring` until `silence`.
    """

    def __init__(self) -> None:
        self.descriptor, rung = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._rung: int | None = rung

    def ring(self) -> None:
        """Wake the waiting thread; safe in a signal handler."""
        with contextlib.suppress(BlockingIOError):  # full of earlier calls, which do as well
            if self._rung is not None:
                os.write(self._rung, b"w")

    def wait(self, most_s: float) -> None:
        """Wait until it rings, at most for a time."""
        select.select([self.descriptor], [], [], most_s)

    def silence(self) -> None:
        """Reset the descriptor after a ring."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.descriptor, 4_096)

    def close(self) -> None:
        """Close both ends; later calls of `ring` have no effect."""
        rung, self._rung = self._rung, None
        if rung is not None:
            os.close(rung)
            os.close(self.descriptor)


IN_FLIGHT = 2
_T = TypeVar("_T")


class Handover:
    """
    Queues between the receiving and the storing thread.

    Attributes
    ----------
    fleet : Fleet
        Of the storing thread's registry version; empty before the first.
    failure : BaseException or None
        Error that ended the storing thread.
    ended : bool
        Whether the storing thread has taken the last batch.
    """

    def __init__(self) -> None:
        self.fleet = Fleet([])
        self.failure: BaseException | None = None
        self.ended = False
        self.bell = Bell()
        self._under_way = 0
        self._todo: queue.Queue[Inbox | None] = queue.Queue(IN_FLIGHT)
        self._done: queue.SimpleQueue[Done] = queue.SimpleQueue()
        self._told: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
        self._said: queue.SimpleQueue[list[Status]] = queue.SimpleQueue()

    def close(self) -> None:
        """Close the bell, after both threads have ended."""
        self.bell.close()

    # the receiving thread

    def full(self) -> bool:
        """Return whether the maximum number of batches is waiting."""
        return self._todo.full()

    def busy(self) -> bool:
        """Return whether a batch waits for the storing thread."""
        return self._todo.qsize() > 0

    def under_way(self) -> bool:
        """Return whether a batch is not durable yet."""
        return self._under_way > 0

    def give(self, inbox: Inbox, lines: list[Status]) -> None:
        """Pass on a batch and status messages to the storing thread."""
        if lines:
            self._said.put(lines)
        if len(inbox):
            self._under_way += 1
            self._todo.put(inbox)

    def end(self) -> int:
        """End the storing thread after its batches; return the number of unstored ones."""
        try:
            self._todo.put(None, timeout=1.0)
        except queue.Full:
            return self._todo.qsize()
        return 0

    def durable(self) -> list[Done]:
        """Return the batches that became durable."""
        dones = _all(self._done)
        self._under_way -= len(dones)
        return dones

    def messages(self) -> list[tuple[str, bytes]]:
        """Return the messages to send to devices: topics and payloads."""
        return _all(self._told)

    # the storing thread

    def take(self) -> Inbox | None:
        """Return the next batch; None if none came for a while. `ended` is set after the last."""
        try:
            inbox = self._todo.get(timeout=CHECK_S)
        except queue.Empty:
            return None
        self.ended = inbox is None
        return inbox

    def said(self) -> list[list[Status]]:
        """Return status messages of principals since the last call."""
        return _all(self._said)

    def give_back(self, done: Done) -> None:
        """Return a durable batch to the receiving thread."""
        self._done.put(done)
        self.bell.ring()

    def tell(self, messages: list[tuple[str, bytes]]) -> None:
        """Queue messages to devices."""
        for message in messages:
            self._told.put(message)
        if messages:
            self.bell.ring()

    @contextlib.contextmanager
    def ending(self) -> Iterator[None]:
        """
        Context that records an error of the storing thread, for the receiving thread to
        raise.
        """
        try:
            yield
        except GaveUpError:
            self.failure = ServerError("stopped while a server was down; nothing was lost")
        except BaseException as error:  # noqa: BLE001 (the main thread raises it)
            self.failure = error
        self.bell.ring()


def _all(waiting: queue.SimpleQueue[_T]) -> list[_T]:
    result = []
    with contextlib.suppress(queue.Empty):
        while True:
            result.append(waiting.get_nowait())
    return result
