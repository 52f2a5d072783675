"""
Division of register steps into 15-minute intervals, exactly; and energy from power.

Of a step of d base units over [a, b), the part before a time x within it is floor(d * (x - a) / (b
- a)).  So the parts between the edges of the intervals sum to d exactly.

Energy from power is always an estimate.  It is calculated by the trapezoidal rule between
successive readings, but never across more than the maximum gap: energy in a longer gap is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest.model import (
    INTERVAL_US,
    NULL,
    OTHER_FIELDS,
    POWER_GAP_US,
    Float64,
    Int16,
    Int32,
    Int64,
    IntervalRows,
)

Light = Callable[[Int32, Int16, Int64], NDArray[np.bool_]]

MEASURED, ESTIMATED, UNKNOWN = _KINDS = 0, 1, 2
MEASURED_SPAN_US = 3_600_000_000
_SAFE = float(2**62)
# maximum number of quantities in a key; a test compares it with ingest.classes.QUANTITIES
_QUANTITIES = 16


class Steps(NamedTuple):
    """
    Steps of many registers, n rows.

    `device` and `quantity` identify the register; `kind` is MEASURED, ESTIMATED or UNKNOWN.
    """

    device: Int32
    quantity: Int16
    from_us: Int64
    to_us: Int64
    value: Int64
    kind: np.ndarray


class Marks(NamedTuple):
    """
    Register values after each reading, n rows.

    `time_us`: time of the reading.  `read_us`: time of the last reading of the register's sequence.
    `changed_us`: time of its last rise.  `first`: whether it is a register's first reading, which
    ends no step.  `other`: four columns of a second sequence; NULL without one.
    """

    device: Int32
    quantity: Int16
    time_us: Int64
    value: Int64
    read_us: Int64
    changed_us: Int64
    first: np.ndarray
    other: Int64


NO_OTHER = np.full((1, len(OTHER_FIELDS)), NULL, dtype=np.int64)


def kind_of(from_us: Int64, to_us: Int64, unknown: np.ndarray | None) -> np.ndarray:
    """
    Return the kind of steps: MEASURED up to one hour, ESTIMATED beyond, UNKNOWN where marked.

    A longer step is exact in sum, but its distribution over time is an estimate.  Source of the
    hour: JCM practice for PV and wastewater meters.
    """
    measured = to_us - from_us <= MEASURED_SPAN_US
    kind = np.where(measured, np.uint8(MEASURED), np.uint8(ESTIMATED))
    if unknown is not None:
        kind[unknown] = UNKNOWN
    return kind


def share(steps: Steps, marks: Marks, light: Light | None = None) -> IntervalRows:
    """
    Return interval rows of steps, each with the last register value in it.

    Consecutive steps of one interval are added before sorting: at one reading per minute, one row
    in fifteen remains.

    `steps`: steps in any order; `to_us >= from_us`.
    `marks`: sorted by device, quantity and time.  A reading at an edge belongs to the interval that
    ends there; a first reading to the interval that begins there.
    `light`: returns whether (device, quantity, interval) has light.  A step over several intervals
    is distributed over those with light; a step in darkness only is unknown.

    Returns: one row per (device, quantity, interval), in that order.  Values sum to the values of
    the steps exactly.
    """
    first, across = _places(steps)
    if light is not None:
        steps = _dark(steps, first, across, light)
    whole, cut = _whole(steps, first, across), _cut(steps, first, across, light)
    sums = _Sums(*map(np.concatenate, zip(whole, cut, strict=True)))
    at, stood = _last(marks)
    key = np.concatenate([sums.key, at])
    order = np.argsort(key, kind="stable")
    key = key[order]
    new = np.ones(len(key), dtype=np.bool_)
    new[1:] = key[1:] != key[:-1]
    row = np.cumsum(new) - 1
    rows = _empty_rows(key[new])
    pieces = order < len(sums.key)
    _add(rows, row[pieces], sums, order[pieces])
    _stand(rows, row[~pieces], marks, stood[order[~pieces] - len(sums.key)])
    return rows


class _Sums(NamedTuple):
    """Sums of parts of steps, n rows by `_key`; keys may be repeated."""

    key: Int64
    value: Int64
    measured_us: Int64
    estimated_us: Int64
    unknown_us: Int64


def _places(steps: Steps) -> tuple[Int64, NDArray[np.intp]]:
    """Return the interval in which each step begins, and the indices of steps that end later."""
    # a step without duration belongs to the interval that ends with it
    first = (steps.from_us - (steps.to_us == steps.from_us)) // INTERVAL_US
    return first, np.flatnonzero(steps.to_us > (first + 1) * INTERVAL_US)


def _whole(steps: Steps, first: Int64, across: NDArray[np.intp]) -> _Sums:
    """
    Return the sums of steps by the interval in which they begin.

    Steps that extend beyond it (`across`) are counted as zero, as `_cut` returns their parts.
    """
    if 2 * len(across) > len(first):
        # only steps across an edge are divided and sorted
        inside = np.delete(np.arange(len(first)), across)
        steps, first, across = Steps(*_at(steps, inside)), first[inside], across[:0]
    value, covered = steps.value.copy(), steps.to_us - steps.from_us
    value[across] = covered[across] = 0
    runs = heads(first, steps.device, steps.quantity)
    key = _key(steps.device[runs], steps.quantity[runs], first[runs])
    spans = []
    for kind in _KINDS:
        of = steps.kind == kind
        if not of.any():
            spans.append(np.zeros(len(runs), dtype=np.int64))
            continue
        spans.append(np.add.reduceat(covered if of.all() else np.where(of, covered, 0), runs))
    return _Sums(key, np.add.reduceat(value, runs), *spans)


def _dark(steps: Steps, first: Int64, across: NDArray[np.intp], light: Light) -> Steps:
    """Return the steps; a step that lies within one dark interval is set to unknown."""
    inside = steps.value > 0
    inside[across] = False
    rows = np.flatnonzero(inside)
    if not len(rows):
        return steps
    device, quantity, at = steps.device[rows], steps.quantity[rows], first[rows]
    begin = heads(_key(device, quantity, at))
    seen = light(device[begin], quantity[begin], at[begin])
    dark = rows[~np.repeat(seen, np.diff(np.append(begin, len(rows))))]
    if not len(dark):
        return steps
    value, kind = steps.value.copy(), steps.kind.copy()
    value[dark], kind[dark] = 0, UNKNOWN
    return steps._replace(value=value, kind=kind)


def _cut(steps: Steps, first: Int64, across: NDArray[np.intp], light: Light | None) -> _Sums:
    """Return steps divided at interval edges, one row per part."""
    count = (steps.to_us[across] - 1) // INTERVAL_US - first[across] + 1
    which = np.repeat(across, count)
    interval = first[which] + np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)
    begin, end = steps.from_us[which], steps.to_us[which]
    low = np.maximum(begin, interval * INTERVAL_US)
    high = np.minimum(end, (interval + 1) * INTERVAL_US)
    whole, kind = steps.value[which], steps.kind[which]
    if light is None:
        span = end - begin
        value = _portion(whole, high - begin, span) - _portion(whole, low - begin, span)
    else:
        seen = light(steps.device[which], steps.quantity[which], interval)
        value, dark = _by_light(whole, np.where(seen, high - low, 0), count)
        kind = np.where(dark, np.uint8(UNKNOWN), kind)
    spans = (np.where(kind == k, high - low, 0) for k in _KINDS)
    return _Sums(_key(steps.device[which], steps.quantity[which], interval), value, *spans)


def _by_light(
    whole: Int64, seen_us: Int64, count: NDArray[np.intp]
) -> tuple[Int64, NDArray[np.bool_]]:
    """
    Return the values of a step's parts in proportion to their time with light, and a mask.

    The values sum to the step's; the mask marks parts of a step that rises in darkness only.
    """
    if not len(count):
        return whole, np.zeros(0, dtype=np.bool_)
    head = np.cumsum(count) - count
    total = np.cumsum(seen_us)
    after = total - np.repeat(total[head] - seen_us[head], count)
    span = np.repeat(np.add.reduceat(seen_us, head), count)
    value = _portion(whole, after, span) - _portion(whole, after - seen_us, span)
    return value, (span == 0) & (whole > 0)


def _last(marks: Marks) -> tuple[Int64, NDArray[np.intp]]:
    """Return the key of each interval with a register value, and the row of its last mark."""
    at = (marks.time_us - ~marks.first) // INTERVAL_US
    columns, there = (at, marks.device, marks.quantity), marks.value != NULL
    if there.all():
        last = tails(*columns)
    else:
        known = np.flatnonzero(there)
        last = known[tails(*(column[known] for column in columns))]
    return _key(marks.device[last], marks.quantity[last], at[last]), last


def _add(rows: IntervalRows, row: NDArray[np.intp], sums: _Sums, order: NDArray[np.intp]) -> None:
    """Add sums to their interval rows; `order` groups the sums of one row."""
    runs = heads(row)
    into = row[runs]
    for name in _Sums._fields[1:]:
        getattr(rows, name)[into] = np.add.reduceat(getattr(sums, name)[order], runs)


def _stand(
    rows: IntervalRows, row: NDArray[np.intp], marks: Marks, stood: NDArray[np.intp]
) -> None:
    """Set the register state of each interval row to its last mark."""
    last = tails(row)
    row, stood = row[last], stood[last]
    rows.register[row] = marks.value[stood]
    rows.read_us[row] = marks.read_us[stood]
    rows.changed_us[row] = marks.changed_us[stood]
    for name, values in zip(OTHER_FIELDS, marks.other[stood].T, strict=True):
        getattr(rows, name)[row] = values


def _at(columns: tuple[Any, ...], rows: NDArray[np.intp]) -> Iterator[Any]:
    return (values[rows] for values in columns)


def heads(values: NDArray[Any], *others: NDArray[Any]) -> NDArray[np.intp]:
    """Return the index of the first row of each run of rows that are equal in all columns."""
    new = np.ones(len(values), dtype=np.bool_)
    np.not_equal(values[1:], values[:-1], out=new[1:])
    for column in others:
        new[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(new)


def tails(values: NDArray[Any], *others: NDArray[Any]) -> NDArray[np.intp]:
    """Return the index of the last row of each run of rows that are equal in all columns."""
    return np.append(heads(values, *others)[1:], len(values))[: len(values)] - 1


def _key(device: Int32, quantity: Int16, interval: Int64) -> Int64:
    """Return a sortable number for device, quantity and interval."""
    key = device.astype(np.int64)
    key *= _QUANTITIES
    key += quantity
    key *= 2**32
    key += interval
    return key


def _empty_rows(key: Int64) -> IntervalRows:
    whose, interval = key // 2**32, key % 2**32
    totals = [np.zeros(len(key), dtype=np.int64) for _ in range(4)]
    return IntervalRows(
        (whose // _QUANTITIES).astype(np.int32),
        (whose % _QUANTITIES).astype(np.int16),
        interval * INTERVAL_US,
        *totals,
    )


def _portion(value: Int64, elapsed: Int64, span: Int64) -> Int64:
    """Return floor(value * elapsed / span), exact beyond 64 bits; 0 for an empty span."""
    span = np.maximum(span, 1)
    product = value.astype(np.float64) * span.astype(np.float64)
    if not len(product) or product.max() < _SAFE:
        return value * elapsed // span
    big = product >= _SAFE
    out = np.empty_like(value)
    out[~big] = value[~big] * elapsed[~big] // span[~big]
    rows = zip(value[big].tolist(), elapsed[big].tolist(), span[big].tolist(), strict=True)
    out[big] = np.array([v * e // s for v, e, s in rows], dtype=np.int64)
    return out


def energy_steps(
    from_us: Int64,
    to_us: Int64,
    power_from_w: Float64,
    power_to_w: Float64,
    direction: int,
    *,
    up: bool = False,
) -> tuple[Int64, np.ndarray]:
    """
    Return the energy of each pair of power readings, and which pairs are valid. [Wh]

    Parameters
    ----------
    from_us, to_us : int64 array, n
        Times of the two readings. [us]
    power_from_w, power_to_w : float64 array, n
        Power at the two readings. [W]
    direction : int
        +1: positive power is counted; -1: negative power.
    up : bool
        Round up, for project consumption, where rounding down would favour the claimant.

    Returns
    -------
    energy_wh : int64 array, n
        (p0 + p1) / 2 * dt, each power clipped at 0, rounded down, or `up`. [Wh]
    counts : bool array, n
        False where the readings are further apart than the maximum gap.
    """
    p0 = np.maximum(power_from_w * direction, 0.0)
    p1 = np.maximum(power_to_w * direction, 0.0)
    elapsed = to_us - from_us
    counts = (elapsed <= POWER_GAP_US) & np.isfinite(p0) & np.isfinite(p1)
    energy = np.where(counts, (p0 + p1) * elapsed / 7.2e9, 0.0)
    whole = np.ceil(energy) if up else np.floor(energy)
    return whole.astype(np.int64), counts
