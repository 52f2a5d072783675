"""
Aerobic treatment in place of a system that forms methane, such as septic tanks.

CDM AMS-III.I version 8.0.  Equations and the uncertainty factors 0.89 and 1.12: [M],
from memory.  Methane capacity and correction factors: [r], IPCC 2006.  The aerobic
plant that is well managed forms no methane; give the correction of one that is
overloaded, and what its sludge gives off.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

from mrv.equations import electricity, wastewater
from mrv.equations.reductions import reduction
from mrv.methodologies._live import (
    DESIGN_COD,
    DESIGN_FLOW,
    DESIGN_PER_M3,
    LEAKAGE_YEARLY,
    LOSSES_LIVE,
    ML_PER_M3,
    POWER_ROLE,
    built_for_flow,
    grid,
    losses,
    part_of_year,
    power_mwh,
    total,
    warming,
    yearly,
)
from mrv.methodologies._shared import EF_GRID, GWP_CH4, LEAKAGE, LOSSES, POWER, TYPE_III
from mrv.model import Activity, Capacity, Consumption, Factors, Methodology, Reductions, RoleNeeds
from mrv.parameters.specs import ParameterSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mrv.parameters.inputs import Inputs

ID = "ams-iii-i"
VERSION = "8.0"
ADDITIVE = False


def inputs_of(
    activities: Sequence[Activity], parameters: Inputs, factors: Factors, year: int
) -> Inputs:
    """Wastewater [mL] to [m3], electricity [Wh] to [MWh], and what was fixed ex ante."""
    part = part_of_year(activities)
    return {
        **{key: parameters[key] for key in _FIXED},
        "flow_m3": total(activities, "inflow") / ML_PER_M3,
        "power_mwh": power_mwh(activities),
        "ef_grid_t_per_mwh": grid(factors, year),
        "tdl": losses(parameters, factors, year),
        **warming(parameters, factors, year, "ch4"),
        "other_project_t": parameters["other_project_t_per_year"] * part,
        "leakage_t": parameters["leakage_t_per_year"] * part,
    }


def reductions(inputs: Inputs, factors: Factors) -> Reductions:
    """
    ER = BE - PE - LE. [tCO2e].

    BE = Q * COD * eta * MCF_BL * Bo * UF_BL * GWP
    PE = EC * EF * (1 + TDL) + Q * COD * eta * MCF_PJ * Bo * UF_PJ * GWP + PE_s
    """
    removed = wastewater.share_of(
        wastewater.organic_load(inputs["flow_m3"], inputs["cod_in_kg_per_m3"]), inputs["eta_cod"]
    )
    methane = wastewater.methane(
        removed,
        inputs["mcf_baseline"],
        factors.select("wastewater.bo", "avoided").value,
        factors.select("wastewater.uf-bl", "avoided").value,
    )
    baseline = wastewater.warming(methane, inputs["gwp_ch4"])
    formed = wastewater.methane(
        removed,
        inputs["mcf_project"],
        factors.select("wastewater.bo", "consumed").value,
        factors.select("wastewater.uf-pj", "consumed").value,
    )
    power = electricity.drawn(inputs["power_mwh"], inputs["ef_grid_t_per_mwh"], inputs["tdl"])
    project = power + wastewater.warming(formed, inputs["gwp_ch4"]) + inputs["other_project_t"]
    leakage = inputs["leakage_t"]
    return Reductions(baseline, project, leakage, reduction(baseline, project, leakage))


_MCF = ParameterSpec(
    unit="1",
    meaning="methane correction of the system that was replaced",
    maximum="1",
    source="IPCC 2006 Guidelines, volume 5",
    certainty="[r]",
    symbol="MCF_BL",
    side="baseline",
    published="wastewater.mcf",
)

_FIXED = {
    "cod_in_kg_per_m3": ParameterSpec(
        unit="kg/m3",
        meaning="chemical oxygen demand of the inflow",
        maximum="200",
        source="laboratory with ISO 17025, composite samples",
        symbol="COD_inflow",
        option="C",
        frequency="monthly or oftener",
        side="baseline",
        channels=("inflow", "cod_in_mg_l"),
        per=1000,
        unmeasured="0",
    ),
    "eta_cod": ParameterSpec(
        unit="1",
        meaning="share of COD removed, the lower of baseline and project",
        maximum="1",
        source="measured",
        symbol="eta_COD",
        option="C",
        frequency="monthly or oftener",
        side="baseline",
        channels=("inflow", "cod_in_mg_l", "cod_out_mg_l"),
        unmeasured="0",
        lower_of=True,
    ),
    "mcf_baseline": _MCF,
    "mcf_project": replace(
        _MCF,
        default="0",
        meaning="methane correction of the aerobic plant, 0 where it is well managed",
        symbol="MCF_PJ",
        side="project",
    ),
}
_OTHER = replace(
    LEAKAGE, meaning="sludge treated or disposed of without air, of the year", symbol="PE_s"
)

_TREATMENT = Consumption(
    uses=("power",),
    serves=("inflow",),
    unit="kWh/m3",
    # 1 Wh for each millilitre
    per_base=Fraction(1000),
    keys=("power_mwh", "flow_m3"),
    per_input=1000,
    span=lambda _: (Fraction("0.05"), Fraction(3)),
    source="aerated lagoons; activated sludge of strong wastewater [M]",
    # half of what it takes when dry: rain thins the inflow; a fifth of its load takes as much
    by_history=True,
    by_design="design_kwh_per_m3",
    least=Fraction(1, 2),
    most=Fraction(5),
)

METHODOLOGY = Methodology(
    id=ID,
    versions=(VERSION,),
    title="Avoidance of methane in wastewater by aerobic treatment",
    reference="CDM AMS-III.I version 8.0",
    notes=__doc__.strip(),
    additive=ADDITIVE,
    roles={
        "inflow": RoleNeeds(
            ("wastewater_plant",),
            "flow",
            "baseline",
            symbol="Q_ww",
            source="flow meter of the inflow",
        ),
        "power": POWER_ROLE,
    },
    parameters={
        **_FIXED,
        "design_flow_m3_per_d": DESIGN_FLOW,
        "design_cod_kg_per_d": DESIGN_COD,
        "design_kwh_per_m3": DESIGN_PER_M3,
        "tdl": LOSSES_LIVE,
        "gwp_ch4": GWP_CH4,
        "other_project_t_per_year": yearly(_OTHER),
        "leakage_t_per_year": LEAKAGE_YEARLY,
    },
    inputs={
        "flow_m3": ParameterSpec(
            unit="m3",
            meaning="wastewater treated",
            maximum="1000000000",
            source="flow meter of the inflow",
            symbol="Q_ww",
            option="C",
            frequency="continuous",
            side="baseline",
        ),
        **_FIXED,
        "power_mwh": POWER,
        "ef_grid_t_per_mwh": replace(EF_GRID, side="project"),
        "tdl": LOSSES,
        "gwp_ch4": GWP_CH4,
        "other_project_t": _OTHER,
        "leakage_t": replace(LEAKAGE, meaning="equipment brought from another plant"),
    },
    inputs_of=inputs_of,
    timed=True,
    reductions=reductions,
    uses=("wastewater.bo", "wastewater.uf"),
    conditions=(TYPE_III,),
    consumptions=(_TREATMENT,),
    capacities=(
        *built_for_flow("inflow"),
        Capacity("design_cod_kg_per_d", ("inflow",), ML_PER_M3, of="cod_in_kg_per_m3"),
    ),
    rules=(
        "Uncertainty factors: 0.89 on the baseline, 1.12 on the project.",
        "Water and COD count to no more than the plant was built for, by its licence or design.",
        "A baseline that was aerobic, or discharged to a river, earns nothing or almost nothing.",
    ),
)
