"""
Methane of waste at a disposal site, year by year.

CDM TOOL04 version 8, equation 1.  The equation was read in three implementations, which agree
[r].  The constants were not compared with the text of the tool [M]; their product reproduces a
published coefficient.  In years after the last one entered, the site receives no waste.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from mrv.methodologies._shared import NOTHING
from mrv.methodologies._waste import BY_YEAR, DECAY, DEGRADABLE, MOST_YEARS, SITE, decay
from mrv.model import Factors, Tool
from mrv.parameters import Inputs, ParameterSpec
from mrv.steps import steps

_EMPTY = dict.fromkeys(DEGRADABLE, NOTHING)


STEPS = steps(decay("waste_t_by_year", ""), lists={"waste_t_by_year": "years"})


def compute(inputs: Inputs, factors: Factors) -> Mapping[str, list[Fraction]]:
    """Return the emissions of each year at the site. [tCO2e]"""
    waste = [*inputs["waste_t_by_year"], *[_EMPTY] * inputs["years"]]
    result = STEPS.values({**inputs, "waste_t_by_year": waste}, factors)
    return {"baseline_t_by_year": result["given_off_t"]}


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
    steps=STEPS,
    uses=DECAY,
)
