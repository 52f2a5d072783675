"""
Recycled plastic in place of virgin plastic.

CDM AMS-III.AJ version 7.0.  Equation, net-to-gross 0.75 and the energy of virgin
plastics: [M]; a revision of 2018 may have changed the energies.  Natural gas of virgin
plastics: [r], IPCC 2006, central value, since no available text requires the bounds of
its interval.  Diesel that the plant burns has the upper bounds of TOOL03.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mrv.methodologies._live import (
    DESIGN_MASS,
    DESIGN_PER_T,
    EF_BOTH,
    FUEL_ROLE,
    G_PER_T,
    OUTPUT_ROLE,
    POWER_ROLE,
    any_role,
    built_for_mass,
    diesel_l,
    power_mwh,
    powered,
    total,
)
from mrv.methodologies._recycling import PLASTIC, recycled, virgin
from mrv.methodologies._shared import DIESEL, EF_GRID, POWER, TYPE_III
from mrv.model import Activity, Candidate, Check, Factors, Methodology
from mrv.parameters.inputs import Inputs, ParameterSpec, RecordSpec
from mrv.steps import Step, steps
from mrv.texts import Text

ID = "ams-iii-aj"
VERSION = "7.0"
ADDITIVE = False

_POLYMERS = ("HDPE", "LDPE", "PET", "PP")


def something_is_sold(candidate: Candidate) -> Text | None:
    """Return a finding if no recycled plastic is weighed by polymer; else None. [M]"""
    return any_role(candidate, (polymer.lower() for polymer in _POLYMERS))


def inputs_of(
    activities: Sequence[Activity], parameters: Inputs, factors: Factors, year: int
) -> Inputs:
    """Return plastic [g] as [t] by polymer, electricity, diesel, and the ex-ante factor."""
    del factors, year
    return {
        "polymer_t": {p: total(activities, p.lower()) / G_PER_T for p in _POLYMERS},
        "power_mwh": power_mwh(activities),
        "diesel_l": diesel_l(activities),
        "ef_grid_t_per_mwh": parameters["ef_grid_t_per_mwh"],
    }


STEPS = steps(
    PLASTIC,
    *(virgin(polymer, f"polymer_t.{polymer}") for polymer in _POLYMERS),
    Step(
        "baseline_t",
        "BE",
        "tCO2",
        " + ".join(f"{polymer}_t" for polymer in _POLYMERS),
        "AMS-III.AJ, baseline emissions",
        "baseline emissions",
    ),
    *recycled("AMS-III.AJ"),
)


METHODOLOGY = Methodology(
    id=ID,
    versions=(VERSION,),
    title="Recovery and recycling of materials from solid wastes",
    reference="CDM AMS-III.AJ version 7.0",
    programme="CDM",
    notes=__doc__.strip(),
    additive=ADDITIVE,
    roles={
        **{polymer.lower(): OUTPUT_ROLE for polymer in _POLYMERS},
        "power": POWER_ROLE,
        "fuel": FUEL_ROLE,
    },
    parameters={
        "ef_grid_t_per_mwh": EF_BOTH,
        "design_mass_t_per_d": DESIGN_MASS,
        "design_kwh_per_t": DESIGN_PER_T,
    },
    consumptions=(powered(*(polymer.lower() for polymer in _POLYMERS)),),
    capacities=built_for_mass(*(polymer.lower() for polymer in _POLYMERS)),
    inputs={
        "polymer_t": RecordSpec(
            "recycled plastic sold, by polymer",
            {
                polymer: ParameterSpec(
                    unit="t",
                    meaning=f"{polymer} sold in place of virgin {polymer}",
                    default="0",
                    maximum="100000000",
                    source="invoices; nothing that was exported or landfilled",
                    symbol="Q_i",
                    option="B",
                    frequency="every sale",
                    side="baseline",
                )
                for polymer in _POLYMERS
            },
        ),
        "power_mwh": POWER,
        "diesel_l": replace(DIESEL, meaning="diesel that the recycling plant burns"),
        "ef_grid_t_per_mwh": EF_GRID,
    },
    applicability=(
        Check("AMS-III.AJ monitoring: output is weighed by polymer", something_is_sold),
    ),
    inputs_of=inputs_of,
    steps=STEPS,
    uses=(
        "diesel.",
        "natural_gas.co2",
        "recycling.net-to-gross",
        *(f"plastic.{energy}.{polymer}" for polymer in _POLYMERS for energy in ("power", "fuel")),
    ),
    conditions=(TYPE_III,),
    rules=(
        "Output is limited to the design capacity of the plant, by licence or design document.",
        "Without such dated documents or invoices, no reduction is credited.",
        "Invoices of each kind of output are required; for a single kind, of its electricity.",
        "A quarter of the recycled mass is deducted for its lower quality.",
        "Only output sold in place of virgin plastic is credited, not exported or dumped output.",
    ),
)
