"""
How fast an archive run works, and in how small steps.

Ingest shares processor and disk with it.  Work comes in steps of a few
hundredths of a second, and the wait after each lies outside of any
transaction: nothing is locked, and no old state of the database kept, meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from mrv.signatures.day_digests import DayLeaf

# two devices at ten seconds; a device-day is never cut
_ROWS = 17_280
# a run that was held up does not make up for more than this
_BEHIND_S = 1.0


class Pace:
    """Keeps a run from working through more readings a second than it may."""

    def __init__(self, rows_per_s: float | None) -> None:
        self._rows_per_s, self._until = rows_per_s, time.monotonic()

    def did(self, rows: int) -> None:
        """Wait until what was done is due."""
        if self._rows_per_s is None:
            return
        now = time.monotonic()
        self._until = max(self._until, now - _BEHIND_S) + rows / self._rows_per_s
        if self._until > now:
            time.sleep(self._until - now)


def batches(leaves: Iterable[DayLeaf]) -> Iterator[list[DayLeaf]]:
    """Device-days a few readings at a time, in their order."""
    some: list[DayLeaf] = []
    rows = 0
    for leaf in leaves:
        if some and rows + leaf.rows > _ROWS:
            yield some
            some, rows = [], 0
        some.append(leaf)
        rows += leaf.rows
    if some:
        yield some
