"""Inputs of a PV estimate, with defaults and their sources."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from mrv.exante.model import Flag
from mrv.methodologies import find
from mrv.parameters.inputs import ChoiceSpec, NumbersSpec, ParameterSpec, RecordSpec, Spec

_PVWATTS = "PVWatts version 5, NREL"
HOURS_PER_YEAR = 8760
# The sunniest fixed roofs on earth stay below; Viet Nam's are at 0.13 to 0.19.
HIGHEST_PV_FACTOR = Decimal("0.30")
# Modules to inverters: planners oversize the modules, by half at most.
DC_TO_AC = (Decimal("0.8"), Decimal("1.5"))
# The best modules on the market convert a quarter of 1 kW/m2. [M]
_HIGHEST_KW_PER_M2 = Fraction(1, 4)


def _case() -> ParameterSpec:
    """Return the parameter of the VN_AM007 case, with the first case as default."""
    case = find("jcm-vn-am007").roles["generation"].params["case"]
    return replace(case, required=False)


def _plan(unit: str, meaning: str) -> ParameterSpec:
    return ParameterSpec(
        unit=unit, meaning=meaning, required=False, maximum="1000000000000", source="the plan"
    )


def _degrees(meaning: str, lowest: str, highest: str, default: str | None = None) -> ParameterSpec:
    return ParameterSpec(
        unit="deg",
        meaning=meaning,
        minimum=lowest,
        maximum=highest,
        default=default,
        source="the plan",
    )


def _fraction(meaning: str, default: str, source: str, minimum: str = "0") -> ParameterSpec:
    return ParameterSpec(
        unit="1", meaning=meaning, default=default, minimum=minimum, below="1", source=source
    )


INPUTS: Spec = {
    "latitude": _degrees("north of the equator", "-66", "66"),
    "longitude": _degrees("east of Greenwich", "-180", "180"),
    "tilt": _degrees("of the modules from the horizontal", "0", "90", "10"),
    "azimuth": replace(
        _degrees(
            "orientation of the modules, clockwise from north: 180 is south, 0 north; towards the"
            " equator unless given",
            "0",
            "360",
        ),
        required=False,
    ),
    "rated_kw": ParameterSpec(
        unit="kW",
        meaning="rated power of the inverters, AC",
        required=False,
        minimum="0.1",
        maximum="100000000",
        source="the plan",
    ),
    "modules": RecordSpec(
        "the modules, where their number is planned",
        {
            "count": ParameterSpec(
                unit="1",
                meaning="how many",
                minimum="1",
                maximum="1000000000",
                integer=True,
                source="the plan",
            ),
            "watt": ParameterSpec(
                unit="W",
                meaning="rated power of one",
                minimum="1",
                maximum="10000",
                source="data sheet",
            ),
        },
        required=False,
    ),
    "ghi_kwh_per_m2": NumbersSpec(
        "irradiation on the horizontal, of twelve months or of the year",
        ParameterSpec(
            unit="kWh/m2",
            meaning="of a month or the year",
            maximum="3000",
            minimum="0",
            source="long-term mean of a station, a satellite record or a map",
        ),
        (1, 12),
        required=False,
    ),
    "ghi_source": ChoiceSpec(
        "source of the irradiation; it determines the uncertainty",
        ("station", "satellite", "map", "not_stated"),
        "its source",
        default="not_stated",
    ),
    "air_c": ParameterSpec(
        unit="degC",
        meaning="mean air temperature by day; needed with the irradiation",
        required=False,
        minimum="-30",
        maximum="45",
        source="long-term mean of the site, from the source of the irradiation",
    ),
    "losses": _fraction("soiling, shading, mismatch, wiring, standstill", "0.14", _PVWATTS),
    "inverter_efficiency": _fraction("of the inverters", "0.96", _PVWATTS, "0.5"),
    "power_loss_per_k": ParameterSpec(
        unit="1/K",
        meaning="loss of power for each kelvin above 25 degC",
        default="0.0037",
        maximum="0.01",
        source="PVWatts version 5, premium modules 0.0035, standard 0.0047",
    ),
    "case": _case(),
    "declared_kwh_per_year": _plan("kWh/year", "energy that the plan declares"),
    "declared_t_per_year": _plan("tCO2e/year", "reduction that the plan declares"),
    "roof_m2": replace(_plan("m2", "area of the roofs"), minimum="1"),
}


def capacity(declared_kwh: Fraction, rated_kw: Fraction, ceiling_kwh_per_kw: int) -> Iterator[Flag]:
    """
    Yield a flag if a declared yearly energy is too high for the rated power.

    Parameters
    ----------
    declared_kwh : Fraction
        Energy declared in the plan. [kWh/year]
    rated_kw : Fraction
        [kW]
    ceiling_kwh_per_kw : int
        Specific yield under a cloudless sky at the location. [kWh/kW a year]
    """
    hours = declared_kwh / rated_kw
    share = hours / HOURS_PER_YEAR
    if share <= Fraction(HIGHEST_PV_FACTOR) and hours <= ceiling_kwh_per_kw:
        return
    yield Flag(
        "capacity_factor",
        "impossible",
        f"{int(declared_kwh):,} kWh a year from {float(rated_kw):,.0f} kW are "
        f"{float(hours):,.1f} kWh/kW, a capacity factor of {float(share) * 100:.1f} "
        f"%; a clear sky gives at most {ceiling_kwh_per_kw:,} kWh/kW there, "
        f"and fixed PV at most {HIGHEST_PV_FACTOR * 100:.0f} % anywhere; correct "
        "the power or the energy, each from its own source",
    )


def ratio(peak_kw: Fraction, rated_kw: Fraction) -> Iterator[Flag]:
    """Yield a flag if the ratio of module power to inverter power is implausible. [kW]"""
    result = peak_kw / rated_kw
    low, high = DC_TO_AC
    if not low <= result <= high:
        yield Flag(
            "dc_to_ac",
            "check",
            f"the modules are {float(peak_kw):,.0f} kW and rated_kw is {float(rated_kw):,.0f}, "
            f"a ratio of {float(result):.2f} (usual: {low} to {high}); one of them "
            "is wrong or of another phase: correct rated_kw or modules",
        )


def area(peak_kw: Fraction, roof_m2: Fraction) -> Iterator[Flag]:
    """Yield a flag if the roof area is too small for the module power."""
    if peak_kw > roof_m2 * _HIGHEST_KW_PER_M2:
        yield Flag(
            "roof_area",
            "impossible",
            f"{float(peak_kw):,.0f} kW on {float(roof_m2):,.0f} m2 are "
            f"{float(peak_kw / roof_m2):.2f} kW/m2, "
            f"but the best modules are below {float(_HIGHEST_KW_PER_M2)}; "
            "correct the roof or the modules",
        )


def rounded_up(declared_t: Fraction, exact_t: Fraction) -> Iterator[Flag]:
    """Yield a flag if the declared tonnes exceed those of the declared energy. [tCO2e]"""
    if declared_t <= exact_t:
        return
    credit = int(exact_t)
    yield Flag(
        "rounded_up",
        "check",
        f"{float(declared_t):,.0f} t are declared, but the declared energy gives "
        f"{float(exact_t):,.3f} t, a credit of {credit:,} t: whole tonnes are "
        f"rounded down; declare {credit:,} t",
    )
