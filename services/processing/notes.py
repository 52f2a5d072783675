"""
What one thread has stored and another is to derive: readings in memory, by the notes of them.

A note is a row of `underived`, written with the readings; here the same readings wait so that
they need not be read again.  A commit and its entry here are one step behind the gate, and so
are a snapshot of the database and the taking of all entries: a snapshot holds the readings
that were taken or derived before, and no others.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import NamedTuple

from services.processing.store_readings import Arrived

# readings that wait in memory; beyond it those who store wait
MOST_READINGS = 100_000
# for so long, then what waits is left to the database alone
_PATIENCE_S = 5.0


class Note(NamedTuple):
    """Readings of a commit, and the rows that note them."""

    numbers: tuple[int, ...]
    arrived: Arrived
    readings: int
    stored_s: float


class Notes:
    """
    Notes of one process, in the order of their commits.

    Attributes
    ----------
    gate : Lock
        Held while a commit becomes visible and is entered here.
    lost : bool
        Whether the database may have notes that are not here.
    """

    def __init__(self) -> None:
        self.gate = threading.Lock()
        self.lost = True
        self._waiting: list[Note] = []
        self._room = threading.Condition()
        self._readings = 0
        self._taken_s: float | None = None

    def __bool__(self) -> bool:
        return bool(self._waiting) or self.lost

    @property
    def readings(self) -> int:
        """Return the number of readings in notes."""
        return self._readings

    def enter(self, notes: Sequence[Note]) -> None:
        """Add committed notes to the queue."""
        self._waiting.extend(notes)
        self._readings += sum(note.readings for note in notes)

    def take(self) -> list[Note]:
        """Take all that waits, behind the gate."""
        notes, self._waiting, self._readings = self._waiting, [], 0
        if notes:
            self._taken_s = notes[0].stored_s
        return notes

    def derived(self) -> None:
        """Report that rows of taken notes are committed."""
        self._taken_s = None
        with self._room:
            self._room.notify_all()

    def clear(self) -> None:
        """Forget what waits, behind the gate, when the database's notes are folded."""
        self.take()
        self.lost = False
        self.derived()

    def wait_for_room(self) -> None:
        """Wait while the queue is full; a remainder is left to the database."""
        with self._room:
            full = not self._room.wait_for(
                lambda: self._readings < MOST_READINGS, timeout=_PATIENCE_S
            )
        if full:
            with self.gate:
                self.take()
                self.lost = True

    def age_s(self) -> float:
        """How long the oldest reading that has no rows has waited. [s]"""
        waiting = [note.stored_s for note in self._waiting[:1]]
        since = self._taken_s if self._taken_s is not None else min(waiting, default=None)
        return 0.0 if since is None else time.monotonic() - since
