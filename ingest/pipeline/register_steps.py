"""
Steps of one register column of many devices, within the limits of each register.

Devices whose readings all rise within the highest plausible step are processed in columns; the
others one reading at a time by `registers.Reader`, which gives the same result for the former.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest import intervals
from ingest.intervals import Marks, Steps, heads
from ingest.model import INTERVAL_US, NULL, Int16, Int32, Int64
from ingest.pipeline.quality_state import NEVER, Register
from ingest.pipeline.register_bounds import Bounds, RegisterColumn
from ingest.registers import RETIRED_US, UNKNOWN, Mark, Other, Reader, clean


class Column(NamedTuple):
    """Readings of one register, sorted by device and time; readings without it are omitted."""

    device: Int32
    time_us: Int64
    value: Int64


class Ends(NamedTuple):
    """State of each device's register after its last reading; arrays, one row per device."""

    device: Int32
    value: Int64
    read_us: Int64
    changed_us: Int64
    other: Int64

    def of(self, devices: Int32) -> Ends:
        """Return the rows of the given devices."""
        rows = np.isin(self.device, devices)
        return Ends(
            self.device[rows],
            self.value[rows],
            self.read_us[rows],
            self.changed_us[rows],
            self.other[rows],
        )


@dataclass(slots=True)
class Trace:
    """
    Steps of one register column, and the register's mark after each reading.

    `rewrites`: devices whose older steps would change, with a time before which marks are valid;
    their rows are omitted.  `spread`: devices whose catch-up step was distributed, with the start
    of that time.
    """

    steps: Steps
    marks: Marks
    ends: Ends
    events: list[str]
    rewrites: dict[int, int]
    spread: dict[int, int]


def trace(
    bounds: Bounds, class_id: str, column: RegisterColumn, rows: Column, start: Register
) -> Trace:
    """
    Return the steps between successive readings of a register, beginning with its stored state.

    `rows`: sorted by device and time, times unique per device and later than its stored state.
    `start`: stored state of the register.
    """
    head = heads(rows.device)
    first, lengths = rows.device[head], np.diff(np.append(head, len(rows.device)))
    tail = head + lengths - 1
    new = ~start.known[first]
    value, read_us = _before(rows, head, start)
    rise = rows.value - value
    rate = np.repeat(bounds.rate(class_id, column.channel)[first], lengths)
    fine = clean(rate, column.channel.tolerance, rows.time_us - read_us, rise)
    fine[head] |= new
    fine_device = np.logical_and.reduceat(fine, head) if len(head) else fine
    # times ascend: if a device's last reading is before the replacement, all are
    fine_device &= ~start.away[first] & (rows.time_us[tail] < bounds.next_swap_us[first])
    other = _others(start, first)
    if other is not None:
        fine_device &= _clear_of(other, start, first, rows, tail, column.channel.tolerance)
    good = np.repeat(fine_device, lengths)
    kept = _needed(rows, head, rise > 0, good)
    if len(kept) < len(good):
        rows = Column(rows.device[kept], rows.time_us[kept], rows.value[kept])
        good = good[kept]
        head = heads(rows.device)
        lengths = np.diff(np.append(head, len(kept)))
        tail = head + lengths - 1
        value, read_us = _before(rows, head, start)
        rise = rows.value - value
    changed = _changed(rows, head, rise, start)
    whose: Int16 = np.full(len(rows.device), column.quantity, dtype=np.int16)
    opens = np.zeros(len(rows.device), dtype=np.bool_)
    opens[head] = new
    beside = np.broadcast_to(intervals.NO_OTHER, (len(rows.device), 4))
    if other is not None:
        beside = np.repeat(other, lengths, axis=0)
    marks = Marks(
        rows.device, whose, rows.time_us, rows.value, rows.time_us, changed, opens, beside
    )
    step = _places(good & ~opens)
    steps = _steps(
        rows.device[step], column.quantity, read_us[step], rows.time_us[step], rise[step], None
    )
    ends = Ends(first, rows.value[tail], rows.time_us[tail], changed[tail], beside[tail])
    out = Trace(steps, marks, ends, [], {}, {})
    if not fine_device.all():
        out.marks = Marks(*(values[good] for values in marks))
        _read_others(bounds, column, rows, head, fine_device, start, out)
    counts = bounds.counts(class_id, column.channel)
    if counts is not None:
        out.steps = _unbounded(out.steps, counts)
    return out


def _needed(
    rows: Column, head: NDArray[np.intp], risen: NDArray[np.bool_], good: NDArray[np.bool_]
) -> NDArray[np.intp]:
    """
    Return the indices of the readings that determine the interval rows.

    A reading is omitted, and the steps before and after it become one, if it and both of its
    neighbours are in one interval, and the register rose in both steps or in neither.
    """
    interval = (rows.time_us - 1) // INTERVAL_US
    kept = np.ones(len(interval) + 1, dtype=np.bool_)
    np.not_equal(interval[1:], interval[:-1], out=kept[1:-1])
    kept[head] = True
    kept[:-1] |= kept[1:]
    kept[:-2] |= risen[1:] != risen[:-1]
    return np.flatnonzero(kept[:-1] | ~good)


def _unbounded(steps: Steps, counts: NDArray[np.bool_]) -> Steps:
    """Return the steps; those of devices without a limit get the value 0 and the kind UNKNOWN."""
    free = np.flatnonzero(~counts[steps.device])
    if not len(free):
        return steps
    value, kind = steps.value.copy(), steps.kind.copy()
    value[free], kind[free] = 0, intervals.UNKNOWN
    return steps._replace(value=value, kind=kind)


def _others(start: Register, first: Int32) -> Int64 | None:
    """
    Return the second sequences, n x 4: value, last reading, count, first; NULL without one.

    None if no device has one.
    """
    there = start.known[first] & (start.other_read_us[first] != NEVER)
    if not there.any():
        return None
    names = ("other_value", "other_read_us", "other_count", "other_first")
    others = np.stack([getattr(start, name)[first] for name in names], axis=1)
    others[~there] = NULL
    return others


def _clear_of(
    other: Int64,
    start: Register,
    first: Int32,
    rows: Column,
    tail: NDArray[np.intp],
    tolerance: int,
) -> NDArray[np.bool_]:
    """
    Return a mask of devices whose readings cannot continue a second sequence.

    A device has no second sequence, or the last reading is below that of a recently ended one.
    """
    value, _, count, since = other.T
    none = value == NULL
    kept = (count == 0) & (rows.time_us[tail] - np.abs(since) <= RETIRED_US)
    near = (value > start.value[first]) & (rows.value[tail] >= value - tolerance)
    clear: NDArray[np.bool_] = none | (kept & ~near)
    return clear


def _places(kept: NDArray[np.bool_]) -> NDArray[np.intp] | slice:
    """Return the indices of kept rows; a slice, without a copy, if consecutive."""
    places = np.flatnonzero(kept)
    if len(places) and places[-1] - places[0] + 1 == len(places):
        return slice(int(places[0]), int(places[-1]) + 1)
    return places


def _before(rows: Column, head: NDArray[np.intp], start: Register) -> tuple[Int64, Int64]:
    """
    Return value [base units] and time [us UTC] before each row; its own if there is
    no earlier row.
    """
    value, read = np.empty_like(rows.value), np.empty_like(rows.time_us)
    value[1:], read[1:] = rows.value[:-1], rows.time_us[:-1]
    first = rows.device[head]
    known = start.known[first]
    value[head] = np.where(known, start.value[first], rows.value[head])
    read[head] = np.where(known, start.read_us[first], rows.time_us[head])
    return value, read


def _changed(rows: Column, head: NDArray[np.intp], rise: Int64, start: Register) -> Int64:
    """
    Return the time of the register's last rise at each row; a first reading is a
    rise. [us UTC]
    """
    first = rows.device[head]
    risen = rise > 0
    risen[head] = True
    at = np.flatnonzero(risen)
    times = rows.time_us[at]
    stood = start.known[first] & (rise[head] <= 0)
    times[np.searchsorted(at, head[stood])] = start.changed_us[first[stood]]
    return np.repeat(times, np.diff(np.append(at, len(rise))))


def _steps(
    device: Int32,
    quantity: int,
    from_us: Int64,
    to_us: Int64,
    value: Int64,
    unknown: NDArray[np.bool_] | None,
) -> Steps:
    kind = intervals.kind_of(from_us, to_us, unknown)
    whose: Int16 = np.full(len(device), quantity, dtype=np.int16)
    return Steps(device, whose, from_us, to_us, value, kind)


def _read_others(
    bounds: Bounds,
    column: RegisterColumn,
    rows: Column,
    head: NDArray[np.intp],
    fine_device: NDArray[np.bool_],
    start: Register,
    out: Trace,
) -> None:
    """Process the other devices one reading at a time, and add their results to `out`."""
    limits = np.append(head, len(rows.device))
    steps, marks = [out.steps], [out.marks]
    for k in np.flatnonzero(~fine_device):
        index = int(rows.device[head[k]])
        if start.away[index]:
            out.rewrites[index] = int(start.read_us[index]) + 1
            continue
        other = _other(start, index)
        reader = Reader(
            bounds.meter(index, column.channel),
            _mark(start, index),
            waits=other if other is not None and other.count else None,
            left=[other] if other is not None and not other.count else [],
        )
        times, values = (
            rows.time_us[limits[k] : limits[k + 1]],
            rows.value[limits[k] : limits[k + 1]],
        )
        for moment, value in zip(times.tolist(), values.tolist(), strict=True):
            reader.read(moment, value)
        out.events.extend(reader.events)
        if reader.rewrites_us is not None:
            out.rewrites[index] = reader.rewrites_us + 1
            continue
        if reader.spread_from_us is not None:
            out.spread[index] = reader.spread_from_us
        steps.append(_reader_steps(index, column.quantity, reader))
        marks.append(_reader_marks(index, column.quantity, reader, times, start))
        _set_end(out.ends, int(k), reader)
    out.steps = Steps(*(np.concatenate(c) for c in zip(*steps, strict=True)))
    out.marks = Marks(*(np.concatenate(c) for c in zip(*marks, strict=True)))


def _mark(start: Register, index: int) -> Mark | None:
    if not start.known[index]:
        return None
    return Mark(int(start.value[index]), int(start.read_us[index]), int(start.changed_us[index]))


def _other(start: Register, index: int) -> Other | None:
    if not start.known[index] or start.other_read_us[index] == NEVER:
        return None
    count, first = int(start.other_count[index]), int(start.other_first[index])
    other = Other(int(start.other_value[index]), int(start.other_read_us[index]), count, first)
    if not count and first < 0:
        other.first, other.more = -first, True
    return other


def _reader_steps(index: int, quantity: int, reader: Reader) -> Steps:
    table = np.array(reader.steps, dtype=np.int64).reshape(-1, 4)
    device: Int32 = np.full(len(table), index, dtype=np.int32)
    return _steps(device, quantity, table[:, 0], table[:, 1], table[:, 2], table[:, 3] == UNKNOWN)


def _reader_marks(
    index: int, quantity: int, reader: Reader, times: Int64, start: Register
) -> Marks:
    table = np.array(reader.marks, dtype=np.int64).reshape(-1, 7)
    n = len(table)
    first = np.zeros(n, dtype=np.bool_)
    first[0] = not start.known[index]
    device: Int32 = np.full(n, index, dtype=np.int32)
    whose: Int16 = np.full(n, quantity, dtype=np.int16)
    return Marks(device, whose, times, table[:, 0], table[:, 1], table[:, 2], first, table[:, 3:])


def _set_end(ends: Ends, k: int, reader: Reader) -> None:
    if reader.marks:
        ends.value[k], ends.read_us[k], ends.changed_us[k] = reader.marks[-1][:3]
        ends.other[k] = reader.marks[-1][3:]
