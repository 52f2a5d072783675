"""
Emission factor of a grid, from its plants' fuel and generation.

CDM TOOL07 version 7.0, simple operating margin: [M], from memory, with fuel
properties of IPCC 2006, [r].  Leave low-cost and must-run plants out of fuel and
generation; the method holds where they make less than half.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrv.equations import grid
from mrv.methodologies._shared import FUEL, FUELS, NOTHING, burnt
from mrv.model import Tool
from mrv.specs import ChoiceSpec, ListSpec, ParameterSpec

if TYPE_CHECKING:
    from collections.abc import Mapping
    from fractions import Fraction

    from mrv.inputs import Inputs
    from mrv.model import Factors


def compute(inputs: Inputs, factors: Factors) -> Mapping[str, Fraction]:
    """EF_OM = SUM FC * NCV * EF / SUM EG; EF_CM = w_OM * EF_OM + w_BM * EF_BM. [tCO2/MWh]."""
    emissions = sum(
        (burnt(one["fuel"], one["mass_t"], factors, "avoided") for one in inputs["fuels"]),
        start=NOTHING,
    )
    operating = grid.operating_margin(emissions, inputs["generation_mwh"])
    technology = inputs["technology"]
    combined = grid.combined_margin(
        operating,
        inputs["ef_bm_t_per_mwh"],
        factors.select(f"tool07.w-om.{technology}", "avoided").value,
        factors.select(f"tool07.w-bm.{technology}", "avoided").value,
    )
    return {"ef_om_t_per_mwh": operating, "ef_cm_t_per_mwh": combined}


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
        "generation_mwh": ParameterSpec(
            unit="MWh",
            meaning="electricity of the same plants",
            minimum="1",
            maximum="100000000000",
            source="statistics of the grid's operator",
            symbol="EG_y",
            option="A",
            frequency="yearly",
        ),
        "ef_bm_t_per_mwh": ParameterSpec(
            unit="tCO2/MWh",
            meaning="build margin, of the newest plants",
            maximum="2",
            source="statistics of the grid's operator",
            symbol="EF_BM",
        ),
        "technology": ChoiceSpec(
            "what the project builds; `other` in the first crediting period, then `other-later`",
            ("wind", "solar", "other", "other-later"),
            "project design",
        ),
    },
    compute=compute,
    uses=(
        "tool07.w-",
        *(f"{fuel}.{what}" for fuel in FUELS for what in ("ncv", "co2")),
    ),
)
