"""
Common inputs of AMS-III.H and AMS-III.I (wastewater).

Water and its COD, methane correction factors, electricity of the plant, and emissions of sludge and
equipment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from mrv.methodologies._live import (
    DESIGN_COD,
    DESIGN_FLOW,
    DESIGN_PER_M3,
    LEAKAGE_YEARLY,
    LOSSES_LIVE,
    ML_PER_M3,
    built_for_flow,
    grid,
    losses,
    part_of_year,
    power_mwh,
    total,
    warming,
    yearly,
)
from mrv.methodologies._shared import EF_GRID, GWP_CH4, LEAKAGE, LOSSES
from mrv.model import Activity, Factors, RoleNeeds
from mrv.parameters.inputs import Inputs, ParameterSpec
from mrv.service_bounds import Capacity, Consumption
from mrv.steps import Published

COD = ParameterSpec(
    unit="kg/m3",
    meaning="chemical oxygen demand of the inflow",
    maximum="200",
    source="laboratory with ISO 17025, composite samples",
    symbol="COD_inflow",
    option="C",
    frequency="monthly or oftener",
    side="both",
    channels=("inflow", "cod_in_mg_l"),
    per=1000,
    unmeasured="0",
)
MCF = ParameterSpec(
    unit="1",
    meaning="methane correction factor of the baseline system",
    maximum="1",
    source="IPCC 2006 Guidelines, volume 5",
    certainty="[r]",
    symbol="MCF_BL",
    side="baseline",
    published="wastewater.mcf",
)
FLOW = ParameterSpec(
    unit="m3",
    meaning="wastewater treated",
    maximum="1000000000",
    source="flow meter of the inflow",
    symbol="Q_ww",
    option="C",
    frequency="continuous",
    side="both",
)
INFLOW_ROLE = RoleNeeds(
    ("wastewater_plant",), "flow", "baseline", symbol="Q_ww", source="flow meter of the inflow"
)

FACTORS = (
    Published("bo_baseline", "B_o,ww", "tCH4/tCOD", "wastewater.bo", "avoided"),
    Published("bo_project", "B_o,ww", "tCH4/tCOD", "wastewater.bo", "consumed"),
    Published("uf_baseline", "UF_BL", "1", "wastewater.uf-bl", "avoided"),
    Published("uf_project", "UF_PJ", "1", "wastewater.uf-pj", "consumed"),
)
CAPACITIES = (
    *built_for_flow("inflow"),
    Capacity("design_cod_kg_per_d", ("inflow",), ML_PER_M3, of="cod_in_kg_per_m3"),
)


def treatment(least: str, source: str) -> Consumption:
    """Return the plausible electricity of a cubic metre: from `least` to 3 kWh."""
    return Consumption(
        uses=("power",),
        serves=("inflow",),
        unit="kWh/m3",
        # 1 Wh for each millilitre
        per_base=Fraction(1000),
        keys=("power_mwh", "flow_m3"),
        per_input=1000,
        span=lambda _: (Fraction(least), Fraction(3)),
        source=source,
        # half of what it takes when dry: rain thins the inflow; a fifth of its load takes as much
        by_history=True,
        by_design="design_kwh_per_m3",
        lowest=Fraction(1, 2),
        highest=Fraction(5),
    )


def live(fixed: Mapping[str, ParameterSpec], other: ParameterSpec) -> dict[str, ParameterSpec]:
    """Return parameters of a project: fixed ex ante, and yearly additions."""
    return {
        **fixed,
        "design_flow_m3_per_d": DESIGN_FLOW,
        "design_cod_kg_per_d": DESIGN_COD,
        "design_kwh_per_m3": DESIGN_PER_M3,
        "tdl": LOSSES_LIVE,
        "gwp_ch4": GWP_CH4,
        "other_project_t_per_year": yearly(other),
        "leakage_t_per_year": LEAKAGE_YEARLY,
    }


def further_inputs(other: ParameterSpec) -> dict[str, ParameterSpec]:
    """Return inputs other than water, gas and electricity: grid, methane, yearly additions."""
    return {
        "ef_grid_t_per_mwh": replace(EF_GRID, side="project"),
        "tdl": LOSSES,
        "gwp_ch4": GWP_CH4,
        "other_project_t": other,
        "leakage_t": replace(LEAKAGE, meaning="emissions of equipment brought from another plant"),
    }


def inputs_of(
    activities: Sequence[Activity], parameters: Inputs, factors: Factors, year: int
) -> Inputs:
    """Return wastewater [mL] as [m3], electricity [Wh] as [MWh], and the other inputs pro rata."""
    part = part_of_year(activities)
    return {
        "flow_m3": total(activities, "inflow") / ML_PER_M3,
        "power_mwh": power_mwh(activities),
        "ef_grid_t_per_mwh": grid(factors, year),
        "tdl": losses(parameters, factors, year),
        **warming(parameters, factors, year, "ch4"),
        "other_project_t": parameters["other_project_t_per_year"] * part,
        "leakage_t": parameters["leakage_t_per_year"] * part,
    }
