"""
Position of the sun, and whether a quarter hour has sunlight.

What the sun makes is made by day: a step that a register took in darkness was not, and one
over days and nights was made in the days.

`services/simulator/sky.py` is another sun, on purpose.  This one is part of the rules of
metering: a hundredth of a degree is enough for a quarter hour, it runs in the hot path, and
to change it would change what statements count.  That one gives pvlib's figures to the last
bit, at many times the work.  Tests hold both against pvlib.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ingest.model import INTERVAL_US

NIGHT_DEG = -6.0  # civil twilight ends
# from 9 to 15 h of the sun's own time it is never night below this latitude, at any season
_EVER_NIGHT_DEG = 60.0
# the sky turns by 3.75 degrees in a quarter hour
_A_QUARTER_DEG = 4.0
_NOON_US = 3 * 3_600_000_000
_DAY_US = 86_400_000_000
# of a day
QUARTERS = 96
_J2000_US = 946_728_000_000_000


def elevation_deg(
    time_us: NDArray[np.int64],
    latitude: float | NDArray[np.float64],
    longitude: float | NDArray[np.float64],
) -> NDArray[np.float64]:
    """
    Return the elevation of the sun's centre without refraction, to about 0.1 degree. [deg]

    The Astronomical Almanac's low-precision formulas (Michalsky 1988, Solar
    Energy 40, 227-235).

    Parameters
    ----------
    time_us : int64 array, n
        [us UTC]
    latitude, longitude : float or float64 array, n
        North and east positive. [deg]
    """
    days = (time_us - _J2000_US) / _DAY_US
    mean = np.radians(357.528 + 0.985_600_3 * days)
    ecliptic = np.radians(
        280.460 + 0.985_647_4 * days + 1.915 * np.sin(mean) + 0.020 * np.sin(2 * mean)
    )
    tilt = np.radians(23.439 - 4e-7 * days)
    declination = np.arcsin(np.sin(tilt) * np.sin(ecliptic))
    ascension = np.arctan2(np.cos(tilt) * np.sin(ecliptic), np.cos(ecliptic))
    sidereal = np.radians(280.460_618 + 360.985_647_37 * days + longitude)
    place = np.radians(latitude)
    sine = np.sin(place) * np.sin(declination) + np.cos(place) * np.cos(declination) * np.cos(
        sidereal - ascension
    )
    return np.asarray(np.degrees(np.arcsin(np.clip(sine, -1.0, 1.0))))


def above(
    time_us: NDArray[np.int64],
    latitude: NDArray[np.float64],
    longitude: NDArray[np.float64],
    least_deg: float,
) -> NDArray[np.bool_]:
    """
    Return whether the sun is above an elevation of at most 0 degrees.

    The hours around noon are known without computing it.

    Parameters
    ----------
    time_us : int64 array, n
        [us UTC]
    latitude, longitude : float64 array, n
        North and east positive. [deg]
    least_deg : float
        [deg]
    """
    # above night the hours around noon are taken for light, which one place's heights need not be
    if least_deg <= NIGHT_DEG and len(time_us) and _one_place(latitude, longitude):
        first = int(time_us.min()) // INTERVAL_US
        if int(time_us.max()) // INTERVAL_US - first < len(time_us):
            return _at_one_place(time_us, float(latitude[0]), float(longitude[0]), least_deg)
    from_noon_us = np.abs((time_us + longitude * (_DAY_US / 360)) % _DAY_US - _DAY_US / 2)
    result: NDArray[np.bool_] = (from_noon_us < _NOON_US) & (np.abs(latitude) < _EVER_NIGHT_DEG)
    rows = np.flatnonzero(~result)
    if len(rows):
        result[rows] = _by_quarters(time_us[rows], latitude[rows], longitude[rows], least_deg)
    return result


def _one_place(latitude: NDArray[np.float64], longitude: NDArray[np.float64]) -> bool:
    """Whether one place was repeated: reported by the array, without a look at each row."""
    return latitude.strides == (0,) and longitude.strides == (0,)


def _at_one_place(
    time_us: NDArray[np.int64], latitude: float, longitude: float, least_deg: float
) -> NDArray[np.bool_]:
    """Return whether the sun is above an elevation, for devices of one place and the same days."""
    quarter = time_us // INTERVAL_US
    first, last = int(quarter.min()) // QUARTERS, int(quarter.max()) // QUARTERS
    days = range(first, last + 1)
    height = np.concatenate([_heights(latitude, longitude, day) for day in days])
    quarter -= first * QUARTERS
    result: NDArray[np.bool_] = (height >= least_deg)[quarter]
    near = np.flatnonzero((np.abs(height - least_deg) < _A_QUARTER_DEG)[quarter])
    result[near] = elevation_deg(time_us[near], latitude, longitude) >= least_deg
    return result


@lru_cache(maxsize=8192)
def _heights(latitude: float, longitude: float, day: int) -> NDArray[np.float64]:
    """Elevations at the begins of a day's quarter hours, UTC; read-only. [deg]"""
    start = day * _DAY_US + np.arange(QUARTERS) * INTERVAL_US
    heights = elevation_deg(start, latitude, longitude)
    heights.flags.writeable = False
    return heights


def _by_quarters(
    time_us: NDArray[np.int64],
    latitude: NDArray[np.float64],
    longitude: NDArray[np.float64],
    least_deg: float,
) -> NDArray[np.bool_]:
    """
    Return whether the sun is above an elevation, computed once a quarter hour where certain.

    It moves by less than 4 degrees in a quarter hour: where it is farther from the elevation at the
    begin, the whole quarter hour is on that side.
    """
    quarter = time_us // INTERVAL_US
    new = np.ones(len(quarter), dtype=np.bool_)
    new[1:] = (
        (quarter[1:] != quarter[:-1])
        | (latitude[1:] != latitude[:-1])
        | (longitude[1:] != longitude[:-1])
    )
    head = np.flatnonzero(new)
    if 2 * len(head) > len(quarter):
        return elevation_deg(time_us, latitude, longitude) >= least_deg
    height = elevation_deg(quarter[head] * INTERVAL_US, latitude[head], longitude[head])
    count = np.diff(np.append(head, len(quarter)))
    result = np.repeat(height >= least_deg, count)
    near = np.flatnonzero(np.repeat(np.abs(height - least_deg) < _A_QUARTER_DEG, count))
    result[near] = elevation_deg(time_us[near], latitude[near], longitude[near]) >= least_deg
    return result


@lru_cache(maxsize=8192)
def lit_of_day(latitude: float, longitude: float, day: int) -> NDArray[np.bool_]:
    """
    Return the light of a day's quarter hours, as by `lit`; read-only.

    Meters of one place ask for the same days one after another.

    Parameters
    ----------
    latitude, longitude : float
        North and east positive. [deg]
    day : int
        Days since the epoch, UTC.
    """
    start = day * _DAY_US + np.arange(QUARTERS) * INTERVAL_US
    place = np.full((2, QUARTERS), [[latitude], [longitude]])
    result = lit(start, *place)
    result.flags.writeable = False
    return result


def lit_us(latitude: float, longitude: float, from_us: int, to_us: int) -> int:
    """Return the time with light between two times, by quarter hours. [us]"""
    start = np.arange(from_us // INTERVAL_US, -(-to_us // INTERVAL_US)) * INTERVAL_US
    place = np.full((2, len(start)), [[latitude], [longitude]])
    known = np.minimum(start + INTERVAL_US, to_us) - np.maximum(start, from_us)
    return int(known[lit(start, *place)].sum())


def lit(
    start_us: NDArray[np.int64], latitude: NDArray[np.float64], longitude: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """
    Return whether quarter hours have light: sun above civil twilight at their middle.

    Parameters
    ----------
    start_us : int64 array, n
        [us UTC]
    latitude, longitude : float64 array, n
        North and east positive. [deg]
    """
    return above(start_us + INTERVAL_US // 2, latitude, longitude, NIGHT_DEG)
