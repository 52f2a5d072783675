"""
Recycled plastic in place of virgin plastic.

CDM AMS-III.AJ version 7.0.  The equation, the net-to-gross factor 0.75 and the energy of virgin
plastics were not compared with the text of the methodology; a revision of 2018 may have changed the
energies.  The emission factor of the natural gas for virgin plastics is the central value of IPCC
2006 (secondary source), since no available text requires a bound of its 95 % interval.  Diesel that
the plant burns has the upper bounds that TOOL03 requires.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mrv.methodologies._shared import (
    DESIGN_MASS,
    DESIGN_PER_T,
    DIESEL,
    EF_BOTH,
    EF_GRID,
    FUEL_ROLE,
    G_PER_T,
    OUTPUT_ROLE,
    PLASTIC,
    POWER,
    POWER_ROLE,
    TYPE_III,
    any_role,
    built_for_mass,
    diesel_l,
    power_mwh,
    powered,
    recycled,
    total,
    virgin,
)
from mrv.model import Activity, Candidate, Check, Factors, Methodology
from mrv.parameters import Inputs, ParameterSpec, RecordSpec
from mrv.steps import baseline_emissions, steps
from mrv.texts import Text

ID = "ams-iii-aj"
VERSION = "7.0"
ADDITIVE = False

_POLYMERS = ("HDPE", "LDPE", "PET", "PP")


def something_is_sold(candidate: Candidate) -> Text | None:
    """Return a finding if no recycled plastic is weighed by polymer; else None."""
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
    baseline_emissions(" + ".join(f"{polymer}_t" for polymer in _POLYMERS), "AMS-III.AJ"),
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
        (
            "The credited output is at most the plant's design capacity, as stated in its"
            " licence or design document (MTR-07)."
        ),
        (
            "Without a calibrated meter, output is credited only if a design document or"
            " invoices show it (EVD-02)."
        ),
        (
            "A reduction requires calibrated meters, or invoices of each kind of output"
            " (EVD-03). For a single kind, invoices of its electricity are sufficient."
        ),
        (
            "A quarter of the recycled mass is not credited, since recycled plastic has a lower"
            " quality than virgin plastic (net-to-gross factor 0.75)."
        ),
        (
            "Output is credited only if it is sold in place of virgin plastic. Exported or"
            " dumped output is not credited."
        ),
    ),
)
