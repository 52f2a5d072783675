"""PV plants in operation: clear-sky irradiance, and yearly change of the performance ratio."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from itertools import pairwise
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mrv.exante.sun import Roof, load_pvlib

QUARTERS = 96
_MIDDLE = np.timedelta64(450, "s")
YEAR_D = 365
# if the day a year ago is missing, the latest of the eight days before it is used
_DAY, _MONTH = np.timedelta64(1, "D"), np.timedelta64(1, "M")
_TOLERANCE_D = 8
# values below the largest one divided by this number are a standstill
_SMALL = 1000
_DRAWS = 1000
_INTERVAL_PERCENT = (2.5, 97.5)


def plane_w_m2(roof: Roof, first: date, days: int) -> NDArray[np.float64]:
    """
    Return the clear-sky irradiance on the plane of an array. [W/m2]

    `first`: first day, in UTC.
    Raises MethodologyError if pvlib is not installed.

    Returns
    -------
    float64 array, days x 96
        Irradiance at the middle of each interval, in UTC.
    """
    pvlib = load_pvlib()
    import pandas as pd  # noqa: PLC0415 - comes with pvlib

    begins = np.datetime64(first) + np.arange(days * QUARTERS) * np.timedelta64(900, "s")
    times = pd.DatetimeIndex(begins + _MIDDLE, tz="UTC")
    sun = pvlib.solarposition.get_solarposition(times, roof.latitude, roof.longitude)
    zenith = sun["apparent_zenith"]
    extra = pvlib.irradiance.get_extra_radiation(times.day_of_year.to_numpy())
    turbidity = pvlib.clearsky.lookup_linke_turbidity(
        times, roof.latitude, roof.longitude, interp_turbidity=False
    )
    mass = pvlib.atmosphere.get_absolute_airmass(pvlib.atmosphere.get_relative_airmass(zenith))
    clear = pvlib.clearsky.ineichen(zenith, mass, turbidity, dni_extra=extra)
    plane = pvlib.irradiance.get_total_irradiance(
        roof.tilt, roof.azimuth, zenith, sun["azimuth"], clear["dni"],
        clear["ghi"], clear["dhi"], dni_extra=extra, model="haydavies",
    )["poa_global"]  # fmt: skip
    result: NDArray[np.float64] = plane.fillna(0.0).clip(lower=0.0).to_numpy()
    return result.reshape(days, QUARTERS)


@dataclass(frozen=True, slots=True)
class Trend:
    """Change per year, with its 95 % confidence interval [%/a], and number of pairs."""

    percent_per_year: float
    low: float
    high: float
    pairs: int


def year_on_year(days: NDArray[np.datetime64], ratio: NDArray[np.float64]) -> Trend | None:
    """
    Return the year-on-year change of a ratio; None for less than two years of days.

    Parameters
    ----------
    days : datetime64[D] array, n
        Days in order, without duplicates.
    ratio : float64 array, n
        Performance ratio of the day, corrected to one temperature. [-]

    Notes
    -----
    The confidence interval is that of the bootstrapped median, from a fixed seed.  Adjacent days
    have similar weather, so it is slightly too narrow.
    """
    kept = np.isfinite(ratio)
    days, ratio = days[kept].astype("datetime64[D]"), ratio[kept]
    if days.size == 0 or days[-1] < _years_after(days[:1], 2)[0] - _DAY:
        return None
    first = ratio[days < days[0] + YEAR_D * _DAY]
    level = float(np.median(first[first > np.quantile(first, 0.99) / _SMALL]))
    shifted = _years_after(days, 1)
    remaining = np.searchsorted(shifted, days, side="right") - 1
    there = remaining >= 0
    there[there] = (days[there] - shifted[remaining[there]]).astype(int) <= _TOLERANCE_D
    if not there.any():
        return None
    years = (days[there] - days[remaining[there]]).astype(float) / YEAR_D
    change = 100.0 * (ratio[there] - ratio[remaining[there]]) / level / years
    low, high = np.percentile(_medians(change), _INTERVAL_PERCENT)
    return Trend(float(np.median(change)), float(low), float(high), int(change.size))


def _years_after(days: NDArray[np.datetime64], years: int) -> NDArray[np.datetime64]:
    """Return the same dates some years later; 29 February becomes the last day of February."""
    months = days.astype("datetime64[M]")
    later = months + 12 * years * _MONTH
    day = (days - months.astype("datetime64[D]")).astype(int)
    last = ((later + _MONTH).astype("datetime64[D]") - later.astype("datetime64[D]")).astype(
        int
    ) - 1
    return np.asarray(later.astype("datetime64[D]") + np.minimum(day, last) * _DAY)


def _medians(change: NDArray[np.float64]) -> NDArray[np.float64]:
    draw = np.random.default_rng(1)
    return np.array(
        [np.median(change[draw.integers(0, change.size, change.size)]) for _ in range(_DRAWS)]
    )


# window of the rolling median, and the longest outage inside one interval
_WINDOW_D = 13
_MIN_INTERVAL_D = 7
# Tukey's fence: a larger step of the median is a cleaning
_FENCE = 1.5
_MAX_RELATIVE_ERROR = 5.0
_MAX_FALL = 0.05

_PERCENTILES = (50.0, 2.5, 97.5)
# minimum shares; below them rdtools warns that the figure is unreliable, or most days are filled in
_MIN_VALID = 0.8
_MIN_DAYS = 0.5

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]


class NoEstimate(StrEnum):
    """Reason why the share lost to soiling cannot be estimated."""

    SHORT = "short"
    "Less than one year of data."
    GAPS = "gaps"
    "Half or more of the days have no ratio."
    UNCLEAR = "unclear"
    "A fifth or more of the days are in intervals without a rate of soiling."


@dataclass(frozen=True, slots=True)
class Soiling:
    """Share of energy lost to dust, with its 95 % interval [%], and number of intervals."""

    percent: float
    low: float
    high: float
    intervals: int


class _Fit(NamedTuple):
    slope: float
    low: float
    high: float
    level: float


class Interval(NamedTuple):
    """
    Days between two cleanings.

    `first` and `last`: indices of days; `slope`, `low`, `high`: shares a day [1/d]; `begin` and
    `end`: fitted ratio on the first and last day, divided by its median of the first year.
    """

    first: int
    last: int
    slope: float
    low: float
    high: float
    begin: float
    end: float
    valid: bool


def soiling(days: NDArray[np.datetime64], ratio: Float, insolation: Float) -> Soiling | NoEstimate:
    """
    Return the share of energy lost to soiling, weighted by irradiation, or the reason for none.

    Parameters
    ----------
    days : datetime64[D] array, n
        Days in order, without duplicates.
    ratio : float64 array, n
        Measured over expected energy of the day, corrected to one temperature; NaN: not known. [-]
    insolation : float64 array, n
        Sun of the day on the plane of the array. [any unit]
    """
    kept = np.flatnonzero(np.isfinite(ratio))
    if len(kept) == 0:
        return NoEstimate.SHORT
    span = slice(kept[0], kept[-1] + 1)
    days, ratio, insolation = days[span], ratio[span], insolation[span]
    place = (days.astype("datetime64[D]") - days[0].astype("datetime64[D]")).astype(int)
    if place[-1] + 1 < YEAR_D:
        return NoEstimate.SHORT
    daily, sun = np.full(place[-1] + 1, np.nan), np.zeros(place[-1] + 1)
    daily[place] = ratio
    sun[place] = np.where(np.isfinite(insolation), insolation, 0.0)
    if np.isfinite(daily).mean() <= _MIN_DAYS:
        return NoEstimate.GAPS
    if np.nanmedian(daily[:YEAR_D]) <= 0:
        return NoEstimate.UNCLEAR
    result = intervals(daily)
    valid = sum(interval.last - interval.first + 1 for interval in result if interval.valid)
    if valid <= _MIN_VALID * len(daily):
        return NoEstimate.UNCLEAR
    middle, low, high = np.percentile(_draws(result, sun), _PERCENTILES)
    return Soiling(
        100 * (1 - float(middle)),
        100 * (1 - float(high)),
        100 * (1 - float(low)),
        sum(interval.valid for interval in result),
    )


def intervals(daily: Float) -> list[Interval]:
    """Return the intervals of a daily ratio (NaN: missing) between cleanings and long outages."""
    norm = daily / np.nanmedian(daily[:YEAR_D])
    delta = np.diff(_rolling_median(_filled(norm)), prepend=np.nan)
    steps = np.abs(delta[np.isfinite(delta)])
    lower, upper = np.quantile(steps, (0.25, 0.75)) if len(steps) else (np.inf, np.inf)
    begins = np.nan_to_num(delta) > upper + _FENCE * (upper - lower)
    begins |= _outages(norm)
    begins[0] = True
    firsts = np.flatnonzero(begins)
    lasts = np.append(firsts[1:], len(norm)) - 1
    return [
        _interval(norm, np.nan_to_num(delta), int(first), int(last))
        for first, last in zip(firsts, lasts, strict=True)
    ]


def _interval(norm: Float, delta: Float, first: int, last: int) -> Interval:
    day = np.arange(first, last + 1)
    days = day[np.nan_to_num(norm[first : last + 1]) > 0]
    if len(days) <= _MIN_INTERVAL_D:
        return Interval(first, last, 0.0, 0.0, 0.0, 1.0, 1.0, valid=False)
    fit = _theil_sen(days.astype(float), norm[days])
    high = min(0.0, fit.high)
    sound = fit.slope <= 0 and high - fit.low < _MAX_RELATIVE_ERROR * abs(fit.slope)
    if not sound or delta[days].min() <= -_MAX_FALL:
        return Interval(first, last, 0.0, 0.0, 0.0, 1.0, 1.0, valid=False)
    begin, end = fit.level + fit.slope * first, fit.level + fit.slope * last
    return Interval(first, last, fit.slope, fit.low, high, begin, end, valid=True)


def _filled(norm: Float) -> Float:
    """Return the values with gaps filled by the last value, up to the allowed length."""
    there = np.isfinite(norm)
    before = np.maximum.accumulate(np.where(there, np.arange(len(norm)), 0))
    near = np.arange(len(norm)) - before <= _WINDOW_D
    return np.where(near, norm[before], np.nan)


def _rolling_median(values: Float) -> Float:
    """Return the median of the window around each day; NaN at gaps and at the ends."""
    half = _WINDOW_D // 2
    result = np.full(len(values), np.nan)
    if len(values) >= _WINDOW_D:
        windows = np.lib.stride_tricks.sliding_window_view(values, _WINDOW_D)
        result[half : len(values) - half] = np.median(windows, axis=1)
    return result


def _outages(norm: Float) -> Bool:
    """Return a mask of the last day before, and the first day after, each long outage."""
    there = np.flatnonzero(np.isfinite(norm))
    long = np.flatnonzero(np.diff(there) > _WINDOW_D + 1)
    ends = np.zeros(len(norm), dtype=np.bool_)
    ends[there[long]] = ends[there[long + 1]] = True
    return ends


def _theil_sen(x: Float, y: Float) -> _Fit:
    """Return the Theil-Sen slope with Sen's 95 % interval (Sen 1968), as in scipy."""
    later = x[:, None] - x > 0
    slopes = np.sort(((y[:, None] - y)[later]) / (x[:, None] - x)[later])
    slope = float(np.median(slopes))
    n, pairs = len(y), len(slopes)
    _, ties = np.unique(y, return_counts=True)
    spread = n * (n - 1) * (2 * n + 5) - int((ties * (ties - 1) * (2 * ties + 5)).sum())
    reach = NormalDist().inv_cdf(0.975) * np.sqrt(spread / 18)
    low = slopes[max(int(np.round((pairs - reach) / 2)) - 1, 0)]
    high = slopes[min(int(np.round((pairs + reach) / 2)), pairs - 1)]
    return _Fit(slope, float(low), float(high), float(np.median(y) - slope * np.median(x)))


def _draws(result: list[Interval], sun: Float) -> Float:
    """Return the soiling ratio of each random history, weighted by irradiation."""
    draw = np.random.default_rng(1)
    valid = [k for k, interval in enumerate(result) if interval.valid]
    slopes = [draw.uniform(interval.low, interval.high, _DRAWS) for interval in result]
    begin, end = np.ones((len(result), _DRAWS)), np.ones((len(result), _DRAWS))
    level = np.ones(_DRAWS)
    for k, after in zip(valid, [*valid[1:], None], strict=True):
        begin[k] = level
        end[k] = level + slopes[k] * (result[k].last - result[k].first)
        inferred = 1.0 if after is None else min(max(result[after].begin, 0.0), 1.0) - result[k].end
        clean = np.clip(end[k] + min(max(inferred, 0.0), 1.0), 0.0, 1.0)
        level = 1 - np.abs(draw.normal(0.0, (1 - clean) / 3))
    _between(draw, valid, begin, end)
    ratio: Float = np.zeros(_DRAWS)
    for k, interval in enumerate(result):
        weight = sun[interval.first : interval.last + 1]
        ratio += begin[k] * weight.sum() + slopes[k] * (weight * np.arange(len(weight))).sum()
    return np.asarray(ratio / sun.sum())


def _between(draw: np.random.Generator, valid: list[int], begin: Float, end: Float) -> None:
    """Set each interval without a rate to a random level between those of its neighbours."""
    ones = np.ones(begin.shape[1])
    bounds = [-1, *valid, len(begin)]
    for before, after in pairwise(bounds):
        if after - before > 1:
            low = end[before] if before >= 0 else ones
            high = begin[after] if after < len(begin) else ones
            begin[before + 1 : after] = low + (high - low) * draw.uniform(size=len(ones))
