"""
Division of register steps into 15-minute intervals, exactly.

A step of d base units over [a, b) has, up to a time x within it, the amount floor(d * (x - a) / (b
- a)). The differences at the ends of the intervals sum to d exactly, for any grid of intervals.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest.model import INTERVAL_US, NULL, Int16, Int32, Int64, IntervalRows

MEASURED, ESTIMATED, UNKNOWN = _KINDS = 0, 1, 2
MEASURED_SPAN_US = 3_600_000_000
_SAFE = float(2**62)
# room in a key for ingest.classes.QUANTITIES; a test holds the two together
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
    Register values after each reading, n rows; NULL without a register.

    `first` marks a register's first reading, which ends no step.
    """

    device: Int32
    quantity: Int16
    time_us: Int64
    value: Int64
    changed_us: Int64
    first: np.ndarray


def kind_of(from_us: Int64, to_us: Int64, unknown: np.ndarray | None) -> np.ndarray:
    """
    Return the kind of steps: MEASURED up to one hour, the longest interval at which a register is
    monitored.

    A longer step is exact in sum, but its distribution over time is an estimate.  Source of the
    hour: JCM practice for PV and wastewater meters.
    """
    measured = to_us - from_us <= MEASURED_SPAN_US
    kind = np.where(measured, np.uint8(MEASURED), np.uint8(ESTIMATED))
    if unknown is not None:
        kind[unknown] = UNKNOWN
    return kind


def share(steps: Steps, marks: Marks) -> IntervalRows:
    """
    Return interval rows of steps, each with the last register value in it.

    Consecutive steps of one interval are added before sorting, which at one reading a minute
    reduces their number by 15.

    `steps`: in any order; `to_us >= from_us`.
    `marks`: sorted by device, quantity and time.  A reading on the grid belongs to the interval
    that it ends; a first reading to the one that it opens.

    Returns: one row a (device, quantity, interval), in that order.  Values sum to the values of the
    steps exactly.
    """
    first, across = _places(steps)
    whole, cut = _whole(steps, first, across), _cut(steps, first, across)
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
    """Return the interval in which each step begins, and the steps that extend beyond it."""
    # a step of no length ends where it begins: on the grid, in the interval before
    first = (steps.from_us - (steps.to_us == steps.from_us)) // INTERVAL_US
    return first, np.flatnonzero(steps.to_us > (first + 1) * INTERVAL_US)


def _whole(steps: Steps, first: Int64, across: NDArray[np.intp]) -> _Sums:
    """
    Return the steps summed by the interval in which they begin; for steps `across` intervals only
    their parts.
    """
    if 2 * len(across) > len(first):
        # few are whole, as at a reading a quarter hour: the others need not be sorted
        inside = np.delete(np.arange(len(first)), across)
        steps, first, across = Steps(*_at(steps, inside)), first[inside], across[:0]
    key = _key(steps.device, steps.quantity, first)
    value, covered = steps.value.copy(), steps.to_us - steps.from_us
    value[across] = covered[across] = 0
    runs = heads(key)
    spans = []
    for kind in _KINDS:
        of = steps.kind == kind
        if not of.any():
            spans.append(np.zeros(len(runs), dtype=np.int64))
            continue
        spans.append(np.add.reduceat(covered if of.all() else np.where(of, covered, 0), runs))
    return _Sums(key[runs], np.add.reduceat(value, runs), *spans)


def _cut(steps: Steps, first: Int64, across: NDArray[np.intp]) -> _Sums:
    """Return steps divided at interval edges, one row per part."""
    count = (steps.to_us[across] - 1) // INTERVAL_US - first[across] + 1
    which = np.repeat(across, count)
    interval = first[which] + np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)
    begin, end = steps.from_us[which], steps.to_us[which]
    low = np.maximum(begin, interval * INTERVAL_US)
    high = np.minimum(end, (interval + 1) * INTERVAL_US)
    whole, span = steps.value[which], end - begin
    value = _portion(whole, high - begin, span) - _portion(whole, low - begin, span)
    kind = steps.kind[which]
    spans = (np.where(kind == k, high - low, 0) for k in _KINDS)
    return _Sums(_key(steps.device[which], steps.quantity[which], interval), value, *spans)


def _last(marks: Marks) -> tuple[Int64, NDArray[np.intp]]:
    """Return key and index of the last mark in each interval."""
    at = (marks.time_us - ~marks.first) // INTERVAL_US
    key = _key(marks.device, marks.quantity, at)
    there = marks.value != NULL
    if there.all():
        last = tails(key)
    else:
        known = np.flatnonzero(there)
        last = known[tails(key[known])]
    return key[last], last


def _add(rows: IntervalRows, row: NDArray[np.intp], sums: _Sums, order: NDArray[np.intp]) -> None:
    """Add sums to their rows, in an order that groups the sums of one row."""
    runs = heads(row)
    into = row[runs]
    for name in _Sums._fields[1:]:
        getattr(rows, name)[into] = np.add.reduceat(getattr(sums, name)[order], runs)


def _stand(
    rows: IntervalRows, row: NDArray[np.intp], marks: Marks, stood: NDArray[np.intp]
) -> None:
    """Set each row's register state to the last of its marks."""
    last = tails(row)
    row, stood = row[last], stood[last]
    rows.register[row] = marks.value[stood]
    rows.read_us[row] = marks.time_us[stood]
    rows.changed_us[row] = marks.changed_us[stood]


def _at(columns: tuple[Any, ...], rows: NDArray[np.intp]) -> Iterator[Any]:
    return (values[rows] for values in columns)


def heads(values: NDArray[Any]) -> NDArray[np.intp]:
    """Return the index of the first of each run of equal values."""
    new = np.ones(len(values), dtype=np.bool_)
    new[1:] = values[1:] != values[:-1]
    return np.flatnonzero(new)


def tails(values: NDArray[Any]) -> NDArray[np.intp]:
    """Return the index of the last of each run of equal values."""
    return np.append(heads(values)[1:], len(values))[: len(values)] - 1


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
