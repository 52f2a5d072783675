"""
Marks of days that late readings change.

Rows of intervals and emissions are marked by triggers.  Tables of readings have none,
for every row of a COPY would pay for them: whoever stores readings marks their days, of
the only class whose days are made from readings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from services.store.postgres.timestamps import stamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from psycopg import Cursor

    from ingest.model import Fleet, Frame, Int64

CLASS = "pv_inverter"
DAY_US = 86_400_000_000
# rows of the last hour need no mark (migration 0400); half of it is left for clocks that differ
YOUNG_US = 1_800_000_000


def note(cursor: Cursor, fleet: Fleet, frames: Iterable[Frame], now_us: int) -> None:
    """
    Mark the days of readings that were stored, where they are late.

    Parameters
    ----------
    frames : iterable of Frame
        Rows that changed what is stored, in the transaction of the caller.
    now_us : int
        Time of now. [us UTC]
    """
    for frame in frames:
        if frame.class_id != CLASS:
            continue
        late = frame.time_us < now_us - YOUNG_US
        if late.any():
            device, first_us, last_us = _spans(frame.device[late], frame.time_us[late])
            mark(cursor, fleet.ids(device), first_us, last_us)


def mark(
    cursor: Cursor, devices: Sequence[str], first_us: Iterable[int], last_us: Iterable[int]
) -> None:
    """Mark the days of devices, each from a time to another, both included. [us UTC]"""
    cursor.execute(
        "SELECT tonne_mark_days(%s, %s::timestamptz[], %s::timestamptz[])",
        (list(devices), [stamp(us) for us in first_us], [stamp(us) for us in last_us]),
    )


def _spans(device: np.ndarray, time_us: Int64) -> tuple[list[int], list[int], list[int]]:
    """First and last time of each device in each day of UTC, which touches two local days."""
    order = np.lexsort((time_us, device))
    device, time_us = device[order], time_us[order]
    day = time_us // DAY_US
    new = np.ones(len(device), dtype=np.bool_)
    new[1:] = (device[1:] != device[:-1]) | (day[1:] != day[:-1])
    heads = np.flatnonzero(new)
    tails = np.append(heads[1:], len(device)) - 1
    return device[heads].tolist(), time_us[heads].tolist(), time_us[tails].tolist()
