"""
Materials recovered from electronic waste in place of virgin ones.

CDM AMS-III.BA version 3.0.  The equation and the energy of ABS plastic were not compared with the
text of the methodology.  No reliable default for metals is known: the project enters its own value,
the emissions of primary production minus those of recovery.  The emission factor of the natural gas
for virgin ABS is the central value of IPCC 2006 (secondary source), since no available text
requires a bound of its 95 % interval.
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
    SAVED_PER_T,
    TYPE_III,
    built_for_mass,
    diesel_l,
    power_mwh,
    powered,
    primary,
    recycled,
    total,
    virgin,
)
from mrv.model import Activity, Factors, Methodology
from mrv.parameters import Inputs, MapSpec, ParameterSpec
from mrv.steps import baseline_emissions, steps

ID = "ams-iii-ba"
VERSION = "3.0"
ADDITIVE = False


def inputs_of(
    activities: Sequence[Activity], parameters: Inputs, factors: Factors, year: int
) -> Inputs:
    """
    Return metals [g] as [t], each with its avoided emissions, plastic, electricity and
    diesel.
    """
    del factors, year
    metals = [a for a in activities if a.role == "metal"]
    return {
        "metals": {
            str(i): {"mass_t": a.value / G_PER_T, "ef_t_per_t": a.params["ef_t_per_t"]}
            for i, a in enumerate(metals)
        },
        "abs_t": total(activities, "abs") / G_PER_T,
        "power_mwh": power_mwh(activities),
        "diesel_l": diesel_l(activities),
        "ef_grid_t_per_mwh": parameters["ef_grid_t_per_mwh"],
    }


STEPS = steps(
    PLASTIC,
    virgin("ABS", "abs_t"),
    primary("metals", "mass_t", "AMS-III.BA"),
    baseline_emissions("sum(primary_t) + ABS_t", "AMS-III.BA"),
    *recycled("AMS-III.BA"),
    lists={"metals": ""},
)


METHODOLOGY = Methodology(
    id=ID,
    versions=(VERSION,),
    title="Recovery and recycling of materials from e-waste",
    reference="CDM AMS-III.BA version 3.0",
    programme="CDM",
    notes=__doc__.strip(),
    additive=ADDITIVE,
    roles={
        "metal": replace(OUTPUT_ROLE, required=True, params={"ef_t_per_t": SAVED_PER_T}),
        "abs": OUTPUT_ROLE,
        "power": POWER_ROLE,
        "fuel": FUEL_ROLE,
    },
    parameters={
        "ef_grid_t_per_mwh": EF_BOTH,
        "design_mass_t_per_d": DESIGN_MASS,
        "design_kwh_per_t": DESIGN_PER_T,
    },
    consumptions=(powered("metal", "abs"),),
    capacities=built_for_mass("metal", "abs"),
    inputs={
        "metals": MapSpec(
            "metals recovered, by name",
            {
                "mass_t": ParameterSpec(
                    unit="t",
                    meaning="recovered and sold",
                    maximum="100000000",
                    source="invoices",
                    symbol="Q_i",
                    option="B",
                    frequency="every sale",
                    side="baseline",
                ),
                "ef_t_per_t": SAVED_PER_T,
            },
        ),
        "abs_t": ParameterSpec(
            unit="t",
            meaning="ABS and HIPS recovered and sold",
            default="0",
            maximum="100000000",
            source="invoices",
            symbol="Q_ABS",
            option="B",
            frequency="every sale",
            side="baseline",
        ),
        "power_mwh": POWER,
        "diesel_l": replace(DIESEL, meaning="diesel that the recycling plant burns"),
        "ef_grid_t_per_mwh": EF_GRID,
    },
    inputs_of=inputs_of,
    steps=STEPS,
    uses=(
        "diesel.",
        "natural_gas.co2",
        "recycling.net-to-gross",
        "plastic.power.ABS",
        "plastic.fuel.ABS",
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
            "Output is credited only if it is sold as raw material in the country. Exported or"
            " dumped output is not credited."
        ),
        "Material that would be recycled in the baseline too is not credited.",
    ),
)
