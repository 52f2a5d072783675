"""
Irradiance on a tilted plane, from what a cloudless sky would give.

After pvlib's functions of the same names (BSD 3-Clause, pvlib.LICENSE.txt), in their order of
operations: the figures are pvlib's to the last bit.
"""

from __future__ import annotations

import numpy as np

from services.simulator.model import Floats
from services.simulator.sun import Sun

_SOLAR_CONSTANT = 1366.1  # [W/m2]
_LEAST_COSINE = 0.065  # of the zenith, for the clearness index
_LOWEST_SUN_DEG = 87.0  # past it no direct irradiance
_ALBEDO = 0.25


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
