"""
Regenerative burners, calculated by a ratio of efficiencies.

JCM ID_AM009 version 1.0, for aluminium furnaces in Indonesia.  Reference emissions (fuel times the
ratio of efficiencies) and project emissions (fuel and electricity) are those of the official page
(primary source).  Fuels other than natural gas are tonne's own extension.  The symbols were not
compared with the text of the methodology.  Reference and project burn the same fuel, so both have
the central values of its properties: an upper bound would raise the reduction.  No such methodology
is approved for Viet Nam; this one is a template.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from mrv.methodologies._shared import (
    DESIGN_FLOW,
    EF_GRID,
    FUEL,
    FUELS,
    ML_PER_M3,
    NOTHING,
    POWER,
    POWER_ROLE,
    any_role,
    grid,
    power_mwh,
)
from mrv.model import (
    Activity,
    Agreement,
    Candidate,
    Check,
    ClassLimit,
    Condition,
    Factors,
    Methodology,
    Reductions,
    RoleNeeds,
)
from mrv.parameters import Inputs, ParameterSpec, Plausible, exact
from mrv.rounding import decimal_text, significant
from mrv.service_bounds import Capacity, Consumption, Related
from mrv.steps import Published, Step, steps
from mrv.texts import Text, joint, text

ID = "jcm-id-am009"
VERSION = "1.0"
ADDITIVE = False

# Fuels metered by volume, one role each; weighed fuels are entered from invoices.
METERED = ("diesel", "fuel_oil", "gasoline", "lpg", "natural_gas")
_ML_PER_M3 = 10**6
_KG_PER_T = 1000
_KWH_PER_MWH = 1000
# minimum electricity of the burners' fans; those of regenerative burners use one or two kWh/GJ
_MIN_KWH_PER_GJ = Fraction(1, 5)
_LIQUID = Plausible((("800", "900"),), "EN 590: 820 to 845 at 15 Cel [M]")
# range of densities by fuel; another density indicates a gas meter without correction
_DENSITIES = {
    "diesel": _LIQUID,
    "fuel_oil": Plausible((("820", "1010"),), "ISO 8217: distillates, and residues to 1010 [M]"),
    "gasoline": Plausible((("700", "790"),), "EN 228: 720 to 775 at 15 Cel [M]"),
    "lpg": Plausible(
        (("1.8", "2.7"), ("480", "600")),
        "propane 1.9 and butane 2.5 as gas, 508 and 585 as liquid, ISO 6976 and EN 589 [M]",
        rare="100",
        why="LPG is sold by mass and seldom metered as gas, and natural gas through such a meter is"
        " of 0.7 kg/m3; it counts: a verifier asks for delivery notes by mass, or meter the liquid",
    ),
    "natural_gas": Plausible((("0.65", "0.85"),), "standard conditions; ISO 6976, GIIGNL [M]"),
}
# density below that of any liquid fuel [kg/m3]
_GAS_BELOW = 100
# maximum volume of a meter: burners of 50 MW; per day at full load for 20 h
_LIQUID_ML_PER_H = 5 * _ML_PER_M3
_LIQUID_ML_PER_D = 20 * _LIQUID_ML_PER_H
_EFFICIENCIES = "BREF Non-Ferrous Metals 2017; US DOE, Process Heating Sourcebook [M]"
# maximum ratio of efficiencies, by available heat with air of 20 and 900 degrees Celsius: savings
# of 40 %; more than a third is rare
_MAX_RATIO = Fraction(5, 3)
_AVAILABLE = (
    "regenerative burners save at most 40 %: available heat with exhaust of 1,100 Cel and air of"
    " 20 or 900 Cel, US DOE, Process Heating Sourcebook [M]; 600 to 780 kWh/t before and 520 to"
    " 600 after [r]"
)


def has_single_fuel(candidate: Candidate) -> Text | None:
    """Return a finding unless exactly one fuel of the burners is metered; else None."""
    taken = sorted({d.role for d in candidate.devices} & set(METERED))
    if len(taken) > 1:
        return text("condition.fuels", roles=joint("text.and", taken))
    return any_role(candidate, METERED)


def better_than_reference(candidate: Candidate) -> Text | None:
    """Return a finding if the burners are not more efficient than the reference; else None."""
    return _no_better(candidate.parameters)


def inputs_of(
    activities: Sequence[Activity], parameters: Inputs, factors: Factors, year: int
) -> Inputs:
    """Return fuel volume [mL] as mass [t] by its density, and electricity [Wh] as [MWh]."""
    burners = [a for a in activities if a.role in METERED]
    return {
        "fuel": burners[0].role if burners else METERED[0],
        "fuel_t": sum((_mass(burner) for burner in burners), start=NOTHING),
        "eta_reference": parameters["eta_reference"],
        "eta_project": parameters["eta_project"],
        "power_mwh": power_mwh(activities),
        "ef_grid_t_per_mwh": grid(factors, year),
    }


def _mass(activity: Activity) -> Fraction:
    mass: Fraction = activity.value / _ML_PER_M3 * activity.params["density_kg_per_m3"] / _KG_PER_T
    return mass


def _liquid_limit(parameters: Inputs) -> ClassLimit | None:
    """Return the maximum volume of a liquid fuel per meter, hour and day; None for gas. [mL]"""
    if exact(parameters["density_kg_per_m3"], "density_kg_per_m3") < _GAS_BELOW:
        return None
    # burners of 50 MW; a larger flow is that of a gas meter, with another fuel and density
    return ClassLimit(_LIQUID_ML_PER_H, _LIQUID_ML_PER_D, "tonne [M]")


def _by_reference(
    parameters: Inputs, measured: Mapping[str, Fraction]
) -> tuple[Fraction, Fraction]:
    """Return the plausible range of the burners' efficiency, by that of the reference. [1]"""
    del measured
    return Fraction(0), _MAX_RATIO * parameters["eta_reference"]


def _air_of_fuel(inputs: Inputs, factors: Factors) -> tuple[Text, Mapping[str, Fraction]] | None:
    """
    Return a text and the corrected inputs if the blower's electricity is too low for the fuel; else
    None.
    """
    energy = inputs["fuel_t"] * factors.select(f"{inputs['fuel']}.ncv", "either").value
    drawn = inputs["power_mwh"] * _KWH_PER_MWH
    if drawn >= _MIN_KWH_PER_GJ * energy:
        return None
    finding = text(
        "PAR-08.air", fuel=inputs["fuel"], drawn=decimal_text(drawn / energy, 3, "half_even"),
        least=decimal_text(_MIN_KWH_PER_GJ, 3, "half_even"),
    )  # fmt: skip
    return finding, {"eta_project": inputs["eta_reference"]}


STEPS = steps(
    Published("ncv", "NCV", "TJ/Gg", "{fuel}.ncv", "either"),
    Published("co2_t_per_tj", "EF_fuel", "tCO2/TJ", "{fuel}.co2", "either"),
    Step(
        "burnt_t",
        "PE_FC",
        "tCO2",
        "fuel_t * ncv * co2_t_per_tj / GJ_PER_TJ",
        "JCM ID_AM009, project emissions",
        "emissions of the fuel that the burners use",
    ),
    Step(
        "baseline_t",
        "RE_p",
        "tCO2",
        "burnt_t * eta_project / eta_reference",
        "JCM ID_AM009, reference emissions",
        "emissions of the fuel that reference burners would have burnt",
    ),
    Step(
        "project_t",
        "PE_p",
        "tCO2",
        "burnt_t + power_mwh * ef_grid_t_per_mwh",
        "JCM ID_AM009, project emissions",
        "project emissions",
    ),
)


def _better(inputs: Inputs, result: Reductions) -> Text | None:
    del result
    return _no_better(inputs)


def _no_better(inputs: Inputs) -> Text | None:
    if inputs["eta_project"] > inputs["eta_reference"]:
        return None
    return text(
        "condition.efficiency",
        project=significant(inputs["eta_project"]),
        reference=significant(inputs["eta_reference"]),
    )


_EFFICIENCY = ParameterSpec(
    unit="1",
    meaning="efficiency of the furnace with ordinary burners",
    minimum="0.01",
    maximum="1",
    source="measurement, or the manufacturer's specification",
    symbol="eta_RE",
    side="baseline",
    plausible=Plausible((("0.2", "0.6"),), f"furnaces with cold air; {_EFFICIENCIES}"),
)

_REACHED = replace(
    _EFFICIENCY,
    meaning="efficiency of the furnace with regenerative burners",
    symbol="eta_PJ",
    plausible=Plausible((("0.25", "0.75"),), f"furnaces with hot air; {_EFFICIENCIES}"),
)
_DENSITY = ParameterSpec(
    unit="kg/m3",
    meaning="density of the fuel at the conditions of its meter, the lowest of the"
    " year; 540 for liquid propane, 0.7 for natural gas",
    minimum="0.1",
    maximum="1200",
    source="supplier's certificate",
    symbol="rho",
    side="baseline",
)

METHODOLOGY = Methodology(
    id=ID,
    versions=(VERSION,),
    title="Regenerative burners",
    reference="JCM ID_AM009 ver 1.0",
    programme="JCM Indonesia",
    countries=("ID",),
    notes=__doc__.strip(),
    additive=ADDITIVE,
    roles={
        **{
            fuel: RoleNeeds(
                ("fuel_meter",),
                "flow",
                "baseline",
                required=False,
                params={
                    "density_kg_per_m3": replace(
                        # the density must be that of the fuel
                        _DENSITY,
                        plausible=replace(_DENSITIES[fuel], either=True),
                    )
                },
                # the burners' fuel is on both sides of the account, with more on the baseline side
                costs=0,
                class_limit=_liquid_limit,
                symbol="FC_PJ,p",
                source="fuel meter of the burners, cross-checked with invoices",
            )
            for fuel in METERED
        },
        "power": replace(POWER_ROLE, source="import register of fans and controls"),
    },
    parameters={
        "design_fuel_m3_per_d": replace(
            DESIGN_FLOW, meaning="fuel of the burners per day at their rated power"
        ),
        "eta_reference": _EFFICIENCY,
        "eta_project": _REACHED,
    },
    # fans stop only while no fuel burns; no source states their consumption
    consumptions=(Consumption(("power",), METERED, "kWh/m3", Fraction(1000)),),
    billed=METERED,
    baseline_documents=("eta_reference", "eta_project", "density_kg_per_m3"),
    agreement=(Agreement(_air_of_fuel),),
    related=(Related("eta_project", _by_reference, _AVAILABLE, usual=Fraction(9, 10)),),
    capacities=(Capacity("design_fuel_m3_per_d", METERED, ML_PER_M3),),
    inputs={
        "fuel": FUEL,
        "fuel_t": ParameterSpec(
            unit="t",
            meaning="fuel that the burners use",
            maximum="10000000",
            source="invoices, or a fuel meter",
            symbol="FC_PJ,p",
            option="B",
            frequency="monthly",
            side="both",
        ),
        "eta_reference": _EFFICIENCY,
        "eta_project": _REACHED,
        "power_mwh": replace(POWER, meaning="electricity of fans and controls"),
        "ef_grid_t_per_mwh": replace(EF_GRID, side="project"),
    },
    inputs_of=inputs_of,
    steps=STEPS,
    applicability=(
        Check("ID_AM009 monitoring: one fuel, metered", has_single_fuel),
        Check("ID_AM009 eligibility: above the reference", better_than_reference, True),
    ),
    # for projects of this version the check above has the same effect
    conditions=(
        Condition("ID_AM009 eligibility, efficiency above the reference", _better, first=True),
    ),
    rules=(
        (
            "Complete combustion is assumed in reference and project. The electricity of the"
            " fans is counted with the grid's emission factor."
        ),
        (
            "The credited fuel is at most that of the burners at rated power, as stated in their"
            " data sheets (MTR-07)."
        ),
        "A reduction requires a calibrated meter, or invoices of the fuel (EVD-03).",
        "A reduction requires dated documents of the baseline values (EVD-03).",
        (
            "A density outside the fuel's range is replaced by the nearer end of the range. A"
            " meter of liquid fuel is credited with at most 100 m3 a day."
        ),
        "If the fans use less than 0.2 kWh per GJ of fuel, no reduction is credited (PAR-08).",
        (
            "The efficiency of the regenerative burners is at most 5/3 of the reference"
            " efficiency (PAR-04)."
        ),
    ),
    uses=tuple(f"{fuel}.{what}" for fuel in FUELS for what in ("ncv", "co2")),
)
