"""
Regenerative burners, in the form of a ratio of efficiencies.

JCM ID_AM009 version 1.0, for aluminium furnaces in Indonesia.  Reference
emissions as fuel times the ratio of efficiencies, project emissions from fuel
and electricity: [R], read on the official page.  Other fuels than natural gas:
our extension.  Symbols: [M], from memory.  The same fuel stands on both sides, so its
properties are the centres on both: an upper bound would raise the reduction.  No such
methodology is approved for Viet Nam: a template.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from mrv.equations.efficiency import by_ratio
from mrv.equations.electricity import displaced
from mrv.equations.reductions import reduction
from mrv.methodologies._live import DESIGN_FLOW, ML_PER_M3, POWER_ROLE, any_role, grid, power_mwh
from mrv.methodologies._shared import EF_GRID, FUEL, FUELS, NOTHING, POWER, burnt
from mrv.model import (
    Activity,
    Candidate,
    Check,
    Condition,
    Factors,
    Methodology,
    Reductions,
    RoleNeeds,
)
from mrv.parameters.inputs import Inputs
from mrv.parameters.specs import ParameterSpec
from mrv.service_bounds import Capacity, Consumption

ID = "jcm-id-am009"
VERSION = "1.0"
ADDITIVE = False

# Fuels that a meter counts by volume, each a role: what is weighed comes by invoices.
METERED = ("diesel", "fuel_oil", "gasoline", "lpg", "natural_gas")
_ML_PER_M3 = 10**6
_KG_PER_T = 1000


def one_fuel(candidate: Candidate) -> str | None:
    """Hold monitoring: the burners' fuel is metered, and it is one. [M]."""
    taken = sorted({d.role for d in candidate.devices} & set(METERED))
    if len(taken) > 1:
        return (
            f"meters of {' and '.join(taken)} are bound; a ratio of efficiencies is of one fuel:"
            " make a project of each"
        )
    return any_role(candidate, METERED)


def better_than_reference(candidate: Candidate) -> str | None:
    """Hold eligibility: the burners are better than ordinary ones. [R]."""
    return _no_better(candidate.parameters)


def inputs_of(
    activities: Sequence[Activity], parameters: Inputs, factors: Factors, year: int
) -> Inputs:
    """Volume of the one fuel [mL] to [t] by its density, electricity [Wh] to [MWh]."""
    burners = [a for a in activities if a.role in METERED]
    return {
        "fuel": burners[0].role if burners else METERED[0],
        "fuel_t": sum((_mass(one) for one in burners), start=NOTHING),
        "eta_reference": parameters["eta_reference"],
        "eta_project": parameters["eta_project"],
        "power_mwh": power_mwh(activities),
        "ef_grid_t_per_mwh": grid(factors, year),
    }


def _mass(one: Activity) -> Fraction:
    mass: Fraction = one.value / _ML_PER_M3 * one.params["density_kg_per_m3"] / _KG_PER_T
    return mass


def reductions(inputs: Inputs, factors: Factors) -> Reductions:
    """RE = FC * NCV * EF * eta_PJ / eta_RE; PE = FC * NCV * EF + EC * EF_el. [tCO2]."""
    fuel = burnt(inputs["fuel"], inputs["fuel_t"], factors, "either")
    baseline = by_ratio(fuel, inputs["eta_project"], inputs["eta_reference"])
    project = fuel + displaced(inputs["power_mwh"], inputs["ef_grid_t_per_mwh"])
    return Reductions(baseline, project, NOTHING, reduction(baseline, project, NOTHING))


def _better(inputs: Inputs, result: Reductions) -> str | None:
    del result
    return _no_better(inputs)


def _no_better(inputs: Inputs) -> str | None:
    if inputs["eta_project"] > inputs["eta_reference"]:
        return None
    return (
        f"eta_project = {float(inputs['eta_project']):g} is not above eta_reference ="
        f" {float(inputs['eta_reference']):g}; measure both the same way, or leave the project out"
    )


_EFFICIENCY = ParameterSpec(
    unit="1",
    meaning="efficiency of the furnace with ordinary burners",
    minimum="0.01",
    maximum="1",
    source="measured, or the maker's",
    symbol="eta_RE",
    side="baseline",
)

_REACHED = replace(
    _EFFICIENCY, meaning="efficiency of the furnace with regenerative burners", symbol="eta_PJ"
)
_DENSITY = ParameterSpec(
    unit="kg/m3",
    meaning="density of the fuel at the conditions that its meter counts at, the lowest of the"
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
    notes=__doc__.strip(),
    additive=ADDITIVE,
    roles={
        **{
            fuel: RoleNeeds(
                ("fuel_meter",),
                "flow",
                "baseline",
                required=False,
                params={"density_kg_per_m3": _DENSITY},
                # what burners use counts on both sides, and more on the baseline's
                costs=0,
                symbol="FC_PJ,p",
                source="fuel meter of the burners, checked by invoices",
            )
            for fuel in METERED
        },
        "power": replace(POWER_ROLE, source="import register of fans and controls"),
    },
    parameters={
        "design_fuel_m3_per_d": replace(
            DESIGN_FLOW, meaning="fuel that the burners take in a day at their rated power"
        ),
        "eta_reference": _EFFICIENCY,
        "eta_project": _REACHED,
    },
    # fans stand still only while no fuel burns; how much they take nobody says
    consumptions=(Consumption(("power",), METERED, "kWh/m3", Fraction(1000), from_version=5),),
    billed=METERED,
    papers=("eta_reference", "eta_project"),
    capacities=(Capacity("design_fuel_m3_per_d", METERED, ML_PER_M3, from_version=5),),
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
    reductions=reductions,
    applicability=(
        Check("ID_AM009 monitoring: one fuel, metered", one_fuel),
        Check("ID_AM009 eligibility: above the reference", better_than_reference, True),
    ),
    conditions=(Condition("ID_AM009 eligibility, efficiency above the reference", _better),),
    rules=(
        "Fuel counts as burnt in full on both sides; fans count at the grid's own factor.",
        "Fuel counts to no more than the burners' rated power takes, by their data sheets.",
        "Nothing is reduced without invoices of the fuel.",
        "Nothing is reduced until the values of its baseline stand in dated documents.",
    ),
    uses=tuple(f"{fuel}.{what}" for fuel in FUELS for what in ("ncv", "co2")),
)
