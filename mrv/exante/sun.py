"""
Yearly energy per kilowatt of modules at a location, by pvlib.

Hours of a cloudless year after Ineichen and Perez (2002) with the monthly Linke
turbidity that pvlib carries (SoDa; no network), each month scaled to the
irradiation that is known of the place; diffuse part after Erbs (1982); plane of
array after Hay and Davies (1980); reflection after the Fresnel equations; module
temperature after Faiman (2008); direct current, losses and inverter as PVWatts
(NREL, version 5).  Scaling hours evenly takes part of the changing sky away:
that is within the model's share of the uncertainty.

How a year of a PV plant spreads over its months, where no design states it.

The sun under a clear sky is known of any place (`mrv.exante.sun`); how much of it clouds leave is
not, without a station or a satellite.  So a month's irradiation is taken as its clear one times a
clearness that rises with it: low winter sun comes with clouds in the temperate zones, and hardly
at all in the tropics, whose months are alike.  The line is a working value of tonne [M], drawn
through Freiburg's months; it gives a clearness index of about 0.3 for December in London and 0.6
in sunny summers, inside of the usual range of 0.25 to 0.75 (HOMER, "Clearness index").  It knows
no monsoon: a design with twelve months of its own states them.  Only proportions are meant.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mrv.errors import MethodologyError

_HOURS = 8760
# Angle at which reflection treats an even sky alike (Brandemuehl and Beckman, 1980). [deg]
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
    """A year at the roof; irradiation [kWh/m2], `yield_..` for each kilowatt of modules."""

    ghi: tuple[float, ...]
    clear_ghi: tuple[float, ...]
    plane: float
    yield_kwh: float
    yield_by_month: tuple[float, ...]


def load_pvlib() -> Any:
    """
    Import pvlib, which takes a second.

    Raises
    ------
    MethodologyError
        If it is not installed.
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
    Return the results of a year of 365 days.

    Parameters
    ----------
    ghi : sequence of float, 12 or 1
        Irradiation on the horizontal by month, or of the year. [kWh/m2]  None: no
        cloud all year, which is what no plant exceeds.
    """
    pvlib = load_pvlib()
    import pandas as pd  # noqa: PLC0415 - comes with pvlib

    times = pd.date_range("2025-01-01T00:30", periods=_HOURS, freq="h", tz="UTC")
    sun = pvlib.solarposition.get_solarposition(times, roof.latitude, roof.longitude)
    # by day number: pandas is about to rename what pvlib would ask the index for
    extra = pvlib.irradiance.get_extra_radiation(times.day_of_year.to_numpy())
    clear = _clear(pvlib, times, sun, extra, roof)
    # the site's own months: a longitude of 106 degrees is seven hours ahead
    month = (times + pd.Timedelta(hours=round(roof.longitude / 15))).month
    by_month = clear.groupby(month).sum() / _WH_PER_KWH
    hourly = clear * _shares(by_month, month, ghi)
    plane, effective = _plane(pvlib, times, sun, extra, hourly, roof)
    power = _power(pvlib, effective, plane, plant)
    return Year(
        ghi=tuple(float(v) for v in hourly.groupby(month).sum() / _WH_PER_KWH),
        clear_ghi=tuple(float(v) for v in by_month),
        plane=float(plane.sum()) / _WH_PER_KWH,
        yield_kwh=float(power.sum()),
        yield_by_month=tuple(float(v) for v in power.groupby(month).sum()),
    )


def _clear(pvlib: Any, times: Any, sun: Any, extra: Any, roof: Roof) -> Any:
    turbidity = pvlib.clearsky.lookup_linke_turbidity(
        times, roof.latitude, roof.longitude, interp_turbidity=False
    )
    zenith = sun["apparent_zenith"]
    mass = pvlib.atmosphere.get_absolute_airmass(pvlib.atmosphere.get_relative_airmass(zenith))
    return pvlib.clearsky.ineichen(zenith, mass, turbidity, dni_extra=extra)["ghi"]


def _shares(by_month: Any, month: Any, ghi: Sequence[float] | None) -> Any:
    """Part of the cloudless irradiation that arrives, hour by hour."""
    if ghi is None:
        return 1.0
    if len(ghi) == 1:
        return ghi[0] / float(by_month.sum())
    shares = {m: ghi[m - 1] / by_month[m] if by_month[m] else 0.0 for m in range(1, 13)}
    return month.map(shares).to_numpy()


def _plane(pvlib: Any, times: Any, sun: Any, extra: Any, ghi: Any, roof: Roof) -> tuple[Any, Any]:
    """Irradiance on the modules, and what of it passes their glass. [W/m2]"""
    parts = pvlib.irradiance.erbs(ghi, sun["zenith"], times.day_of_year.to_numpy())
    zenith, azimuth = sun["apparent_zenith"], sun["azimuth"]
    plane = pvlib.irradiance.get_total_irradiance(
        roof.tilt, roof.azimuth, zenith, azimuth, parts["dni"], ghi, parts["dhi"],
        dni_extra=extra, model="haydavies",
    ).fillna(0.0)  # fmt: skip
    angle = pvlib.irradiance.aoi(roof.tilt, roof.azimuth, zenith, azimuth)
    passed = pvlib.iam.physical(angle)
    effective = plane["poa_direct"] * passed + plane["poa_diffuse"] * pvlib.iam.physical(
        _DIFFUSE_ANGLE
    )
    return plane["poa_global"].clip(lower=0.0), effective.clip(lower=0.0)


def _power(pvlib: Any, effective: Any, plane: Any, plant: Plant) -> Any:
    """Alternating current of one kilowatt of modules. [kW]"""
    cell = pvlib.temperature.faiman(plane, plant.air_c, _WIND_M_S)
    direct = pvlib.pvsystem.pvwatts_dc(effective, cell, 1.0, plant.temperature_coefficient)
    direct = direct.clip(lower=0.0) * (1.0 - plant.losses)
    limit = 1.0 / plant.dc_to_ac / plant.inverter_efficiency
    return pvlib.inverter.pvwatts(direct, limit, plant.inverter_efficiency).clip(lower=0.0)


# Clearness at no sun, and for each kWh/m2 of a clear day. [M]
_BASE, _SLOPE = 0.46, 0.038
_HIGHEST = 0.8
_USUAL = Plant(0.14, 0.96, -0.0037, 1.1, 15.0)
_COMMON_YEAR = 2025


def cloudy(clear_kwh_m2: Sequence[float]) -> list[float]:
    """Return monthly irradiation with usual clouds, from that of a clear sky. [kWh/m2]"""
    result = []
    for month, clear in enumerate(clear_kwh_m2, 1):
        daily = clear / monthrange(_COMMON_YEAR, month)[1]
        result.append(clear * min(_BASE + _SLOPE * daily, _HIGHEST))
    return result


def typical_months(roofs: Sequence[tuple[Roof, float]]) -> list[float]:
    """
    Return the monthly energy of modules with several orientations.

    Parameters
    ----------
    roofs : sequence of (Roof, float)
        Where modules lie, and their power. [kW]

    Returns
    -------
    list of twelve float
        January first; only the proportions are meant. [kWh]

    Raises
    ------
    MethodologyError
        If pvlib is not installed.
    """
    total = [0.0] * 12
    for roof, kw in roofs:
        clear = year(roof, _USUAL, None).clear_ghi
        made = year(roof, _USUAL, cloudy(clear)).yield_by_month
        total = [sum_ + kw * one for sum_, one in zip(total, made, strict=True)]
    return total
