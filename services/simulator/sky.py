"""
Sun and clouds over one site.

Clear-sky global irradiance after Haurwitz (1945), the diffuse part after Erbs et
al. (1982), the plane of array with an isotropic sky, all by pvlib.  Clouds are a
clearness of the day and a wander of twenty minutes' memory, shared by all
devices of the site as the real sky is.
"""

from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType

import numpy as np

from services.simulator.chance import stream, wander
from services.simulator.model import Floats, SimulatorError

_TILT_DEG = 10.0
_CLOUD_MEMORY_S = 1_200.0


@dataclass(frozen=True, slots=True)
class Sky:
    """Plane-of-array irradiance [W/m2] and air temperature [deg C] at the read times."""

    irradiance_w_m2: Floats
    air_c: Floats


def load_pvlib() -> ModuleType:
    """Import pvlib when the first PV device needs it; it takes a second."""
    try:
        import pvlib  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise SimulatorError(
            "simulating a pv_inverter needs pvlib, which is not installed: "
            "pip install 'tonne[simulate]'"
        ) from error
    module: ModuleType = pvlib
    return module


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
    pvlib = load_pvlib()
    import pandas as pd  # noqa: PLC0415  # comes with pvlib

    times = pd.date_range(
        pd.Timestamp(first_ms, unit="ms", tz="UTC"), periods=count, freq=pd.Timedelta(step_s, "s")
    )
    sun = pvlib.solarposition.get_solarposition(times, latitude, longitude)
    clear = pvlib.clearsky.haurwitz(sun["apparent_zenith"])["ghi"]
    clearness = _clearness(seed, latitude, longitude, day, count, step_s)
    ghi = clear * clearness
    parts = pvlib.irradiance.erbs(ghi, sun["zenith"], times.day_of_year.to_numpy())
    plane = pvlib.irradiance.get_total_irradiance(
        surface_tilt=_TILT_DEG,
        surface_azimuth=180.0 if latitude >= 0 else 0.0,
        solar_zenith=sun["apparent_zenith"],
        solar_azimuth=sun["azimuth"],
        dni=parts["dni"],
        ghi=ghi,
        dhi=parts["dhi"],
    )["poa_global"]
    irradiance = np.nan_to_num(plane.to_numpy(dtype=np.float64), nan=0.0).clip(min=0.0)
    # Air follows the sun: 30 deg C at the equator, colder polewards, warmer when it shines.
    air = 31.0 - 0.012 * latitude * latitude + 0.008 * irradiance
    return Sky(irradiance, air)


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
