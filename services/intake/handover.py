"""
Queues between the receiving and the storing thread of a process.

Decoded batches go to the storing thread, at most `IN_FLIGHT` at a time; durable ones come back for
acknowledgement. Status messages of principals and messages to devices are exchanged too. `Bell`
wakes the receiving thread, which waits for the network as well.
"""

from __future__ import annotations

import contextlib
import os
import queue
import select
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ingest.decode import Rejected, Seen
from ingest.errors import PayloadError, ServerError
from ingest.model import Fleet
from ingest.mqtt import Router
from ingest.mqtt.client import Inbox
from ingest.pipeline.admit import Admitted
from ingest.reading import SIGNED_VALUE
from services.intake.registry_watch import CHECK_S
from services.intake.retry import GaveUpError
from services.store.principal_status import Status

# time and number of a reading, as its payload states them
Stated = tuple[int | str, int | str | None]
# maximum readings of a batch in receipts to one device, as the list must fit into its memory
_MAX = 2_000


@dataclass(frozen=True, slots=True)
class Done:
    """A durable batch, and its receipts: readings, and refusals with the readings of each."""

    inbox: Inbox
    fleet: Fleet
    seen: Seen
    refused: Sequence[tuple[int, Rejected, Sequence[Stated]]]

    @staticmethod
    def of(inbox: Inbox, router: Router, admitted: Admitted) -> Done:
        """Return the data of a batch that its receipts contain."""
        seen = admitted.seen
        listed = [r for r in admitted.rejected[:_MAX] if r.reason != SIGNED_VALUE]
        stated: dict[int, list[Stated]] = {r.message: [] for r in listed}
        if stated:
            for message, ts, number in zip(seen.message, seen.ts, seen.id, strict=True):
                if message in stated:
                    stated[message].append((ts, number))
        refused = [
            (index, rejected, stated[rejected.message])
            for rejected in listed
            if (index := _routed(router, inbox.topics[rejected.message])) >= 0
        ]
        return Done(inbox, router.fleet, seen, refused)


def _routed(router: Router, topic: str) -> int:
    """Return the fleet index of the device that a topic belongs to; -1 if none."""
    try:
        return router.route(topic)
    except PayloadError:
        return -1


@dataclass(frozen=True, slots=True)
class Read:
    """
    Content of a batch by a registry version, read while the batch before it is stored.

    `unread`: messages beyond their principal's quota; `admitted`: None if the messages can be
    decoded only after the previous batch is stored (Sparkplug).
    """

    router: Router
    unread: Sequence[Rejected]
    admitted: Admitted | None


class Bell:
    """
    Self-pipe (a pipe to this process itself) that wakes a thread which waits in `select`.

    `descriptor`: readable after `ring` until `silence`.
    """

    def __init__(self) -> None:
        self.descriptor, rung = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._rung: int | None = rung

    def ring(self) -> None:
        """Wake the waiting thread; safe in a signal handler."""
        # the pipe is full of earlier rings, each of which wakes the thread
        with contextlib.suppress(BlockingIOError):
            if self._rung is not None:
                os.write(self._rung, b"w")

    def wait(self, maximum_s: float) -> None:
        """Wait until `ring` is called, at most for `maximum_s` seconds."""
        select.select([self.descriptor], [], [], maximum_s)

    def silence(self) -> None:
        """Make the descriptor unreadable again after a ring, for the next `wait`."""
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

    `fleet`: principals by the storing thread's registry version; empty before the first.
    `failure`: error that ended the storing thread.
    `ended`: whether the storing thread has taken the last batch.
    """

    def __init__(self) -> None:
        self.fleet = Fleet([])
        self.failure: BaseException | None = None
        self.ended = False
        self.bell = Bell()
        self._not_durable = 0
        self._todo: queue.Queue[tuple[Inbox, Read] | None] = queue.Queue(IN_FLIGHT)
        self._done: queue.SimpleQueue[Done] = queue.SimpleQueue()
        self._outgoing: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
        self._statuses: queue.SimpleQueue[list[Status]] = queue.SimpleQueue()

    def close(self) -> None:
        """Close the descriptors that wake the threads, after both threads have ended."""
        self.bell.close()

    # called by the receiving thread

    def full(self) -> bool:
        """Return whether the maximum number of batches is waiting."""
        return self._todo.full()

    def busy(self) -> bool:
        """Return whether a batch waits for the storing thread."""
        return self._todo.qsize() > 0

    def in_progress(self) -> bool:
        """Return whether a batch is not durable yet."""
        return self._not_durable > 0

    def give(self, inbox: Inbox, read: Read) -> None:
        """Hand over a batch to the storing thread."""
        self._not_durable += 1
        self._todo.put((inbox, read))

    def give_statuses(self, lines: list[Status]) -> None:
        """Hand over status messages of principals to the storing thread."""
        if lines:
            self._statuses.put(lines)

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
        self._not_durable -= len(dones)
        return dones

    def messages(self) -> list[tuple[str, bytes]]:
        """Return the messages to send to devices: topics and payloads."""
        return _all(self._outgoing)

    # called by the storing thread

    def take(self) -> tuple[Inbox, Read] | None:
        """Return the next batch; None if none came in time, or after the last (`ended` is set)."""
        try:
            batch = self._todo.get(timeout=CHECK_S)
        except queue.Empty:
            return None
        self.ended = batch is None
        return batch

    def statuses(self) -> list[list[Status]]:
        """Return status messages of principals since the last call."""
        return _all(self._statuses)

    def give_back(self, done: Done) -> None:
        """Return a durable batch to the receiving thread."""
        self._done.put(done)
        self.bell.ring()

    def queue_messages(self, messages: list[tuple[str, bytes]]) -> None:
        """Queue messages (topic, payload) that the receiving thread will publish to devices."""
        for message in messages:
            self._outgoing.put(message)
        if messages:
            self.bell.ring()

    @contextlib.contextmanager
    def ending(self) -> Iterator[None]:
        """Context that records the storing thread's error, for the receiving thread to raise."""
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
