"""
Methane of wastewater, captured from a reactor in place of an open lagoon.

CDM AMS-III.H version 19.0.  The equations, the uncertainty factors 0.89 and 1.12, the capture
efficiency 0.9 and the flare efficiencies were not compared with the text of the methodology.
Methane capacity, methane correction factors and density are those of IPCC 2006 (secondary source).
Methane of the baseline's sludge is not credited.  Enter emissions of the project's sludge in
`other_project_t`.  If untreated water was discharged to a river in the baseline, there is almost no
reduction; if the baseline treatment was aerobic, there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from mrv.errors import MethodologyError
from mrv.methodologies import _waste as water
from mrv.methodologies._shared import (
    LEAKAGE,
    ML_PER_M3,
    OUTPUT_EVIDENCE,
    POWER,
    POWER_ROLE,
    TYPE_III,
    drawn,
    total,
)
from mrv.model import Activity, Agreement, Factors, Methodology, RoleNeeds
from mrv.parameters import Inputs, ParameterSpec
from mrv.rounding import decimal_text
from mrv.steps import CONSTANTS, Published, Step, baseline_emissions, project_emissions, steps
from mrv.texts import Text, text

ID = "ams-iii-h"
VERSION = "19.0"
_HOTTEST = "flare_temperature_max_c"
ADDITIVE = False


def inputs_of(
    activities: Sequence[Activity], parameters: Inputs, factors: Factors, year: int
) -> Inputs:
    """Return wastewater and biogas [mL] as [m3], electricity as [MWh], and values fixed ex ante."""
    return {
        **{key: parameters[key] for key in _FIXED},
        "biogas_nm3": total(activities, "biogas") / ML_PER_M3,
        **water.inputs_of(activities, parameters, factors, year),
    }


_H = "AMS-III.H v19"
STEPS = steps(
    water.FACTORS,
    Published("gas_t_per_nm3", "D_CH4", "t/Nm3", "wastewater.ch4-density", "avoided"),
    Published("capture", "CFE", "1", "wastewater.cfe", "consumed"),
    drawn(),
    Step(
        "load_t",
        "COD_y",
        "tCOD",
        "flow_m3 * cod_in_kg_per_m3 / KG_PER_T",
        f"{_H}, baseline emissions",
        "mass of COD in the inflow",
    ),
    Step(
        "formed_t_per_t",
        "BE_COD",
        "tCO2e/tCOD",
        "(eta_cod_baseline * mcf_baseline + (1 - eta_cod_baseline) * mcf_discharge)"
        " * bo_baseline * uf_baseline * gwp_ch4",
        f"{_H}, baseline emissions",
        "baseline emissions per tonne of COD in the inflow: those of the COD removed and of the"
        " COD discharged",
    ),
    baseline_emissions("load_t * formed_t_per_t", _H, unit="tCO2e"),
    Step(
        "gas_t",
        "CH4_gas",
        "tCH4",
        "biogas_nm3 * ch4_fraction * gas_t_per_nm3",
        f"{_H}, methane destroyed",
        "mass of methane in the biogas",
    ),
    Step(
        "flare_t",
        "PE_flare",
        "tCO2e",
        "gas_t * (1 - flare_efficiency) * gwp_ch4",
        f"{_H}, project emissions of flaring",
        "emissions of methane that the flare or engine does not burn",
    ),
    Step(
        "methane_destroyed_t",
        "MD",
        "tCO2e",
        "gas_t * flare_efficiency * gwp_ch4",
        f"{_H}, methane destroyed",
        "methane destroyed, as CO2 equivalent",
    ),
    Step(
        "discharge_t",
        "PE_disch",
        "tCO2e",
        "flow_m3 * cod_out_kg_per_m3 / KG_PER_T * mcf_discharge * bo_project * uf_project"
        " * gwp_ch4",
        f"{_H}, project emissions of discharge",
        "methane emissions of the discharged COD",
    ),
    Step(
        "lost_t_per_t",
        "PE_COD",
        "tCO2e/tCOD",
        "mcf_project * bo_project * uf_project * (1 - capture) * gwp_ch4",
        f"{_H}, fugitive emissions: PE_fug = (1 - CFE) * MEP * GWP",
        "emissions of methane not captured, per tonne of COD removed",
    ),
    Step(
        "fugitive_t",
        "PE_fug",
        "tCO2e",
        "load_t * eta_cod_project * lost_t_per_t",
        f"{_H}, fugitive emissions",
        "emissions of methane not captured",
    ),
    Step(
        "least_load_t",
        "COD_least",
        "tCOD",
        "gas_t / bo_project",
        "IPCC 2006 Guidelines, volume 5, equation 6.2",
        "least mass of COD from which the biogas can have formed",
    ),
    Step(
        "lost_t",
        "PE_lost",
        "tCO2e",
        "flare_t + least_load_t * lost_t_per_t",
        "a rule of tonne, for time in which the COD was not measured",
        "emissions of methane not captured, calculated from the least COD",
    ),
    # Unmeasured COD is not credited; a COD of zero sets no limit if biogas was measured
    Step(
        "treatment_t",
        "PE_treatment",
        "tCO2e",
        "discharge_t + fugitive_t + flare_t if cod_in_kg_per_m3"
        " else lost_t - min(lost_t, least_load_t * formed_t_per_t)",
        f"{_H}, project emissions; without COD a rule of tonne's own",
        "emissions of the treatment; without measured COD, only those above the baseline emissions",
    ),
    project_emissions("power_t + treatment_t + other_project_t", _H, unit="tCO2e"),
    Step(
        "reduction_t",
        "ER",
        "tCO2e",
        "min(baseline_t - project_t - leakage_t,"
        " methane_destroyed_t - power_t - other_project_t - leakage_t)",
        f"{_H}, emission reductions ex post",
        "reduction, at most the methane burnt",
    ),
    extra=("methane_destroyed_t",),
)


def odd(inputs: Inputs) -> None:
    """Raise MethodologyError for a plant whose outflow has more organic matter than its inflow."""
    if inputs["cod_out_kg_per_m3"] > inputs["cod_in_kg_per_m3"]:
        raise MethodologyError(
            f"cod_out_kg_per_m3 = {float(inputs['cod_out_kg_per_m3']):g} is above "
            f"cod_in_kg_per_m3 = {float(inputs['cod_in_kg_per_m3']):g}; check their units (1000 "
            "mg/L is 1 kg/m3)"
        )


def _digested(inputs: Inputs, factors: Factors) -> Fraction:
    """
    Return the lowest share of the inflow's COD from which the biogas can have formed. [1]

    The removal efficiency cannot be lower.  A tolerance covers the errors of both meters.
    """
    result = STEPS.values(inputs, factors)
    least = _share(result["least_load_t"], result["load_t"]) / _MAX_FORMED
    return min(Fraction(1), least)


def _share(part: Fraction, load: Fraction) -> Fraction:
    return part / load if load else Fraction(0)


def _gas_of_cod(inputs: Inputs, factors: Factors) -> tuple[Text, dict[str, Fraction]] | None:
    """
    Return a text and the corrected inputs where methane and COD contradict each other; else None.

    At most B_o of methane can form per COD.  If methane is too low for the COD removed, the COD is
    reduced to the value that the gas supports.
    """
    flow, out = inputs["flow_m3"], inputs["cod_out_kg_per_m3"]
    formed = STEPS.values(inputs, factors)["least_load_t"]
    removed = flow * max(Fraction(0), inputs["cod_in_kg_per_m3"] - out) / CONSTANTS["KG_PER_T"]
    share = _share(formed, removed)
    if not share or _MIN_FORMED <= share <= _MAX_FORMED:
        return None
    values = {
        "share": decimal_text(share, 3, "half_even"),
        "least": decimal_text(_MIN_FORMED, 1, "half_even"),
        "most": decimal_text(_MAX_FORMED, 1, "half_even"),
    }
    if share > _MAX_FORMED:
        return text("PAR-08.methane", **values), {}
    from_gas = formed * CONSTANTS["KG_PER_T"] / flow + out
    return text("PAR-08.methane_cod", **values), {"cod_in_kg_per_m3": from_gas}


# share of the possible methane of the COD that is measured [M]: up to half is lost to sludge and
# dissolved methane; above 1 due to the errors of the meters
_MIN_FORMED, _MAX_FORMED = Fraction(2, 5), Fraction(11, 10)
_GAS = Agreement(_gas_of_cod)

_ETA = ParameterSpec(
    unit="1",
    meaning="share of COD that the baseline system removes",
    maximum="1",
    source="measurement over one year before the project",
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
        source="measurement",
        symbol="eta_COD,PJ",
        option="C",
        frequency="monthly or oftener",
        side="project",
        unmeasured="1",
    ),
    "mcf_baseline": water.MCF,
    "mcf_project": replace(
        water.MCF,
        meaning="methane correction factor of the reactor",
        symbol="MCF_k",
        side="project",
    ),
    "mcf_discharge": replace(
        water.MCF,
        meaning="methane correction factor of the receiving water",
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
        source="CDM TOOL06; requires an exhaust temperature of 500 Cel",
        symbol="FE, eta_flare",
        side="both",
        published="flare.efficiency",
        # value of an open flare, for which TOOL06 requires flame detection, but no temperature
        unmeasured="0.5",
        lit=("biogas", (("flare_temperature_c", "500", _HOTTEST), ("flare_flame", "1", ""))),
    ),
}
_MANUFACTURERS = ParameterSpec(
    unit="Cel",
    meaning="highest temperature of the flare's exhaust by its manufacturer; above it the"
    " efficiency is 0",
    required=False,
    minimum="500",
    maximum="2000",
    source="manufacturer's specification of the flare; CDM TOOL06",
    symbol="SPEC_flare",
    side="both",
)
_OTHER = replace(
    LEAKAGE,
    meaning="annual project emissions of anaerobic sludge treatment or disposal and of stored"
    " biomass",
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
    asks=("residues",),
    additive=ADDITIVE,
    roles={
        "inflow": water.INFLOW_ROLE,
        "biogas": RoleNeeds(
            ("wastewater_plant",),
            "biogas",
            "baseline",
            symbol="BG_burnt",
            source="gas meter at the flare, normalised",
            # methane not destroyed by the flare: less measured gas also lowers this emission
            costs=0,
        ),
        "power": POWER_ROLE,
    },
    parameters={**water.live(_FIXED, _OTHER), _HOTTEST: _MANUFACTURERS},
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
        **water.further_inputs(_OTHER),
    },
    inputs_of=inputs_of,
    timed=True,
    steps=STEPS,
    uses=("wastewater.bo", "wastewater.uf", "wastewater.cfe", "wastewater.ch4-density"),
    odd=odd,
    conditions=(TYPE_III,),
    consumptions=(_TREATMENT,),
    capacities=water.CAPACITIES,
    lower_limits={"eta_cod_project": _digested},
    agreement=(_GAS,),
    dated=("mcf_baseline", "eta_cod_baseline"),
    rules=(
        (
            "The reduction is at most the destroyed methane [tCO2e], minus the emissions of the"
            " electricity used."
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
            "Baseline emissions are multiplied by the uncertainty factor 0.89, project emissions"
            " by 1.12."
        ),
        (
            "Without readings of an analyser or dated laboratory results of a parameter, its"
            " conservative bound is applied (PAR-06)."
        ),
        "Without measured COD, no reduction is credited.",
        "Methane lost from the treatment above baseline emissions is added to project emissions.",
        "COD_least is the mass of COD from which the metered biogas must have formed.",
        (
            "The removal efficiency eta_COD,PJ is at least COD_least / (1.1 * COD_y): a lower"
            " value would hide lost methane (PAR-06). The 1.1 allows gas meter and COD measurement"
            " to differ by 10 %. COD_y has the COD_inflow that is applied."
        ),
        (
            "PAR-08 compares the metered methane CH4_gas with the methane that the removed COD"
            " can form, Q_ww * (COD_inflow - COD_discharge) * B_o,ww; COD_inflow is as measured,"
            " before the limits of MTR-07."
        ),
        (
            "If CH4_gas is below 0.4 times that methane, COD_least / Q_ww + COD_discharge is"
            " applied as COD_inflow."
        ),
        "If CH4_gas is above 1.1 times that methane, a finding reports the difference.",
        (
            "A flare efficiency above 0.5 requires dated results of its temperature. Without"
            " them, the flare is treated as an open flare."
        ),
        (
            "The flare efficiency is 0 in time without a flame: neither does the exhaust reach"
            " 500 degrees C, nor does a detector show a flame."
        ),
    ),
)
