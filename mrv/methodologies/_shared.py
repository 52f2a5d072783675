"""
Inputs and limits that several methodologies share, and common parts of recycling.

Files that begin with `_` are not loaded as methodologies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from mrv.model import Check, Condition, Reductions
from mrv.parameters import ChoiceSpec, Inputs, ParameterSpec
from mrv.rounding import significant
from mrv.steps import Part, Published, Step
from mrv.texts import Text, joint, text

NOTHING = Fraction(0)
FUELS = ("anthracite", "bituminous", "coke", "diesel", "fuel_oil", "gasoline", "lignite", "lpg",
         "natural_gas")  # fmt: skip
_TYPE_II_LIMIT_MWH = 60_000
_TYPE_III_LIMIT_T = 60_000
OUTPUT_EVIDENCE = (
    (
        "Without a calibrated meter, output is credited only if a design document or invoices show"
        " it (EVD-02)."
    ),
    (
        "A reduction requires a calibrated meter, or invoices of the output or of its electricity"
        " (EVD-03)."
    ),
)

EF_GRID = ParameterSpec(
    unit="tCO2/MWh",
    meaning="emission factor of the grid",
    maximum="2",
    source="official value of the year; for avoided electricity the combined margin of TOOL07",
    certainty="[r]",
    symbol="EF_el",
    side="both",
    published="grid",
)
PRODUCTION = ParameterSpec(
    unit="t",
    meaning="good castings of the year",
    maximum="100000000",
    source="weighed",
    symbol="P_y",
    option="C",
    frequency="per charge",
    side="both",
)
PRODUCTION_BEFORE = replace(
    PRODUCTION,
    meaning="mean annual output before the project",
    source="records of three years",
    symbol="P_hist",
    option="",
    frequency="",
)
LOSSES = ParameterSpec(
    unit="1",
    meaning="technical losses of the grid as a fraction, 0.0615 for 6.15 %",
    required=False,
    below="1",
    source="official grid losses of the year; default of CDM TOOL05 if none are published",
    symbol="TDL",
    side="project",
    factor=("grid.losses", "consumed"),
)
POWER = ParameterSpec(
    unit="MWh",
    meaning="electricity that the project draws from the grid",
    maximum="10000000",
    source="import register of the electricity meter",
    symbol="EC",
    option="C",
    frequency="hourly or finer",
    side="project",
)
DIESEL = ParameterSpec(
    unit="L",
    meaning="emissions of the diesel that the project burns",
    maximum="1000000000",
    source="invoices, or a fuel meter",
    symbol="FC",
    option="B",
    frequency="monthly",
    side="project",
)
GWP_CH4 = ParameterSpec(
    unit="tCO2e/tCH4",
    meaning="global warming potential of methane over 100 years",
    required=False,
    minimum="1",
    maximum="100",
    source="IPCC AR5, as required by the Paris Agreement's transparency framework",
    certainty="[r]",
    symbol="GWP_CH4",
    side="both",
    factor=("gwp.ar5.ch4", "either"),
    published="gwp",
)
GWP_N2O = ParameterSpec(
    unit="tCO2e/tN2O",
    meaning="global warming potential of nitrous oxide over 100 years",
    required=False,
    minimum="1",
    maximum="500",
    source="IPCC AR5, as required by the Paris Agreement's transparency framework",
    certainty="[r]",
    symbol="GWP_N2O",
    side="both",
    factor=("gwp.ar5.n2o", "either"),
    published="gwp",
)
YEARS_SINCE = ParameterSpec(
    unit="year",
    meaning="whole calendar years since the baseline's data",
    maximum="100",
    integer=True,
    source="calendar",
    symbol="t",
    side="baseline",
)
LEAKAGE = ParameterSpec(
    unit="tCO2e",
    meaning="annual leakage",
    default="0",
    maximum="1000000000",
    source="annual calculation in the monitoring report",
    symbol="LE",
    side="project",
)
HOSTED = "programme: a project in its countries"
FUEL = ChoiceSpec("fuel", FUELS, "IPCC 2006 Guidelines, volume 2")


def hosted(countries: Sequence[str]) -> Check:
    """Return a check that a project is in one of the countries of a bilateral methodology."""
    return Check(HOSTED, lambda candidate: abroad(countries, candidate.country), quiet=True)


def abroad(countries: Sequence[str], country: str | None) -> Text | None:
    """Return why a project is in none of its methodology's countries; None if it is."""
    if not countries or country in countries:
        return None
    if country is None:
        return text("condition.no_country", countries=joint("text.and", countries))
    return text("condition.abroad", country=country, countries=joint("text.and", countries))


def diesel(key: str = "diesel_l") -> tuple[Published | Step, ...]:
    """
    Return the steps of emissions of diesel burnt by a project, as `fuel_t`. [tCO2]

    CDM TOOL03: net calorific value and emission factor are the upper 95 % bounds of IPCC.  Without
    diesel no factor is selected.
    """
    of = {"of": key, "zero": "either"}
    return (
        Published("diesel_kg_per_l", "rho_diesel", "kg/L", "diesel.density", "consumed"),
        Published("diesel_ncv", "NCV_diesel", "TJ/Gg", "diesel.ncv", "consumed", **of),
        Published("diesel_co2", "EF_diesel", "tCO2/TJ", "diesel.co2", "consumed", **of),
        Step(
            "fuel_t",
            "PE_FC",
            "tCO2",
            f"{key} * diesel_kg_per_l / KG_PER_T * diesel_ncv * diesel_co2 / GJ_PER_TJ",
            "CDM TOOL03, combustion of fossil fuel",
            "emissions of the diesel that the project burns",
        ),
    )


def drawn(factor: str = "ef_grid_t_per_mwh") -> Step:
    """
    Return the step of emissions of electricity consumed by a project (TOOL05), as `power_t`.
    [tCO2]
    """
    return Step(
        "power_t",
        "PE_EC",
        "tCO2",
        f"power_mwh * {factor} * (1 + tdl)",
        "CDM TOOL05, consumption of electricity",
        "emissions of the electricity that the project draws, including grid losses",
    )


def _saved_power(inputs: Inputs, result: Reductions) -> Text | None:
    factor: Fraction = inputs["ef_grid_t_per_mwh"]
    saved = result.reduction_t / factor if factor else NOTHING
    if saved <= _TYPE_II_LIMIT_MWH:
        return None
    return text("condition.saved", mwh=significant(saved), most=_TYPE_II_LIMIT_MWH)


def _reduced(inputs: Inputs, result: Reductions) -> Text | None:
    del inputs
    if result.reduction_t <= _TYPE_III_LIMIT_T:
        return None
    return text(
        "condition.reduced", amount=significant(result.reduction_t, 8), most=_TYPE_III_LIMIT_T
    )


TYPE_II = Condition("type II limit, 60 GWh saved a year", _saved_power)
TYPE_III = Condition("type III limit, 60 kt CO2e a year", _reduced)


# what all polymers share
PLASTIC = (
    Published("net_to_gross", "L", "1", "recycling.net-to-gross", "avoided"),
    Published("gas_co2", "EF_ff", "tCO2/TJ", "natural_gas.co2", "either"),
)


def virgin(polymer: str, mass: str) -> tuple[Part, ...]:
    """Return the steps of emissions of virgin plastic, named `POLYMER_t`. [tCO2]"""
    return (
        Published(
            f"sec_{polymer}", f"SEC_{polymer}", "MWh/t", f"plastic.power.{polymer}", "avoided"
        ),
        Published(f"sfc_{polymer}", f"SFC_{polymer}", "GJ/t", f"plastic.fuel.{polymer}", "avoided"),
        Step(
            f"{polymer}_t",
            f"BE_{polymer}",
            "tCO2",
            f"{mass} * net_to_gross"
            f" * (sec_{polymer} * ef_grid_t_per_mwh + sfc_{polymer} * gas_co2 / GJ_PER_TJ)",
            "AMS-III.AJ, baseline emissions",
            f"emissions of virgin {polymer} not produced",
        ),
    )


def primary(materials: str, mass: str, source: str) -> Step:
    """
    Return the step of primary production emissions less recovery emissions, `primary_t`.
    [tCO2]
    """
    return Step(
        "primary_t",
        "BE_i",
        "tCO2",
        f"{mass} * ef_t_per_t",
        f"{source}, baseline emissions",
        "emissions of primary material not produced",
        over=materials,
    )


def recycled(source: str) -> tuple[Part, ...]:
    """Return the steps of the emissions of the recycling plant. [tCO2]"""
    return (
        *diesel(),
        Step(
            "project_t",
            "PE",
            "tCO2",
            "power_mwh * ef_grid_t_per_mwh + fuel_t",
            f"{source}, project emissions",
            "project emissions",
        ),
    )
