"""
Regenerative burners, in the form of a ratio of efficiencies.

JCM ID_AM009 version 1.0, for aluminium furnaces in Indonesia.  Reference
emissions as fuel times the ratio of efficiencies, project emissions from fuel
and electricity: [R], read on the official page.  Other fuels than natural gas:
our extension.  Symbols: [M], from memory.  No such methodology is approved for
Viet Nam: a template.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mrv.equations.efficiency import by_ratio
from mrv.equations.electricity import displaced
from mrv.equations.reductions import reduction
from mrv.methodologies._shared import EF_GRID, FUEL, FUELS, NOTHING, POWER, burnt
from mrv.model import Condition, Methodology, Reductions
from mrv.specs import ParameterSpec

if TYPE_CHECKING:
    from mrv.inputs import Inputs
    from mrv.model import Factors

ID = "jcm-id-am009"
VERSION = "1.0"
ADDITIVE = False


def reductions(inputs: Inputs, factors: Factors) -> Reductions:
    """RE = FC * NCV * EF * eta_PJ / eta_RE; PE = FC * NCV * EF + EC * EF_el. [tCO2]."""
    fuel = burnt(inputs["fuel"], inputs["fuel_t"], factors, "consumed")
    baseline = by_ratio(fuel, inputs["eta_project"], inputs["eta_reference"])
    project = fuel + displaced(inputs["power_mwh"], inputs["ef_grid_t_per_mwh"])
    return Reductions(baseline, project, NOTHING, reduction(baseline, project, NOTHING))


def _better(inputs: Inputs, result: Reductions) -> str | None:
    del result
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

METHODOLOGY = Methodology(
    id=ID,
    versions=(VERSION,),
    title="Regenerative burners",
    reference="JCM ID_AM009 ver 1.0",
    notes=__doc__.strip(),
    additive=ADDITIVE,
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
        "eta_project": replace(
            _EFFICIENCY,
            meaning="efficiency of the furnace with regenerative burners",
            symbol="eta_PJ",
        ),
        "power_mwh": replace(POWER, meaning="electricity of fans and controls"),
        "ef_grid_t_per_mwh": replace(EF_GRID, side="project"),
    },
    reductions=reductions,
    conditions=(Condition("ID_AM009 eligibility, efficiency above the reference", _better),),
    rules=("Fuel counts as burnt in full on both sides; fans count at the grid's own factor.",),
    uses=tuple(f"{fuel}.{what}" for fuel in FUELS for what in ("ncv", "co2")),
)
