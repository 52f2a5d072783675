"""
Batch of readings to be stored, its result, and its division if the server refuses it.

A refused batch is halved until the message at fault is alone, which becomes a dead letter with the
server's error. Parts keep the order of arrival.

All parts are in one transaction with savepoints, and so is the batch's state such as an offset:
after a crash the whole batch comes again.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol, TypeVar

import numpy as np
import psycopg

from ingest.decode import Rejected
from ingest.model import Frame
from services.store.dead_letter_write import Letters
from services.store.postgres.columnstore import Verdict, verdict, words


@dataclass(frozen=True, slots=True)
class Batch:
    """
    Data to store in one transaction.

    `frames`: accepted readings, in order of arrival.
    `rejected`: rejected messages so far; conflicts are added.
    `messages`: the messages themselves, for dead letters.
    `trust`: whether a reading later than its device's last one is stored as new without a check.
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


_T = TypeVar("_T")
UNSTORABLE = "unstorable"
_TRIES = 5
_FIRST_PAUSE_S = 0.02


class Commit(Protocol):
    """
    Stores a batch in one transaction; with `last` also its other state, such as the offset.

    Inside another transaction it uses a savepoint.
    """

    def __call__(self, batch: Batch, *, last: bool) -> Committed:
        """Return the result once the batch is durable, or part of the enclosing transaction."""


def in_parts(
    batch: Batch, commit: Commit, around: Callable[[], AbstractContextManager[object]]
) -> Committed:
    """
    Store a batch whole or in parts; return the result once it is durable.

    `around`: opens the transaction that holds all parts; see `Store.around`.
    Raises psycopg.Error: the server is unreachable; or the error concerns no message, but for
    example the offset.
    """
    try:
        return tried(partial(commit, batch, last=True))
    except psycopg.Error as error:
        parts = deque(_apart(batch, error))
    with around():
        out = _stored(parts, commit)
        out.add(tried(partial(commit, Batch([], [], batch.messages), last=True)))
    return out


def _stored(parts: deque[Batch], commit: Commit) -> Committed:
    """Store each part, or its own parts after an error; return the result."""
    out = Committed()
    while parts:
        part = parts.popleft()
        try:
            out.add(tried(partial(commit, part, last=False)))
        except psycopg.Error as error:
            parts.extendleft(reversed(_apart(part, error)))
    return out


def tried(commit: Callable[[], _T]) -> _T:
    """
    Return the result of a commit, repeated a few times after a collision with other
    transactions.
    """
    for n in range(_TRIES):
        try:
            return commit()
        except psycopg.Error as error:
            if verdict(error) is not Verdict.AGAIN:
                raise
            time.sleep(_FIRST_PAUSE_S * 2**n)
    return commit()


def _apart(batch: Batch, error: psycopg.Error) -> list[Batch]:
    """Return the parts of a refused batch to retry; raise the error if there are none."""
    numbers = batch.numbers()
    if verdict(error) is Verdict.WAIT or not numbers:
        raise error
    half = len(numbers) // 2
    if half:
        return [batch.of(set(numbers[:half])), batch.of(set(numbers[half:]))]
    if any(refusal.reason == UNSTORABLE for refusal in batch.rejected):
        raise error  # not even its dead letter can be kept
    message = f"the database rejected it: {words(error)}; nothing of the message was stored"
    return [batch.refused(UNSTORABLE, message)]
