"""
Methane of waste at a disposal site, year by year.

CDM TOOL04 version 8, equation 1: [r], three implementations that agree.
Constants: [B], their product reproduces a published coefficient, and [M].  Years
after the last one given receive no waste.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from mrv.methodologies._shared import NOTHING
from mrv.methodologies._waste import BY_YEAR, DECAY, DEGRADABLE, MOST_YEARS, SITE, methane
from mrv.model import Factors, Tool
from mrv.parameters.inputs import Inputs
from mrv.parameters.specs import ParameterSpec

_EMPTY = dict.fromkeys(DEGRADABLE, NOTHING)


def compute(inputs: Inputs, factors: Factors) -> Mapping[str, list[Fraction]]:
    """
    Emissions of each year at the site. [tCO2e].

    BE_y = P * SUM_x SUM_j W_j,x * DOC_j * e^(-k_j (y - x)) * (1 - e^-k_j)
    P = phi * (1 - f) * GWP_CH4 * (1 - OX) * 16/12 * F * DOC_f * MCF
    """
    waste = [*inputs["waste_t_by_year"], *[_EMPTY] * inputs["years"]]
    return {
        "baseline_t_by_year": [
            methane(waste[:year], inputs, factors, steps=1)
            for year in range(1, inputs["years"] + 1)
        ]
    }


TOOL = Tool(
    id="tool04",
    version="8.0",
    title="Emissions from solid waste disposal sites",
    reference="CDM TOOL04 version 8.0, equation 1",
    notes=__doc__.strip(),
    inputs={
        "waste_t_by_year": BY_YEAR,
        "years": ParameterSpec(
            unit="year",
            meaning="years to compute",
            minimum="1",
            maximum=str(MOST_YEARS),
            integer=True,
            source="crediting period",
            symbol="y",
        ),
        **SITE,
    },
    compute=compute,
    uses=DECAY,
)
