"""
Power and heat from waste energy.

CDM ACM0012 version 6.0.  The equations, caps and shares were not compared with the text of the
methodology.  The fuel properties are those of IPCC 2006 (secondary source).  Enter electricity,
heat, or both.  If several boilers burn several fuels, enter the fuel with the lowest emission
factor and the best efficiency among them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

from mrv.errors import MethodologyError
from mrv.methodologies._shared import (
    DESIGN_MASS,
    DIESEL,
    EF_GRID,
    FUEL_ROLE,
    FUELS,
    G_PER_T,
    IMPORT_UNKNOWN,
    LOSSES,
    LOSSES_LIVE,
    POWER,
    POWER_ROLE,
    WH_PER_MWH,
    any_role,
    diesel,
    diesel_l,
    drawn,
    grid,
    import_is_metered,
    losses,
    total,
)
from mrv.model import Activity, Candidate, Check, Factors, Methodology, RoleNeeds
from mrv.parameters import ChoiceSpec, Inputs, ParameterSpec, Plausible
from mrv.service_bounds import Capacity, Related
from mrv.steps import Published, Step, baseline_emissions, project_emissions, steps
from mrv.texts import Text, text

SOURCE = "IAPWS-IF97 [M]"
# enthalpy of low-pressure steam by temperature [degrees Celsius, kJ/kg]
_LOW_PRESSURE = ((50, 2593), (100, 2688), (150, 2784), (200, 2880), (250, 2978), (300, 3077),
                 (400, 3280), (500, 3490), (600, 3707), (700, 3930), (1000, 4645))  # fmt: skip
# highest enthalpy of saturated steam, at 235 degrees Celsius [kJ/kg]
_SATURATED = 2804
_TEMPERATURE = "steam_cel"
TEMPERATURE = {
    _TEMPERATURE: ParameterSpec(
        unit="Cel",
        meaning="temperature of the steam, by the steam meter",
        required=False,
        maximum="1000",
        source="temperature measured by the steam meter",
        symbol="T_steam",
        side="baseline",
        channels=("steam", "temperature_c"),
    )
}


def max_enthalpy(celsius: Fraction) -> Fraction:
    """Return the enthalpy of low-pressure steam at a temperature of at least 50 Celsius. [kJ/kg]"""
    at = max(celsius, Fraction(_LOW_PRESSURE[0][0]))
    for (low, less), (high, more) in pairwise(_LOW_PRESSURE):
        if at <= high:
            return less + (at - low) * (more - less) / (high - low)
    return Fraction(_LOW_PRESSURE[-1][1])


def _by_temperature(
    parameters: Inputs, measured: Mapping[str, Fraction]
) -> tuple[Fraction, Fraction]:
    """
    Return 0 and the maximum plausible enthalpy of steam. [kJ/kg]

    It is the enthalpy at the measured temperature, else that of saturated steam.
    """
    del parameters
    maximum = Fraction(_SATURATED)
    if _TEMPERATURE in measured:
        maximum = max_enthalpy(measured[_TEMPERATURE])
    return Fraction(0), maximum


BY_TEMPERATURE = Related(
    "steam_kj_per_kg",
    _by_temperature,
    "steam at low pressure and the temperature that its meter tells (temperature_c), saturated"
    f" steam where it tells none: let the steam meter of superheated steam tell it; {SOURCE}",
)


ID = "acm0012"
VERSION = "6.0"
ADDITIVE = False

_COLD = text("condition.feedwater")


def something_is_recovered(candidate: Candidate) -> Text | None:
    """Return a finding if neither electricity nor steam from waste energy is metered; else None."""
    return any_role(candidate, ("turbine", "steam"))


def feedwater_is_known(candidate: Candidate) -> Text | None:
    """Return a finding if steam is metered without its feedwater; else None."""
    steam = any(d.role == "steam" for d in candidate.devices)
    return _COLD if steam and not candidate.parameters["feedwater_kj_per_kg"] else None


def inputs_of(
    activities: Sequence[Activity], parameters: Inputs, factors: Factors, year: int
) -> Inputs:
    """Return electricity [Wh] as [MWh], steam [g] as [t], diesel [mL] as [L], and the shares."""
    drawn = total(activities, "auxiliary") / WH_PER_MWH
    return {
        **{key: parameters[key] for key in _FIXED},
        "boiler_fuel": "natural_gas",
        "eg_mwh": total(activities, "turbine") / WH_PER_MWH,
        "steam_t": total(activities, "steam") / G_PER_T,
        "diesel_l": diesel_l(activities),
        "power_mwh": drawn,
        "ef_consumed_t_per_mwh": grid(factors, year),
        "tdl": losses(parameters, factors, year),
    }


STEPS = steps(
    Published("boiler_co2_t_per_tj", "EF_CO2", "tCO2/TJ", "{boiler_fuel}.co2", "either"),
    Step(
        "heat_tj",
        "HG",
        "TJ",
        "steam_t * (steam_kj_per_kg - feedwater_kj_per_kg) / MJ_PER_TJ",
        "ACM0012 v6, net heat generation",
        "heat of the steam above that of its feedwater",
    ),
    Step(
        "boiler_t",
        "BE_th",
        "tCO2",
        "heat_tj / boiler_efficiency * boiler_co2_t_per_tj",
        "ACM0012 v6, baseline emissions from heat",
        "emissions of the baseline boiler",
    ),
    Step(
        "displaced_t",
        "BE_el",
        "tCO2",
        "eg_mwh * ef_grid_t_per_mwh",
        "ACM0012 v6, baseline emissions from electricity",
        "emissions of the grid electricity displaced",
    ),
    baseline_emissions("f_cap * f_wcm * (displaced_t + boiler_t)", "ACM0012 v6"),
    drawn("ef_consumed_t_per_mwh"),
    diesel(),
    project_emissions("fuel_t + power_t", "ACM0012 v6"),
)


def plausible(inputs: Inputs) -> None:
    """Raise MethodologyError for steam of unknown feedwater: its heat would be overstated."""
    if inputs["steam_t"] and not inputs["feedwater_kj_per_kg"]:
        raise MethodologyError(str(_COLD))


def odd(inputs: Inputs) -> None:
    """Raise MethodologyError for steam with less heat than its feedwater."""
    if inputs["steam_kj_per_kg"] < inputs["feedwater_kj_per_kg"]:
        raise MethodologyError(
            f"steam_kj_per_kg = {float(inputs['steam_kj_per_kg']):g} is below feedwater_kj_per_kg ="
            f" {float(inputs['feedwater_kj_per_kg']):g}; give enthalpies, 2776 for saturated steam"
            " at 10 bar"
        )


def _share(symbol: str, meaning: str) -> ParameterSpec:
    return ParameterSpec(
        unit="1",
        meaning=meaning,
        maximum="1",
        source="records of three years before the project",
        symbol=symbol,
        side="baseline",
    )


def _enthalpy(symbol: str, meaning: str, plausible: Plausible) -> ParameterSpec:
    return ParameterSpec(
        unit="kJ/kg",
        meaning=meaning,
        default="0",
        maximum="4500",
        source="steam tables, from measured temperature and pressure",
        symbol=symbol,
        option="C",
        frequency="hourly",
        side="baseline",
        plausible=plausible,
    )


_FIXED = {
    "f_cap": _share(
        "f_cap",
        "share of the waste energy that the plant could already release"
        " before the project (capping factor)",
    ),
    "f_wcm": _share("f_wcm", "share of the output that comes from waste energy"),
    "steam_kj_per_kg": _enthalpy(
        "h_steam",
        "enthalpy of the steam",
        Plausible((("2500", "3700"),), f"steam of up to 600 Cel, {SOURCE}"),
    ),
    "feedwater_kj_per_kg": _enthalpy(
        "h_feedwater",
        "enthalpy of the feedwater",
        Plausible((("84", "1400"),), f"water of 20 to 310 Cel, {SOURCE}"),
    ),
    "boiler_efficiency": ParameterSpec(
        unit="1",
        meaning="efficiency of the baseline steam boiler; 1 if unknown",
        default="1",
        minimum="0.1",
        maximum="1",
        source="manufacturer, or measured before the project; 1 if unknown",
        symbol="eta_EP",
        side="baseline",
        plausible=Plausible(
            (("0.8", "1"),), "TOOL09, defaults: old coal 0.8, old gas 0.87, new gas 0.92 [M]"
        ),
        undocumented="1",
    ),
    "ef_grid_t_per_mwh": replace(EF_GRID, side="baseline"),
}

METHODOLOGY = Methodology(
    id=ID,
    versions=(VERSION,),
    title="Waste energy recovery",
    reference="CDM ACM0012 version 6.0",
    programme="CDM",
    notes=__doc__.strip(),
    additive=ADDITIVE,
    roles={
        "turbine": RoleNeeds(
            ("waste_heat_turbine", "energy_meter"),
            "energy_export",
            "baseline",
            required=False,
            symbol="EG_i,j",
            source="export minus import register of the generator's meter",
            less="energy_import",
            made_from="heat",
        ),
        "steam": RoleNeeds(
            ("steam_meter",),
            "mass",
            "baseline",
            required=False,
            symbol="HG, as mass of steam",
            source="steam meter",
        ),
        "auxiliary": replace(
            POWER_ROLE,
            required=False,
            source="import register of the plant's electricity from the grid",
        ),
        "fuel": FUEL_ROLE,
    },
    parameters={
        **_FIXED,
        "design_steam_t_per_d": replace(
            DESIGN_MASS, meaning="design capacity of the heat recovery, as steam per day"
        ),
        **TEMPERATURE,
        "tdl": LOSSES_LIVE,
    },
    related=(BY_TEMPERATURE,),
    dated=("f_cap", "f_wcm"),
    capacities=(Capacity("design_steam_t_per_d", ("steam",), G_PER_T),),
    inputs={
        **_FIXED,
        "eg_mwh": ParameterSpec(
            unit="MWh",
            meaning="net electricity from waste energy",
            default="0",
            maximum="10000000",
            source="export register of the generator's meter",
            symbol="EG_i,j",
            option="C",
            frequency="hourly or finer",
            side="baseline",
        ),
        "steam_t": ParameterSpec(
            unit="t",
            meaning="steam from waste energy",
            default="0",
            maximum="100000000",
            source="steam meter",
            symbol="HG, as mass of steam",
            option="C",
            frequency="hourly",
            side="baseline",
        ),
        "boiler_fuel": ChoiceSpec(
            "fuel of the baseline steam boiler; the fuel with the lowest emissions if not given",
            FUELS,
            "records before the project",
            default="natural_gas",
        ),
        "diesel_l": replace(DIESEL, meaning="diesel for start-up and support"),
        "power_mwh": replace(
            POWER,
            default="0",
            meaning="electricity that the recovery draws from the grid, if eg_mwh is not net of it",
        ),
        "ef_consumed_t_per_mwh": replace(
            EF_GRID,
            required=False,
            meaning="emission factor of the grid that supplies the electricity consumed",
            source="official value of the year",
            side="project",
            factor=("grid", "consumed"),
        ),
        "tdl": LOSSES,
    },
    applicability=(
        Check("ACM0012 monitoring: power or steam is metered", something_is_recovered, True),
        Check("ACM0012 heat: enthalpy of the feedwater", feedwater_is_known, True),
        # quiet, so that earlier statements, without this check, remain unchanged
        Check("ACM0012 monitoring: import of the generator", import_is_metered, quiet=True),
    ),
    apart=(("turbine", "steam"),),
    draw_meters={"turbine": "auxiliary", "steam": "auxiliary"},
    inputs_of=inputs_of,
    steps=STEPS,
    uses=("diesel.", *(f"{fuel}.co2" for fuel in FUELS)),
    plausible=plausible,
    odd=odd,
    rules=(
        "f_cap and f_wcm are at most 1. Dated documents are required for both (PAR-07).",
        "Heat that was recovered before the project is not credited.",
        "Without other evidence, the baseline boiler burns natural gas with an efficiency of 1.",
        "Another boiler efficiency requires a dated document and is at least 0.8.",
        (
            "The enthalpy of steam is at most that at its metered temperature; without a"
            " temperature, that of saturated steam."
        ),
        (
            "Electricity that the generator imports is deducted from the electricity that it"
            f" generates. {IMPORT_UNKNOWN}"
        ),
        (
            "Figures before a period is closed assume natural gas, the fuel with the lowest"
            " emission factor, for the baseline boiler."
        ),
        (
            "The credited steam is at most the design capacity of the heat recovery, as stated"
            " in the licence or design document (MTR-07)."
        ),
        (
            "Without a calibrated meter, steam is credited only if a design document or invoices"
            " show it (EVD-02)."
        ),
        (
            "If less than half of the design capacity was used, a reduction requires invoices of"
            " the steam or an agreeing check meter (EVD-03)."
        ),
        (
            "Steam that drives the turbine is not credited as heat. Enter the heat delivered by"
            " a steam balance."
        ),
        (
            "A dated single-line diagram must show that power and steam are measured separately."
            " Without it, CLM-03 reports a possible double claim."
        ),
    ),
)
