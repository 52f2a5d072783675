"""
Outbox of a simulated device: readings kept until the receipt of durable storage.

A broker's PUBACK is no promise of durability.  A message stays here until a
receipt names each of its readings, and goes out again when none comes; the wait
doubles, so that a pipeline which is down for an hour is not buried.  One that gives
receipts is at work, however slowly: it is given the longest wait before a message
that is still in its queue is sent to it again.
"""

import heapq
from collections.abc import Iterator
from itertools import count

import msgspec

from services.simulator.model import Outgoing

FIRST_WAIT_S, LONGEST_WAIT_S = 3.0, 30.0
LIMIT = 10_000


class Receipt(msgspec.Struct):
    """Durable messages according to the pipeline: message numbers of one device."""

    device: str
    ids: tuple[int, ...] = ()


class Entry:
    """A sent message, its readings without receipt, and the number of attempts."""

    __slots__ = ("attempts", "message", "missing")

    def __init__(self, message: Outgoing) -> None:
        self.message = message
        self.missing = set(message.ids)
        self.attempts = 0


class Outbox:
    """
    Messages without receipt, at most `limit` of them; times are monotonic seconds.

    With `receipts` off the device trusts PUBACK alone, and nothing is kept.
    """

    def __init__(self, *, receipts: bool = True, limit: int = LIMIT) -> None:
        self._receipts = receipts
        self._limit = limit
        self._waiting: dict[tuple[str, int], Entry] = {}
        self._kept: set[Entry] = set()
        self._clock: list[tuple[float, int, Entry, int, float]] = []
        self._tie = count()
        self.received = 0

    def __len__(self) -> int:
        """Messages without receipt."""
        return len(self._kept)

    @property
    def readings(self) -> int:
        """Return readings without receipt."""
        return len(self._waiting)

    @property
    def full(self) -> bool:
        """Return whether the device must wait with new readings."""
        return len(self._kept) >= self._limit

    def keep(self, message: Outgoing) -> Entry:
        """Add a message; a copy of a waiting message waits for nothing itself."""
        entry = Entry(message)
        if not self._receipts:
            entry.missing.clear()
        entry.missing = {
            number
            for number in entry.missing
            if self._waiting.setdefault((message.device_id, number), entry) is entry
        }
        if entry.missing:
            self._kept.add(entry)
        return entry

    def published(self, entry: Entry, now_s: float) -> None:
        """Start the timer of a message that the broker has accepted."""
        if entry.missing:
            wait = min(FIRST_WAIT_S * 2**entry.attempts, LONGEST_WAIT_S)
            entry.attempts += 1
            self._await(entry, now_s + wait, now_s + LONGEST_WAIT_S)

    def _await(self, entry: Entry, due_s: float, latest_s: float) -> None:
        heapq.heappush(self._clock, (due_s, next(self._tie), entry, self.received, latest_s))

    def receipt(self, payload: bytes) -> None:
        """Delete the messages in a receipt; ignore an unreadable one."""
        try:
            receipt = msgspec.json.decode(payload, type=Receipt)
        except msgspec.DecodeError:
            return
        self.received += 1
        for number in receipt.ids:
            entry = self._waiting.pop((receipt.device, number), None)
            if entry is not None:
                entry.missing.discard(number)
                if not entry.missing:
                    self._kept.discard(entry)

    def overdue(self, now_s: float) -> Iterator[Entry]:
        """Return messages without receipt in time, to be sent again."""
        while self._clock and self._clock[0][0] <= now_s:
            _, _, entry, received, latest_s = heapq.heappop(self._clock)
            if entry.missing and self.received > received and now_s < latest_s:
                self._await(entry, min(now_s + FIRST_WAIT_S, latest_s), latest_s)
            elif entry.missing:
                yield entry
