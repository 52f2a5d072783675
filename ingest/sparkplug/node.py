"""
State of an edge node in a host: session, births and waiting messages.

A birth is valid from its own time on, up to which message is certain: data that
came in sequence after it, or that lies before such data.  Data that does not
(something was lost before it) is read only where the next birth means the same
by every alias that it uses.  Births that change an alias and change it back, all
of them lost, are the one thing that this does not see.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from ingest.errors import PayloadError
from ingest.formats.sparkplug import Birth

SEQ = 256
KEPT_BIRTHS = 4
_BEHIND = SEQ // 2


class WaitingMessage(NamedTuple):
    """
    A message that waits for an earlier one.

    `id` is its own, `message` its place in the batch if it is new.
    """

    id: str
    topic: str
    payload: bytes
    received_us: int
    seq: int = 0
    sent_ms: int = 0
    message: int | None = None


@dataclass(slots=True)
class Node:
    """
    One edge node.

    `next_seq` is None without a live session; `gap_us` is when the first message
    is known to be missing, `wanted_us` when a rebirth was last needed.  `births`
    are by device ("" for the node itself), oldest first; `live` are those of this
    session whose device is not dead.
    """

    name: str
    group: str = ""
    online: bool = False
    changed_us: int = 0
    bd_seq: int | None = None
    next_seq: int | None = None
    born_ms: int = -1
    certain_ms: int = -1
    gap_us: int | None = None
    wanted_us: int | None = None
    births: dict[str, list[Birth]] = field(default_factory=dict)
    live: dict[str, Birth] = field(default_factory=dict)
    held: list[WaitingMessage] = field(default_factory=list)
    rewritten: set[str] = field(default_factory=set)

    def copy(self) -> Node:
        """Return a copy that may change independently."""
        births = {device: list(found) for device, found in self.births.items()}
        return replace(
            self, births=births, live=dict(self.live), held=list(self.held), rewritten=set()
        )

    def begin(self, group: str, birth: Birth, bd_seq: int | None, seq: int, now_us: int) -> None:
        """Start a session with the node's birth certificate."""
        self.end(now_us)
        self.group, self.online, self.bd_seq = group, True, bd_seq
        self.born_ms = self.certain_ms = birth.born_ms
        self.next_seq = (seq + 1) % SEQ
        self.gap_us = self.wanted_us = None
        self.come("", birth)

    def end(self, now_us: int) -> None:
        """End the session: metrics known from its births are final."""
        for device in list(self.live):
            self.mark_dead(device)
        if self.online:
            self.changed_us = now_us
        self.online, self.next_seq, self.gap_us, self.wanted_us = False, None, None, None

    def come(self, device: str, birth: Birth) -> None:
        """Mark a device as alive, with the metrics of its birth."""
        self.mark_dead(device)
        self.live[device] = birth
        self.remember(device, birth)

    def mark_dead(self, device: str) -> None:
        """Mark a device as dead; its data up to this message are final."""
        birth = self.live.pop(device, None)
        if birth is None:
            return
        births = self.births[device]
        births[births.index(birth)] = replace(birth, certain_ms=max(self.certain_ms, birth.born_ms))
        self.rewritten.add(device)

    def remember(self, device: str, birth: Birth) -> None:
        """Store a birth; only the latest few of a device are kept."""
        births = self.births.setdefault(device, [])
        births[:] = [known for known in births if known.born_ms != birth.born_ms]
        births.insert(bisect_right([b.born_ms for b in births], birth.born_ms), birth)
        del births[:-KEPT_BIRTHS]
        self.rewritten.add(device)

    def knows(self, device: str, born_ms: int) -> bool:
        """Return whether a birth is stored."""
        return any(birth.born_ms == born_ms for birth in self.births.get(device, ()))

    def is_behind(self, seq: int, sent_ms: int) -> bool:
        """Return whether a message of this session was passed: repeated or late."""
        ahead = (seq - (self.next_seq or 0)) % SEQ
        return sent_ms < self.certain_ms or (sent_ms == self.certain_ms and ahead >= _BEHIND)

    def advance(self, seq: int, sent_ms: int) -> None:
        """Accept a message as the next in the sequence."""
        self.next_seq = (seq + 1) % SEQ
        self.certain_ms = max(self.certain_ms, sent_ms)

    def birth_at(
        self, device: str, sent_ms: int, used: Iterable[int | str], *, answers: bool
    ) -> Birth:
        """
        Return the birth for reading a message out of sequence.

        Parameters
        ----------
        answers : bool
            Whether data before the first birth may be read by it, if it came because
            we asked: so is what someone replays, but nothing by itself.

        Raises
        ------
        PayloadError
            `birth_missing` or `sequence_gap`.
        """
        births = self.births.get(device, [])
        at = bisect_right([birth.born_ms for birth in births], sent_ms)
        before = births[at - 1] if at else None
        after = births[at] if at < len(births) else None
        who = f"{self.name}/{device}" if device else self.name
        if before is None:
            if answers and after is not None and after.asked:
                return after
            raise PayloadError(
                "birth_missing",
                f"no birth certificate of {who!r} at or before {sent_ms} ms; a rebirth "
                "was requested; after it run `tonne deadletter replay`",
            )
        certain_ms = self.certain_ms if before.certain_ms is None else before.certain_ms
        if sent_ms <= certain_ms or (after is not None and before.agrees(after, used)):
            return before
        raise PayloadError(
            "sequence_gap",
            f"a message of {self.name!r} before this one is missing, and no later birth "
            f"certificate of {who!r} confirms its aliases; replay it after the next birth",
        )
