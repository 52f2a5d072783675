"""
Energy of a register by 15-minute intervals, compared with another channel and with the physical
maximum of its device.

The integral of power: power is sampled, so its integral is an estimate, by the trapezoidal rule.
The variance of a step is a quarter of (difference of its two samples times its duration) squared;
that of a random walk is a twelfth.  In two days of NREL's SERF East array, sampled every 5, 10, 15,
30 and 60 minutes instead of every minute, the variance by days and by steps is at most 0.14 of that
square.

The comparison: a register must not count more than another channel of its device allows.  It may
lag behind its power and catch up, as it counts whole kilowatt-hours or stops for a while, but its
sum must not exceed that of the power.  So each interval is compared with the other channel plus the
lag of the register; then the running sum of each day, and that of the whole time, in which sampling
errors cancel.  Within the tolerance either of the two may be wrong, and the register is kept.
Beyond it the value of the other channel is applied, without tolerance.

Source: the sum check of validating, estimating and editing (VEE) of meter data, which compares a
register with its intervals; two meters of accuracy class 2 (IEC 62053-21) differ by 4 % at most.

Physical maximum of a device: photovoltaics under a clear sky, a pump by its power.

Photovoltaics: the highest energy of each 15-minute interval, for any orientation of the modules.
The direct beam of a clear sky at sea level is 1353 W/m2 * 0.7 ** (AM ** 0.678), AM being the air
mass (Meinel & Meinel 1976, Applied Solar Energy; Kasten & Young 1989, Applied Optics 28, 4735).  A
tenth is added for diffuse light.  The limit is that of tracking modules with 1.5 times the power of
their inverter; an inverter delivers at most 110 % of its rating.

Pumps: the highest amount of water that their power lifts to their head, by a pump and motor without
losses.  Lifting water takes rho g H joules per cubic metre, 2.725 Wh per metre of head.  Real pumps
need 10 to 50 % more, so a correct flow meter is far below the limit, and one that counts three
times too much is above it.

Source: hydraulic power, P = rho g Q H, as in ISO 9906 and ANSI/HI 14.6.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ingest.model import HOUR_US, INTERVAL_US, POWER_GAP_US, Float64, Int64
from ingest.sun import NIGHT_DEG, elevation_deg

_VARIANCE = 1 / 4
# a power that is missing for longer has no value: its channel may be defective
_DAY_US = 24 * HOUR_US
# tolerance for late hourly samples
_LATE = 1.1
# intervals on either side for the variance of power: two hours in all
_AROUND = 4


class Integral(NamedTuple):
    """
    Energy from power in n 15-minute intervals.

    Attributes
    ----------
    energy_wh : float64 array, n
    variance : float64 array, n
        Variance of the energy between the samples. [Wh2]
    known : bool array, n
        False where the device sent nothing.
    left_out : bool array, n
        Mask of intervals in which the register was read, but no power for more than a day; `known`
        is False there as well.
    """

    energy_wh: Float64
    variance: Float64
    known: np.ndarray
    left_out: np.ndarray


def integral(
    time_us: Int64, power_w: Float64, reported_us: Int64, first: int, last: int
) -> Integral:
    """
    Return the integral of a device's power over the 15-minute intervals [first, last).

    Parameters
    ----------
    time_us : int64 array, n
        Times of the power readings, ascending. [us UTC]
    power_w : float64 array, n
        Power in the direction of the register; negative values count as zero. [W]
    reported_us : int64 array, m
        Times of the register readings.  If a device sends its register but no power for more than a
        day, the energy is not known.  For a shorter time, the power between the samples is
        interpolated, as for a device that reports by exception.
    first, last : int
        Interval numbers since the epoch.
    """
    n = last - first
    if len(time_us) < 2:  # noqa: PLR2004 - an integral needs two samples
        never = np.zeros(n, dtype=np.bool_)
        return Integral(np.zeros(n), np.zeros(n), never, never)
    edges = np.arange(first, last + 1) * INTERVAL_US
    counted = np.maximum(power_w, 0.0)
    step_us = np.diff(time_us)
    hours = step_us * (1 / HOUR_US)
    silent, mute = _unsampled(time_us, step_us, reported_us)
    energy = (counted[1:] + counted[:-1]) * (0.5 * hours)
    moved = np.diff(counted) * hours
    variance = moved * moved * _VARIANCE
    energy[silent] = variance[silent] = energy[mute] = variance[mute] = 0.0
    cut = _Cut.of(time_us, edges)
    left_out = _within(cut, step_us, mute)
    known = ~_within(cut, step_us, silent) & ~left_out
    known &= (edges[:-1] >= _begin(time_us, reported_us)) & (
        edges[1:] <= _end(time_us, reported_us)
    )
    return Integral(cut.divided(energy), _smooth(cut.divided(variance)), known, left_out)


def _within(cut: _Cut, step_us: Int64, part: Int64) -> np.ndarray:
    """Return a mask of intervals that overlap the steps with indices `part`."""
    if not len(part):
        return np.zeros(len(cut.step) - 1, dtype=np.bool_)
    away = np.zeros(len(step_us))
    away[part] = step_us[part]
    return np.asarray(cut.divided(away) > 0)


def _unsampled(time_us: Int64, step_us: Int64, reported_us: Int64) -> tuple[Int64, Int64]:
    """
    Return the indices of two kinds of steps whose energy is not known.

    The first have no register reading either and are longer than an hour, or than the usual hourly
    step.  The second have register readings and are longer than a day.
    """
    long = np.flatnonzero(step_us > POWER_GAP_US)
    if len(long):
        long = long[step_us[long] > _cadence(step_us)]
    if not len(long):
        return long, long
    inside = np.searchsorted(reported_us, time_us[long + 1], "left") > np.searchsorted(
        reported_us, time_us[long], "right"
    )
    return long[~inside & (step_us[long] > HOUR_US)], long[inside & (step_us[long] > _DAY_US)]


def _cadence(step_us: Int64) -> int:
    """
    Return the longest time between power samples of a device that sends regularly; 0 if above an
    hour. [us]
    """
    usual = int(np.median(step_us))
    return usual * 3 // 2 if usual <= HOUR_US * _LATE else 0


def _begin(time_us: Int64, reported_us: Int64) -> int:
    """
    Return the time from which power is expected: its first sample, or an earlier
    register reading.
    """
    first = int(time_us[0])
    if len(reported_us) and reported_us[0] < first - HOUR_US:
        return int(reported_us[0])
    return first


def _end(time_us: Int64, reported_us: Int64) -> int:
    last = int(time_us[-1])
    if len(reported_us) and reported_us[-1] > last + HOUR_US:
        return int(reported_us[-1])
    return last


class _Cut(NamedTuple):
    """Position of each interval edge: index and length of its step, and time since its start."""

    step: Int64
    step_us: Int64
    past_us: Int64

    @staticmethod
    def of(time_us: Int64, edges: Int64) -> _Cut:
        """Return the step in which each edge lies; `time_us`: times between which the steps are."""
        at = (np.searchsorted(time_us, edges, side="right") - 1).clip(0, len(time_us) - 2)
        return _Cut(at, time_us[at + 1] - time_us[at], (edges - time_us[at]).clip(min=0))

    def divided(self, of_step: Float64) -> Float64:
        """
        Return the energy of each interval; that of a step is divided in
        proportion to time. [Wh]
        """
        total = np.zeros(len(of_step) + 1)
        np.cumsum(of_step, out=total[1:])
        # equal to np.interp in every digit, in half the time
        begin, end = total[self.step], total[self.step + 1]
        part = (end - begin) / self.step_us * self.past_us + begin
        upto = np.where(self.past_us < self.step_us, part, end)
        result: Float64 = np.diff(upto)
        return result.clip(min=0.0)


def _smooth(variance: Float64) -> Float64:
    """
    Return the variance of each interval as the mean of the intervals around it. [Wh2]

    The variance of a single interval is uncertain.
    """
    total = np.concatenate([[0.0], np.cumsum(variance)])
    at = np.arange(len(variance))
    low, high = np.maximum(at - _AROUND, 0), np.minimum(at + _AROUND + 1, len(variance))
    result: Float64 = np.maximum((total[high] - total[low]) / (high - low), 0.0)
    return result


# tolerance of two meters of accuracy class 2
METERS = 0.04
# permitted difference in standard errors of the integral: of a running sum, of a single interval
SIGMAS, SIGMAS_ALONE = 3.0, 4.0
DAY = 96
_HOUR = 4
_NOTHING = 1e-6


class Tolerance(NamedTuple):
    """Tolerance of a comparison: a share of the energy, and the resolution of the register. [Wh]"""

    share: float
    step_wh: float


def above(
    value_wh: Int64,
    other_wh: Float64,
    variance: Float64,
    known: np.ndarray,
    estimated: np.ndarray,
    into_day: int,
    tolerance: Tolerance,
) -> Int64:
    """
    Return the energy of each 15-minute interval above that of another channel. [Wh]

    Parameters
    ----------
    value_wh : int64 array, n
        Rise of the register.
    other_wh, variance : float64 array, n
        Energy by the other channel, and the variance of that estimate. [Wh, Wh2]
    known : bool array, n
        False where the other channel has no value.
    estimated : bool array, n
        15-minute intervals over which a longer step was distributed; consecutive ones are compared
        together.
    into_day : int
        Number of 15-minute intervals from the start of the day to the first one.
    tolerance : Tolerance

    Returns
    -------
    int64 array, n
        At most the value; the remainder does not exceed the other channel. [Wh]
    """
    claimed = np.where(known, value_wh, 0)
    runs = _runs(estimated & known) if estimated.any() else None
    by_run = _together(claimed, runs).astype(np.float64)
    gauged, variance = (
        _together(np.where(known, column, 0.0), runs) for column in (other_wh, variance)
    )
    days = into_day, -(into_day + len(by_run)) % DAY
    remaining, by_day, errors = (_cut(column, days) for column in (by_run, gauged, variance))
    remaining = _alone(remaining, by_day, errors, tolerance)
    caught = _ahead(remaining, by_day, errors, tolerance).max(axis=1, initial=0.0) > 0
    if caught.any():
        remaining[caught] -= _running(remaining[caught] - by_day[caught])
    whole = remaining.ravel()[days[0] : days[0] + len(by_run)]
    if _ahead(whole, gauged, variance, tolerance).max(initial=0.0) > 0:
        whole = whole - _running(whole - gauged)
    return _apart(_up(by_run - whole, by_run), claimed, runs)


def scatter(
    value_wh: Int64, other_wh: Float64, known: np.ndarray, estimated: np.ndarray, step_wh: float
) -> float:
    """
    Return the standard error of the integral of power samples. [Wh]

    A register counts between samples too.  Therefore the hourly values of the register, scaled to
    the same sum, differ from those of the samples by the sampling error.  Hours begin at the
    15-minute interval with the largest difference, as hourly samples need not be on the hour.

    `value_wh`, `other_wh`, `known`, `estimated`: as for `above`.
    `step_wh`: resolution of the register, which is not counted as sampling error.
    """
    runs = _runs(estimated & known)
    value, gauged = (_together(np.where(known, column, 0), runs) for column in (value_wh, other_wh))
    if not value.any():
        return 0.0
    off = np.pad(value * (gauged.sum() / value.sum()) - gauged, (0, _HOUR))
    whole = len(value) // _HOUR * _HOUR
    hours = [off[begin : begin + whole].reshape(-1, _HOUR).sum(axis=1) for begin in range(_HOUR)]
    counted = np.count_nonzero(value) / _HOUR * step_wh**2 / 6
    return float(np.sqrt(max(0.0, max(float(hour @ hour) for hour in hours) - counted)))


def _runs(estimated: np.ndarray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], estimated, [0]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _together(value: Any, runs: list[tuple[int, int]] | None) -> Any:
    """Return values with the sum of each run at its last interval, and zero at the others."""
    if not runs:
        return value
    result = value.copy()
    for begin, end in runs:
        result[begin:end], result[end - 1] = 0, value[begin:end].sum()
    return result


def _apart(beyond: Int64, value: Int64, runs: list[tuple[int, int]] | None) -> Int64:
    """
    Return the excess of each run, distributed over its intervals in proportion to
    the values. [Wh]
    """
    for begin, end in runs or ():
        more, whole = int(beyond[end - 1]), int(value[begin:end].sum())
        if more:
            beyond[begin:end] = value[begin:end] - value[begin:end] * (whole - more) // whole
    return beyond


def _alone(value: Float64, gauged: Float64, variance: Float64, tolerance: Tolerance) -> Float64:
    """
    Return the energy of each interval, limited to the other channel's plus the register's lag. [Wh]

    The limit applies only to intervals that exceed the other channel by more than the tolerance.
    """
    behind = np.cumsum(gauged, axis=1) - gauged - np.cumsum(value, axis=1) + value
    room = gauged + np.maximum(behind, 0.0)
    allowed_wh = (
        room + tolerance.share * gauged + SIGMAS_ALONE * np.sqrt(variance) + tolerance.step_wh
    )
    remaining: Float64 = np.where(value > allowed_wh, room, value)
    return remaining


def _cut(values: Float64, days: tuple[int, int]) -> Float64:
    return np.pad(values, days).reshape(-1, DAY)


def _ahead(value: Float64, gauged: Float64, variance: Float64, tolerance: Tolerance) -> Float64:
    """
    Return the running sum of the register less that of the other channel and the tolerance. [Wh]

    The tolerance is the sum of a share of the daily total (not of the sum so far, as at dawn the
    relative difference is larger), the statistical uncertainty so far, and one step of the
    register.
    """
    errors = SIGMAS * np.sqrt(np.cumsum(variance, axis=-1))
    share = tolerance.share * gauged.sum(axis=-1, keepdims=True)
    allowed_wh = np.cumsum(gauged, axis=-1) + share + errors + tolerance.step_wh
    ahead: Float64 = np.cumsum(value, axis=-1) - allowed_wh
    return ahead


def _running(ahead: Float64) -> Float64:
    """Return the increase, in each interval, of the highest running sum so far; at least 0. [Wh]"""
    running_wh = np.maximum.accumulate(np.maximum(np.cumsum(ahead, axis=-1), 0.0), axis=-1)
    result: Float64 = np.diff(running_wh, axis=-1, prepend=0.0)
    return result


def _up(beyond: Float64, value_wh: Float64) -> Int64:
    """Return the energy rounded up to whole watt-hours, at most the value of the register. [Wh]"""
    whole = np.ceil(np.maximum(beyond - _NOTHING, 0.0))
    result: Int64 = np.minimum(whole, value_wh).astype(np.int64)
    return result


MODULES_OVER_INVERTER = 1.5
MAX_SHARE_OF_RATED = 1.1
# maximum irradiance around sunrise and sunset, including refraction [1000 W/m2]
_TWILIGHT = 0.05
_SUN, _SKY, _FULL = 1353.0, 1.1, 1000.0
# share of a day's energy above the clear-sky maximum from which the whole day is not credited: the
# materiality threshold (Circular 38/2023/TT-BCT)
FALSE_DAY = 0.05


@lru_cache(maxsize=64)
def max_share_of_rated(latitude: float, longitude: float, first: int, last: int) -> Float64:
    """
    Return the maximum share of rated power in 15-minute intervals [first, last), 0 to 1.1.

    `latitude`, `longitude`: north and east positive. [deg]
    `first`, `last`: interval numbers since the epoch.
    """
    edges = np.arange(first, last + 1, dtype=np.int64) * INTERVAL_US
    height = elevation_deg(edges, latitude, longitude)
    highest = np.maximum(height[:-1], height[1:])
    light = np.maximum(irradiance(highest) / _FULL, _TWILIGHT * (highest > NIGHT_DEG))
    result: Float64 = np.minimum(MODULES_OVER_INVERTER * light, MAX_SHARE_OF_RATED)
    result.flags.writeable = False
    return result


def irradiance(height_deg: Float64) -> Float64:
    """Return the irradiance on a plane facing the sun, under a clear sky. [W/m2]"""
    up = np.maximum(height_deg, 0.0)
    air = 1 / (np.sin(np.radians(up)) + 0.50572 * (up + 6.07995) ** -1.6364)
    result: Float64 = np.where(height_deg > 0, _SKY * _SUN * 0.7 ** (air**0.678), 0.0)
    return result


def above_maximum(
    value_wh: Int64, max_wh: Float64, estimated: np.ndarray, into_day: int, step_wh: float
) -> Int64:
    """
    Return the energy of each 15-minute interval above the clear-sky maximum. [Wh]

    Parameters
    ----------
    value_wh : int64 array, n
    max_wh : float64 array, n
        Rated energy times `max_share_of_rated`.
    estimated : bool array, n
        15-minute intervals over which a longer step was distributed: they are compared together, as
        the distribution within them is unknown.
    into_day : int
        Number of 15-minute intervals from the start of the day to the first one.
    step_wh : float
        Resolution of the register.  A smaller excess of a day is kept, as energy may be counted
        later than it was generated.

    Returns
    -------
    int64 array, n
        The whole day if more than `FALSE_DAY` of it is above the maximum, as the rest is then
        uncertain. [Wh]
    """
    bound_wh = np.floor(max_wh).astype(np.int64)
    beyond: Int64 = np.maximum(value_wh - bound_wh, 0)
    beyond[estimated] = 0
    day = (into_day + np.arange(len(value_wh))) // 96
    if beyond.any():
        of_day = np.bincount(day, beyond)
        beyond[(of_day <= step_wh)[day]] = 0
        false = of_day > np.maximum(FALSE_DAY * np.bincount(day, value_wh), step_wh)
        beyond[false[day]] = value_wh[false[day]]
    if estimated.any():
        _spread(beyond, value_wh, bound_wh, estimated)
    return beyond


def _spread(beyond: Int64, value_wh: Int64, bound_wh: Int64, estimated: np.ndarray) -> None:
    """Limit the energy of each run of estimated intervals; deduct its excess in proportion."""
    run = np.flatnonzero(np.diff(np.concatenate([[0], estimated, [0]]).astype(np.int8)))
    for begin, end in run.reshape(-1, 2).tolist():
        total, room = int(value_wh[begin:end].sum()), int(bound_wh[begin:end].sum())
        if total > room:
            kept = value_wh[begin:end] * room // total
            beyond[begin:end] = np.maximum(beyond[begin:end], value_wh[begin:end] - kept)


# energy to lift a millilitre by a metre: rho g / 3600 at 4 degrees Celsius [Wh]
WH_PER_ML_M = 999.97 * 9.80665 / 3600 / 1e6
# minimum head: below it water may flow without a pump, and friction is unknown
_MIN_HEAD_M = 0.5
# flow used where there is no limit: above that of any river [mL/h]
_UNBOUND = 1e15


def max_flow(power_w: Float64, head_m: Float64) -> Float64:
    """
    Return the highest flow that a pump's power can lift. [mL/h]

    Parameters
    ----------
    power_w, head_m : float64 array, n
        Electric power of the drive [W] and head [m], read together.  Where the head was not read,
        the lowest reading is used, which gives the highest flow.

    Returns
    -------
    float64 array, n
        NaN where the power was not read, or no head was read at all.
    """
    read = np.isfinite(head_m)
    if not read.any():
        return np.full(len(power_w), np.nan)
    head = np.where(read, head_m, head_m[read].min())
    result: Float64 = np.where(
        head < _MIN_HEAD_M, _UNBOUND, power_w / (WH_PER_ML_M * np.maximum(head, _MIN_HEAD_M))
    )
    return np.where(np.isfinite(power_w), result, np.nan)
