"""
Store a batch that the server refuses in parts: the message that cannot be stored goes aside.

A batch is one transaction as long as it can be.  Where the server refuses it, each
half of its messages is tried alone, and so on, until one message stands alone.  That
one becomes a dead letter with the server's words, and all others are stored.  Parts
are stored in order of arrival, so each device's readings keep theirs.

All parts are in one transaction, each behind a savepoint.  What the whole batch moves
on, as the offset of a partition, moves in it too: after a crash in between nothing of
the batch is stored, and all of it comes again.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Protocol, TypeVar

import psycopg

from services.processing.batch import Batch, Committed
from services.store.postgres.columnstore import Verdict, verdict, words

_T = TypeVar("_T")
UNSTORABLE = "unstorable"
_TRIES = 5
_FIRST_PAUSE_S = 0.02


class Commit(Protocol):
    """
    Stores a batch in one transaction; with `last` also the offset and other state of the batch.

    Inside another transaction it is a savepoint of that.
    """

    def __call__(self, batch: Batch, *, last: bool) -> Committed:
        """Return once it is durable, or holds in the transaction around it."""


def in_parts(
    batch: Batch, commit: Commit, around: Callable[[], AbstractContextManager[object]]
) -> Committed:
    """
    Store a batch whole, or in as many parts as it takes; return once that is durable.

    Parameters
    ----------
    around : callable
        Opens the transaction that holds all parts; see `Store.around`.

    Raises
    ------
    psycopg.Error
        The server is away; or it refuses what belongs to no message, as the offset.
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
    """Store each part, or its own parts after an error."""
    out = Committed()
    while parts:
        part = parts.popleft()
        try:
            out.add(tried(partial(commit, part, last=False)))
        except psycopg.Error as error:
            parts.extendleft(reversed(_apart(part, error)))
    return out


def tried(commit: Callable[[], _T]) -> _T:
    """Commit; where that collides with others, again a few times."""
    for n in range(_TRIES):
        try:
            return commit()
        except psycopg.Error as error:
            if verdict(error) is not Verdict.AGAIN:
                raise
            time.sleep(_FIRST_PAUSE_S * 2**n)
    return commit()


def _apart(batch: Batch, error: psycopg.Error) -> list[Batch]:
    """Return the parts to retry of a refused batch; raise where there are none."""
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
