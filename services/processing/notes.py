"""
Queue of stored readings, with their notes, from the storing to the deriving thread.

A note is a row of `underived`, written with the readings; the queue keeps the same readings in
memory.  A commit and its entry in the queue are protected by one lock (the gate), and so are a
snapshot and the emptying of the queue: a snapshot contains exactly the readings taken or derived
before.
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
    """Readings of a commit, and the rows of their notes."""

    numbers: tuple[int, ...]
    arrived: Arrived
    readings: int
    stored_s: float


class Notes:
    """
    Queue of one process's notes, in order of commits.

    Attributes
    ----------
    gate : Lock
        Held while a commit becomes visible and is added here.
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
        """Return and remove all notes; hold the gate."""
        notes, self._waiting, self._readings = self._waiting, [], 0
        if notes:
            self._taken_s = notes[0].stored_s
        return notes

    def derived(self) -> None:
        """Record that rows of taken notes are committed."""
        self._taken_s = None
        with self._room:
            self._room.notify_all()

    def clear(self) -> None:
        """Remove all notes, when those of the database become requests; hold the gate."""
        self.take()
        self.lost = False
        self.derived()

    def wait_for_room(self) -> None:
        """Wait while the queue is full; what remains is left to the database."""
        with self._room:
            full = not self._room.wait_for(
                lambda: self._readings < MOST_READINGS, timeout=_PATIENCE_S
            )
        if full:
            with self.gate:
                self.take()
                self.lost = True

    def age_s(self) -> float:
        """Return how long the oldest reading without rows has waited. [s]"""
        waiting = [note.stored_s for note in self._waiting[:1]]
        since = self._taken_s if self._taken_s is not None else min(waiting, default=None)
        return 0.0 if since is None else time.monotonic() - since
