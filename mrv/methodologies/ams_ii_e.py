"""
A building that uses less than its own past would have used in this weather.

CDM AMS-II.E version 11.0, IPMVP option C.  Equation and the limit of 60 GWh:
[M], from memory.  Intercept and slope come from a regression of the months
before the project on their cooling degree days, which is done elsewhere: give
its lower 95 % bound.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mrv.equations.efficiency import regression
from mrv.equations.electricity import displaced
from mrv.equations.reductions import reduction
from mrv.methodologies._shared import EF_GRID, NOTHING, POWER, TYPE_II
from mrv.model import Methodology, Reductions
from mrv.specs import ParameterSpec

if TYPE_CHECKING:
    from mrv.inputs import Inputs
    from mrv.model import Factors

ID = "ams-ii-e"
VERSION = "11.0"
ADDITIVE = False


def reductions(inputs: Inputs, factors: Factors) -> Reductions:
    """ER = (a + b * CDD - E_PJ) * EF. [tCO2]."""
    del factors
    adjusted = regression(inputs["intercept_mwh"], inputs["slope_mwh_per_cdd"], inputs["cdd"])
    baseline = displaced(adjusted, inputs["ef_grid_t_per_mwh"])
    project = displaced(inputs["energy_mwh"], inputs["ef_grid_t_per_mwh"])
    return Reductions(baseline, project, NOTHING, reduction(baseline, project, NOTHING))


METHODOLOGY = Methodology(
    id=ID,
    versions=(VERSION,),
    title="Energy efficiency and fuel switching measures for buildings",
    reference="CDM AMS-II.E version 11.0",
    notes=__doc__.strip(),
    additive=ADDITIVE,
    inputs={
        "intercept_mwh": ParameterSpec(
            unit="MWh",
            meaning="consumption of a year without cooling, lower 95 % bound",
            maximum="1000000",
            source="regression of at least one year before the project",
            symbol="a",
            side="baseline",
        ),
        "slope_mwh_per_cdd": ParameterSpec(
            unit="MWh/(K d)",
            meaning="consumption per cooling degree day, lower 95 % bound",
            maximum="10000",
            source="the same regression",
            symbol="b",
            side="baseline",
        ),
        "cdd": ParameterSpec(
            unit="K d",
            meaning="cooling degree days of the year",
            maximum="10000",
            source="the weather station of the regression",
            symbol="CDD",
            option="A",
            frequency="daily",
            side="baseline",
        ),
        "energy_mwh": replace(POWER, meaning="electricity of the building", symbol="E_PJ"),
        "ef_grid_t_per_mwh": EF_GRID,
    },
    reductions=reductions,
    conditions=(TYPE_II,),
)
