"""
A more efficient furnace in place of one of the same kind, by energy per tonne.

CDM AMS-II.D version 13.0.  Equation, cap at historical output and the limit of
60 GWh: [M], from memory.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mrv.equations.efficiency import by_output, credited_output
from mrv.equations.electricity import displaced
from mrv.equations.reductions import reduction
from mrv.methodologies._shared import EF_GRID, LEAKAGE, PRODUCTION, PRODUCTION_BEFORE, TYPE_II
from mrv.model import Methodology, Reductions
from mrv.specs import ParameterSpec

if TYPE_CHECKING:
    from fractions import Fraction

    from mrv.inputs import Inputs
    from mrv.model import Factors

ID = "ams-ii-d"
VERSION = "13.0"
ADDITIVE = False


def reductions(inputs: Inputs, factors: Factors) -> Reductions:
    """ER = (SEC_BL - SEC_PJ) * min(P_y, P_hist) * EF - LE. [tCO2]."""
    del factors
    output = credited_output(inputs["production_t"], inputs["production_hist_t"])
    baseline = _emissions(output, inputs["sec_baseline_mwh_per_t"], inputs)
    project = _emissions(output, inputs["sec_project_mwh_per_t"], inputs)
    leakage = inputs["leakage_t"]
    return Reductions(baseline, project, leakage, reduction(baseline, project, leakage))


def _emissions(output: Fraction, specific: Fraction, inputs: Inputs) -> Fraction:
    factor: Fraction = inputs["ef_grid_t_per_mwh"]
    return displaced(by_output(output, specific), factor)


_SPECIFIC = ParameterSpec(
    unit="MWh/t",
    meaning="electricity per tonne before the project, lower 95 % bound",
    maximum="20",
    source="records of one year, better three",
    symbol="SEC_BL",
    side="baseline",
)

METHODOLOGY = Methodology(
    id=ID,
    versions=(VERSION,),
    title="Energy efficiency measures in industrial facilities",
    reference="CDM AMS-II.D version 13.0",
    notes=__doc__.strip(),
    additive=ADDITIVE,
    inputs={
        "production_t": PRODUCTION,
        "production_hist_t": PRODUCTION_BEFORE,
        "sec_baseline_mwh_per_t": _SPECIFIC,
        "sec_project_mwh_per_t": replace(
            _SPECIFIC,
            meaning="electricity per tonne with the project",
            source="furnace meter over weighed output",
            symbol="SEC_PJ",
            option="C",
            frequency="monthly",
            side="project",
        ),
        "leakage_t": replace(
            LEAKAGE,
            meaning="equipment moved to another site and used on",
        ),
        "ef_grid_t_per_mwh": EF_GRID,
    },
    reductions=reductions,
    conditions=(TYPE_II,),
    rules=("Output above history earns nothing.", "Leakage is taken off whole."),
)
