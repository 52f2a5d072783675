"""
What the receiving thread and the storing thread of a process hand each other.

Batches go to the storing thread, at most `IN_FLIGHT` waiting; what is durable comes
back.  Beside them go what principals say of themselves, and what devices are to be sent.  The bell
wakes the receiving thread, which waits for the network as well.
"""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeVar

from ingest.errors import ServerError
from ingest.model import Fleet
from ingest.mqtt.client import Inbox
from services.intake.registry_watch import CHECK_S
from services.intake.retry import GaveUpError
from services.intake.wakeup_pipe import Bell
from services.store.messages.principal_status import Said

if TYPE_CHECKING:  # the bridge decodes nothing
    from services.intake.durable_batch import Done

IN_FLIGHT = 2
_T = TypeVar("_T")


class Handover:
    """
    Queues between two threads.

    Attributes
    ----------
    fleet : Fleet
        Of the registry version that the storing thread uses; empty before it has read one.
    failure : BaseException or None
        What ended the storing thread.
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
        self._said: queue.SimpleQueue[list[Said]] = queue.SimpleQueue()

    def close(self) -> None:
        """Let go of the bell, when both threads have ended."""
        self.bell.close()

    # the receiving thread

    def full(self) -> bool:
        """Whether the storing thread has as much before it as may wait."""
        return self._todo.full()

    def busy(self) -> bool:
        """Whether a batch waits for the storing thread."""
        return self._todo.qsize() > 0

    def under_way(self) -> bool:
        """Whether a batch is not durable yet."""
        return self._under_way > 0

    def give(self, inbox: Inbox, said: list[Said]) -> None:
        """Hand over a batch, and what principals say of themselves."""
        if said:
            self._said.put(said)
        if len(inbox):
            self._under_way += 1
            self._todo.put(inbox)

    def end(self) -> int:
        """Have the storing thread end after what it has; return how many batches it leaves."""
        try:
            self._todo.put(None, timeout=1.0)
        except queue.Full:
            return self._todo.qsize()
        return 0

    def durable(self) -> list[Done]:
        """Take the batches that are durable."""
        found = _all(self._done)
        self._under_way -= len(found)
        return found

    def messages(self) -> list[tuple[str, bytes]]:
        """Take what devices are to be sent: topics and payloads."""
        return _all(self._told)

    # the storing thread

    def take(self) -> Inbox | None:
        """Take a batch, or None where none came for a while; `ended` once none comes any more."""
        try:
            inbox = self._todo.get(timeout=CHECK_S)
        except queue.Empty:
            return None
        self.ended = inbox is None
        return inbox

    def said(self) -> list[list[Said]]:
        """Take what principals said since."""
        return _all(self._said)

    def give_back(self, done: Done) -> None:
        """Return a batch that is durable."""
        self._done.put(done)
        self.bell.ring()

    def tell(self, messages: list[tuple[str, bytes]]) -> None:
        """Have devices informed."""
        for message in messages:
            self._told.put(message)
        if messages:
            self.bell.ring()

    @contextlib.contextmanager
    def ending(self) -> Iterator[None]:
        """Note what ends the storing thread; the receiving one raises it."""
        try:
            yield
        except GaveUpError:
            self.failure = ServerError("stopped while a server was down; nothing was lost")
        except BaseException as error:  # noqa: BLE001 (the main thread raises it)
            self.failure = error
        self.bell.ring()


def _all(waiting: queue.SimpleQueue[_T]) -> list[_T]:
    found = []
    with contextlib.suppress(queue.Empty):
        while True:
            found.append(waiting.get_nowait())
    return found
