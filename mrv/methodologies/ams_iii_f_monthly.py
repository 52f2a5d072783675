"""
Composting in place of a disposal site, decay calculated by months.

CDM AMS-III.F version 12.0 with TOOL04 version 8, equation 2 (secondary source).  As in `ams-iii-f`,
the constants were not compared with the text of TOOL04.  In the first year the reduction is about
0.57 of that of the yearly form, since the waste of the last months has hardly begun to decay.  The
calculation begins with January of the first year and ends with December of the period's year.  The
waste of an earlier year (`waste_t_year_1` and so on) counts in January of that year, which is
conservative.  Waste of the period counts in the month of its delivery, with the decay of a full
month; other months of the period's year have no waste.  m is the part of a month that is in the
period, 0 for a month outside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from mrv.errors import MethodologyError
from mrv.methodologies import _composting
from mrv.methodologies._shared import G_PER_T, NOTHING
from mrv.methodologies._waste import BY_MONTH, DECAY, SITE, decay, given_off
from mrv.model import GAINING, LENGTH, MONTH, PERIOD, Activity, Factors, Methodology
from mrv.parameters import Inputs, ListSpec, ParameterSpec
from mrv.steps import Step, steps

ID = "ams-iii-f-monthly"
VERSION = "12.0"
ADDITIVE = False

_MONTHS = 12


def inputs_of(
    activities: Sequence[Activity], parameters: Inputs, factors: Factors, year: int
) -> Inputs:
    """
    Return waste [g] as [t] by month of delivery and by composition.

    Waste of earlier years is assumed to be deposited in January, which is conservative.  A single
    interval has no month and is assigned to December.
    """
    number = max(1, year - parameters["first_year"] + 1)
    tonnes = [NOTHING] * (number * _MONTHS)
    for x in range(1, number):
        tonnes[(x - 1) * _MONTHS] = parameters.get(f"waste_t_year_{x}", NOTHING)
    covered = [NOTHING] * _MONTHS
    for activity in activities:
        if activity.role == "waste":
            tonnes[activity.params.get(MONTH, _MONTHS) - 1 - _MONTHS] += activity.value / G_PER_T
        elif activity.role == PERIOD and MONTH not in activity.params:  # a whole year
            covered = [part + activity.params[GAINING] for part in covered]
        elif activity.role == PERIOD:
            covered[activity.params[MONTH] - 1] += (
                activity.params[GAINING] / activity.params[LENGTH]
            )
    return {
        "year": number,
        "waste_t_by_month": [_composting.by_kind(t, parameters) for t in tonnes],
        "month_parts": [{"part": part} for part in covered],
        **_composting.metered(
            sum(tonnes[-_MONTHS:], start=NOTHING), activities, parameters, factors, year
        ),
    }


STEPS = steps(
    decay("waste_t_by_month", " / MONTHS_PER_YEAR"),
    given_off("waste_t_by_month", "own_t", "BE_own", "{}", "CDM TOOL04 v8, equation 2"),
    Step(
        "month_t",
        "BE_m",
        "tCO2e",
        "own_t + part * (given_off_t - own_t)",
        "CDM TOOL04 v8, equation 2; earlier waste for the part of the month that is asked for",
        "emissions of the disposal site in a month",
        over="month_parts",
    ),
    Step(
        "baseline_t",
        "BE_y",
        "tCO2e",
        "sum(month_t)",
        "CDM TOOL04 v8, equation 2",
        "emissions of the disposal site in the twelve months of the year",
    ),
    _composting.PROJECT_STEPS,
    lists={"waste_t_by_month": "year * MONTHS_PER_YEAR", "month_parts": ""},
    defaults={"month_parts": [{"part": Fraction(1)}] * _MONTHS},
)


def plausible(inputs: Inputs) -> None:
    """Raise MethodologyError if months of the year are missing."""
    count, needed = len(inputs["waste_t_by_month"]), inputs["year"] * _MONTHS
    if count < needed:
        raise MethodologyError(
            f"waste_t_by_month holds {count} months and year = {inputs['year']} needs {needed}; "
            "give each month up to its end, with 0 for months without waste"
        )
    parts = len(inputs.get("month_parts", ()))
    if parts not in {0, _MONTHS}:
        raise MethodologyError(
            f"month_parts holds {parts} months; give all {_MONTHS} of the year, or leave it out"
        )


_PARTS = ListSpec(
    "share of each of the twelve months that is calculated; 1 for each month if absent",
    {
        "part": ParameterSpec(
            unit="1",
            meaning="part of the month for which earlier waste counts",
            maximum="1",
            source="calendar",
            symbol="m",
            side="baseline",
        )
    },
    required=False,
)

METHODOLOGY = Methodology(
    id=ID,
    versions=(VERSION,),
    title="Avoidance of methane emissions through composting, monthly",
    reference="CDM AMS-III.F version 12.0, TOOL04 v8 equation 2, TOOL13 v2",
    programme="CDM",
    notes=__doc__.strip(),
    asks=("residues",),
    additive=ADDITIVE,
    roles=_composting.ROLES,
    parameters=_composting.FIXED,
    inputs={
        "year": _composting.YEAR,
        "waste_t_by_month": BY_MONTH,
        "month_parts": _PARTS,
        **SITE,
        **_composting.PROJECT,
    },
    applicability=_composting.SORTED,
    inputs_of=inputs_of,
    timed=True,
    monthly=True,
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
