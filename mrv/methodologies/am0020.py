"""
Water pumping with less electricity per cubic metre.

CDM AM0020 version 2.0.  The equations were not compared with the text of the methodology.  The
service (head and pressure) must be the same in baseline and project.  If `head_m` is entered, the
energy that lifts the water is the lower limit of the consumption: `tonne evaluate` rejects a lower
consumption, and a closed period applies the upper end of the plausible range (MTR-05).  Enter the
electricity of additional water treatment in `energy_mwh` only if the baseline includes it too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from mrv.errors import MethodologyError
from mrv.methodologies._shared import (
    DESIGN_FLOW,
    DESIGN_PER_M3,
    EF_BOTH,
    EF_GRID,
    ML_PER_M3,
    OUTPUT_EVIDENCE,
    POWER,
    POWER_ROLE,
    SURE,
    built_for_flow,
    power_mwh,
    total,
)
from mrv.model import Activity, Factors, Methodology, RoleNeeds
from mrv.parameters import Inputs, ParameterSpec
from mrv.service_bounds import Consumption, Related
from mrv.steps import Step, baseline_emissions, project_emissions, steps

ID = "am0020"
VERSION = "2.0"
ADDITIVE = False

_KWH_PER_MWH = 1000


def inputs_of(
    activities: Sequence[Activity], parameters: Inputs, factors: Factors, year: int
) -> Inputs:
    """Return water [mL] as [m3], electricity [Wh] as [MWh], and values fixed ex ante."""
    del factors, year
    return {
        "volume_m3": total(activities, "volume") / ML_PER_M3,
        "energy_mwh": power_mwh(activities),
        **{key: parameters[key] for key in METHODOLOGY.parameters if key in METHODOLOGY.inputs},
    }


_J_PER_KWH = 3_600_000
_WEIGHT_OF_WATER = Fraction("9806.65")  # N/m3
STEPS = steps(
    Step(
        "before_mwh",
        "E_BL",
        "MWh",
        "volume_m3 * kwh_per_m3_baseline / KWH_PER_MWH",
        "AM0020 v2, baseline emissions",
        "electricity that the old pumps would have used for the same volume of water",
    ),
    baseline_emissions("before_mwh * ef_grid_t_per_mwh", "AM0020 v2"),
    project_emissions("energy_mwh * ef_grid_t_per_mwh", "AM0020 v2"),
)


def hydraulic_minimum(head: Fraction) -> Fraction:
    """
    Return the physical minimum energy of pumping: rho * g * H / 3.6e6. [kWh/m3]

    Conservation of energy; rho = 1000 kg/m3, g = 9.80665 m/s2, `head` H in m.
    """
    return head * _WEIGHT_OF_WATER / _J_PER_KWH


def odd(inputs: Inputs) -> None:
    """Raise MethodologyError for less energy than lifting the water requires."""
    least = hydraulic_minimum(inputs["head_m"])
    specific = {"kwh_per_m3_baseline": inputs["kwh_per_m3_baseline"]}
    if inputs["volume_m3"]:
        used = inputs["energy_mwh"] * _KWH_PER_MWH / inputs["volume_m3"]
        specific["energy_mwh over volume_m3"] = used
    for name, value in specific.items():
        if value < least:
            raise MethodologyError(
                f"{name} is {float(value):.6g} kWh/m3, and lifting water by head_m ="
                f" {float(inputs['head_m']):g} m takes {float(least):.6g}; check units and head"
            )


def _specific(inputs: Inputs) -> tuple[Fraction, Fraction]:
    """Return the range of specific consumption: for lifting, and before the project. [kWh/m3]"""
    least = hydraulic_minimum(inputs["head_m"])
    return least, max(inputs["kwh_per_m3_baseline"], least)


# minimum wire-to-water efficiency; below it a pump is out of service, or its head is wrong
_WORST = Fraction(3, 10)
# maximum consumption before the project, relative to the new pumps: savings of 40 %; more than 25 %
# is rare
_MAX_BEFORE = Fraction(5, 3)


def _by_head(
    parameters: Inputs, measured: Mapping[str, Fraction]
) -> tuple[Fraction, Fraction] | None:
    """
    Return 0 and the maximum plausible consumption for the head, else None. [kWh/m3]

    It is that of the least efficient pump.
    """
    del measured
    least = hydraulic_minimum(parameters["head_m"])
    return (Fraction(0), least / _WORST) if least else None


def _by_design(
    parameters: Inputs, measured: Mapping[str, Fraction]
) -> tuple[Fraction, Fraction] | None:
    """Return the range of the consumption before the project, if a design is entered. [kWh/m3]"""
    del measured
    if "design_kwh_per_m3" not in parameters:
        return None
    return Fraction(0), _MAX_BEFORE * parameters["design_kwh_per_m3"]


_SPECIFIC = ParameterSpec(
    unit="kWh/m3",
    meaning="electricity per cubic metre before the project, lower 95 % bound",
    maximum="20",
    source="records of at least one year, preferably three",
    symbol="SEC_BL",
    side="baseline",
)
_HEAD = ParameterSpec(
    unit="m",
    meaning="total head, equal in baseline and project",
    default="0",
    maximum="2000",
    source="pressure gauges",
    symbol="H",
    option="C",
    frequency="hourly",
    side="both",
)

METHODOLOGY = Methodology(
    id=ID,
    versions=(VERSION,),
    title="Water pumping efficiency improvements",
    reference="CDM AM0020 version 2.0",
    programme="CDM",
    notes=__doc__.strip(),
    additive=ADDITIVE,
    roles={
        "volume": RoleNeeds(
            ("waterworks", "pump"),
            "flow",
            "baseline",
            symbol="V_y",
            source="flow meter at the same point as before the project",
        ),
        "power": replace(POWER_ROLE, symbol="E_y", source="import register of the pumps"),
    },
    parameters={
        "kwh_per_m3_baseline": _SPECIFIC,
        "head_m": _HEAD,
        "ef_grid_t_per_mwh": EF_BOTH,
        "design_flow_m3_per_d": replace(DESIGN_FLOW, meaning="design capacity of the pumps"),
        "design_kwh_per_m3": replace(
            DESIGN_PER_M3, meaning="electricity per cubic metre of water, by the pumps' data sheets"
        ),
    },
    capacities=built_for_flow("volume"),
    baseline_documents=("kwh_per_m3_baseline",),
    related=(
        Related(
            "kwh_per_m3_baseline",
            _by_head,
            "rho g h at head_m over an efficiency of 0.3, wire to water; tonne [M]",
        ),
        Related(
            "kwh_per_m3_baseline",
            _by_design,
            "new pumps at the same head save at most 40 % by design_kwh_per_m3; US DOE and"
            " Hydraulic Institute, Improving Pumping System Performance: 20 to 50 % of a system"
            " with its controls [M]",
            usual=Fraction(4, 5),
        ),
    ),
    inputs={
        "kwh_per_m3_baseline": _SPECIFIC,
        "volume_m3": ParameterSpec(
            unit="m3",
            meaning="volume of water delivered",
            maximum="100000000000",
            source="flow meter at the same point as before the project",
            symbol="V_y",
            option="C",
            frequency="continuous",
            side="baseline",
        ),
        "energy_mwh": replace(POWER, meaning="electricity of the pumps", symbol="E_y"),
        "head_m": _HEAD,
        "ef_grid_t_per_mwh": EF_GRID,
    },
    inputs_of=inputs_of,
    steps=STEPS,
    odd=odd,
    consumptions=(
        Consumption(
            uses=("power",),
            serves=("volume",),
            unit="kWh/m3",
            # 1 Wh per millilitre
            per_base=Fraction(_KWH_PER_MWH),
            keys=("energy_mwh", "volume_m3"),
            per_input=_KWH_PER_MWH,
            span=_specific,
            source="physics of lifting; at most what was used before the project",
            range="0.002724 x `head_m` to `kwh_per_m3_baseline` kWh/m3",
            by_history=True,
            by_design="design_kwh_per_m3",
            # minimum for the same pumps at the same head: 20 % less, for the variation of the head
            lowest=Fraction(4, 5),
            closer=SURE,
            # a narrow margin, as 5 % more water gives 25 % more savings
            sure=Fraction(99, 100),
            before="kwh_per_m3_baseline",
        ),
    ),
    rules=(
        "Head and pressure must be the same in baseline and project: a lower head is not a saving.",
        "The electricity applied is at least the energy that lifting the water requires (MTR-05).",
        (
            "The specific consumption of the baseline is at most 5/3 of the new pumps' design"
            " value, and at most that of pumps with an efficiency of 0.3."
        ),
        (
            "The credited water is at most the design capacity of the pumps, as stated in the"
            " licence or design document (MTR-07)."
        ),
        *OUTPUT_EVIDENCE,
        "A reduction requires dated documents of the baseline values (EVD-03).",
    ),
)
