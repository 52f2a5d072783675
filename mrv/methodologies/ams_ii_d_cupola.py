"""
An induction furnace in place of a coke cupola, by materials and energy per tonne.

CDM AMS-II.D version 13.0, in the form for several fuels.  The equations and the cap were not
compared with the text of the methodology.  The coke properties are those of IPCC 2006 (secondary
source).  The emissions of grid losses are added to project emissions, and the furnace's electricity
has the emission factor of the project side: otherwise the reduction would be overstated several
times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from mrv.methodologies._shared import (
    EF_GRID,
    G_PER_T,
    LEAKAGE,
    LEAKAGE_YEARLY,
    LOSSES,
    LOSSES_LIVE,
    OUTPUT_EVIDENCE,
    POWER,
    PRODUCTION,
    PRODUCTION_BEFORE,
    grid,
    losses,
    part_of_year,
    power_mwh,
    total,
)
from mrv.methodologies.ams_ii_d import (
    BUILT,
    CAPACITIES,
    FURNACE_ROLE,
    PRODUCTION_ROLE,
    check_single_figure,
    consumption,
    used,
)
from mrv.model import Activity, Condition, Factors, Methodology, Reductions
from mrv.parameters import Inputs, ParameterSpec
from mrv.rounding import significant
from mrv.steps import Published, Step, baseline_emissions, project_emissions, steps
from mrv.texts import Text, text

ID = "ams-ii-d-cupola"
VERSION = "13.0"
ADDITIVE = False

_MELTING_MWH_PER_T = (Fraction("0.39"), Fraction("0.9"))

_SPECIFIC_KEY = "sec_mwh_per_t"

_TYPE_II_LIMIT_MWH = 60_000
# Net calorific value of coke-oven coke, 28.2 GJ/t of the factor `coke-ncv`. [MWh/t]
COKE_MWH_PER_T = Fraction("28.2") / Fraction("3.6")


def inputs_of(
    activities: Sequence[Activity], parameters: Inputs, factors: Factors, year: int
) -> Inputs:
    """
    Return castings [g] as [t], furnace electricity [Wh] as [MWh], and leakage pro rata.

    Output above the historical output is deducted first (the cap of the role); all electricity is
    charged to the counted output.
    """
    output = total(activities, "production") / G_PER_T
    return {
        "production_t": output,
        "production_hist_t": output,
        "coke_t_per_t": parameters["coke_t_per_t"],
        "limestone_t_per_t": parameters["limestone_t_per_t"],
        "energy_mwh": power_mwh(activities),
        "ef_grid_t_per_mwh": grid(factors, year),
        "tdl": losses(parameters, factors, year),
        "leakage_t": parameters["leakage_t_per_year"] * part_of_year(activities),
    }


_USED = steps(used(_SPECIFIC_KEY, "AMS-II.D v13"))
STEPS = steps(
    _USED.parts,
    Published("coke_ncv", "NCV_coke", "TJ/Gg", "coke.ncv", "either"),
    Published("coke_co2", "EF_coke", "tCO2/TJ", "coke.co2", "either"),
    Published("limestone_co2", "EF_limestone", "tCO2/t", "limestone.co2", "avoided"),
    Step(
        "coke_emitted_t",
        "BE_coke",
        "tCO2",
        "output_t * coke_t_per_t * coke_ncv * coke_co2 / GJ_PER_TJ",
        "AMS-II.D v13; CDM TOOL03, combustion of fossil fuel",
        "emissions of the coke that the cupola would have burnt",
    ),
    Step(
        "calcined_t",
        "BE_limestone",
        "tCO2",
        "output_t * limestone_t_per_t * limestone_co2",
        "AMS-II.D v13; IPCC 2006 Guidelines, volume 3",
        "CO2 that the cupola's limestone would have released",
    ),
    baseline_emissions("coke_emitted_t + calcined_t", "AMS-II.D v13"),
    project_emissions("used_mwh * ef_grid_t_per_mwh / (1 - tdl)", "AMS-II.D v13"),
)


def plausible(inputs: Inputs) -> None:
    """Raise MethodologyError if the furnace's electricity is given twice or not at all."""
    check_single_figure(inputs, _SPECIFIC_KEY)


def _emits_less(inputs: Inputs, result: Reductions) -> Text | None:
    del inputs
    if result.project_t <= result.baseline_t:
        return None
    return text(
        "condition.emits_more",
        project=significant(result.project_t),
        baseline=significant(result.baseline_t),
    )


def _saved_energy(inputs: Inputs, result: Reductions) -> Text | None:
    del result
    steps = _USED.values(inputs, None)
    saved = steps["output_t"] * inputs["coke_t_per_t"] * COKE_MWH_PER_T - steps["used_mwh"]
    if saved <= _TYPE_II_LIMIT_MWH:
        return None
    return text("condition.saved_coke", mwh=significant(saved), most=_TYPE_II_LIMIT_MWH)


_CHARGE = ParameterSpec(
    unit="t/t",
    meaning="coke per tonne of castings before the project, lower 95 % bound",
    maximum="2",
    source="records of at least one year, preferably three",
    symbol="SFC_BL",
    side="baseline",
)

_LIMESTONE = replace(
    _CHARGE, meaning="limestone per tonne of castings before the project", symbol="limestone"
)

METHODOLOGY = Methodology(
    id=ID,
    versions=(VERSION,),
    title="Energy efficiency in industry: induction furnace in place of a cupola",
    reference="CDM AMS-II.D version 13.0",
    programme="CDM",
    notes=__doc__.strip(),
    asks=("replaced",),
    additive=ADDITIVE,
    roles={"production": PRODUCTION_ROLE, "power": FURNACE_ROLE},
    parameters={
        **BUILT,
        "production_hist_t": PRODUCTION_BEFORE,
        "coke_t_per_t": _CHARGE,
        "limestone_t_per_t": _LIMESTONE,
        "tdl": LOSSES_LIVE,
        "leakage_t_per_year": LEAKAGE_YEARLY,
    },
    inputs={
        "production_t": PRODUCTION,
        "production_hist_t": PRODUCTION_BEFORE,
        "coke_t_per_t": _CHARGE,
        "limestone_t_per_t": _LIMESTONE,
        _SPECIFIC_KEY: ParameterSpec(
            unit="MWh/t",
            meaning="electricity of the induction furnace per tonne of castings",
            maximum="20",
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
            meaning="electricity of the furnace, instead of sec_mwh_per_t; all of it is included, "
            "also for output above the historical level",
        ),
        "ef_grid_t_per_mwh": replace(EF_GRID, side="project"),
        "tdl": LOSSES,
        "leakage_t": replace(
            LEAKAGE, meaning="emissions of replaced equipment that another site continues to use"
        ),
    },
    inputs_of=inputs_of,
    timed=True,
    steps=STEPS,
    plausible=plausible,
    capacities=CAPACITIES,
    baseline_documents=("coke_t_per_t", "limestone_t_per_t", "production_hist_t"),
    consumptions=(
        consumption(
            lambda _: _MELTING_MWH_PER_T,
            "enthalpy of iron at 1,500 Cel, 0.39 MWh/t; induction furnaces at most 0.9 MWh/t [M]",
        ),
    ),
    uses=("coke.", "limestone.co2"),
    conditions=(
        Condition("AMS-II.D, fuel switch to electricity", _emits_less, first=True),
        Condition("type II limit, 60 GWh saved a year", _saved_energy),
    ),
    rules=(
        (
            "Output above the historical output, or above the furnace's design capacity"
            " (MTR-07), is not credited."
        ),
        *OUTPUT_EVIDENCE,
        "A reduction requires dated documents of the baseline values (EVD-03).",
        "Emissions of the grid's losses are added to project emissions.",
    ),
)
