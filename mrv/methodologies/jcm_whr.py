"""
Power from waste heat, in the form that JCM gives it for cement works.

JCM MM_AM005 (approved 20 April 2020) and ID_AM001.  Net generation times the
grid's factor, days as a monitored quantity, no project emissions: [R], read on
the official page of MM_AM005.  Auxiliaries at capacity, 24 h a day: [M], from
memory.  No such methodology is approved for Viet Nam: a template.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mrv.equations import electricity
from mrv.equations.reductions import reduction
from mrv.methodologies._shared import EF_GRID, NOTHING
from mrv.model import Methodology, Reductions
from mrv.specs import ParameterSpec

if TYPE_CHECKING:
    from mrv.inputs import Inputs
    from mrv.model import Factors

ID = "jcm-whr"
VERSION = "1.0"
ADDITIVE = False


def reductions(inputs: Inputs, factors: Factors) -> Reductions:
    """RE_p = (EG_SUP,p - EC_CAP * 24 * D_p) * EF; PE_p = 0. [tCO2]."""
    del factors
    auxiliary = electricity.captive(inputs["captive_load_kw"], inputs["days"])
    baseline = electricity.displaced(
        electricity.net(inputs["eg_mwh"], auxiliary), inputs["ef_grid_t_per_mwh"]
    )
    return Reductions(baseline, NOTHING, NOTHING, reduction(baseline, NOTHING, NOTHING))


METHODOLOGY = Methodology(
    id=ID,
    versions=(VERSION,),
    title="Power generation by waste heat recovery",
    reference="JCM MM_AM005 ver 1.0, 20 April 2020; the form of ID_AM001",
    notes=__doc__.strip(),
    additive=ADDITIVE,
    inputs={
        "eg_mwh": ParameterSpec(
            unit="MWh",
            meaning="electricity that the plant supplies",
            maximum="10000000",
            source="export register of the generator's meter",
            symbol="EG_SUP,p",
            option="C",
            frequency="hourly or finer",
            side="baseline",
        ),
        "captive_load_kw": ParameterSpec(
            unit="kW",
            meaning="capacity of all auxiliaries",
            maximum="1000000",
            source="name plates",
            symbol="EC_CAP",
            side="project",
        ),
        "days": ParameterSpec(
            unit="d",
            meaning="days of the period in which auxiliaries could run",
            maximum="366",
            source="calendar of the plant",
            certainty="[R]",
            symbol="D_p",
            option="C",
            frequency="daily",
            side="project",
        ),
        "ef_grid_t_per_mwh": replace(EF_GRID, side="baseline"),
    },
    reductions=reductions,
    rules=("Auxiliaries count at their capacity, all day, whatever they drew.",),
)
