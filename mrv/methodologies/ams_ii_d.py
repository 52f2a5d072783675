"""
A more efficient furnace in place of one of the same kind, by energy per tonne.

CDM AMS-II.D version 13.0.  The equation, the cap at the historical output and the limit of 60 GWh
were not compared with the text of the methodology.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction

from mrv.errors import MethodologyError
from mrv.methodologies._shared import (
    CLOSER,
    DESIGN_MASS,
    DESIGN_PER_T,
    EF_BOTH,
    EF_GRID,
    G_PER_T,
    LEAKAGE,
    LEAKAGE_YEARLY,
    OUTPUT_EVIDENCE,
    POWER,
    POWER_ROLE,
    PRODUCTION,
    PRODUCTION_BEFORE,
    SURE,
    TYPE_II,
    part_of_year,
    power_mwh,
    total,
)
from mrv.model import Activity, Factors, Methodology, RoleNeeds
from mrv.parameters import Inputs, ParameterSpec
from mrv.service_bounds import Capacity, Consumption
from mrv.steps import Step, baseline_emissions, project_emissions, steps

METERED = "energy_mwh"
PRODUCTION_ROLE = RoleNeeds(
    ("weighbridge", "recycling_line"),
    "mass",
    "baseline",
    cap=("production_hist_t", G_PER_T),
    symbol="P_y",
    source="weighing scale of good castings",
)
FURNACE_ROLE = replace(POWER_ROLE, symbol="SEC_PJ", source="import register of the furnace")


def used(specific: str, method: str) -> tuple[Step, ...]:
    """Return the steps of the counted output and its electricity, metered or per tonne."""
    used_mwh = ("used_mwh", "E_PJ", "MWh")
    meaning = "electricity consumed for the credited output"
    return (
        Step(
            "output_t",
            "P",
            "t",
            "min(production_t, production_hist_t)",
            f"{method}, cap of output",
            "output credited, at most that of the old plant",
        ),
        Step(*used_mwh, METERED, f"{method}, project emissions", meaning, when=METERED),
        Step(*used_mwh, f"output_t * {specific}", f"{method}, project emissions", meaning),
    )


def check_single_figure(inputs: Inputs, specific: str) -> None:
    """Raise MethodologyError if the furnace's electricity is given twice or not at all."""
    if (METERED in inputs) == (specific in inputs):
        raise MethodologyError(
            f"{specific} and {METERED} (the metered energy of the furnace) are both given or both "
            "missing; give one of them"
        )


def consumption(
    span: Callable[[Inputs], tuple[Fraction, Fraction]], source: str, in_words: str = ""
) -> Consumption:
    """Return the plausible specific consumption of castings; `span` in MWh/t, and in words."""
    return Consumption(
        uses=("power",),
        serves=("production",),
        unit="MWh/t",
        # 1 Wh per gram
        per_base=Fraction(1),
        keys=(METERED, "production_t"),
        span=span,
        source=source,
        range=in_words,
        by_history=True,
        by_design="design_mwh_per_t",
        lowest=Fraction(1, 2),
        highest=Fraction(5),
        closer=CLOSER,
        sure=SURE,
    )


CAPACITIES = (Capacity("design_mass_t_per_d", ("production",), G_PER_T),)
BUILT = {
    "design_mass_t_per_d": replace(DESIGN_MASS, meaning="design capacity of the furnace"),
    "design_mwh_per_t": replace(
        DESIGN_PER_T,
        unit="MWh/t",
        meaning="electricity per tonne of castings, by the furnace's design",
        maximum="20",
    ),
}


ID = "ams-ii-d"
VERSION = "13.0"
ADDITIVE = False

_MIN_SHARE = Fraction(3, 10)

_SPECIFIC_KEY = "sec_project_mwh_per_t"


def inputs_of(
    activities: Sequence[Activity], parameters: Inputs, factors: Factors, year: int
) -> Inputs:
    """
    Return output [g] as [t], furnace electricity [Wh] as [MWh], and leakage pro rata.

    Output above the historical output is deducted first (the cap of the role); all electricity is
    charged to the counted output.
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
    baseline_emissions("output_t * sec_baseline_mwh_per_t * ef_grid_t_per_mwh", "AMS-II.D v13"),
    project_emissions("used_mwh * ef_grid_t_per_mwh", "AMS-II.D v13"),
)


def plausible(inputs: Inputs) -> None:
    """Raise MethodologyError if the project's electricity is given twice or not at all."""
    check_single_figure(inputs, _SPECIFIC_KEY)


def _specific_span(inputs: Inputs) -> tuple[Fraction, Fraction]:
    """Return the lowest and highest plausible electricity per tonne. [MWh/t]"""
    before = inputs["sec_baseline_mwh_per_t"]
    return before * _MIN_SHARE, before


_SPECIFIC = ParameterSpec(
    unit="MWh/t",
    meaning="electricity per tonne of castings before the project, lower 95 % bound",
    maximum="20",
    source="records of at least one year, preferably three",
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
    asks=("replaced",),
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
            meaning="electricity per tonne of castings with the project",
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
            "is included, also for output above the historical level",
        ),
        "leakage_t": replace(
            LEAKAGE, meaning="emissions of replaced equipment that another site continues to use"
        ),
        "ef_grid_t_per_mwh": EF_GRID,
    },
    inputs_of=inputs_of,
    timed=True,
    steps=STEPS,
    plausible=plausible,
    capacities=CAPACITIES,
    baseline_documents=("sec_baseline_mwh_per_t", "production_hist_t"),
    consumptions=(
        consumption(
            _specific_span,
            "0.3 of what was used before the project, as no measure saves more [M]; at most that",
            "0.3 to 1 times `sec_baseline_mwh_per_t` MWh/t",
        ),
    ),
    conditions=(TYPE_II,),
    rules=(
        (
            "Output above the historical output, or above the furnace's design capacity"
            " (MTR-07), is not credited."
        ),
        *OUTPUT_EVIDENCE,
        "A reduction requires dated documents of the baseline values (EVD-03).",
        "The entered leakage is deducted in full.",
    ),
)
