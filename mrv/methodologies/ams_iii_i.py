"""
Aerobic treatment in place of a system that forms methane, such as septic tanks.

CDM AMS-III.I version 8.0.  Equations and the uncertainty factor 0.89: [M], from
memory.  Methane capacity and correction factors: [r], IPCC 2006.  The aerobic
plant must be well managed: its methane counts as none.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mrv.equations import electricity, wastewater
from mrv.equations.reductions import reduction
from mrv.methodologies._shared import EF_GRID, GWP_CH4, LEAKAGE, LOSSES, POWER, TYPE_III
from mrv.model import Methodology, Reductions
from mrv.specs import ParameterSpec

if TYPE_CHECKING:
    from mrv.inputs import Inputs
    from mrv.model import Factors

ID = "ams-iii-i"
VERSION = "8.0"
ADDITIVE = False


def reductions(inputs: Inputs, factors: Factors) -> Reductions:
    """
    ER = BE - PE - LE. [tCO2e].

    BE = Q * COD * eta * MCF_BL * Bo * UF_BL * GWP
    PE = EC * EF * (1 + TDL)
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
    project = electricity.drawn(inputs["power_mwh"], inputs["ef_grid_t_per_mwh"], inputs["tdl"])
    leakage = inputs["leakage_t"]
    return Reductions(baseline, project, leakage, reduction(baseline, project, leakage))


METHODOLOGY = Methodology(
    id=ID,
    versions=(VERSION,),
    title="Avoidance of methane in wastewater by aerobic treatment",
    reference="CDM AMS-III.I version 8.0",
    notes=__doc__.strip(),
    additive=ADDITIVE,
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
        "cod_in_kg_per_m3": ParameterSpec(
            unit="kg/m3",
            meaning="chemical oxygen demand of the inflow",
            maximum="200",
            source="laboratory with ISO 17025, composite samples",
            symbol="COD_inflow",
            option="C",
            frequency="monthly or oftener",
            side="baseline",
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
        ),
        "mcf_baseline": ParameterSpec(
            unit="1",
            meaning="methane correction of the system that was replaced",
            maximum="1",
            source="IPCC 2006 Guidelines, volume 5",
            certainty="[r]",
            symbol="MCF_BL",
            side="baseline",
            published="wastewater.mcf",
        ),
        "power_mwh": POWER,
        "ef_grid_t_per_mwh": replace(EF_GRID, side="project"),
        "tdl": LOSSES,
        "gwp_ch4": GWP_CH4,
        "leakage_t": replace(
            LEAKAGE,
            meaning="equipment brought from another plant",
        ),
    },
    reductions=reductions,
    uses=("wastewater.bo", "wastewater.uf-bl"),
    conditions=(TYPE_III,),
    rules=("Uncertainty factor 0.89 on the baseline.",),
)
