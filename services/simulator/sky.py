"""
Sun and clouds over one site, and what falls on a tilted plane.

Irradiance on a tilted plane, from what a cloudless sky would give.

After pvlib's functions of the same names (BSD 3-Clause, pvlib.LICENSE.txt), in their order of
operations: the figures are pvlib's to the last bit.

Sun and clouds over one site.

Clear-sky global irradiance after Haurwitz (1945), the diffuse part after Erbs et
al. (1982), the plane of array with an isotropic sky, to the bit as pvlib has them.  Clouds are a
clearness of the day and a wander of twenty minutes' memory, shared by all
devices of the site as the real sky is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from services.simulator.model import Floats, stream, wander
from services.simulator.sun import Sun, position

_SOLAR_CONSTANT = 1366.1  # [W/m2]
_LEAST_COSINE = 0.065  # of the zenith, for the clearness index
_LOWEST_SUN_DEG = 87.0  # past it no direct irradiance
_ALBEDO = 0.25
_TILT_DEG = 10.0
_CLOUD_MEMORY_S = 1_200.0


def haurwitz(apparent_zenith: Floats) -> Floats:
    """
    Global irradiance under a clear sky. [W/m2]

    B. Haurwitz, "Insolation in relation to cloudiness and cloud density", 1945.

    Parameters
    ----------
    apparent_zenith : float array, n
        [deg]
    """
    cosine = np.cos(np.radians(apparent_zenith))
    ghi = np.zeros_like(apparent_zenith)
    day = cosine > 0
    ghi[day] = 1098.0 * cosine[day] * np.exp(-0.059 / cosine[day])
    return ghi


def erbs(ghi: Floats, zenith: Floats, day_of_year: Floats) -> tuple[Floats, Floats]:
    """
    Direct normal and diffuse horizontal parts of a global irradiance. [W/m2]

    D. G. Erbs, S. A. Klein and J. A. Duffie, Solar Energy 28(4), 1982, equation 1.

    Parameters
    ----------
    ghi : float array, n
        [W/m2]
    zenith : float array, n
        [deg]
    day_of_year : float array, n
        1 to 366.
    """
    cosine = np.cos(np.radians(zenith))
    kt = ghi / (_extra(day_of_year) * np.maximum(cosine, _LEAST_COSINE))
    kt = np.minimum(np.maximum(kt, 0), 1)
    middle = 0.9511 - 0.1604 * kt + 4.388 * kt**2 - 16.638 * kt**3 + 12.336 * kt**4
    share = np.where((kt > 0.22) & (kt <= 0.8), middle, 1 - 0.09 * kt)  # noqa: PLR2004 - the paper's
    dhi = np.where(kt > 0.8, 0.165, share) * ghi  # noqa: PLR2004 - the paper's
    dni = (ghi - dhi) / cosine
    bad = (zenith > _LOWEST_SUN_DEG) | (ghi < 0) | (dni < 0)
    return np.where(bad, 0, dni), np.where(bad, ghi, dhi)


def plane(tilt: float, azimuth: float, sun: Sun, dni: Floats, ghi: Floats, dhi: Floats) -> Floats:
    """
    Irradiance on a tilted plane: the beam, an isotropic sky and the ground. [W/m2]

    Parameters
    ----------
    tilt, azimuth : float
        From the horizontal; clockwise from north. [deg]
    dni, ghi, dhi : float array, n
        [W/m2]
    """
    slope, zenith = np.radians(tilt), np.radians(sun.apparent_zenith)
    turn = np.cos(np.radians(sun.azimuth - azimuth))
    facing = np.cos(slope) * np.cos(zenith) + np.sin(slope) * np.sin(zenith) * turn
    angle = np.rad2deg(np.arccos(np.clip(facing, -1, 1)))
    beam = np.maximum(dni * np.cos(np.radians(angle)), 0)
    sky = dhi * (1 + np.cos(slope)) * 0.5
    ground = ghi * _ALBEDO * (1 - np.cos(slope)) * 0.5
    total: Floats = beam + (sky + ground)
    return total


def _extra(day_of_year: Floats) -> Floats:
    """Irradiance outside the atmosphere; J. W. Spencer, Search 2, 1971. [W/m2]"""
    b = (2.0 * np.pi / 365.0) * (day_of_year - 1)
    nearness = (
        1.00011
        + 0.034221 * np.cos(b)
        + 0.00128 * np.sin(b)
        + 0.000719 * np.cos(2 * b)
        + 7.7e-05 * np.sin(2 * b)
    )
    return _SOLAR_CONSTANT * nearness


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
