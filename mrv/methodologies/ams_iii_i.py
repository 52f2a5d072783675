"""
Aerobic treatment in place of a system that forms methane, such as septic tanks.

CDM AMS-III.I version 8.0.  The equations and the uncertainty factors 0.89 and 1.12 were not
compared with the text of the methodology.  Methane capacity and methane correction factors are
those of IPCC 2006 (secondary source).  A well-managed aerobic plant forms no methane.  For an
overloaded plant, enter its methane correction factor; enter emissions of the sludge in
`other_project_t`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mrv.methodologies import _waste as water
from mrv.methodologies._shared import LEAKAGE, OUTPUT_EVIDENCE, POWER, POWER_ROLE, TYPE_III, drawn
from mrv.model import Activity, Factors, Methodology
from mrv.parameters import Inputs, ParameterSpec
from mrv.steps import Step, baseline_emissions, project_emissions, steps

ID = "ams-iii-i"
VERSION = "8.0"
ADDITIVE = False


def inputs_of(
    activities: Sequence[Activity], parameters: Inputs, factors: Factors, year: int
) -> Inputs:
    """Return wastewater [mL] as [m3], electricity [Wh] as [MWh], and values fixed ex ante."""
    return {
        **{key: parameters[key] for key in _FIXED},
        **water.inputs_of(activities, parameters, factors, year),
    }


_I = "AMS-III.I"
STEPS = steps(
    water.FACTORS,
    Step(
        "removed_t",
        "COD_removed",
        "tCOD",
        "flow_m3 * cod_in_kg_per_m3 / KG_PER_T * eta_cod",
        f"{_I}, baseline emissions",
        "mass of COD removed",
    ),
    baseline_emissions(
        "removed_t * mcf_baseline * bo_baseline * uf_baseline * gwp_ch4", _I, unit="tCO2e"
    ),
    drawn(),
    Step(
        "formed_t",
        "PE_CH4",
        "tCO2e",
        "removed_t * mcf_project * bo_project * uf_project * gwp_ch4",
        f"{_I}, project emissions",
        "emissions of methane that the aerobic plant forms",
    ),
    project_emissions("power_t + formed_t + other_project_t", _I, unit="tCO2e"),
)


_MCF = replace(water.MCF, meaning="methane correction factor of the system that was replaced")

_FIXED = {
    "cod_in_kg_per_m3": replace(water.COD, side="baseline"),
    "eta_cod": ParameterSpec(
        unit="1",
        meaning="share of COD removed, the lower of baseline and project",
        maximum="1",
        source="measurement",
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
        meaning="methane correction factor of the aerobic plant, 0 where it is well managed",
        symbol="MCF_PJ",
        side="project",
    ),
}
_OTHER = replace(
    LEAKAGE,
    meaning="annual project emissions of anaerobic sludge treatment or disposal",
    symbol="PE_s",
)

_TREATMENT = water.treatment("0.05", "aerated lagoons; activated sludge of strong wastewater [M]")

METHODOLOGY = Methodology(
    id=ID,
    versions=(VERSION,),
    title="Avoidance of methane in wastewater by aerobic treatment",
    reference="CDM AMS-III.I version 8.0",
    programme="CDM",
    notes=__doc__.strip(),
    asks=("residues",),
    additive=ADDITIVE,
    roles={"inflow": water.INFLOW_ROLE, "power": POWER_ROLE},
    parameters=water.live(_FIXED, _OTHER),
    inputs={
        "flow_m3": replace(water.FLOW, side="baseline"),
        **_FIXED,
        "power_mwh": POWER,
        **water.further_inputs(_OTHER),
    },
    dated=("mcf_baseline",),
    inputs_of=inputs_of,
    timed=True,
    steps=STEPS,
    uses=("wastewater.bo", "wastewater.uf"),
    conditions=(TYPE_III,),
    consumptions=(_TREATMENT,),
    capacities=water.CAPACITIES,
    rules=(
        (
            "Baseline emissions are multiplied by the uncertainty factor 0.89, project emissions"
            " by 1.12."
        ),
        (
            "The credited water and COD (chemical oxygen demand) are at most the design"
            " capacity, as stated in the licence or design document (MTR-07)."
        ),
        (
            "If rain dilutes the water, its volume may exceed the design capacity in a week"
            " whose COD load is at most the capacity times the mean concentration of the other"
            " days (MTR-07)."
        ),
        *OUTPUT_EVIDENCE,
        "A dated document of the baseline lagoon or tank is required (PAR-07).",
        (
            "A baseline with aerobic treatment, or with discharge to a river, gives little or no"
            " reduction."
        ),
    ),
)
