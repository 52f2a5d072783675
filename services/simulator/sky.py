"""
Sun and clouds over one site.

Clear-sky global irradiance after Haurwitz (1945), the diffuse part after Erbs et
al. (1982), the plane of array with an isotropic sky, to the bit as pvlib has them.  Clouds are a
clearness of the day and a wander of twenty minutes' memory, shared by all
devices of the site as the real sky is.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from services.simulator.chance import stream, wander
from services.simulator.irradiance import erbs, haurwitz, plane
from services.simulator.model import Floats
from services.simulator.sun import position

_TILT_DEG = 10.0
_CLOUD_MEMORY_S = 1_200.0


@dataclass(frozen=True, slots=True)
class Sky:
    """Plane-of-array irradiance [W/m2] and air temperature [deg C] at the read times."""

    irradiance_w_m2: Floats
    air_c: Floats


@lru_cache(maxsize=256)
def sky(
    seed: int, latitude: float, longitude: float, day: int, first_ms: int, count: int, step_s: int
) -> Sky:
    """
    Sky over a site on an even grid of times within one day.

    Parameters
    ----------
    latitude, longitude : float
        [deg north, deg east]
    day : int
        Number of the local day, whose clouds these are.
    first_ms, step_s : int
        First time [ms since 1970 UTC] and step [s].
    """
    times = first_ms / 1_000 + step_s * np.arange(count, dtype=np.float64)
    sun = position(times, latitude, longitude)
    ghi = haurwitz(sun.apparent_zenith) * _clearness(seed, latitude, longitude, day, count, step_s)
    dni, dhi = erbs(ghi, sun.zenith, _day_of_year(times))
    azimuth = 180.0 if latitude >= 0 else 0.0
    towards = plane(_TILT_DEG, azimuth, sun, dni, ghi, dhi)
    irradiance = np.nan_to_num(towards, nan=0.0).clip(min=0.0)
    # Air follows the sun: 30 deg C at the equator, colder polewards, warmer when it shines.
    air = 31.0 - 0.012 * latitude * latitude + 0.008 * irradiance
    return Sky(irradiance, air)


def _day_of_year(unix_s: Floats) -> Floats:
    """1 to 366, by UTC."""
    day = unix_s.astype("datetime64[s]").astype("datetime64[D]")
    since: Floats = (day - day.astype("datetime64[Y]")).astype(np.float64)
    return since + 1


def _clearness(
    seed: int, latitude: float, longitude: float, day: int, count: int, step_s: int
) -> Floats:
    """Share of the clear-sky irradiance that the clouds let through, 0.05 to 1."""
    place = f"{latitude:.4f},{longitude:.4f}"
    of_the_day = 0.25 + 0.75 * stream(seed, place, day, "clearness").beta(4.0, 1.6)
    clouds = wander(stream(seed, place, day, "clouds"), count, step_s, _CLOUD_MEMORY_S)
    # A clear day is steady, a mixed one flickers most.
    flicker = 0.9 * of_the_day * (1.0 - of_the_day)
    return np.clip(of_the_day + flicker * clouds, 0.05, 1.0)
