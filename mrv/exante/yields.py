"""
What a PV plant of so many kilowatts can make, and what it cannot.

One place for the bounds that the registry and the estimate hold a plan against.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction

from mrv.exante.model import Flag

HOURS_PER_YEAR = 8760
# The sunniest fixed roofs on earth stay below; Viet Nam's are at 0.13 to 0.19.
HIGHEST_PV_FACTOR = Decimal("0.30")
# Modules to inverters: planners oversize the modules, by half at most.
DC_TO_AC = (Decimal("0.8"), Decimal("1.5"))
# The best modules on the market convert a quarter of 1 kW/m2. [M]
_HIGHEST_KW_PER_M2 = Fraction(1, 4)


def capacity(declared_kwh: Fraction, rated_kw: Fraction, ceiling_kwh_per_kw: int) -> Iterator[Flag]:
    """
    Hold a declared yearly energy against the rated power.

    Parameters
    ----------
    declared_kwh : Fraction
        As the plan says. [kWh/year]
    rated_kw : Fraction
        [kW]
    ceiling_kwh_per_kw : int
        What a cloudless sky would give there. [kWh/kW a year]
    """
    hours = declared_kwh / rated_kw
    share = hours / HOURS_PER_YEAR
    if share <= Fraction(HIGHEST_PV_FACTOR) and hours <= ceiling_kwh_per_kw:
        return
    yield Flag(
        "capacity_factor",
        "impossible",
        f"{int(declared_kwh):,} kWh a year from {float(rated_kw):,.0f} kW are"
        f" {float(hours):,.1f} kWh/kW, a capacity factor of {float(share) * 100:.1f} %; a sky"
        f" without a cloud gives at most {ceiling_kwh_per_kw:,} kWh/kW there and fixed PV nowhere"
        f" more than {HIGHEST_PV_FACTOR * 100:.0f} %; correct the power or the energy, and derive"
        " neither from the other",
    )


def ratio(peak_kw: Fraction, rated_kw: Fraction) -> Iterator[Flag]:
    """Hold the modules' power against the inverters'. [kW]"""
    found = peak_kw / rated_kw
    low, high = DC_TO_AC
    if not low <= found <= high:
        yield Flag(
            "dc_to_ac",
            "check",
            f"the modules are {float(peak_kw):,.0f} kW and rated_kw is {float(rated_kw):,.0f}, a"
            f" ratio of {float(found):.2f} (usual: {low} to {high}); one of them is of another"
            " phase or wrong: correct rated_kw or modules",
        )


def area(peak_kw: Fraction, roof_m2: Fraction) -> Iterator[Flag]:
    """Hold the modules' power against the roof."""
    if peak_kw > roof_m2 * _HIGHEST_KW_PER_M2:
        yield Flag(
            "roof_area",
            "impossible",
            f"{float(peak_kw):,.0f} kW on {float(roof_m2):,.0f} m2 are"
            f" {float(peak_kw / roof_m2):.2f} kW/m2, and the best modules are below"
            f" {float(_HIGHEST_KW_PER_M2)}; correct the roof or the modules",
        )


def rounded_up(declared_t: Fraction, exact_t: Fraction) -> Iterator[Flag]:
    """Hold declared tonnes against what the declared energy comes to. [tCO2e]"""
    if declared_t <= exact_t:
        return
    credit = int(exact_t)
    yield Flag(
        "rounded_up",
        "check",
        f"{float(declared_t):,.0f} t are declared, and the declared energy comes to"
        f" {float(exact_t):,.3f} t: credit {credit:,} t, because whole tonnes round down and"
        " never up; declare that",
    )
