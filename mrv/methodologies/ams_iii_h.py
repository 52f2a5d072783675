"""
Methane of wastewater, captured from a reactor in place of an open lagoon.

CDM AMS-III.H version 19.0.  Equations, uncertainty factors 0.89 and 1.12, capture
efficiency 0.9 and flare efficiencies: [M], from memory.  Methane capacity,
correction factors and density: [r], IPCC 2006.  Sludge of the baseline earns no
credit; that of the project goes into `other_project_t`.  A baseline that discharged untreated to
a river earns almost nothing, one that was aerobic nothing at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from mrv.equations import electricity, wastewater
from mrv.equations.reductions import reduction
from mrv.errors import MethodologyError
from mrv.methodologies import _wastewater as water
from mrv.methodologies._live import ML_PER_M3, POWER_ROLE, total
from mrv.methodologies._shared import LEAKAGE, POWER, TYPE_III
from mrv.model import Activity, Agreement, Factors, Methodology, Reductions, RoleNeeds
from mrv.parameters.inputs import Inputs
from mrv.parameters.specs import ParameterSpec
from mrv.rounding import decimal_text
from mrv.texts import Text, text

ID = "ams-iii-h"
VERSION = "19.0"
ADDITIVE = False


def inputs_of(
    activities: Sequence[Activity], parameters: Inputs, factors: Factors, year: int
) -> Inputs:
    """Wastewater and biogas [mL] to [m3], electricity to [MWh], and what was fixed ex ante."""
    return {
        **{key: parameters[key] for key in _FIXED},
        "biogas_nm3": total(activities, "biogas") / ML_PER_M3,
        **water.inputs_of(activities, parameters, factors, year),
    }


def reductions(inputs: Inputs, factors: Factors) -> Reductions:
    """
    ER = min(BE - PE - LE, MD - PE_power - PE_other - LE). [tCO2e].

    BE = Q * COD_inflow * (eta_BL * MCF_BL + (1 - eta_BL) * MCF_disch) * Bo * UF_BL * GWP
    PE = PE_power + PE_disch + PE_fugitive + PE_flare + PE_other
    PE_power = EC * EF_el * (1 + TDL)
    PE_disch = Q * COD_discharge * MCF_disch * Bo * UF_PJ * GWP
    PE_fugitive = (1 - CFE) * Q * COD_inflow * eta_PJ * MCF_k * Bo * UF_PJ * GWP
    PE_flare = BG_burnt * w_CH4 * D_CH4 * (1 - FE) * GWP
    MD = BG_burnt * w_CH4 * D_CH4 * FE * GWP
    """
    power = electricity.drawn(inputs["power_mwh"], inputs["ef_grid_t_per_mwh"], inputs["tdl"])
    load = wastewater.organic_load(inputs["flow_m3"], inputs["cod_in_kg_per_m3"])
    baseline = _baseline(load, inputs, factors)
    in_gas = wastewater.biogas_methane(
        inputs["biogas_nm3"],
        inputs["ch4_fraction"],
        factors.select("wastewater.ch4-density", "avoided").value,
    )
    gwp, burnt = inputs["gwp_ch4"], inputs["flare_efficiency"]
    escaped = wastewater.warming(wastewater.remainder(in_gas, burnt), gwp)
    destroyed = wastewater.warming(wastewater.share_of(in_gas, burnt), gwp)
    other, leakage = inputs["other_project_t"], inputs["leakage_t"]
    if inputs["cod_in_kg_per_m3"]:
        treated = _project(inputs, factors) + escaped
    else:
        treated = _unmeasured(inputs, factors, in_gas, escaped)
    project = power + treated + other
    return Reductions(
        baseline,
        project,
        leakage,
        wastewater.capped(
            reduction(baseline, project, leakage), destroyed, power + other + leakage
        ),
        {"methane_destroyed_t": destroyed},
    )


def _baseline(load: Fraction, inputs: Inputs, factors: Factors) -> Fraction:
    """BE = Q * COD * (eta * MCF_BL + (1 - eta) * MCF_disch) * Bo * UF_BL * GWP. [tCO2e]."""
    removed = wastewater.share_of(load, inputs["eta_cod_baseline"])
    rest = wastewater.remainder(load, inputs["eta_cod_baseline"])
    uncertainty = factors.select("wastewater.uf-bl", "avoided").value
    capacity = factors.select("wastewater.bo", "avoided").value
    treated = wastewater.methane(removed, inputs["mcf_baseline"], capacity, uncertainty)
    discharged = wastewater.methane(rest, inputs["mcf_discharge"], capacity, uncertainty)
    return wastewater.warming(treated + discharged, inputs["gwp_ch4"])


def _project(inputs: Inputs, factors: Factors) -> Fraction:
    """PE_discharge + PE_fugitive, with UF_PJ and 1 - CFE. [tCO2e]."""
    uncertainty = factors.select("wastewater.uf-pj", "consumed").value
    capacity = factors.select("wastewater.bo", "consumed").value
    out = wastewater.organic_load(inputs["flow_m3"], inputs["cod_out_kg_per_m3"])
    discharged = wastewater.methane(out, inputs["mcf_discharge"], capacity, uncertainty)
    load = wastewater.organic_load(inputs["flow_m3"], inputs["cod_in_kg_per_m3"])
    fugitive = _fugitive(wastewater.share_of(load, inputs["eta_cod_project"]), inputs, factors)
    return wastewater.warming(discharged + fugitive, inputs["gwp_ch4"])


def _fugitive(removed: Fraction, inputs: Inputs, factors: Factors) -> Fraction:
    """Methane that a load gives off beside what is captured of it. [tCH4]."""
    uncertainty = factors.select("wastewater.uf-pj", "consumed").value
    capacity = factors.select("wastewater.bo", "consumed").value
    potential = wastewater.methane(removed, inputs["mcf_project"], capacity, uncertainty)
    return wastewater.remainder(potential, factors.select("wastewater.cfe", "consumed").value)


def _unmeasured(inputs: Inputs, factors: Factors, in_gas: Fraction, escaped: Fraction) -> Fraction:
    """
    Emissions of the treatment where nobody measured the COD. [tCO2e].

    Nothing is claimed.  The gas shows the least COD that it came from; what is lost of it counts
    as far as it is more than the baseline would have given off from the same COD.  Zero COD
    beside gas from it would be no bound of anything: no plant has both.
    """
    least = wastewater.least_load(in_gas, factors.select("wastewater.bo", "consumed").value)
    fugitive = wastewater.warming(_fugitive(least, inputs, factors), inputs["gwp_ch4"])
    return wastewater.beyond(escaped + fugitive, _baseline(least, inputs, factors))


def odd(inputs: Inputs) -> None:
    """Name a plant that puts out more organic matter than it takes in."""
    if inputs["cod_out_kg_per_m3"] > inputs["cod_in_kg_per_m3"]:
        raise MethodologyError(
            f"cod_out_kg_per_m3 = {float(inputs['cod_out_kg_per_m3']):g} is above cod_in_kg_per_m3"
            f" = {float(inputs['cod_in_kg_per_m3']):g}; 1000 mg/L is 1 kg/m3"
        )


def _digested(inputs: Inputs, factors: Factors) -> Fraction:
    """
    Least share of the inflow's COD that the methane in the gas was formed from. [1]

    What forms the gas was removed in the reactor: eta_COD,PJ is no less.  The meters of water
    and gas may differ by what is plausible.
    """
    load = wastewater.organic_load(inputs["flow_m3"], inputs["cod_in_kg_per_m3"])
    least = wastewater.ratio(_gas_load(inputs, factors), load) / _MOST_FORMED
    return min(Fraction(1), least)


def _gas_load(inputs: Inputs, factors: Factors) -> Fraction:
    """Least COD that the methane in the gas was formed from. [tCOD]"""
    in_gas = wastewater.biogas_methane(
        inputs["biogas_nm3"],
        inputs["ch4_fraction"],
        factors.select("wastewater.ch4-density", "avoided").value,
    )
    return wastewater.least_load(in_gas, factors.select("wastewater.bo", "consumed").value)


def _gas_of_cod(inputs: Inputs, factors: Factors) -> tuple[Text, dict[str, Fraction]] | None:
    """
    Hold methane and COD against each other, which are measured apart.

    No more than B_o can form of the COD.  Of so little that the COD is in doubt, the COD counts
    that the gas shows.
    """
    flow, out = inputs["flow_m3"], inputs["cod_out_kg_per_m3"]
    removed = wastewater.organic_load(flow, max(Fraction(0), inputs["cod_in_kg_per_m3"] - out))
    formed = _gas_load(inputs, factors)
    share = wastewater.ratio(formed, removed)
    if not share or _LEAST_FORMED <= share <= _MOST_FORMED:
        return None
    values = {
        "share": decimal_text(share, 3, "half_even"),
        "least": decimal_text(_LEAST_FORMED, 1, "half_even"),
        "most": decimal_text(_MOST_FORMED, 1, "half_even"),
    }
    if share > _MOST_FORMED:
        return text("PAR-08.methane", **values), {}
    shown = wastewater.concentration(formed, flow) + out
    return text("PAR-08.methane_cod", **values), {"cod_in_kg_per_m3": shown}


# [M]: dissolved methane and sludge take up to half; above 1 by the classes of the meters
_LEAST_FORMED, _MOST_FORMED = Fraction(2, 5), Fraction(11, 10)
_GAS = Agreement(_gas_of_cod)

_ETA = ParameterSpec(
    unit="1",
    meaning="share of COD that the baseline system removes",
    maximum="1",
    source="measured for a year before the project",
    symbol="eta_COD,BL",
    side="baseline",
)

_FIXED = {
    "cod_in_kg_per_m3": water.COD,
    "cod_out_kg_per_m3": replace(
        water.COD,
        meaning="chemical oxygen demand of the outflow",
        symbol="COD_discharge",
        side="project",
        channels=("inflow", "cod_out_mg_l"),
        unmeasured="cod_in_kg_per_m3",
    ),
    "eta_cod_baseline": _ETA,
    "eta_cod_project": replace(
        _ETA,
        meaning="share of COD that the reactor removes",
        source="measured",
        symbol="eta_COD,PJ",
        option="C",
        frequency="monthly or oftener",
        side="project",
        unmeasured="1",
    ),
    "mcf_baseline": water.MCF,
    "mcf_project": replace(
        water.MCF, meaning="methane correction of the reactor", symbol="MCF_k", side="project"
    ),
    "mcf_discharge": replace(
        water.MCF,
        meaning="methane correction of the water that takes the outflow",
        symbol="MCF_disch",
        side="both",
    ),
    "ch4_fraction": ParameterSpec(
        unit="1",
        meaning="methane in the biogas by volume",
        maximum="1",
        source="gas analyser, continuous or 95/10 samples",
        symbol="w_CH4",
        option="C",
        frequency="hourly or sampled",
        side="both",
        channels=("biogas", "ch4_percent"),
        per=100,
        unmeasured="0",
    ),
    "flare_efficiency": ParameterSpec(
        unit="1",
        meaning="share of methane that the flare burns",
        maximum="1",
        source="CDM TOOL06; needs an exhaust of 500 Cel",
        symbol="FE, eta_flare",
        side="both",
        published="flare.efficiency",
        # that of an open flare, for which TOOL06 asks for no temperature
        unmeasured="0.5",
    ),
}
_OTHER = replace(
    LEAKAGE,
    meaning="sludge treated or disposed of without air and biomass stored, of the year",
    symbol="PE_s + PE_biomass",
)

_TREATMENT = water.treatment("0.005", "pumping alone; activated sludge of strong wastewater [M]")

METHODOLOGY = Methodology(
    id=ID,
    versions=(VERSION,),
    title="Methane recovery in wastewater treatment",
    reference="CDM AMS-III.H version 19.0",
    programme="CDM",
    notes=__doc__.strip(),
    additive=ADDITIVE,
    roles={
        "inflow": water.INFLOW_ROLE,
        "biogas": RoleNeeds(
            ("wastewater_plant",),
            "biogas",
            "baseline",
            symbol="BG_burnt",
            source="gas meter at the flare, normalised",
            # what the flare lets through: less gas shown is less of that, too
            costs=0,
        ),
        "power": POWER_ROLE,
    },
    parameters=water.live(_FIXED, _OTHER),
    inputs={
        "flow_m3": water.FLOW,
        "power_mwh": POWER,
        "biogas_nm3": ParameterSpec(
            unit="Nm3",
            meaning="biogas that was burnt, at 0 Cel and 101.325 kPa",
            maximum="1000000000",
            source="flow meter with temperature and pressure",
            symbol="BG_burnt",
            option="C",
            frequency="hourly or finer",
            side="both",
        ),
        **_FIXED,
        **water.besides(_OTHER),
    },
    inputs_of=inputs_of,
    timed=True,
    reductions=reductions,
    uses=("wastewater.bo", "wastewater.uf", "wastewater.cfe", "wastewater.ch4-density"),
    odd=odd,
    conditions=(TYPE_III,),
    consumptions=(_TREATMENT,),
    capacities=water.CAPACITIES,
    shown={"eta_cod_project": _digested},
    agreement=(_GAS,),
    dated=("mcf_baseline", "eta_cod_baseline"),
    rules=(
        "The reduction is at most the methane that was burnt, less the power used.",
        "Water and COD count to no more than the plant was built for, by its licence or design.",
        "Water of rain counts above it where the load is no more than that.",
        "Without dated documents of that, or invoices for it, nothing counts.",
        "Nothing is reduced without invoices of what is delivered, or of its electricity.",
        "The baseline's lagoon or tank stands in a dated document; a condition asks for it.",
        "Uncertainty factors: 0.89 on the baseline, 1.12 on the project.",
        "COD and methane count by analysers or dated laboratory results, else by what costs.",
        "Without measured COD nothing is claimed; losses count beyond what the baseline had.",
        "The reactor removes at least the COD that the methane in its gas was formed from.",
        "A flare above 0.5 shows its temperature by dated results; else it counts as an open one.",
    ),
)
