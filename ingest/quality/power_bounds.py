"""
Physical maximum of a device: photovoltaics under a clear sky, a pump by its power.

Photovoltaics: the highest energy of each 15-minute interval, for any orientation of the modules.
The direct beam of a clear sky at sea level is 1353 W/m2 times 0.7 to the power of the air mass to
the 0.678 (Meinel & Meinel 1976, Applied Solar Energy); the air mass is by Kasten & Young (1989,
Applied Optics 28, 4735).  A tenth is added for diffuse light.  The limit is that of tracking
modules with 1.5 times the power of their inverter; an inverter delivers at most 110 % of its
rating.

Pumps: the highest amount of water that their power lifts to their head, by a pump and motor without
losses. Lifting water takes rho g H joules per cubic metre, 2.725 Wh per metre of head.  Real pumps
need 10 to 50 % more, so a correct flow meter is far below the limit, and one that counts three
times too much is above it.

Source: hydraulic power, P = rho g Q H, as in ISO 9906 and ANSI/HI 14.6.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ingest.model import INTERVAL_US, Float64, Int64
from ingest.sun import NIGHT_DEG, elevation_deg

MODULES_OVER_INVERTER = 1.5
MOST_OF_RATED = 1.1
# what a sky around sunrise and sunset gives at most, of 1000 W/m2: its beam is refracted and weak
_TWILIGHT = 0.05
_SUN, _SKY, _FULL = 1353.0, 1.1, 1000.0
# share of a day's energy above what its sun can make from which on nothing of the day is
# evidence: the share from which a misstatement is material (Circular 38/2023/TT-BCT)
FALSE_DAY = 0.05


@lru_cache(maxsize=64)
def most_of_rated(latitude: float, longitude: float, first: int, last: int) -> Float64:
    """
    Return the maximum share of rated power in 15-minute intervals [first, last), 0 to 1.1.

    `latitude`, `longitude`: north and east positive. [deg]
    `first`, `last`: interval numbers since the epoch.
    """
    edges = np.arange(first, last + 1, dtype=np.int64) * INTERVAL_US
    height = elevation_deg(edges, latitude, longitude)
    highest = np.maximum(height[:-1], height[1:])
    light = np.maximum(irradiance(highest) / _FULL, _TWILIGHT * (highest > NIGHT_DEG))
    result: Float64 = np.minimum(MODULES_OVER_INVERTER * light, MOST_OF_RATED)
    result.flags.writeable = False
    return result


def irradiance(height_deg: Float64) -> Float64:
    """Return irradiance on a plane facing the sun, under a clear sky. [W/m2]"""
    up = np.maximum(height_deg, 0.0)
    air = 1 / (np.sin(np.radians(up)) + 0.50572 * (up + 6.07995) ** -1.6364)
    result: Float64 = np.where(height_deg > 0, _SKY * _SUN * 0.7 ** (air**0.678), 0.0)
    return result


def above(
    value_wh: Int64, most_wh: Float64, estimated: np.ndarray, into_day: int, step_wh: float
) -> Int64:
    """
    Return the energy of each 15-minute interval above the clear-sky maximum. [Wh]

    Parameters
    ----------
    value_wh : int64 array, n
    most_wh : float64 array, n
        Rated energy times `most_of_rated`.
    estimated : bool array, n
        15-minute intervals over which a longer step was spread: they are compared together, as the
        distribution within them is unknown.
    into_day : int
        Number of 15-minute intervals from the begin of a day to the first one.
    step_wh : float
        Resolution of the register: a smaller amount of a day may be generated earlier than counted,
        and is kept.

    Returns
    -------
    int64 array, n
        The whole day if more than `FALSE_DAY` of it is not solar, as the rest is then uncertain.
        [Wh]
    """
    bound_wh = np.floor(most_wh).astype(np.int64)
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
    """Limit each run of estimated intervals as a whole; deduct an excess in proportion."""
    run = np.flatnonzero(np.diff(np.concatenate([[0], estimated, [0]]).astype(np.int8)))
    for begin, end in run.reshape(-1, 2).tolist():
        total, room = int(value_wh[begin:end].sum()), int(bound_wh[begin:end].sum())
        if total > room:
            kept = value_wh[begin:end] * room // total
            beyond[begin:end] = np.maximum(beyond[begin:end], value_wh[begin:end] - kept)


# rho g / 3600 at 4 Cel, for a millilitre and a metre of head
WH_PER_ML_M = 999.97 * 9.80665 / 3600 / 1e6
# below this nothing lifts: water runs by itself, and what friction takes is not known
_LEAST_HEAD_M = 0.5
# more than any river carries: that water is not bound
_UNBOUND = 1e15


def most_flow(power_w: Float64, head_m: Float64) -> Float64:
    """
    Return the highest flow that a pump's power can lift. [mL/h]

    Parameters
    ----------
    power_w, head_m : float64 array, n
        Electric power of the drive [W] and head [m], read together.  Where the head was not read,
        the lowest reading is used, which allows the highest flow.

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
        head < _LEAST_HEAD_M, _UNBOUND, power_w / (WH_PER_ML_M * np.maximum(head, _LEAST_HEAD_M))
    )
    return np.where(np.isfinite(power_w), result, np.nan)
