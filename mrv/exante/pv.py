"""
A planned PV plant: energy from location, tilt, azimuth and power; tonnes by VN_AM007.

Enter the irradiation of the place (`ghi_kwh_per_m2`: twelve months, or the year in one number) from
a published source.  Without it only the upper limit under a cloudless sky is calculated, which
cannot be used as `expected`.  The tonnes are calculated by JCM VN_AM007, in a country other than
Viet Nam by AMS-I.D with the factor of that country's grid.  The result is for the first year:
modules lose about half a per cent a year afterwards, which is not included.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from math import isqrt
from typing import Any

from mrv.errors import MethodologyError
from mrv.exante import Estimate, Flag, Outcome
from mrv.exante.sun import Plant, Roof, Year, year
from mrv.methodologies import evaluate, find
from mrv.model import Factors, Reductions
from mrv.parameters import ChoiceSpec, Inputs, NumbersSpec, ParameterSpec, RecordSpec, Spec

_PVWATTS = "PVWatts version 5, NREL"
HOURS_PER_YEAR = 8760
# Upper limit of the capacity factor of fixed roofs anywhere; those in Viet Nam have 0.13 to 0.19.
HIGHEST_PV_FACTOR = Decimal("0.30")
# Range of the ratio of module power to inverter power: modules are oversized by half at most.
DC_TO_AC = (Decimal("0.8"), Decimal("1.5"))
# The best available modules convert a quarter of 1 kW/m2. [M]
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

    `declared_kwh`: energy declared in the plan. [kWh/year]
    `rated_kw`: [kW]
    `ceiling_kwh_per_kw`: specific yield under a cloudless sky at the location. [kWh/kW a year]
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
    """Yield a flag if the power of the modules divided by that of the inverters is implausible."""
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


# methodology by country; elsewhere AMS-I.D with the factor of the country's grid
_METHODS = {"VN": "jcm-vn-am007"}
_ELSEWHERE = "ams-i-d"
_KWH_PER_MWH = 1000
# Inverter efficiency of the upper limit, without clouds, losses and heat.
_IDEAL_INVERTER = 0.99
_COLD_C = -10.0
# One standard deviation in per cent. [M]  Irradiation by its source; then the conversion from the
# horizontal to the modules, the variation between years, the losses.
_OF_SOURCE = {"station": 3, "satellite": 5, "map": 6, "not_stated": 10}
_OF_MODEL = (4, 4, 3)


def plan(
    inputs: Inputs, peak: Fraction, rated: Fraction, ceiling: int, declared: Reductions | None
) -> Iterator[Flag]:
    """
    Yield a flag for each inconsistency between the values of a plan.

    `peak`, `rated`: power of the modules and of the inverters. [kW]
    `ceiling`: yearly energy under a cloudless sky. [kWh/kW]
    `declared`: reduction that follows from the declared energy. [tCO2e]
    """
    energy, tonnes = inputs.get("declared_kwh_per_year"), inputs.get("declared_t_per_year")
    if energy is not None:
        yield from capacity(energy, rated, ceiling)
        if peak != rated:
            yield from capacity(energy, peak, ceiling)
    yield from ratio(peak, rated)
    if "roof_m2" in inputs:
        yield from area(peak, inputs["roof_m2"])
    if tonnes is not None and declared is not None:
        yield from rounded_up(tonnes, declared.reduction_t)


def beyond_clear_sky(sky: Year, known: list[Fraction] | None) -> Iterator[Flag]:
    """Yield a flag if the given irradiation exceeds that of a clear sky."""
    if known is None:
        return
    clear = [sum(sky.clear_ghi)] if len(known) == 1 else list(sky.clear_ghi)
    wrong = [i for i, (g, c) in enumerate(zip(known, clear, strict=True)) if float(g) > c]
    if wrong:
        at = wrong[0]
        yield Flag(
            "irradiation",
            "impossible",
            f"ghi_kwh_per_m2[{at}] = {float(known[at]):g} is above the clear-sky "
            f"irradiation there, {clear[at]:.0f} kWh/m2; enter kWh/m2 of the month "
            "(not of a day, not MJ)",
        )


def implausible_energy(
    inputs: Inputs, peak: Fraction, sky: Year, unsure: Fraction | None
) -> Iterator[Flag]:
    """Yield a flag if the declared energy differs from the estimate by two standard deviations."""
    energy = inputs.get("declared_kwh_per_year")
    if energy is None or unsure is None:
        return
    ratio = energy / peak / Fraction(sky.yield_kwh)
    if abs(ratio - 1) * 100 > 2 * unsure:
        yield Flag(
            "declared_energy",
            "check",
            f"the declared energy is {float(energy / peak):,.1f} kWh for each kW "
            f"of modules, the estimate {sky.yield_kwh:,.0f} with an uncertainty "
            f"of {float(unsure):.0f} %; ask for the irradiation and losses used",
        )


def compute(inputs: Inputs, factors: Factors, where: str) -> Outcome:
    """Return the yearly energy of a planned PV plant, and its reduction by VN_AM007 or AMS-I.D."""
    peak, rated = _powers(inputs, where)
    known = inputs.get("ghi_kwh_per_m2")
    if known is not None and len(known) not in (1, 12):
        raise MethodologyError(
            f"{where}: ghi_kwh_per_m2 has {len(known)} numbers; enter 12 monthly "
            "values, January first, or one value of the year"
        )
    if known is not None and not any(known):
        raise MethodologyError(
            f"{where}: ghi_kwh_per_m2 = 0 all year is not possible; omit it if it "
            "is unknown, then only the upper limit is stated"
        )
    if known and inputs.get("air_c") is None:
        raise MethodologyError(
            f"{where}: air_c is missing: enter the mean air temperature by day [degC], from the"
            " source of the irradiation"
        )
    latitude, longitude, tilt = (float(inputs[k]) for k in ("latitude", "longitude", "tilt"))
    given = inputs.get("azimuth")
    azimuth = _towards_equator(latitude) if given is None else float(given)
    roof = Roof(latitude, longitude, tilt, azimuth)
    sky = year(roof, _plant(inputs, peak, rated), [float(g) for g in known] if known else None)
    ideal = Plant(0.0, _IDEAL_INVERTER, 0.0, 1.0, _COLD_C)
    ceiling = round(year(roof, ideal, None).yield_kwh)
    declared = _declared(inputs, factors, where)
    flags = [*beyond_clear_sky(sky, known), *plan(inputs, peak, rated, ceiling, declared)]
    unsure = None if known is None else _uncertainty(inputs["ghi_source"])
    flags += implausible_energy(inputs, peak, sky, unsure)
    withheld = _withheld(flags, known=known is not None)
    energy = None if known is None else round(sky.yield_kwh * float(peak))
    return Outcome(
        method=_method(factors),
        energy_kwh=energy,
        reductions=None if energy is None else _tonnes(energy, inputs, factors, where),
        uncertainty_percent=unsure,
        withheld=withheld,
        flags=tuple(flags),
        figures={
            "azimuth_deg": round(azimuth),
            **_figures(inputs, sky, peak, rated, ceiling, declared, known=known is not None),
            # a single yearly number does not determine the months
            **({"kwh_by_month": _by_month(sky, peak)} if known and known[1:] else {}),
        },
    )


def _towards_equator(latitude: float) -> float:
    """Return the azimuth of modules that face the equator. [deg, clockwise from north]"""
    return 180.0 if latitude >= 0 else 0.0


def _powers(inputs: Inputs, where: str) -> tuple[Fraction, Fraction]:
    """Return the rated power of the modules and of the inverters. [kW]"""
    modules, rated = inputs.get("modules"), inputs.get("rated_kw")
    if modules is not None:
        peak = modules["count"] * modules["watt"] / Fraction(1000)
        return peak, peak if rated is None else rated
    if rated is None:
        raise MethodologyError(f"{where}: enter rated_kw, or modules with count and watt, or both")
    return rated, rated


def _plant(inputs: Inputs, peak: Fraction, rated: Fraction) -> Plant:
    low, high = map(Fraction, DC_TO_AC)
    result = peak / rated
    return Plant(
        losses=float(inputs["losses"]),
        inverter_efficiency=float(inputs["inverter_efficiency"]),
        temperature_coefficient=-float(inputs["power_loss_per_k"]),
        # an implausible ratio must not limit the modules' output
        dc_to_ac=float(result) if low <= result <= high else 1.0,
        air_c=float(inputs.get("air_c", _COLD_C)),
    )


def _method(factors: Factors) -> str:
    grid: str | None = getattr(factors, "grid", None)
    if grid is None:
        raise MethodologyError(
            "the plant's country is not known; use --country, such as VN or DE: it determines "
            "methodology and grid factor"
        )
    return _METHODS.get(grid[:2], _ELSEWHERE)


def _tonnes(energy_kwh: Fraction | int, inputs: Inputs, factors: Factors, where: str) -> Reductions:
    eg_mwh = Fraction(energy_kwh) / _KWH_PER_MWH
    name = _method(factors)
    parameters: dict[str, Any] = {"systems": [{"case": inputs.get("case", 1), "eg_mwh": eg_mwh}]}
    if name == _ELSEWHERE:
        ef = factors.select("grid", "consumed").value
        parameters = {"eg_mwh": eg_mwh, "ef_grid_t_per_mwh": ef}
    return evaluate(find(name), parameters, factors, where)


def _declared(inputs: Inputs, factors: Factors, where: str) -> Reductions | None:
    energy = inputs.get("declared_kwh_per_year")
    return None if energy is None else _tonnes(energy, inputs, factors, where)


def _withheld(flags: list[Flag], *, known: bool) -> str | None:
    if any(f.about in ("dc_to_ac", "irradiation", "roof_area") for f in flags):
        return "the plan contradicts itself: correct the flagged values first"
    if not known:
        return (
            "no irradiation of the place was given, so only the upper limit is "
            "known; enter ghi_kwh_per_m2, ghi_source and air_c, such as the long-term "
            "means of a solar atlas"
        )
    return None


def _uncertainty(source: str) -> Fraction:
    parts = (_OF_SOURCE[source], *_OF_MODEL)
    return Fraction(isqrt(10_000 * sum(p * p for p in parts)), 100)


def _figures(
    inputs: Inputs,
    sky: Year,
    peak: Fraction,
    rated: Fraction,
    ceiling: int,
    declared: Reductions | None,
    *,
    known: bool,
) -> dict[str, Any]:
    figures: dict[str, Any] = {
        "modules_kw": peak,
        "rated_kw": rated,
        "clear_sky_ghi_kwh_per_m2": _tenth(sum(sky.clear_ghi)),
        "ceiling_kwh_per_kw": ceiling,
    }
    if known:
        figures |= {
            "ghi_kwh_per_m2": _tenth(sum(sky.ghi)),
            "plane_kwh_per_m2": _tenth(sky.plane),
            "yield_kwh_per_kw": _tenth(sky.yield_kwh),
            "performance_ratio": Fraction(round(1000 * sky.yield_kwh / sky.plane), 1000),
            "capacity_factor": Fraction(round(10_000 * sky.yield_kwh / HOURS_PER_YEAR), 10_000),
        }
    if declared is not None:
        energy = inputs["declared_kwh_per_year"]
        figures["declared_kwh_per_kw_of_modules"] = _tenth(float(energy / peak))
        figures["declared_reduction_t"] = declared.reduction_t
        figures["declared_credit_t"] = int(declared.reduction_t)
    return figures


def _by_month(sky: Year, peak: Fraction) -> list[int]:
    return [round(month * float(peak)) for month in sky.yield_by_month]


def _tenth(value: float) -> Fraction:
    return Fraction(round(10 * value), 10)


ESTIMATE = Estimate(
    id="pv",
    title="Planned PV plant",
    reference="pvlib; JCM VN_AM007 ver 1.0",
    notes=__doc__.strip(),
    inputs=INPUTS,
    compute=compute,
)
