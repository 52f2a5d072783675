"""
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

from mrv.exante.sun import Plant, Roof, year

# Clearness at no sun, and for each kWh/m2 of a clear day. [M]
_BASE, _SLOPE = 0.46, 0.038
_HIGHEST = 0.8
_USUAL = Plant(0.14, 0.96, -0.0037, 1.1, 15.0)
_COMMON_YEAR = 2025


def cloudy(clear_kwh_m2: Sequence[float]) -> list[float]:
    """Irradiation of each month under its usual clouds, from that of a clear sky. [kWh/m2]"""
    found = []
    for month, clear in enumerate(clear_kwh_m2, 1):
        daily = clear / monthrange(_COMMON_YEAR, month)[1]
        found.append(clear * min(_BASE + _SLOPE * daily, _HIGHEST))
    return found


def typical_months(roofs: Sequence[tuple[Roof, float]]) -> list[float]:
    """
    Return the energy of each month of modules that face several ways.

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
