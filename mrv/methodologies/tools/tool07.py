"""
Emission factor of a grid, from its plants' fuel and generation.

CDM TOOL07 version 7.0, simple operating margin: [M], from memory, with fuel
properties of IPCC 2006: the lower 95 % bounds of tables 1.2 and 1.4, as the tool
asks, [M].  Leave low-cost and must-run plants out of fuel and
generation; the method holds where they make less than half.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

from mrv.equations import grid
from mrv.equations.electricity import displaced
from mrv.errors import FactorError, MethodologyError
from mrv.methodologies._shared import FUEL, FUELS, NOTHING, burnt
from mrv.model import Factors, Tool
from mrv.parameters.inputs import Inputs
from mrv.parameters.specs import ChoiceSpec, ListSpec, ParameterSpec


def compute(inputs: Inputs, factors: Factors) -> Mapping[str, Fraction]:
    """
    EF_OM = SUM FC * NCV * EF / SUM EG; EF_CM = w_OM * EF_OM + w_BM * EF_BM. [tCO2/MWh].

    EF_BM = SUM_m EG_m * EF_EL,m / SUM_m EG_m, or as given, or as the country's authority says
    """
    emissions = sum(
        (burnt(one["fuel"], one["mass_t"], factors, "avoided") for one in inputs["fuels"]),
        start=NOTHING,
    )
    operating = grid.operating_margin(emissions, inputs["generation_mwh"])
    technology = inputs["technology"]
    combined = grid.combined_margin(
        operating,
        _build_margin(inputs, factors),
        factors.select(f"tool07.w-om.{technology}", "avoided").value,
        factors.select(f"tool07.w-bm.{technology}", "avoided").value,
    )
    return {"ef_om_t_per_mwh": operating, "ef_cm_t_per_mwh": combined}


def _build_margin(inputs: Inputs, factors: Factors) -> Fraction:
    units = inputs.get("newest_units")
    if units is not None and "ef_bm_t_per_mwh" in inputs:
        raise MethodologyError(
            "tool07, build margin: give either ef_bm_t_per_mwh or newest_units, and one of them"
        )
    if units is None and "ef_bm_t_per_mwh" not in inputs:
        return _published_margin(factors)
    if units is None:
        given: Fraction = inputs["ef_bm_t_per_mwh"]
        return given
    emissions = (displaced(one["eg_mwh"], one["ef_t_per_mwh"]) for one in units)
    return grid.build_margin(
        sum(emissions, start=NOTHING), sum((one["eg_mwh"] for one in units), start=NOTHING)
    )


def _published_margin(factors: Factors) -> Fraction:
    try:
        value: Fraction = factors.select("grid.build", "avoided").value
    except FactorError:
        raise MethodologyError(
            "tool07, build margin: give either ef_bm_t_per_mwh or newest_units, or ask with"
            " `--country` of a country of which tonne publishes one, such as IN"
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
    meaning="build margin, of the newest plants; else the newest that is published of the country",
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
    uses=("tool07.w-", *(f"{fuel}.{what}" for fuel in FUELS for what in ("ncv", "co2"))),
)
