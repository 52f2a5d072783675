"""
Power from waste heat, in the JCM's form for cement works.

JCM MM_AM005 (approved 20 April 2020) and ID_AM001.  The official page of MM_AM005 states the net
generation times the grid's factor, the days as a monitored quantity, and no project emissions
(primary source).  The electricity of the auxiliaries, at their capacity for 24 hours a day, was not
compared with the text of the methodology.  No such methodology is approved for Viet Nam; this one
is a template.
"""

from __future__ import annotations

from calendar import isleap
from collections.abc import Sequence
from dataclasses import replace

from mrv.methodologies._shared import EF_GRID, WH_PER_MWH, part_of_year, total
from mrv.model import Activity, Factors, Methodology, RoleNeeds
from mrv.parameters import Inputs, ParameterSpec
from mrv.steps import Step, steps

ID = "jcm-whr"
VERSION = "1.0"
ADDITIVE = False


def inputs_of(
    activities: Sequence[Activity], parameters: Inputs, factors: Factors, year: int
) -> Inputs:
    """Return electricity [Wh] as [MWh]; auxiliaries are assumed to run every day of the period."""
    del factors
    return {
        "eg_mwh": total(activities, "turbine") / WH_PER_MWH,
        "captive_load_kw": parameters["captive_load_kw"],
        "days": part_of_year(activities) * (366 if isleap(year) else 365),
        "ef_grid_t_per_mwh": parameters["ef_grid_t_per_mwh"],
    }


STEPS = steps(
    Step(
        "auxiliary_mwh",
        "EC_AUX,p",
        "MWh",
        "captive_load_kw * H_PER_D * days / KW_PER_MW",
        "JCM waste heat recovery (MM_AM005), auxiliary electricity",
        "electricity of unmetered auxiliaries, at rated power all day",
    ),
    Step(
        "net_mwh",
        "EG_p",
        "MWh",
        "eg_mwh - auxiliary_mwh",
        "JCM waste heat recovery (MM_AM005), net electricity",
        "electricity that the plant supplies after its own use",
    ),
    Step(
        "baseline_t",
        "RE_p",
        "tCO2",
        "net_mwh * ef_grid_t_per_mwh",
        "JCM waste heat recovery (MM_AM005), reference emissions",
        "reference emissions",
    ),
)


_CAPACITY = ParameterSpec(
    unit="kW",
    meaning="total rated power of all auxiliaries",
    maximum="1000000",
    source="nameplates",
    symbol="EC_CAP",
    side="project",
)
_GRID = replace(EF_GRID, side="baseline")

METHODOLOGY = Methodology(
    id=ID,
    versions=(VERSION,),
    title="Power generation by waste heat recovery",
    reference="JCM MM_AM005 ver 1.0, 20 April 2020; the form of ID_AM001",
    programme="JCM Myanmar and Indonesia",
    countries=("MM", "ID"),
    notes=__doc__.strip(),
    additive=ADDITIVE,
    roles={
        "turbine": RoleNeeds(
            ("waste_heat_turbine", "energy_meter"),
            "energy_export",
            "baseline",
            symbol="EG_SUP,p",
            source="export register of the generator's meter",
            made_from="heat",
        )
    },
    parameters={"captive_load_kw": _CAPACITY, "ef_grid_t_per_mwh": _GRID},
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
        "captive_load_kw": _CAPACITY,
        "days": ParameterSpec(
            unit="d",
            meaning="days of the period on which auxiliaries could run",
            maximum="366",
            source="calendar of the plant",
            certainty="[R]",
            symbol="D_p",
            option="C",
            frequency="daily",
            side="project",
        ),
        "ef_grid_t_per_mwh": _GRID,
    },
    inputs_of=inputs_of,
    timed=True,
    steps=STEPS,
    baseline_documents=("captive_load_kw",),
    rules=(
        (
            "The electricity of the auxiliaries, their capacity times 24 hours a day, is"
            " deducted from the generation."
        ),
        "A reduction requires a dated document of that capacity (EVD-03).",
    ),
)
