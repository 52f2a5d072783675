"""
Storing of a batch in parts, if the server refuses it, to isolate the message at fault.

A refused batch is halved until the message at fault is alone, which becomes a dead letter with the
server's error. Parts keep the order of arrival.

All parts are in one transaction with savepoints, and so is the batch's state such as an offset:
after a crash the whole batch comes again.
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

    Parameters
    ----------
    around : callable
        Opens the transaction that holds all parts; see `Store.around`.

    Raises
    ------
    psycopg.Error
        The server is unreachable; or the error concerns no message, but for example the offset.
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
