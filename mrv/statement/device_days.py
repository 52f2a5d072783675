"""
Digests of readings, intervals and emissions by device and local day, and arrival of readings.

Days are in the project's time zone, so that statement and seal have the same leaves.

Readings that arrive late, or for many hours at once, can be genuine (a failed line) or invented.
So the day's seal, the statement and the weights of the sampling list count arrivals, by whole
hours: late from 36 hours after the day's end on; at once if readings of six or more hours arrived
within two.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest.classes import QUANTITIES
from ingest.model import NULL, Fleet, Frame, Int32, Int64, IntervalRows, is_absent
from ingest.pipeline.quality_limits import each
from mrv.calendar import days
from mrv.documents.monitoring import Arrival
from mrv.errors import LogError
from mrv.signatures.day_digests import (
    DayKey,
    DayLeaf,
    Digest,
    Rows,
    column_bytes,
    cut_leaf,
    day_leaf,
    digest_leaves,
)

BLOCK_ROWS = 65_536
TABLE = "interval_quantity"
# digested columns of intervals, without the register's value, which follows from the readings
FIELDS = ("value", "measured_us", "estimated_us", "unknown_us")


def blocks(frame: Frame) -> Iterator[Frame]:
    """
    Yield a frame in blocks of whole devices, each sorted by device and time.

    Arrays that fit in the processor's cache are processed several times faster than those of a
    whole file, and memory stays limited.
    """
    frame = ordered(frame)
    heads = np.flatnonzero(np.append(True, frame.device[1:] != frame.device[:-1]))
    limits = np.append(heads, len(frame)).tolist() if len(frame) else []
    begin = 0
    for head, end in pairwise(limits):
        if end - begin > BLOCK_ROWS and head > begin:
            yield part(frame, begin, head)
            begin = head
    if len(frame):
        yield part(frame, begin, len(frame))


def ordered(frame: Frame) -> Frame:
    """Return rows sorted by device and time; the same frame if they already are."""
    before, after = frame.device[:-1], frame.device[1:]
    rising = (after > before) | ((after == before) & (frame.time_us[1:] >= frame.time_us[:-1]))
    if rising.all():
        return frame
    return frame.take(np.lexsort((frame.time_us, frame.device)))


def part(frame: Frame, begin: int, end: int) -> Frame:
    """Return rows of a range, without copying them."""
    return Frame(
        frame.class_id,
        frame.device[begin:end],
        frame.time_us[begin:end],
        frame.message[begin:end],
        {name: values[begin:end] for name, values in frame.columns.items()},
    )


HOUR_US = 3_600_000_000
LATE_US = 36 * HOUR_US
FEW_HOURS, _MANY_HOURS = 2, 6


class Arrived(NamedTuple):
    """
    Arrival of the readings of a device's local day.

    `readings`: number of readings.
    `late`: number that arrived 36 hours or more after the day's end.
    `hours`: number of different hours in which they arrived.
    `span`: number of different hours of the day that they cover.
    """

    readings: int
    late: int
    hours: int
    span: int

    @property
    def at_once(self) -> bool:
        """Return whether readings of many hours arrived within few hours."""
        return self.hours <= FEW_HOURS and self.span >= _MANY_HOURS

    def __str__(self) -> str:
        return " ".join(map(str, self))


Arrivals = dict[str, dict[str, Arrived]]  # by device and local day


def summary(arrivals: Arrivals, leaves: Iterable[DayLeaf]) -> Arrival:
    """
    Return the arrival data of a statement.

    `leaves`: device-days of the period, with their rows.
    """
    every = [arrived for of_device in arrivals.values() for arrived in of_device.values()]
    readings, late = (
        sum(arrived.readings for arrived in every),
        sum(arrived.late for arrived in every),
    )
    rows: dict[tuple[str, str], int] = defaultdict(int)
    for leaf in leaves:
        rows[leaf.device, leaf.day] += leaf.rows
    return Arrival(
        readings=str(readings),
        late=str(late),
        late_percent=share(late, readings),
        at_once_days=str(sum(arrived.at_once for arrived in every)),
        device_days=str(len(rows)),
        not_noted=str(
            sum(max(0, count - _of(arrivals, device, day)) for (device, day), count in rows.items())
        ),
    )


def _of(arrivals: Arrivals, device: str, day: str) -> int:
    arrived = arrivals.get(device, {}).get(day)
    return 0 if arrived is None else arrived.readings


def share(part: int, whole: int) -> str:
    """Return a percentage with two places, rounded up, so that late arrival is not understated."""
    hundredths = -(-part * 10_000 // whole) if whole else 0
    return f"{Fraction(hundredths, 100).__float__():.2f}"


def rows_of(arrived: Mapping[str, Arrived]) -> list[tuple[str, str]]:
    """Return (device id, arrival data as text) of a day, in the order of ids, as sealed."""
    return [(device, str(arrived)) for device, arrived in sorted(arrived.items())]


def check_sealed(day: str, sealed: object, arrived: Mapping[str, Arrived], root: str) -> None:
    """
    Check arrival data against the root and the sums of a day's seal.

    Raises LogError if they differ.
    """
    named = sealed if isinstance(sealed, dict) else {}
    late = sum(day.late for day in arrived.values())
    sums = {"root": root, "readings": str(sum(day.readings for day in arrived.values()))}
    if {name: named.get(name) for name in (*sums, "late")} != sums | {"late": str(late)}:
        raise LogError(
            f"plan.json states that {late} readings of {day} arrived late, but the log sealed "
            "other arrival times for that day; ask the operator which are right"
        )


def readings_digest(fleet: Fleet, frames: Iterable[Frame], timezone: str) -> Digest:
    """Return the digest of readings by device and local day; all channels of each row."""
    return digest_leaves(
        leaf
        for frame in frames
        for block in blocks(frame)
        for leaf in reading_leaves(fleet, block, timezone)
    )


def intervals_digest(fleet: Fleet, rows: IntervalRows, timezone: str) -> Digest:
    """Return the digest of interval rows by device and local day."""
    blocks_ = _interval_blocks(rows)
    return digest_leaves(x for part in blocks_ for x in _interval_leaves(fleet, part, timezone))


def _interval_blocks(rows: IntervalRows) -> Iterator[IntervalRows]:
    """Yield rows of a few devices at a time; all at once if they are not sorted by device."""
    heads = np.flatnonzero(rows.device[1:] != rows.device[:-1]) + 1
    begin = 0
    if len(heads) and (rows.device[heads] > rows.device[heads - 1]).all():
        for head in heads.tolist():
            if head - begin >= BLOCK_ROWS:
                yield rows.within(begin, head)
                begin = head
    yield rows.within(begin, len(rows))


def _interval_leaves(fleet: Fleet, rows: IntervalRows, timezone: str) -> Iterator[DayLeaf]:
    rising = np.diff(rows.device) > 0
    rising |= (np.diff(rows.device) == 0) & (np.diff(rows.start_us) >= 0)
    if not rising.all():
        rows = rows.take(np.lexsort((rows.start_us, rows.device)))
    names = np.array([q.name for q in QUANTITIES], dtype=object)
    columns: dict[str, NDArray[Any]] = {name: getattr(rows, name) for name in FIELDS}
    columns["quantity"] = each(names, rows.quantity)
    return leaves(fleet, TABLE, (rows.device, rows.start_us), columns, timezone)


def reading_leaves(fleet: Fleet, block: Frame, timezone: str) -> Iterator[DayLeaf]:
    """Yield the leaves of a block of readings."""
    columns = {name: values for name, values in block.columns.items() if not is_absent(values)}
    valid = {n: v != NULL for n, v in columns.items() if v.dtype == np.int64}
    table = f"reading_{block.class_id}"
    return leaves(fleet, table, (block.device, block.time_us), columns, timezone, valid)


def leaves(
    fleet: Fleet,
    table: str,
    key: tuple[Int32, Int64],
    columns: Mapping[str, NDArray[Any]],
    timezone: str,
    valid: Mapping[str, NDArray[np.bool_]] | None = None,
) -> Iterator[DayLeaf]:
    """
    Yield the leaves of rows, one per device and local day.

    Parameters
    ----------
    key : tuple of arrays
        Device and time of each row, ascending. [us UTC]
    valid : mapping of str to bool array, optional
        False where a column has no value, for columns without a null.
    """
    device, time_us = key
    if not len(device):
        return
    begins, dates = local_days(int(time_us.min()), int(time_us.max()), timezone)
    heads = np.flatnonzero(np.append(True, device[1:] != device[:-1])).tolist()
    of_devices = (
        head + np.searchsorted(time_us[head:end], begins)
        for head, end in pairwise([*heads, len(device)])
    )
    edges = np.unique(np.concatenate([*of_devices, [len(device)]]))
    day = np.searchsorted(begins, time_us[edges[:-1]], side="right") - 1
    # days with several rows at one time (several quantities) are sorted before encoding
    tied = np.flatnonzero((time_us[1:] == time_us[:-1]) & (device[1:] == device[:-1]))
    own_order = set((np.searchsorted(edges, tied, side="right") - 1).tolist())
    rows = Rows(time_us, columns, valid)
    for place, (begin, end) in enumerate(pairwise(edges.tolist())):
        whose = DayKey(fleet.devices[device[begin]].id, dates[day[place]], table)
        if place in own_order:
            within = slice(begin, end)
            data = column_bytes(
                time_us[within],
                {name: values[within] for name, values in columns.items()},
                None if valid is None else {n: mask[within] for n, mask in valid.items()},
            )
            yield day_leaf(whose, data)
        else:
            yield cut_leaf(whose, rows, begin, end)


@lru_cache(maxsize=1024)
def local_days(first_us: int, last_us: int, timezone: str) -> tuple[Int64, list[date]]:
    """Return the starts of the local days that overlap [first, last], and their dates. [us UTC]"""
    result = list(days(first_us, last_us + 1, timezone))
    return np.array([begin for _, begin, _ in result], dtype=np.int64), [day for day, *_ in result]
