"""
Energy between readings of a cumulative register, and its division into 15-minute intervals.

A step of d base units over [a, b) has, up to a time x within it, the amount floor(d * (x - a) / (b
- a)). The differences at the ends of the intervals sum to d exactly, for any grid of intervals.

A register only rises, so each pair of readings gives a step.  Other cases are distinguished:

- a step back within the tolerance is jitter: the register keeps its mark;
- a rise after a standstill is a catch-up, if the device could have produced it in that time:
  its step covers the standstill, at most its last day;
- a rollover at the modulus is a step if the meter could have made it;
- anything else is a jump.  If the register returns to a plausible value within the hold-off time,
the readings between were a glitch and are ignored; if not, it was reset, and the step is unknown.

mrv/accounting/coverage applies the deduction for an unknown step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest.model import INTERVAL_US, NULL, Int16, Int32, Int64, IntervalRows, Replacement

# time after a jump within which the register may return. It is long after a fall, as no quantity is
# counted twice by waiting; short after a rise, as any value becomes plausible with time
HOLD_OFF_LOW_US = 86_400_000_000
HOLD_OFF_HIGH_US = 3_600_000_000
# a catch-up is distributed over the standstill, at most over a day
SPREAD_US = 86_400_000_000
MARGIN = 1.2
MODULUS_SHARE = 100

INF = float("inf")
KNOWN, UNKNOWN = 0, 1
# events of a register other than a rise
EVENTS = ("jitter", "catch_up", "rollover", "glitch", "reset", "impossible", "replacement")
JITTER, CATCH_UP, ROLLOVER, GLITCH, RESET, IMPOSSIBLE, REPLACEMENT = EVENTS
AWAY = (NULL, NULL, NULL)


class Step(NamedTuple):
    """Step of `value` base units over [from_us, to_us); 0 where `kind` is UNKNOWN."""

    from_us: int
    to_us: int
    value: int
    kind: int


@dataclass(frozen=True, slots=True)
class Meter:
    """
    Limits of one register.

    `rate`: highest plausible base units per microsecond, margin included; inf if unknown.
    `tolerance`: a step back this small is jitter. [base units]
    `moduli`: values at which the register may wrap to zero, ascending.
    `exact`: whether the first modulus is this model's own, and not a candidate.
    `replacements`: meter swaps, in time order.
    """

    rate: float = INF
    tolerance: int = 0
    moduli: tuple[int, ...] = ()
    exact: bool = False
    replacements: tuple[Replacement, ...] = ()

    def allowance(self, elapsed_us: int) -> float:
        """Return the largest step that the meter could make in a time. [base units]"""
        if self.rate == INF:
            return INF
        return self.tolerance + self.rate * elapsed_us


@dataclass(slots=True)
class Mark:
    """State of a register: its highest value, time of last reading and of last rise."""

    value: int
    read_us: int
    changed_us: int


@dataclass(slots=True)
class Reader:
    """
    Reader of one register in time order, one reading at a time.

    `mark` is the state of the register.  After a jump `away` is the new state, `since_us` the time
    of the jump, and `steps_at` the number of steps before it, so that a return can withdraw the
    later ones.  `rewrites_us` is the time from which steps before the first mark would change;
    `spread_from_us` is the earliest time to which a catch-up was distributed.
    """

    meter: Meter
    mark: Mark | None = None
    away: Mark | None = None
    since_us: int = 0
    hold_off_us: int = HOLD_OFF_HIGH_US
    steps_at: int = 0
    steps: list[Step] = field(default_factory=list)
    marks: list[tuple[int, int, int]] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    rewrites_us: int | None = None
    spread_from_us: int | None = None
    next_swap: int = 0

    def read(self, time_us: int, value: int) -> None:
        """Add one reading, later than all before, and update the register's position."""
        self._take(time_us, value)
        mark = self.mark
        settled = mark is not None and self.away is None
        self.marks.append((mark.value, time_us, mark.changed_us) if settled and mark else AWAY)

    def _take(self, time_us: int, value: int) -> None:
        self._swap_before(time_us)
        if self.mark is None:
            self.mark = Mark(value, time_us, time_us)
            return
        if self.away is not None and time_us - self.since_us > self.hold_off_us:
            self._settle()
        if self.away is None:
            if not self._follow(self.mark, time_us, value, allow_wrap=True):
                self._depart(time_us, value)
        elif self._returned(time_us, value):
            return
        elif not self._follow(self.away, time_us, value, allow_wrap=False):
            self.steps.append(Step(self.away.read_us, time_us, 0, UNKNOWN))
            self.away = Mark(value, time_us, time_us)

    def _follow(self, mark: Mark, time_us: int, value: int, *, allow_wrap: bool) -> bool:
        rise = value - mark.value
        if -self.meter.tolerance <= rise <= self.meter.allowance(time_us - mark.read_us):
            if rise < 0:
                self.events.append(JITTER)
            self._step(mark, mark.read_us, time_us, max(rise, 0), max(value, mark.value))
            return True
        if 0 < rise <= self.meter.allowance(time_us - mark.changed_us):
            self._catch_up(mark, time_us, value, rise)
            return True
        wrapped = (
            wrap(self.meter, mark.value, value, time_us - mark.changed_us) if allow_wrap else None
        )
        if wrapped is not None:
            self.events.append(ROLLOVER)
            self._step(mark, mark.read_us, time_us, wrapped, value)
            return True
        return False

    def _step(self, mark: Mark, from_us: int, time_us: int, rise: int, value: int) -> None:
        self.steps.append(Step(from_us, time_us, rise, KNOWN))
        mark.read_us = time_us
        if value != mark.value:
            mark.value, mark.changed_us = value, time_us

    def _catch_up(self, mark: Mark, time_us: int, value: int, rise: int) -> None:
        """Distribute a rise over the standstill before it."""
        self.events.append(CATCH_UP)
        earliest = max(mark.changed_us, time_us - SPREAD_US)
        kept = len(self.steps)
        floor = self.steps_at if self.away is not None else 0
        while kept > floor and self.steps[kept - 1].from_us >= earliest:
            kept -= 1
        from_us = self.steps[kept].from_us if kept < len(self.steps) else mark.read_us
        if kept == 0 and from_us > earliest and not _one_interval(earliest, time_us):
            self.rewrites_us = min(earliest, self.rewrites_us or earliest)
        del self.steps[kept:]
        self.spread_from_us = min(from_us, self.spread_from_us or from_us)
        self._step(mark, from_us, time_us, rise, value)

    def _depart(self, time_us: int, value: int) -> None:
        mark = self.mark
        assert mark is not None  # noqa: S101 (read() set it)
        self.events.append(IMPOSSIBLE if value > mark.value else RESET)
        self.since_us, self.steps_at = time_us, len(self.steps)
        self.hold_off_us = HOLD_OFF_HIGH_US if value > mark.value else HOLD_OFF_LOW_US
        self.steps.append(Step(mark.read_us, time_us, 0, UNKNOWN))
        self.away = Mark(value, time_us, time_us)

    def _returned(self, time_us: int, value: int) -> bool:
        mark = self.mark
        assert mark is not None  # noqa: S101 (read() set it)
        rise = value - mark.value
        if not -self.meter.tolerance <= rise <= self.meter.allowance(time_us - mark.changed_us):
            return False
        self.events.append(GLITCH)
        del self.steps[self.steps_at :]
        self.away = None
        return self._follow(mark, time_us, value, allow_wrap=False)

    def _settle(self) -> None:
        """Accept the state after the jump, as the register did not return in the hold-off time."""
        self.mark, self.away = self.away, None

    def _swap_before(self, time_us: int) -> None:
        """Close the old meter and open the new one, for each replacement up to this reading."""
        swaps = self.meter.replacements
        while self.next_swap < len(swaps) and swaps[self.next_swap].at_us <= time_us:
            swap = swaps[self.next_swap]
            self.next_swap += 1
            if self.mark is None or swap.at_us <= self.mark.read_us:
                continue
            if self.away is not None:
                self._settle()
            mark = self.mark
            rise = swap.last - mark.value
            known = 0 <= rise <= self.meter.allowance(swap.at_us - mark.changed_us)
            self.steps.append(
                Step(mark.read_us, swap.at_us, rise if known else 0, KNOWN if known else UNKNOWN)
            )
            self.events.append(REPLACEMENT)
            self.mark = Mark(swap.first, swap.at_us, swap.at_us)


def _one_interval(from_us: int, to_us: int) -> bool:
    """
    Return whether a standstill and the following rise lie in one interval.

    Then the distribution of the rise has no effect, and no stored row changes, as for meters with
    whole kilowatt-hours that are read every few seconds.
    """
    return from_us // INTERVAL_US == (to_us - 1) // INTERVAL_US


def wrap(meter: Meter, before: int, after: int, elapsed_us: int) -> int | None:
    """
    Return the step across a rollover to zero [base units]; None if the meter cannot have made it.

    A model's own modulus needs only a step that the rated power allows.  A possible modulus (the
    first above `before`) is accepted only with a known limit, or if the step is below a hundredth
    of the modulus.
    """
    if after >= before:
        return None
    for modulus in meter.moduli:
        if modulus > before:
            step = modulus - before + after
            bound = meter.allowance(elapsed_us)
            if bound == INF:
                bound = modulus if meter.exact else modulus / MODULUS_SHARE
            return step if step <= min(bound, modulus / 2) else None
    return None


def clean(rate: np.ndarray, tolerance: int, elapsed_us: Int64, rise: Int64) -> np.ndarray:
    """
    Return a mask of rises that the meter can have made in the time of the step.

    The same comparison as in `Reader` for a register without jitter, in columns.

    Parameters
    ----------
    rate : float64 array, n
        Highest plausible base units per microsecond, margin included.
    tolerance : int
    elapsed_us, rise : int64 array, n
    """
    with np.errstate(invalid="ignore", over="ignore"):
        allowance = tolerance + rate * elapsed_us
    return (rise >= 0) & (rise <= allowance)


def rates(limits: Sequence[float | None]) -> np.ndarray:
    """
    Return the highest plausible base units per microsecond, with margin, from hourly limits.

    The margin of 20 % allows for inverters that may run above their rated power for a while; an
    impossible step is far above it.
    """
    hourly = np.array([np.inf if limit is None else limit for limit in limits], dtype=np.float64)
    return hourly * MARGIN / 3.6e9


MEASURED, ESTIMATED, UNMEASURED = _KINDS = 0, 1, 2
MEASURED_SPAN_US = 3_600_000_000
_SAFE = float(2**62)
# maximum number of quantities in a key; a test compares it with ingest.classes.QUANTITIES
_QUANTITIES = 16


class Steps(NamedTuple):
    """
    Steps of many registers, n rows.

    `device` and `quantity` identify the register; `kind` is MEASURED, ESTIMATED or UNMEASURED.
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
        kind[unknown] = UNMEASURED
    return kind


def share(steps: Steps, marks: Marks) -> IntervalRows:
    """
    Return interval rows of steps, each with the last register value in it.

    Consecutive steps of one interval are added before sorting: at one reading per minute, one row
    in fifteen remains.

    `steps`: in any order; `to_us >= from_us`.
    `marks`: sorted by device, quantity and time.  A reading on the grid belongs to the interval
    that it ends; a first reading to the one that it opens.

    Returns: one row per (device, quantity, interval), in that order.  Values sum to the values of
    the steps exactly.
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
    """Return the key of each interval with a register value, and the row of its last mark."""
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
    rows.read_us[row] = marks.time_us[stood]
    rows.changed_us[row] = marks.changed_us[stood]


def _at(columns: tuple[Any, ...], rows: NDArray[np.intp]) -> Iterator[Any]:
    return (values[rows] for values in columns)


def heads(values: NDArray[Any]) -> NDArray[np.intp]:
    """Return the index of the first row of each run of equal values."""
    new = np.ones(len(values), dtype=np.bool_)
    new[1:] = values[1:] != values[:-1]
    return np.flatnonzero(new)


def tails(values: NDArray[Any]) -> NDArray[np.intp]:
    """Return the index of the last row of each run of equal values."""
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
