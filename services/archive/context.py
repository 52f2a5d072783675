"""What the steps of an archive run share: what they work on, and how they read a day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from psycopg import Connection, Cursor

from ingest.model import Fleet, Frame
from mrv.signatures.day_digests import DayLeaf
from mrv.statement import evidence_rows
from mrv.statement.device_days import reading_leaves
from services.archive.location import Archive
from services.archive.throttle import Pace
from services.store.timeseries import readings
from services.vault.part import Day


@dataclass
class Report:
    """
    What a run did.

    Attributes
    ----------
    days, parts, rows, bytes : int
        Sealed days that are in the archive now, files made for them, and what those hold.
    dropped : list of str
        Chunks that left the database.
    waiting : list of str
        What could not be dropped yet, and why.
    refused : list of str
        Days that are not as they were sealed: left where they are.
    """

    days: int = 0
    parts: int = 0
    rows: int = 0
    bytes: int = 0
    dropped: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


class Run(NamedTuple):
    """What the steps of a run share."""

    conn: Connection
    archive: Archive
    fleet: Fleet
    pace: Pace
    report: Report


def read_day(cursor: Cursor, fleet: Fleet, class_id: str, names: Sequence[str], day: Day) -> Frame:
    """Readings of some devices on a day, stored and archived, by device and time."""
    after = {fleet.by_id[name]: day.from_us - 1 for name in names}
    return readings.fetch(cursor, fleet, class_id, after, day.to_us)


def leaves_of(fleet: Fleet, frame: Frame, day: Day) -> list[DayLeaf]:
    """Leaves of a day's readings, as the log has them."""
    return [
        leaf
        for block in evidence_rows.blocks(frame)
        for leaf in reading_leaves(fleet, block, day.timezone)
    ]
