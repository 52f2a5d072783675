"""
State shared by the steps of an archive run, and its speed limit.

Ingest uses the same processor and disk, so work is done in steps of some hundredths of a second;
the waits between them are outside of transactions.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from psycopg import Connection, Cursor

from ingest.model import Fleet, Frame
from mrv.signatures.day_digests import DayLeaf
from mrv.statement import evidence_rows
from mrv.statement.device_days import reading_leaves
from services.archive.verify import Archive
from services.store.timeseries import readings
from services.vault.part import Day

# two devices at ten seconds; a device-day is never cut
_ROWS = 17_280
# a run that was held up does not make up for more than this
_BEHIND_S = 1.0


class Pace:
    """Limit of an archive run's speed, in readings per second."""

    def __init__(self, rows_per_s: float | None) -> None:
        self._rows_per_s, self._until = rows_per_s, time.monotonic()

    def did(self, rows: int) -> None:
        """Wait as long as the speed limit requires after a number of rows."""
        if self._rows_per_s is None:
            return
        now = time.monotonic()
        self._until = max(self._until, now - _BEHIND_S) + rows / self._rows_per_s
        if self._until > now:
            time.sleep(self._until - now)


def batches(leaves: Iterable[DayLeaf]) -> Iterator[list[DayLeaf]]:
    """Yield device-days in blocks of few readings, in order."""
    subset: list[DayLeaf] = []
    rows = 0
    for leaf in leaves:
        if subset and rows + leaf.rows > _ROWS:
            yield subset
            subset, rows = [], 0
        subset.append(leaf)
        rows += leaf.rows
    if subset:
        yield subset


@dataclass
class Report:
    """
    Results of an archive run.

    Attributes
    ----------
    days, parts, rows, bytes : int
        Newly archived sealed days, their files, rows and bytes.
    dropped : list of str
        Chunks dropped from the database.
    waiting : list of str
        Chunks that could not be dropped yet, with the reason.
    refused : list of str
        Days that differ from their seal, which are not archived.
    """

    days: int = 0
    parts: int = 0
    rows: int = 0
    bytes: int = 0
    dropped: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


class Run(NamedTuple):
    """State shared by the steps of an archive run."""

    conn: Connection
    archive: Archive
    fleet: Fleet
    pace: Pace
    report: Report


def read_day(cursor: Cursor, fleet: Fleet, class_id: str, names: Sequence[str], day: Day) -> Frame:
    """Return readings of some devices on a day, stored and archived, by device and time."""
    after = {fleet.by_id[name]: day.from_us - 1 for name in names}
    return readings.fetch(cursor, fleet, class_id, after, day.to_us)


def leaves_of(fleet: Fleet, frame: Frame, day: Day) -> list[DayLeaf]:
    """Return the Merkle leaves of a day's readings, as in the log."""
    return [
        leaf
        for block in evidence_rows.blocks(frame)
        for leaf in reading_leaves(fleet, block, day.timezone)
    ]
