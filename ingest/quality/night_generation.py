"""
Night generation test: solar power while the sun is well below the horizon.

It finds clocks that are off by hours (a local time sent as UTC) and channels
that are swapped.  The few watts that an inverter draws or shows at night are no
generation, so there is a least power.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

NIGHT_DEG = -6.0  # civil twilight ends
# from 9 to 15 h of the sun's own time it is never night below this latitude, at any season
_EVER_NIGHT_DEG = 60.0
_NOON_US = 3 * 3_600_000_000
_DAY_US = 86_400_000_000
_J2000_US = 946_728_000_000_000


def elevation_deg(
    time_us: NDArray[np.int64],
    latitude: float | NDArray[np.float64],
    longitude: float | NDArray[np.float64],
) -> NDArray[np.float64]:
    """
    Elevation of the sun's centre without refraction, to about 0.1 degree. [deg]

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


def marks(
    power: NDArray[np.float64],
    time_us: NDArray[np.int64],
    least: NDArray[np.float64],
    latitude: NDArray[np.float64],
    longitude: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """
    Mark power above `least` after civil twilight and before it.

    Parameters
    ----------
    power : float64 array, n
    time_us : int64 array, n
        [us UTC]
    least : float64 array, n
        Power that counts as generation, in the unit of `power`; NaN where none is known.
    latitude, longitude : float64 array, n
        Of the site, north and east positive; NaN where it is not known. [deg]
    """
    found = np.zeros(len(power), dtype=np.bool_)
    with np.errstate(invalid="ignore"):
        from_noon_us = np.abs((time_us + longitude * (_DAY_US / 360)) % _DAY_US - _DAY_US / 2)
        bright = (from_noon_us < _NOON_US) & (np.abs(latitude) < _EVER_NIGHT_DEG)
        rows = np.flatnonzero((power > least) & np.isfinite(latitude) & ~bright)
    height = elevation_deg(time_us[rows], latitude[rows], longitude[rows])
    found[rows] = height < NIGHT_DEG
    return found
