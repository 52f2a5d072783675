"""
Quality tests of series: constant values, comparison with other meters, and unusually low peaks.

Constant values, constant registers and low peaks are runs that last too long.  A run ends where the
value changes, where the device sent nothing for longer than `gap_us`, and where other limits begin
to apply.

The run of a constant gauge restarts when registers of its device corroborate it: they rose by the
energy of the gauge.  So a base load over a weekend or a fixed set point is not a fault.  Time is
divided into segments of a fixed length, counted from 1970.  The energy since the first reading of a
segment is compared at the first reading after the segment.  So the result does not depend on
batches, and at most one segment before a run has to be read.

Sum check: a meter is compared with the meters downstream, with its check meter, or with its phases,
as in validating, estimating and editing (VEE) of meter data.  Meters differ by their errors; the
permitted difference is a share of the larger value, and at least the resolution.

Unit plausibility: a series may be ten, a hundred or a thousand times too small.  A single low
reading may be a cloudy morning.  But peaks below a fiftieth of the rated power for days indicate
another unit, another rated power, or a defect: even under thick clouds a plant reaches a tenth
within ten days.  Series that are too large exceed the limit by rated power at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest import classes
from ingest.classes import FLAT_PARTS, UnitLevel
from ingest.model import Device

NEVER = -(2**62)
# Permitted difference between the energy of a gauge and of its register: a gauge in whole kilowatts
# that reads 2 has an error of up to a quarter.  The value is tonne's own, above the difference of
# two meters of accuracy class 2 (IEC 62053-21).
SHARE = 0.25
_EVER_US = 2**62
_HOUR_US = 3_600_000_000


class Values(NamedTuple):
    """
    Readings grouped by device, in time order.

    `head`: first row of each device; `limits`: version of the limits at each reading.
    """

    head: NDArray[np.intp]
    time_us: NDArray[np.int64]
    value: NDArray[np.float64]
    limits: NDArray[np.int64]


class Run(NamedTuple):
    """
    State at each device's last earlier reading: value, time, start of the run, limits.

    One row per device, in the order of `Values.head`; `last_us` is NEVER without such a reading.
    """

    value: NDArray[np.float64]
    last_us: NDArray[np.int64]
    start_us: NDArray[np.int64]
    limits: NDArray[np.int64]


class Part(NamedTuple):
    """First reading of the run in the last time segment, one row per device. [us UTC, Wh]"""

    time_us: NDArray[np.int64]
    counted_wh: NDArray[np.float64]


class Counted(NamedTuple):
    """
    Energy counted by registers, in the direction of a gauge in W.

    One row per reading.  `wh`: counted energy; NaN for a reading without register.  `part_us`:
    length of the time segments.  `tolerance_wh`: difference that is ignored.
    """

    wh: NDArray[np.float64]
    part_us: NDArray[np.int64]
    tolerance_wh: float


def part_us(longest_us: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the length of time segments, from the longest plausible constant time. [us]"""
    known = np.isfinite(longest_us)
    parts = np.where(known, longest_us, 0.0).astype(np.int64) // FLAT_PARTS
    return np.where(known, np.maximum(parts, 1), _EVER_US)


def begins(now: Values, gap_us: int, before: Run) -> NDArray[np.bool_]:
    """
    Return a mask of readings at which a run begins.

    `now`: n readings.
    `gap_us`: a longer gap ends a run. [us]
    """
    head, time_us, value, limits = now
    result = np.ones(len(time_us), dtype=np.bool_)
    result[1:] = (
        (value[1:] != value[:-1])
        | (time_us[1:] - time_us[:-1] > gap_us)
        | (limits[1:] != limits[:-1])
    )
    result[head] = (
        (value[head] != before.value)
        | (time_us[head] - before.last_us > gap_us)
        | (limits[head] != before.limits)
    )
    return result


def starts(now: Values, begun: NDArray[np.bool_], before: Run) -> NDArray[np.int64]:
    """
    Return the start of the run to which each reading belongs. [us UTC]

    `begun`: mask of readings at which a run begins.
    """
    begin = now.time_us.copy()
    on = ~begun[now.head]
    begin[now.head[on]] = before.start_us[on]
    first = begun.copy()
    first[now.head] = True
    rows = np.flatnonzero(first)
    return np.repeat(begin[rows], np.diff(np.append(rows, len(first))))


def renewed(
    now: Values, begun: NDArray[np.bool_], counted: Counted, before: Part
) -> tuple[NDArray[np.bool_], Part]:
    """
    Return the mask of run starts, including those where registers corroborate a constant value.

    Parameters
    ----------
    now : Values
        A gauge. [W]
    begun : bool array, n
        Result of `begins`.
    counted : Counted
    before : Part
        State at each device's last earlier reading.

    Returns
    -------
    begun : bool array, n
    part : Part
        State at each device's last reading.
    """
    head, time_us, value, _ = now
    part = time_us // counted.part_us
    cut = begun.copy()
    cut[1:] |= part[1:] != part[:-1]
    cut[head] = True
    first = np.flatnonzero(cut)
    at = np.searchsorted(first, head)
    since_us, since_wh = time_us[first], counted.wh[first]
    on = ~begun[head] & (part[head] == before.time_us // counted.part_us[head])
    since_us[at[on]], since_wh[at[on]] = before.time_us[on], before.counted_wh[on]
    # start of the previous segment, which ends with the first reading of this one
    last_us, last_wh = np.roll(since_us, 1), np.roll(since_wh, 1)
    last_us[at], last_wh[at] = before
    ended = ~begun[first]
    ended[at] &= ~on
    by_gauge_wh = value[first] * ((time_us[first] - last_us) / _HOUR_US)
    rise = counted.wh[first] - last_wh
    with np.errstate(invalid="ignore"):
        agrees = np.abs(rise - by_gauge_wh) <= SHARE * np.abs(by_gauge_wh) + counted.tolerance_wh
        agrees &= (rise * by_gauge_wh > 0) & ended
    result = begun.copy()
    result[first[agrees]] = True
    last = np.append(at[1:], len(first)) - 1
    return result, Part(since_us[last], since_wh[last])


def flat_from_begin(
    marks: NDArray[np.bool_], since_us: NDArray[np.int64], head: NDArray[np.intp]
) -> NDArray[np.bool_]:
    """
    Return a mask of all readings of each constant run that has a marked reading.

    This mask is used if the complete series is available (as in pvanalytics, `mark="all"`).

    Parameters
    ----------
    marks : bool array, n
        Result of `flat`.
    since_us : int64 array, n
        Start of each value's run. [us UTC]
    head : intp array
        First row of each device.
    """
    if not marks.any():
        return marks
    new = np.ones(len(marks), dtype=np.bool_)
    new[1:] = since_us[1:] != since_us[:-1]
    new[head] = True
    begins = np.flatnonzero(new)
    result = np.logical_or.reduceat(marks, begins)
    return np.repeat(result, np.diff(np.append(begins, len(marks))))


def flat(
    values: NDArray[np.float64],
    time_us: NDArray[np.int64],
    since_us: NDArray[np.int64],
    longest_us: NDArray[np.float64] | float,
    floor: NDArray[np.float64] | float = -1.0,
) -> NDArray[np.bool_]:
    """
    Return a mask of values constant for longer than `longest_us`.

    Parameters
    ----------
    values : float64 array, n
    time_us, since_us : int64 array, n
        Time of reading, and begin of the run. [us UTC]
    longest_us : float64 array, n, or float
        Longest usual constant time; NaN if unknown. [us]
    floor : float64 array, n, or float
        Values no farther from zero than this are ignored.
    """
    with np.errstate(invalid="ignore"):
        return np.asarray((time_us - since_us > longest_us) & (np.abs(values) > floor))


Amounts = NDArray[np.int64] | NDArray[np.float64]


def sums_differ(
    whole: Amounts,
    parts: Amounts,
    share: float | NDArray[np.float64],
    resolution: float | NDArray[np.float64],
) -> NDArray[np.bool_]:
    """
    Return a mask of differences between a total and the sum of its parts above the permitted one.

    Parameters
    ----------
    whole : int64 or float64 array, n
        Total.
    parts : int64 or float64 array, n
        Sum of the parts; same unit.
    share : float or float64 array, n
        Largest permitted difference, as a share of the larger of the two; NaN if unknown.
    resolution : float or float64 array, n
        Difference that is always permitted, in the same unit.
    """
    with np.errstate(invalid="ignore"):
        larger = np.maximum(np.abs(whole), np.abs(parts))
        allowed = np.maximum(share * larger, resolution)
        return np.asarray(np.abs(whole - parts) > allowed)


# share of the lowest plausible peak below which a device is off, whatever its unit
OFF = 1 / 1_200


def below(
    values: NDArray[np.float64], peak: NDArray[np.float64], level: UnitLevel
) -> NDArray[np.float64]:
    """
    Return an array with 1.0 where a value is below a level, else 0.0; `begins` finds its runs.

    `values`, `peak`, `level`: as for `wrong_scale`.
    """
    with np.errstate(invalid="ignore"):
        return np.where(values >= level.share * peak, 0.0, 1.0)


def wrong_scale(
    values: NDArray[np.float64],
    time_us: NDArray[np.int64],
    since_us: NDArray[np.int64],
    peak: NDArray[np.float64],
    level: UnitLevel,
) -> NDArray[np.bool_]:
    """
    Return a mask of values of a series that stayed below a level for too long.

    Parameters
    ----------
    values : float64 array, n
    time_us, since_us : int64 array, n
        Time of reading, and time since which no value has reached the level. [us UTC]
    peak : float64 array, n
        Lowest plausible peak within ten days of a working device; NaN if unknown.
    level : UnitLevel
    """
    with np.errstate(invalid="ignore"):
        small = (values < level.share * peak) & (values > OFF * peak)
    return np.asarray(small & (time_us - since_us > level.longest_us))


Quantities = Mapping[tuple[str, str], int]  # by start and quantity


class Difference(NamedTuple):
    """An interval in which a meter and the sum of the other meters differ. [base units]"""

    start: str
    quantity: str
    whole: int
    parts: int


def compare(
    device: Device, whole: Quantities, parts: Sequence[Quantities], share: float
) -> tuple[int, list[Difference]]:
    """
    Compare a meter with the sum of others, in the intervals that all of them have measured.

    `device`: the meter; its register tolerance is the smallest significant difference.
    `whole` (mapping of (start, quantity) to int): its intervals.
    `parts` (sequence of such mappings): the other meters' intervals.
    `share`: largest difference, as a share of the larger of the two.

    Returns `compared`: number of compared intervals.
    Returns `differences`: the intervals in which they differ.
    """
    keys = sorted(key for key in whole if all(key in part for part in parts))
    remaining = np.array([whole[key] for key in keys], dtype=np.int64)
    right = np.array([sum(part[key] for part in parts) for key in keys], dtype=np.int64)
    tolerance = {c.quantity: max(c.tolerance, 1) for c in classes.load()[device.class_id].registers}
    differences: list[Difference] = []
    for quantity, resolution in tolerance.items():
        of = np.array([key[1] == quantity for key in keys], dtype=np.bool_)
        marks = sums_differ(remaining, right, share, resolution) & of
        differences.extend(
            Difference(*keys[i], int(remaining[i]), int(right[i])) for i in np.flatnonzero(marks)
        )
    return len(keys), differences
