"""Batch of readings to be stored, and its result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ingest.decode import Rejected
from ingest.model import Frame
from services.store.messages.dead_letter_write import Letters


@dataclass(frozen=True, slots=True)
class Batch:
    """
    Data to store in one transaction.

    Parameters
    ----------
    frames : sequence of Frame
        Accepted readings, in order of arrival.
    rejected : sequence of Rejected
        Rejected messages so far; conflicts are added.
    messages : Letters
        The messages themselves, for dead letters.
    trust : bool
        Whether a reading later than its device's last one is stored as new without a check.
    """

    frames: Sequence[Frame]
    rejected: Sequence[Rejected]
    messages: Letters
    trust: bool = True

    def numbers(self) -> list[int]:
        """Return the messages with data in the batch, in order of arrival."""
        result = {refusal.message for refusal in self.rejected}
        for frame in self.frames:
            result.update(np.unique(frame.message).tolist())
        return sorted(result)

    def of(self, numbers: Collection[int]) -> Batch:
        """Return the part of the batch from given messages."""
        index = np.array(sorted(numbers), dtype=np.int32)
        frames = [frame.take(np.isin(frame.message, index)) for frame in self.frames]
        return replace(
            self,
            frames=[frame for frame in frames if len(frame)],
            rejected=[refusal for refusal in self.rejected if refusal.message in numbers],
        )

    def refused(self, reason: str, detail: str) -> Batch:
        """Return the batch with all messages refused."""
        refusals = [Rejected(number, reason, detail) for number in self.numbers()]
        return Batch([], refusals, self.messages)


@dataclass(slots=True)
class Committed:
    """Result of a batch, for metrics and receipts."""

    rows: Counter[str] = field(default_factory=Counter)
    events: list[str] = field(default_factory=list)
    flags: Counter[str] = field(default_factory=Counter)
    late: int = 0
    rejected: list[Rejected] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    signed: Counter[str] = field(default_factory=Counter)

    def add(self, other: Committed) -> None:
        """Add the result of another transaction."""
        self.rows += other.rows
        self.events += other.events
        self.flags += other.flags
        self.late += other.late
        self.rejected += other.rejected
        self.left_out += other.left_out
        self.signed += other.signed


@dataclass(frozen=True, slots=True)
class Answered:
    """
    Derived span of devices with requests.

    `ended` are the completed ones, `dropped` the ids no longer in the registry; `moved` those still
    waiting.
    """

    ended: list[int] = field(default_factory=list)
    moved: list[int] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    committed: Committed = field(default_factory=Committed)

    def __bool__(self) -> bool:
        return bool(self.ended or self.moved or self.dropped)
