"""
Clear-sky irradiance of a PV plant, and year-on-year change of its performance ratio.

Irradiance: Ineichen and Perez (2002) with the monthly Linke turbidity of pvlib (SoDa; no network),
diffuse sky after Hay and Davies (1980), ground albedo 0.25.

Degradation: each day is compared with the same day a year later; the median of the changes is the
result.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from mrv.exante.sun import Roof, load_pvlib

QUARTERS = 96
_MIDDLE = np.timedelta64(450, "s")
YEAR_D = 365
# a day that is missing a year ago is stood for by one of the eight before it
_DAY, _MONTH = np.timedelta64(1, "D"), np.timedelta64(1, "M")
_TOLERANCE_D = 8
# values this far below the largest are standstill, not a level
_SMALL = 1000
_DRAWS = 1000
_INTERVAL_PERCENT = (2.5, 97.5)


def plane_w_m2(roof: Roof, first: date, days: int) -> NDArray[np.float64]:
    """
    Return the clear-sky irradiance on the plane of an array. [W/m2]

    Parameters
    ----------
    first : date
        First day, in UTC.

    Returns
    -------
    float64 array, days x 96
        By quarter hour of UTC, at its middle.

    Raises
    ------
    MethodologyError
        If pvlib is not installed.
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
    The interval is that of the bootstrapped median, from a fixed seed.  Adjacent days have similar
    weather, so the interval is rather too narrow.
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
    """Return the same dates some years later; 29 February becomes the last of February."""
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
