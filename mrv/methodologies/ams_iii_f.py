"""
Composting in place of a disposal site, decay calculated by years.

CDM AMS-III.F version 12.0 with TOOL04 version 8 (decay) and TOOL13 version 2 (composting).  The
decay equation was read in three implementations, which agree (secondary source).  Its constants
were not compared with the text of TOOL04; their product reproduces a published coefficient.  The
composting factors were not compared with the text of TOOL13.  A project keeps either this
methodology or `ams-iii-f-monthly`: the two distribute the emissions of the same waste over
different years.  Of each earlier year, the waste (`waste_t_year_1` and so on) is multiplied by the
share of the year that is in the period.  Waste of the period counts with the decay of a full first
year.
"""

from __future__ import annotations

from collections.abc import Sequence

from mrv.errors import MethodologyError
from mrv.methodologies import _composting
from mrv.methodologies._shared import G_PER_T, NOTHING, gaining_part_of_year, total
from mrv.methodologies._waste import BY_YEAR, DECAY, SITE, decay
from mrv.model import Activity, Factors, Methodology
from mrv.parameters import Inputs
from mrv.steps import Step, steps

ID = "ams-iii-f"
VERSION = "12.0"
ADDITIVE = False


def inputs_of(
    activities: Sequence[Activity], parameters: Inputs, factors: Factors, year: int
) -> Inputs:
    """
    Return waste by composition [g as t] of this and earlier years, electricity and diesel.

    Emissions in the year from waste of earlier years are multiplied by the share of the year in the
    period.  Waste delivered in the period is counted with the decay of a full first year.
    """
    waste = total(activities, "waste") / G_PER_T
    number = max(1, year - parameters["first_year"] + 1)
    gaining = gaining_part_of_year(activities)
    earlier = (parameters.get(f"waste_t_year_{x}", NOTHING) * gaining for x in range(1, number))
    return {
        "year": number,
        "waste_t_by_year": [_composting.by_kind(w, parameters) for w in (*earlier, waste)],
        **_composting.metered(waste, activities, parameters, factors, year),
    }


STEPS = steps(
    decay("waste_t_by_year", ""),
    Step(
        "baseline_t",
        "BE_y",
        "tCO2e",
        "last(given_off_t)",
        "CDM TOOL04 v8, equation 1",
        "emissions of the disposal site in the year, from all waste deposited until then",
    ),
    _composting.PROJECT_STEPS,
    lists={"waste_t_by_year": "year"},
)


def plausible(inputs: Inputs) -> None:
    """Raise MethodologyError if there is no waste in any year."""
    count = len(inputs["waste_t_by_year"])
    if count < inputs["year"]:
        raise MethodologyError(
            f"waste_t_by_year holds {count} years and year = {inputs['year']}; give each year up "
            "to it, with 0 for years without waste"
        )


METHODOLOGY = Methodology(
    id=ID,
    versions=(VERSION,),
    title="Avoidance of methane emissions through composting, yearly",
    reference="CDM AMS-III.F version 12.0, TOOL04 v8 equation 1, TOOL13 v2",
    programme="CDM",
    notes=__doc__.strip(),
    asks=("residues",),
    additive=ADDITIVE,
    roles=_composting.ROLES,
    parameters=_composting.FIXED,
    inputs={"year": _composting.YEAR, "waste_t_by_year": BY_YEAR, **SITE, **_composting.PROJECT},
    applicability=_composting.SORTED,
    inputs_of=inputs_of,
    timed=True,
    steps=STEPS,
    uses=(*DECAY, "tool13.", "diesel."),
    plausible=plausible,
    consumptions=_composting.CONSUMPTIONS,
    capacities=_composting.CAPACITIES,
    conditions=_composting.CONDITIONS,
    related=_composting.RELATED,
    rules=_composting.RULES,
    implied=_composting.default_climate,
    uncredited=_composting.uncredited,
)
