"""
Sun, clouds and irradiance at a site.

Sun position: Solar Position Algorithm of Reda and Andreas, NREL/TP-560-34302 (2008),
doi:10.2172/15003974, at sea level in a standard atmosphere. Clear-sky global irradiance: Haurwitz
(1945); diffuse part: Erbs et al. (1982); tilted plane: isotropic sky. All in pvlib's order of
operations (BSD 3-Clause, pvlib.LICENSE.txt), with identical results; tests compare both. pvlib
itself is not used, as it needs 200 MB of dependencies. `ingest/sun.py` is a separate, simpler sun
position.

Clouds are a clearness of the day with a correlation time of twenty minutes, shared by all devices
of the site.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files

import numpy as np

from services.simulator import Floats, stream, wander

_DELTA_T_S = 67.0  # difference between terrestrial time and UT1 [s]
_PRESSURE_HPA = 1013.25
_AIR_C = 12
_REFRACTION_DEG = 0.5667  # refraction at sunrise and sunset [deg]
# mean elongation of the moon, mean anomalies of sun and moon, the moon's argument of latitude and
# its ascending node: constant, first and second order, divisor of the third order (eq. 15-19)
_MEAN = (
    (297.85036, 445267.111480, -0.0019142, 189474),
    (357.52772, 35999.050340, -0.0001603, -300000),
    (134.96298, 477198.867398, 0.0086972, 56250),
    (93.27191, 483202.017538, -0.0036825, 327270),
    (125.04452, -1934.136261, 0.0020708, 450000),
)
_OBLIQUITY = (-4680.93, -1.55, 1999.25, -51.38, -249.67, -39.05, 7.12, 27.87, 5.79, 2.45)


@dataclass(frozen=True, slots=True)
class Sun:
    """Angles of the sun at the given times. [deg]"""

    zenith: Floats
    apparent_zenith: Floats  # corrected for refraction
    azimuth: Floats  # clockwise from north


def position(unix_s: Floats, latitude: float, longitude: float) -> Sun:
    """
    Return the sun's angles at a place at sea level.

    Parameters
    ----------
    unix_s : float array, n
        Times since 1970 UTC. [s]
    latitude, longitude : float
        [deg north, deg east]

    Returns
    -------
    Sun
        Arrays of n.
    """
    day = unix_s * 1.0 / 86400 + 2440587.5
    century = (day + _DELTA_T_S * 1.0 / 86400 - 2451545) * 1.0 / 36525
    millennium = century * 1.0 / 10
    radius = _series("R", millennium) / 10**8
    longitude_of_earth = np.rad2deg(_series("L", millennium) / 10**8) % 360
    beta = np.radians(-1.0 * np.rad2deg(_series("B", millennium) / 10**8))
    nutation, wobble = _nutation(century)
    tilt = np.radians(_obliquity(millennium) * 1.0 / 3600 + wobble)
    aberration = -20.4898 / (3600 * radius)
    apparent = np.radians((longitude_of_earth + 180.0) % 360 + nutation + aberration)
    ascension = _ascension(apparent, tilt, beta)
    declination = np.radians(_declination(apparent, tilt, beta))
    sidereal = _sidereal(day) + nutation * np.cos(tilt)
    hour = (sidereal + longitude - ascension) % 360
    return _topocentric(latitude, hour, declination, np.radians(8.794 / (3600 * radius)))


@cache
def _terms(of: str) -> tuple[tuple[float, ...], ...]:
    """Return the rows of the paper's tables A4.2 (L0 to R4) and A4.3 (nutation)."""
    text = files("services.simulator").joinpath("spa_terms.csv").read_text("utf-8")
    rows = csv.reader(line for line in text.splitlines() if not line.startswith("#"))
    return tuple(tuple(map(float, row[1:])) for row in rows if row[0] == of)


def _series(letter: str, millennium: Floats) -> Floats:
    """Return the sum of a planetary series; table A4.2, equations 9 to 12."""
    total = np.zeros_like(millennium)
    for order in range(6):
        part = np.zeros_like(millennium)
        for amplitude, phase, speed in _terms(f"{letter}{order}"):
            part += amplitude * np.cos(phase + speed * millennium)
        total = total + part * millennium**order if order else part
    return total


def _nutation(century: Floats) -> tuple[Floats, Floats]:
    """Return the nutation in longitude and in obliquity; table A4.3, equations 15 to 23. [deg]"""
    moon_and_sun = [
        c0 + c1 * century + c2 * century**2 + century**3 / c3 for c0, c1, c2, c3 in _MEAN
    ]
    along, across = np.zeros_like(century), np.zeros_like(century)
    for *weights, a, b, c, d in _terms("Y"):
        angle = np.radians(_weighed(weights, moon_and_sun))
        along += (a + b * century) * np.sin(angle)
        across += (c + d * century) * np.cos(angle)
    return along * 1.0 / 36000000, across * 1.0 / 36000000


def _weighed(weights: list[float], values: list[Floats]) -> Floats:
    total = weights[0] * values[0]
    for weight, value in zip(weights[1:], values[1:], strict=True):
        total = total + weight * value
    return total


def _obliquity(millennium: Floats) -> Floats:
    """Return the mean obliquity of the ecliptic; equation 24. [arc seconds]"""
    u = 1.0 * millennium / 10
    total = 84381.448 + _OBLIQUITY[0] * u
    for power, factor in enumerate(_OBLIQUITY[1:], 2):
        total = total + factor * u**power
    return total


def _sidereal(day: Floats) -> Floats:
    """Return the mean sidereal time at Greenwich; equation 28. [deg]"""
    century = (day - 2451545) * 1.0 / 36525
    turned = 280.46061837 + 360.98564736629 * (day - 2451545)
    return (turned + 0.000387933 * century**2 - century**3 / 38710000) % 360.0


def _ascension(apparent: Floats, tilt: Floats, beta: Floats) -> Floats:
    """Return the geocentric right ascension of the sun; equation 30. [deg]"""
    upper = np.sin(apparent) * np.cos(tilt) - np.tan(beta) * np.sin(tilt)
    ascension: Floats = np.degrees(np.arctan2(upper, np.cos(apparent))) % 360
    return ascension


def _declination(apparent: Floats, tilt: Floats, beta: Floats) -> Floats:
    """Return the geocentric declination of the sun; equation 31. [deg]"""
    sine = np.sin(beta) * np.cos(tilt) + np.cos(beta) * np.sin(tilt) * np.sin(apparent)
    declination: Floats = np.degrees(np.arcsin(sine))
    return declination


def _topocentric(latitude: float, hour: Floats, declination: Floats, parallax: Floats) -> Sun:
    """Return the sun's angles at a place on the surface (topocentric); equations 33 to 47."""
    place = np.radians(latitude)
    u = np.arctan(0.99664719 * np.tan(place))
    x, y = np.cos(u), 0.99664719 * np.sin(u)
    turn = np.radians(hour)
    below = np.cos(declination) - x * np.sin(parallax) * np.cos(turn)
    shift = np.degrees(np.arctan2(-x * np.sin(parallax) * np.sin(turn), below))
    above = (np.sin(declination) - y * np.sin(parallax)) * np.cos(np.radians(shift))
    seen = np.radians(np.degrees(np.arctan2(above, below)))
    angle = np.radians(hour - shift)
    sine = np.sin(place) * np.sin(seen) + np.cos(place) * np.cos(seen) * np.cos(angle)
    elevation = np.degrees(np.arcsin(sine))
    from_south = np.degrees(
        np.arctan2(np.sin(angle), np.cos(angle) * np.sin(place) - np.tan(seen) * np.cos(place))
    )
    return Sun(
        zenith=90 - elevation,
        apparent_zenith=90 - (elevation + _refraction(elevation)),
        azimuth=(from_south % 360 + 180) % 360,
    )


def _refraction(elevation: Floats) -> Floats:
    """Return the atmospheric refraction at an elevation; equation 42. [deg]"""
    up = elevation >= -1.0 * (0.26667 + _REFRACTION_DEG)
    at = np.tan(np.radians(elevation + 10.3 / (elevation + 5.11)))
    return (_PRESSURE_HPA / 1010.0) * (283.0 / (273 + _AIR_C)) * 1.02 / (60 * at) * up


_SOLAR_CONSTANT = 1366.1  # [W/m2]
_LEAST_COSINE = 0.065  # minimum cosine of the zenith angle, for the clearness index
_LOWEST_SUN_DEG = 87.0  # zenith angle beyond which there is no direct irradiance [deg]
_ALBEDO = 0.25
_TILT_DEG = 10.0
_CLOUD_MEMORY_S = 1_200.0


def haurwitz(apparent_zenith: Floats) -> Floats:
    """
    Return global irradiance under a clear sky. [W/m2]

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
    Return direct normal and diffuse horizontal parts of a global irradiance. [W/m2]

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
    Return irradiance on a tilted plane: beam, isotropic sky and ground. [W/m2]

    Parameters
    ----------
    tilt, azimuth : float
        Tilt from the horizontal, azimuth clockwise from north. [deg]
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
    """Return the extraterrestrial irradiance; J. W. Spencer, Search 2, 1971. [W/m2]"""
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
    """Plane-of-array irradiance [W/m2] and air temperature [deg C] at the given times."""

    irradiance_w_m2: Floats
    air_c: Floats


@lru_cache(maxsize=256)
def sky(
    seed: int, latitude: float, longitude: float, day: int, first_ms: int, count: int, step_s: int
) -> Sky:
    """
    Return irradiance and temperature at a site on an even grid of times within one day.

    `latitude`, `longitude`: [deg north, deg east]
    `day`: number of the local day, which determines the clouds.
    `first_ms`, `step_s`: first time [ms since 1970 UTC] and step [s].
    """
    times = first_ms / 1_000 + step_s * np.arange(count, dtype=np.float64)
    sun = position(times, latitude, longitude)
    ghi = haurwitz(sun.apparent_zenith) * _clearness(seed, latitude, longitude, day, count, step_s)
    dni, dhi = erbs(ghi, sun.zenith, _day_of_year(times))
    azimuth = 180.0 if latitude >= 0 else 0.0
    towards = plane(_TILT_DEG, azimuth, sun, dni, ghi, dhi)
    irradiance = np.nan_to_num(towards, nan=0.0).clip(min=0.0)
    # air temperature: 30 deg C at the equator, lower towards the poles, higher in sunshine
    air = 31.0 - 0.012 * latitude * latitude + 0.008 * irradiance
    return Sky(irradiance, air)


def _day_of_year(unix_s: Floats) -> Floats:
    """Return the day of the year, 1 to 366, in UTC."""
    day = unix_s.astype("datetime64[s]").astype("datetime64[D]")
    since: Floats = (day - day.astype("datetime64[Y]")).astype(np.float64)
    return since + 1


def _clearness(
    seed: int, latitude: float, longitude: float, day: int, count: int, step_s: int
) -> Floats:
    """Return the ratio of actual to clear-sky irradiance, 0.05 to 1."""
    place = f"{latitude:.4f},{longitude:.4f}"
    # 0.57 on average: about 1,450 of the cloudless 2,500 kWh/m2 a year in Hai Phong
    of_the_day = 0.15 + 0.85 * stream(seed, place, day, "clearness").beta(1.9, 1.9)
    clouds = wander(stream(seed, place, day, "clouds"), count, step_s, _CLOUD_MEMORY_S)
    # irradiance is steady on a clear day, and varies most on a partly clouded day
    flicker = 0.9 * of_the_day * (1.0 - of_the_day)
    return np.clip(of_the_day + flicker * clouds, 0.05, 1.0)
