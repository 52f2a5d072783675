"""
Tools of the CDM: published procedures whose result is a factor.

A calculated factor names its tool and inputs, so that it can be recalculated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from functools import cache
from types import MappingProxyType
from typing import Any

from mrv.errors import FactorError, MethodologyError
from mrv.methodologies import filled
from mrv.methodologies._shared import FUEL, FUELS, NOTHING
from mrv.methodologies._waste import BY_YEAR, DECAY, DEGRADABLE, MAX_YEARS, SITE, decay
from mrv.model import Calculation, Factors, Tool
from mrv.parameters import ChoiceSpec, Inputs, ListSpec, ParameterSpec, read
from mrv.steps import Published, Step, steps

__all__ = ["calculated", "load"]

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")

_NOTES_04 = """\
Methane of waste at a disposal site, year by year.

CDM TOOL04 version 8, equation 1.  The equation was read in three implementations, which agree
[r].  The constants were not compared with the text of the tool [M]; their product reproduces a
published coefficient.  In years after the last one entered, the site receives no waste."""
_NO_WASTE = dict.fromkeys(DEGRADABLE, NOTHING)


_STEPS_04 = steps(decay("waste_t_by_year", ""), lists={"waste_t_by_year": "years"})


def _disposal_site(inputs: Inputs, factors: Factors) -> Mapping[str, list[Fraction]]:
    """Return the emissions of each year at a disposal site. [tCO2e]"""
    waste = [*inputs["waste_t_by_year"], *[_NO_WASTE] * inputs["years"]]
    result = _STEPS_04.values({**inputs, "waste_t_by_year": waste}, factors)
    return {"baseline_t_by_year": result["given_off_t"]}


TOOL_04 = Tool(
    id="tool04",
    version="8.0",
    title="Emissions from solid waste disposal sites",
    reference="CDM TOOL04 version 8.0, equation 1",
    notes=_NOTES_04,
    inputs={
        "waste_t_by_year": BY_YEAR,
        "years": ParameterSpec(
            unit="year",
            meaning="years to compute",
            minimum="1",
            maximum=str(MAX_YEARS),
            integer=True,
            source="crediting period",
            symbol="y",
        ),
        **SITE,
    },
    compute=_disposal_site,
    steps=_STEPS_04,
    uses=DECAY,
)

_NOTES_07 = """\
Emission factor of a grid, from its plants' fuel and generation.

CDM TOOL07 version 7.0, simple operating margin.  The equations were not compared with the text of
the tool [M].  The fuel properties are those of IPCC 2006, with the lower 95 % bounds of tables
1.2 and 1.4 that the tool requires [M].  Do not enter fuel and generation of low-cost and must-run
plants.  The method is applicable if these plants generate less than half of the electricity."""
_STEPS_07 = steps(
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


def _margins(inputs: Inputs, factors: Factors) -> Mapping[str, Fraction]:
    """
    Return the operating and the combined margin of a grid, by name. [tCO2/MWh]

    The build margin is calculated from the newest plants or entered manually; otherwise the
    national authority's value is used.
    """
    values = [key for key in ("newest_units", "ef_bm_t_per_mwh") if key in inputs]
    if len(values) > 1:
        raise MethodologyError(
            "tool07, build margin: ef_bm_t_per_mwh and newest_units are both given; omit one"
        )
    if not values:
        inputs = {**inputs, "ef_bm_t_per_mwh": _published_margin(factors)}
    result = _STEPS_07.values(inputs, factors)
    return {key: result[key] for key in ("ef_om_t_per_mwh", "ef_cm_t_per_mwh")}


def _published_margin(factors: Factors) -> Fraction:
    try:
        value: Fraction = factors.select("grid.build", "avoided").value
    except FactorError:
        raise MethodologyError(
            "tool07, build margin: no factor of the country is known; give ef_bm_t_per_mwh or "
            "newest_units, or use `--country` of a country with a factor in tonne, such as IN"
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

TOOL_07 = Tool(
    id="tool07",
    version="7.0",
    title="Emission factor of an electricity system",
    reference="CDM TOOL07 version 7.0",
    notes=_NOTES_07,
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
    compute=_margins,
    steps=_STEPS_07,
    uses=("tool07.w-", *(f"{fuel}.{what}" for fuel in FUELS for what in ("ncv", "co2"))),
)


@cache
def load() -> Mapping[str, Tool]:
    """Return all tools by id."""
    return MappingProxyType({tool.id: tool for tool in (TOOL_04, TOOL_07)})


def calculated(calculation: Calculation, factors: Factors, where: str) -> Fraction:
    """
    Return the result of a factor's calculation.

    `where`: source of the factor, for the error.
    Raises MethodologyError or FactorError if there is no such tool or result, or an input is
    missing or wrong.
    """
    tool = load().get(calculation.tool)
    if tool is None:
        raise MethodologyError(f"{where}: no tool {calculation.tool!r}; known: {', '.join(load())}")
    parameters = filled(
        tool.inputs, read(tool.inputs, _numbers(calculation.inputs), where), factors
    )
    result = tool.compute(parameters, factors)
    value = result.get(calculation.result)
    if not isinstance(value, Fraction):
        names = ", ".join(key for key, value in result.items() if isinstance(value, Fraction))
        raise MethodologyError(
            f"{where}: {calculation.tool} has no result {calculation.result!r}; its results:"
            f" {names}"
        )
    return value


def _numbers(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {key: _numbers(item) for key, item in content.items()}
    if isinstance(content, list | tuple):
        return [_numbers(item) for item in content]
    return Decimal(content) if isinstance(content, str) and _NUMBER.fullmatch(content) else content
