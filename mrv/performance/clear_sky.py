"""
Irradiance on the plane of an array under a clear sky, by pvlib.

Ineichen and Perez (2002) with the monthly Linke turbidity that pvlib carries (SoDa; no
network), diffuse sky after Hay and Davies (1980), ground of albedo 0.25.
"""

from __future__ import annotations

from datetime import date

import numpy as np
from numpy.typing import NDArray

from mrv.exante.sun import Roof, load_pvlib

QUARTERS = 96
_MIDDLE = np.timedelta64(450, "s")


def plane_w_m2(roof: Roof, first: date, days: int) -> NDArray[np.float64]:
    """
    Return irradiance on the plane of an array. [W/m2]

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
    found: NDArray[np.float64] = plane.fillna(0.0).clip(lower=0.0).to_numpy()
    return found.reshape(days, QUARTERS)
