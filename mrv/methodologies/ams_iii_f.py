"""
Composting in place of a disposal site, decay counted by years.

CDM AMS-III.F version 12.0 with TOOL04 version 8 (decay) and TOOL13 version 2
(composting).  Decay equation: [r], three implementations that agree.  Its
constants: [B], their product reproduces a published coefficient, and [M].
Composting factors: [M].  A project names this file or `ams-iii-f-monthly`, never
one after the other: the two forms give different years for the same waste.
"""

from __future__ import annotations

from collections.abc import Sequence

from mrv.errors import MethodologyError
from mrv.methodologies import _composting
from mrv.methodologies._live import G_PER_T, gaining_part_of_year, total
from mrv.methodologies._shared import NOTHING
from mrv.methodologies._waste import BY_YEAR, DECAY, SITE, methane
from mrv.model import Activity, Factors, Methodology, Reductions
from mrv.parameters.inputs import Inputs

ID = "ams-iii-f"
VERSION = "12.0"
ADDITIVE = False


def inputs_of(
    activities: Sequence[Activity], parameters: Inputs, factors: Factors, year: int
) -> Inputs:
    """
    Waste [g] to [t] by what it is made of, electricity, diesel, and earlier years' waste.

    Of what earlier waste would give off in this year the period takes its part; what
    came in this year counts as the yearly form has it.
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


def reductions(inputs: Inputs, factors: Factors) -> Reductions:
    """
    Emissions of year y at the site from all waste up to it, less the project's. [tCO2e].

    BE_y = P * SUM_x SUM_j W_j,x * DOC_j * e^(-k_j (y - x)) * (1 - e^-k_j)
    P = phi * (1 - f) * GWP_CH4 * (1 - OX) * 16/12 * F * DOC_f * MCF
    PE = Q * (EF_CH4 * GWP_CH4 + EF_N2O * GWP_N2O) + EC * EF_el * (1 + TDL)
         + FC * NCV * EF + PE_other
    ER = BE - PE - LE
    """
    baseline = methane(inputs["waste_t_by_year"][: inputs["year"]], inputs, factors, steps=1)
    return _composting.less_project(baseline, inputs, factors)


def plausible(inputs: Inputs) -> None:
    """Refuse a year for which no waste is given."""
    given = len(inputs["waste_t_by_year"])
    if given < inputs["year"]:
        raise MethodologyError(
            f"waste_t_by_year holds {given} years and year = {inputs['year']}; give every year up"
            " to it, zeros where nothing came"
        )


METHODOLOGY = Methodology(
    id=ID,
    versions=(VERSION,),
    title="Avoidance of methane emissions through composting, yearly",
    reference="CDM AMS-III.F version 12.0, TOOL04 v8 equation 1, TOOL13 v2",
    programme="CDM",
    notes=__doc__.strip(),
    additive=ADDITIVE,
    roles=_composting.ROLES,
    parameters=_composting.FIXED,
    inputs={"year": _composting.YEAR, "waste_t_by_year": BY_YEAR, **SITE, **_composting.PROJECT},
    applicability=_composting.SORTED,
    inputs_of=inputs_of,
    timed=True,
    reductions=reductions,
    uses=(*DECAY, "tool13.", "diesel."),
    plausible=plausible,
    consumptions=_composting.CONSUMPTIONS,
    capacities=_composting.CAPACITIES,
    conditions=_composting.CONDITIONS,
    rules=_composting.RULES,
    uncredited=_composting.uncredited,
)
