"""
Steps shared over the 15-minute grid, exactly.

A step of d base units over [a, b) gives an interval that ends at x inside it
floor(d * (x - a) / (b - a)) in total up to x.  Differences of that sum to d,
whatever the grid: no watt-hour is made or lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ingest.model import INTERVAL_US, NULL, IntervalRows

if TYPE_CHECKING:
    from ingest.model import Int16, Int32, Int64

MEASURED, ESTIMATED, UNKNOWN = 0, 1, 2
MEASURED_SPAN_US = 3_600_000_000
_SAFE = float(2**62)
# room in a key for ingest.classes.QUANTITIES; a test holds the two together
_QUANTITIES = 16


class Steps(NamedTuple):
    """
    Steps of many registers, n rows.

    `device` and `quantity` say whose; `kind` is MEASURED, ESTIMATED or UNKNOWN.
    """

    device: Int32
    quantity: Int16
    from_us: Int64
    to_us: Int64
    value: Int64
    kind: np.ndarray


class Marks(NamedTuple):
    """
    Where registers stand after each reading, n rows; NULL while one is away.

    `first` marks a register's first reading of all, which ends no step.
    """

    device: Int32
    quantity: Int16
    time_us: Int64
    value: Int64
    changed_us: Int64
    first: np.ndarray


def kind_of(from_us: Int64, to_us: Int64, unknown: np.ndarray) -> np.ndarray:
    """
    MEASURED up to one hour, the longest cadence at which a register is monitored.

    A longer step is as exact in sum, but where in it the energy was made is an
    estimate.  Source of the hour: JCM practice for PV and wastewater meters.
    """
    kind = np.where(to_us - from_us <= MEASURED_SPAN_US, MEASURED, ESTIMATED).astype(np.uint8)
    kind[unknown] = UNKNOWN
    return kind


def share(steps: Steps, marks: Marks) -> IntervalRows:
    """
    Interval rows of steps, each with the last mark that stood in it.

    Parameters
    ----------
    steps : Steps
        In any order; `to_us >= from_us`.
    marks : Marks
        Sorted by device, quantity and time.  A reading on the grid belongs to
        the interval that it ends; a first reading to the one that it opens.

    Returns
    -------
    IntervalRows
        One row a (device, quantity, interval), in that order.  Values sum to
        the values of the steps exactly.
    """
    which, interval, low, high, cut = _pieces(steps)
    value = _shares(steps, which, low, high, cut)
    held_marks = marks.value != NULL
    if not held_marks.all():
        marks = Marks(*(values[held_marks] for values in marks))
    at = np.where(marks.first, marks.time_us, marks.time_us - 1) // INTERVAL_US
    key = np.concatenate(
        [
            _key(steps.device[which], steps.quantity[which], interval),
            _key(marks.device, marks.quantity, at),
        ]
    )
    order = np.argsort(key, kind="stable")
    key = key[order]
    n = len(which)
    pieces = order < n
    held, stood = order[pieces], order[~pieces] - n
    new = np.ones(len(key), dtype=np.bool_)
    new[1:] = key[1:] != key[:-1]
    row = np.cumsum(new) - 1
    rows = _empty_rows(key[new])
    if len(held):
        of = row[pieces]
        heads = np.flatnonzero(np.concatenate([[True], of[1:] != of[:-1]]))
        into = of[heads]
        covered, kind = (high - low)[held], steps.kind[which[held]]
        rows.value[into] = np.add.reduceat(value[held], heads)
        for total, k in (
            (rows.measured_us, MEASURED),
            (rows.estimated_us, ESTIMATED),
            (rows.unknown_us, UNKNOWN),
        ):
            total[into] = np.add.reduceat(np.where(kind == k, covered, 0), heads)
    at_row = row[~pieces]
    last = np.flatnonzero(np.concatenate([at_row[1:] != at_row[:-1], [True]]))[: len(at_row)]
    at_row, stood = at_row[last], stood[last]
    rows.register[at_row] = marks.value[stood]
    rows.read_us[at_row] = marks.time_us[stood]
    rows.changed_us[at_row] = marks.changed_us[stood]
    return rows


def _shares(steps: Steps, which: np.ndarray, low: Int64, high: Int64, cut: int) -> Int64:
    """What each piece holds of its step: all of it, but for those from `cut` on."""
    value: Int64 = steps.value[which]
    if cut < len(which):
        of, low, high = which[cut:], low[cut:], high[cut:]
        a, span, d = steps.from_us[of], (steps.to_us - steps.from_us)[of], value[cut:]
        value[cut:] = _portion(d, high - a, span) - _portion(d, low - a, span)
    return value


def _key(device: Int32, quantity: Int16, interval: Int64) -> Int64:
    """One sortable number for device, quantity and interval."""
    return (device.astype(np.int64) * _QUANTITIES + quantity) * 2**32 + interval


def _empty_rows(key: Int64) -> IntervalRows:
    whose, interval = key // 2**32, key % 2**32
    totals = [np.zeros(len(key), dtype=np.int64) for _ in range(4)]
    return IntervalRows(
        (whose // _QUANTITIES).astype(np.int32),
        (whose % _QUANTITIES).astype(np.int16),
        interval * INTERVAL_US,
        *totals,
    )


def _pieces(steps: Steps) -> tuple[np.ndarray, Int64, Int64, Int64, int]:
    """
    Cut steps at the grid: which step, which interval, and the piece's bounds.

    Most steps lie in one interval.  They come first, whole; the pieces of the
    others follow from the place that is returned last.
    """
    # a step of no length ends where it begins: on the grid, in the interval before
    point = steps.to_us == steps.from_us
    first = np.where(point, steps.from_us - 1, steps.from_us) // INTERVAL_US
    last = np.maximum((steps.to_us - 1) // INTERVAL_US, first)
    whole, across = np.flatnonzero(first == last), np.flatnonzero(first != last)
    count = last[across] - first[across] + 1
    which = np.repeat(across, count)
    interval = first[which] + np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)
    low = np.maximum(steps.from_us[which], interval * INTERVAL_US)
    high = np.minimum(steps.to_us[which], (interval + 1) * INTERVAL_US)
    return (
        np.concatenate([whole, which]),
        np.concatenate([first[whole], interval]),
        np.concatenate([steps.from_us[whole], low]),
        np.concatenate([steps.to_us[whole], high]),
        len(whole),
    )


def _portion(value: Int64, elapsed: Int64, span: Int64) -> Int64:
    """floor(value * elapsed / span), exact beyond 64 bits; 0 where the span is empty."""
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
