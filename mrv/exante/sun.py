"""
Yearly energy per kilowatt of modules at a location, by pvlib.

Hours of a cloudless year after Ineichen and Perez (2002) with the monthly Linke turbidity that
pvlib includes (SoDa; no network), each month scaled to the known irradiation of the location;
diffuse part after Erbs (1982); plane of array after Hay and Davies (1980); reflection after the
Fresnel equations; module temperature after Faiman (2008); direct current, losses and inverter as
PVWatts (NREL, version 5).  Equal scaling of all hours of a month removes part of the variability of
the sky, which is within the model uncertainty.

`typical_months`: distribution of a PV plant's year over months, if no design states it.

The clear-sky irradiation of any location is known, its cloud cover is not.  So the irradiation of a
month is its clear-sky value times a clearness that increases with it: in temperate zones winter is
cloudier, in the tropics all months are similar.  The line is tonne's own value, fitted to the
months of Freiburg; it gives a clearness index of about 0.3 for December in London and 0.6 in sunny
summers, within the usual range of 0.25 to 0.75 (HOMER, "Clearness index").  Monsoons are not
modelled: use a design with its own twelve months.  Only the proportions are used.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from mrv.errors import MethodologyError

_HOURS = 8760
# Angle of incidence with the reflection of a uniform sky (Brandemuehl and Beckman, 1980). [deg]
_DIFFUSE_ANGLE = 60.0
_WH_PER_KWH = 1000.0
_WIND_M_S = 1.0


@dataclass(frozen=True, slots=True)
class Roof:
    """Orientation of the modules. [deg; azimuth clockwise from north]"""

    latitude: float
    longitude: float
    tilt: float
    azimuth: float


@dataclass(frozen=True, slots=True)
class Plant:
    """Conversion of irradiance to power; losses and efficiency as fractions."""

    losses: float
    inverter_efficiency: float
    temperature_coefficient: float
    dc_to_ac: float
    air_c: float


@dataclass(frozen=True, slots=True)
class Year:
    """Results of a year: irradiation on the roof [kWh/m2], and yields per kilowatt of modules."""

    ghi: tuple[float, ...]
    clear_ghi: tuple[float, ...]
    plane: float
    yield_kwh: float
    yield_by_month: tuple[float, ...]


def load_pvlib() -> Any:
    """
    Return the pvlib module, imported on first use because it takes a second.

    Raises MethodologyError if it is not installed.
    """
    try:
        import pvlib  # noqa: PLC0415 - heavy, and few commands need the sun
    except ModuleNotFoundError as error:
        raise MethodologyError(
            "an estimate of PV needs pvlib, which is not installed; install tonne's extra "
            "`estimate`"
        ) from error
    return pvlib


def year(roof: Roof, plant: Plant, ghi: Sequence[float] | None) -> Year:
    """
    Return irradiation and yields of a year of 365 days.

    `ghi` (sequence of float, 12 or 1): global horizontal irradiation by month, or of the year
    [kWh/m2].  None: a cloudless year, the ceiling that no plant exceeds.
    """
    pvlib = load_pvlib()
    sky = _sky(roof.latitude, roof.longitude)
    month = sky.month
    by_month = sky.clear.groupby(month).sum() / _WH_PER_KWH
    hourly = sky.clear * _shares(by_month, month, ghi)
    plane, effective = _plane(pvlib, sky, hourly, roof)
    power = _power(pvlib, effective, plane, plant)
    return Year(
        ghi=tuple(float(v) for v in hourly.groupby(month).sum() / _WH_PER_KWH),
        clear_ghi=tuple(float(v) for v in by_month),
        plane=float(plane.sum()) / _WH_PER_KWH,
        yield_kwh=float(power.sum()),
        yield_by_month=tuple(float(v) for v in power.groupby(month).sum()),
    )


class _Sky(NamedTuple):
    """Hours of a year at a location: position of the sun, cloudless irradiation, local month."""

    times: Any
    sun: Any
    extra: Any
    clear: Any
    month: Any


@lru_cache(maxsize=8)  # an estimate requests each orientation of the modules for two skies
def _sky(latitude: float, longitude: float) -> _Sky:
    pvlib = load_pvlib()
    import pandas as pd  # noqa: PLC0415 - comes with pvlib

    times = pd.date_range("2025-01-01T00:30", periods=_HOURS, freq="h", tz="UTC")
    sun = pvlib.solarposition.get_solarposition(times, latitude, longitude)
    # by day number: pandas will rename the attribute that pvlib reads from the index
    extra = pvlib.irradiance.get_extra_radiation(times.day_of_year.to_numpy())
    turbidity = pvlib.clearsky.lookup_linke_turbidity(
        times, latitude, longitude, interp_turbidity=False
    )
    zenith = sun["apparent_zenith"]
    mass = pvlib.atmosphere.get_absolute_airmass(pvlib.atmosphere.get_relative_airmass(zenith))
    clear = pvlib.clearsky.ineichen(zenith, mass, turbidity, dni_extra=extra)["ghi"]
    # local months: a longitude of 106 degrees is seven hours ahead
    month = (times + pd.Timedelta(hours=round(longitude / 15))).month
    return _Sky(times, sun, extra, clear, month)


def _shares(by_month: Any, month: Any, ghi: Sequence[float] | None) -> Any:
    """Return the ratio of given to cloudless irradiation, by hour."""
    if ghi is None:
        return 1.0
    if len(ghi) == 1:
        return ghi[0] / float(by_month.sum())
    shares = {m: ghi[m - 1] / by_month[m] if by_month[m] else 0.0 for m in range(1, 13)}
    return month.map(shares).to_numpy()


def _plane(pvlib: Any, sky: _Sky, ghi: Any, roof: Roof) -> tuple[Any, Any]:
    """Return the irradiance on the modules, and the part that passes their glass. [W/m2]"""
    parts = pvlib.irradiance.erbs(ghi, sky.sun["zenith"], sky.times.day_of_year.to_numpy())
    zenith, azimuth = sky.sun["apparent_zenith"], sky.sun["azimuth"]
    plane = pvlib.irradiance.get_total_irradiance(
        roof.tilt, roof.azimuth, zenith, azimuth, parts["dni"], ghi, parts["dhi"],
        dni_extra=sky.extra, model="haydavies",
    ).fillna(0.0)  # fmt: skip
    angle = pvlib.irradiance.aoi(roof.tilt, roof.azimuth, zenith, azimuth)
    passed = pvlib.iam.physical(angle)
    effective = plane["poa_direct"] * passed + plane["poa_diffuse"] * pvlib.iam.physical(
        _DIFFUSE_ANGLE
    )
    return plane["poa_global"].clip(lower=0.0), effective.clip(lower=0.0)


def _power(pvlib: Any, effective: Any, plane: Any, plant: Plant) -> Any:
    """Return the AC power of one kilowatt of modules, by hour. [kW]"""
    cell = pvlib.temperature.faiman(plane, plant.air_c, _WIND_M_S)
    direct = pvlib.pvsystem.pvwatts_dc(effective, cell, 1.0, plant.temperature_coefficient)
    direct = direct.clip(lower=0.0) * (1.0 - plant.losses)
    limit = 1.0 / plant.dc_to_ac / plant.inverter_efficiency
    return pvlib.inverter.pvwatts(direct, limit, plant.inverter_efficiency).clip(lower=0.0)


# Clearness at zero irradiation, and its increase per kWh/m2 of a clear day, fitted to the months of
# Freiburg. [M]  Within the tropics the sun is higher in the wet season: the clear-sky irradiation
# alone is closer to the proportions of the months.
_TROPIC = 23.44  # latitude of the tropics: obliquity of the ecliptic [deg]
_BASE, _SLOPE = 0.46, 0.038
_HIGHEST = 0.8
_USUAL = Plant(0.14, 0.96, -0.0037, 1.1, 15.0)
_COMMON_YEAR = 2025


def cloudy(clear_kwh_m2: Sequence[float]) -> list[float]:
    """Return monthly irradiation with typical cloud cover, from that of a clear sky. [kWh/m2]"""
    result = []
    for month, clear in enumerate(clear_kwh_m2, 1):
        daily = clear / monthrange(_COMMON_YEAR, month)[1]
        result.append(clear * min(_BASE + _SLOPE * daily, _HIGHEST))
    return result


def typical_months(roofs: Sequence[tuple[Roof, float]]) -> list[float]:
    """
    Return the energy of modules with several orientations, by month. [kWh]

    Typical cloud cover is assumed; within the tropics a clear sky, without a monsoon.

    `roofs`: orientation of the modules, and their power. [kW]
    Raises MethodologyError if pvlib is not installed.

    Returns: January first; only the proportions of the months are meaningful.
    """
    total = [0.0] * 12
    for roof, kw in roofs:
        clear = year(roof, _USUAL, None).clear_ghi
        sky = None if abs(roof.latitude) < _TROPIC else cloudy(clear)
        made = year(roof, _USUAL, sky).yield_by_month
        total = [sum_ + kw * energy for sum_, energy in zip(total, made, strict=True)]
    return total
