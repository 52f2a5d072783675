"""Messages of one connection as columns, in arrival order, not yet acknowledged."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Inbox:
    """
    Columns of messages, and the connection epoch that they came by.

    A PUBACK names a message by a number that means nothing on another
    connection, so an inbox may be acknowledged only while its epoch lasts.
    `size` counts the payloads' bytes.
    """

    epoch: int
    topics: list[str] = field(default_factory=list)
    payloads: list[bytes] = field(default_factory=list)
    content_types: list[str | None] = field(default_factory=list)
    mids: list[int] = field(default_factory=list)
    repeated: list[bool] = field(default_factory=list)
    received_us: int = 0
    size: int = 0

    def __len__(self) -> int:
        return len(self.mids)

    def first(self, count: int, size: int) -> int:
        """Return how many of the first `count` messages come to `size` bytes; one at the least."""
        if self.size <= size:
            return min(count, len(self))
        held = 0
        for number, payload in enumerate(self.payloads[:count]):
            held += len(payload)
            if held > size:
                return max(number, 1)
        return min(count, len(self))

    def cut(self, count: int) -> Inbox:
        """Take the first messages out as an inbox of their own."""
        taken = Inbox(
            self.epoch,
            self.topics[:count],
            self.payloads[:count],
            self.content_types[:count],
            self.mids[:count],
            self.repeated[:count],
        )
        taken.size = sum(map(len, taken.payloads))
        self.size -= taken.size
        del self.topics[:count], self.payloads[:count], self.content_types[:count]
        del self.mids[:count], self.repeated[:count]
        return taken

    def part(self, rows: list[int]) -> Inbox:
        """Take single messages out as an inbox of their own."""
        columns = (self.topics, self.payloads, self.content_types, self.mids, self.repeated)
        taken = Inbox(self.epoch, *([column[i] for i in rows] for column in columns))  # type: ignore[arg-type]
        taken.received_us = self.received_us
        taken.size = sum(map(len, taken.payloads))
        self.size -= taken.size
        for column in columns:
            for i in reversed(rows):
                del column[i]
        return taken
