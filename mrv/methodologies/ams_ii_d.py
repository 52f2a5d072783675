"""
A more efficient furnace in place of one of the same kind, by energy per tonne.

CDM AMS-II.D version 13.0.  Equation, cap at historical output and the limit of
60 GWh: [M], unverified.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from mrv.methodologies._furnace import (
    BUILT,
    CAPACITIES,
    FURNACE_ROLE,
    PRODUCTION_ROLE,
    consumption,
    one_figure,
    used,
)
from mrv.methodologies._live import EF_BOTH, G_PER_T, LEAKAGE_YEARLY, part_of_year, power_mwh, total
from mrv.methodologies._shared import (
    EF_GRID,
    LEAKAGE,
    POWER,
    PRODUCTION,
    PRODUCTION_BEFORE,
    TYPE_II,
)
from mrv.model import Activity, Factors, Methodology
from mrv.parameters.inputs import Inputs
from mrv.parameters.specs import ParameterSpec
from mrv.steps import Step, steps

ID = "ams-ii-d"
VERSION = "13.0"
ADDITIVE = False

_LEAST_SHARE = Fraction(3, 10)

_SPECIFIC_KEY = "sec_project_mwh_per_t"


def inputs_of(
    activities: Sequence[Activity], parameters: Inputs, factors: Factors, year: int
) -> Inputs:
    """
    Return output [g] as [t], furnace electricity [Wh] as [MWh], and leakage pro rata.

    What lies above history is taken off before (the cap of the role), so that all
    electricity stands against the output that counts.
    """
    del factors, year
    output = total(activities, "production") / G_PER_T
    return {
        "production_t": output,
        "production_hist_t": output,
        "sec_baseline_mwh_per_t": parameters["sec_baseline_mwh_per_t"],
        "energy_mwh": power_mwh(activities),
        "leakage_t": parameters["leakage_t_per_year"] * part_of_year(activities),
        "ef_grid_t_per_mwh": parameters["ef_grid_t_per_mwh"],
    }


STEPS = steps(
    used(_SPECIFIC_KEY, "AMS-II.D v13"),
    Step(
        "baseline_t",
        "BE",
        "tCO2",
        "output_t * sec_baseline_mwh_per_t * ef_grid_t_per_mwh",
        "AMS-II.D v13, baseline emissions",
        "baseline emissions",
    ),
    Step(
        "project_t",
        "PE",
        "tCO2",
        "used_mwh * ef_grid_t_per_mwh",
        "AMS-II.D v13, project emissions",
        "project emissions",
    ),
)


def plausible(inputs: Inputs) -> None:
    """Refuse two figures of the project's electricity, or none."""
    one_figure(inputs, _SPECIFIC_KEY)


def _specific_span(inputs: Inputs) -> tuple[Fraction, Fraction]:
    """Least and most electricity a tonne, from what was used before. [MWh/t]."""
    before = inputs["sec_baseline_mwh_per_t"]
    return before * _LEAST_SHARE, before


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
    programme="CDM",
    notes=__doc__.strip(),
    additive=ADDITIVE,
    roles={"production": PRODUCTION_ROLE, "power": FURNACE_ROLE},
    parameters={
        **BUILT,
        "production_hist_t": PRODUCTION_BEFORE,
        "sec_baseline_mwh_per_t": _SPECIFIC,
        "leakage_t_per_year": LEAKAGE_YEARLY,
        "ef_grid_t_per_mwh": EF_BOTH,
    },
    inputs={
        "production_t": PRODUCTION,
        "production_hist_t": PRODUCTION_BEFORE,
        "sec_baseline_mwh_per_t": _SPECIFIC,
        _SPECIFIC_KEY: replace(
            _SPECIFIC,
            meaning="electricity per tonne with the project",
            source="furnace meter over weighed output",
            symbol="SEC_PJ",
            option="C",
            frequency="monthly",
            side="project",
            required=False,
        ),
        "energy_mwh": replace(
            POWER,
            required=False,
            meaning="electricity of the furnace, instead of sec_project_mwh_per_t; all of it "
            "counts, including output above the historical level",
        ),
        "leakage_t": replace(
            LEAKAGE, meaning="emissions of equipment that another site continues to use"
        ),
        "ef_grid_t_per_mwh": EF_GRID,
    },
    inputs_of=inputs_of,
    timed=True,
    steps=STEPS,
    plausible=plausible,
    capacities=CAPACITIES,
    papers=("sec_baseline_mwh_per_t", "production_hist_t"),
    consumptions=(
        consumption(
            _specific_span,
            "0.3 of what was used before the project, as no measure saves more [M]; at most that",
        ),
    ),
    conditions=(TYPE_II,),
    rules=(
        "Output above the historical output or the furnace's design capacity is not credited.",
        "Without such dated documents, or invoices of the output, there is no reduction.",
        "Invoices of the output, or of its electricity, are required for any reduction.",
        "Dated documents of the baseline values are required for any reduction.",
        "Leakage is deducted in full.",
    ),
)
