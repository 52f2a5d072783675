"""
Emission factor of a grid, from its plants' fuel and generation.

CDM TOOL07 version 7.0, simple operating margin.  The equations were not compared with the text of
the tool [M].  The fuel properties are those of IPCC 2006, with the lower 95 % bounds of tables
1.2 and 1.4 that the tool requires [M].  Do not enter fuel and generation of low-cost and must-run
plants.  The method is applicable if these plants generate less than half of the electricity.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

from mrv.errors import FactorError, MethodologyError
from mrv.methodologies._shared import FUEL, FUELS
from mrv.model import Factors, Tool
from mrv.parameters import ChoiceSpec, Inputs, ListSpec, ParameterSpec
from mrv.steps import Published, Step, steps

STEPS = steps(
    Published("ncv", "NCV_i", "TJ/Gg", "{fuel}.ncv", "avoided", over="fuels"),
    Published("co2_t_per_tj", "EF_CO2,i", "tCO2/TJ", "{fuel}.co2", "avoided", over="fuels"),
    Published("w_om", "w_OM", "1", "tool07.w-om.{technology}", "avoided"),
    Published("w_bm", "w_BM", "1", "tool07.w-bm.{technology}", "avoided"),
    Step(
        "burnt_t",
        "PE_i",
        "tCO2",
        "mass_t * ncv * co2_t_per_tj / GJ_PER_TJ",
        "CDM TOOL07, simple operating margin",
        "emissions of a fuel",
        over="fuels",
    ),
    Step(
        "ef_om_t_per_mwh",
        "EF_OM",
        "tCO2/MWh",
        "sum(burnt_t) / generation_mwh",
        "CDM TOOL07, simple operating margin",
        "operating margin",
    ),
    Step(
        "unit_t",
        "EG_m EF_EL,m",
        "tCO2",
        "eg_mwh * ef_t_per_mwh",
        "CDM TOOL07, build margin",
        "emissions of one of the newest plants",
        over="newest_units",
    ),
    Step(
        "unit_mwh",
        "EG_m",
        "MWh",
        "eg_mwh",
        "CDM TOOL07, build margin",
        "its electricity",
        over="newest_units",
    ),
    Step(
        "ef_bm_t_per_mwh",
        "EF_BM",
        "tCO2/MWh",
        "sum(unit_t) / sum(unit_mwh)",
        "CDM TOOL07, build margin",
        "build margin, where it is not given",
        when="newest_units",
    ),
    Step(
        "ef_cm_t_per_mwh",
        "EF_CM",
        "tCO2/MWh",
        "w_om * ef_om_t_per_mwh + w_bm * ef_bm_t_per_mwh",
        "CDM TOOL07, combined margin",
        "combined margin",
    ),
    lists={"fuels": "", "newest_units": ""},
    defaults={"newest_units": []},
)


def compute(inputs: Inputs, factors: Factors) -> Mapping[str, Fraction]:
    """
    Return operating and combined margin of a grid. [tCO2/MWh]

    The build margin is calculated from the newest plants, entered, or taken from the national
    authority.
    """
    values = [key for key in ("newest_units", "ef_bm_t_per_mwh") if key in inputs]
    if len(values) > 1:
        raise MethodologyError(
            "tool07, build margin: enter exactly one of ef_bm_t_per_mwh and newest_units"
        )
    if not values:
        inputs = {**inputs, "ef_bm_t_per_mwh": _published_margin(factors)}
    result = STEPS.values(inputs, factors)
    return {key: result[key] for key in ("ef_om_t_per_mwh", "ef_cm_t_per_mwh")}


def _published_margin(factors: Factors) -> Fraction:
    try:
        value: Fraction = factors.select("grid.build", "avoided").value
    except FactorError:
        raise MethodologyError(
            "tool07, build margin: enter either ef_bm_t_per_mwh or newest_units, or use "
            "`--country` of a country with a factor in tonne, such as IN"
        ) from None
    return value


_GENERATION = ParameterSpec(
    unit="MWh",
    meaning="electricity of the same plants",
    minimum="1",
    maximum="100000000000",
    source="statistics of the grid's operator",
    symbol="EG_y",
    option="A",
    frequency="yearly",
)
_BUILD = ParameterSpec(
    unit="tCO2/MWh",
    meaning="build margin of the newest plants; if absent, the last published one of the country",
    required=False,
    maximum="2",
    source="statistics of the grid's operator",
    symbol="EF_BM",
)

TOOL = Tool(
    id="tool07",
    version="7.0",
    title="Emission factor of an electricity system",
    reference="CDM TOOL07 version 7.0",
    notes=__doc__.strip(),
    inputs={
        "fuels": ListSpec(
            "the fuels of the plants that run",
            {
                "fuel": FUEL,
                "mass_t": ParameterSpec(
                    unit="t",
                    meaning="fuel burnt in the year",
                    maximum="10000000000",
                    source="statistics of the grid's operator",
                    symbol="FC_i,y",
                    option="A",
                    frequency="yearly",
                ),
            },
        ),
        "generation_mwh": _GENERATION,
        "low_cost_share": ParameterSpec(
            unit="1",
            meaning="share of low-cost and must-run plants in all generation",
            required=False,
            below="0.5",
            source="statistics of the grid's operator, five years",
            symbol="LCMR",
            option="A",
            frequency="yearly",
        ),
        "newest_units": ListSpec(
            "the five newest plants, or the newest that make 20 % of generation if that is more,"
            " in place of ef_bm_t_per_mwh",
            {
                "eg_mwh": replace(_GENERATION, meaning="electricity of the plant", symbol="EG_m"),
                "ef_t_per_mwh": replace(
                    _BUILD, required=True, meaning="its emission factor", symbol="EF_EL,m"
                ),
            },
            required=False,
        ),
        "ef_bm_t_per_mwh": _BUILD,
        "technology": ChoiceSpec(
            "what the project builds; `other` in the first crediting period, then `other-later`",
            ("wind", "solar", "other", "other-later"),
            "project design",
        ),
    },
    compute=compute,
    steps=STEPS,
    uses=("tool07.w-", *(f"{fuel}.{what}" for fuel in FUELS for what in ("ncv", "co2"))),
)
