"""
Composting in place of a disposal site, decay counted by months.

CDM AMS-III.F version 12.0 with TOOL04 version 8, equation 2: [r].  Constants:
[B] and [M], as in `ams-iii-f`.  In the first year it gives about 0.57 of the yearly
form: the waste of December has hardly begun to decay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrv.errors import MethodologyError
from mrv.methodologies import _composting
from mrv.methodologies._shared import NOTHING
from mrv.methodologies._waste import BY_MONTH, DECAY, SITE, methane
from mrv.model import Methodology

if TYPE_CHECKING:
    from mrv.inputs import Inputs
    from mrv.model import Factors, Reductions

ID = "ams-iii-f-monthly"
VERSION = "12.0"
ADDITIVE = False

_MONTHS = 12


def reductions(inputs: Inputs, factors: Factors) -> Reductions:
    """
    Emissions of the twelve months of year y at the site, less the project's. [tCO2e].

    BE_m = P * SUM_i SUM_j W_j,i * DOC_j * e^(-k_j (m - i) / 12) * (1 - e^(-k_j / 12))
    P = phi * (1 - f) * GWP_CH4 * (1 - OX) * 16/12 * F * DOC_f * MCF
    PE = Q * (EF_CH4 * GWP_CH4 + EF_N2O * GWP_N2O) + EC * EF_el * (1 + TDL)
         + FC * NCV * EF + PE_other
    ER = BE - PE - LE
    """
    waste, last = inputs["waste_t_by_month"], inputs["year"] * _MONTHS
    baseline = sum(
        (
            methane(waste[:month], inputs, factors, steps=_MONTHS)
            for month in range(last - _MONTHS + 1, last + 1)
        ),
        start=NOTHING,
    )
    return _composting.less_project(baseline, inputs, factors)


def plausible(inputs: Inputs) -> None:
    """Refuse a year some of whose months are not given."""
    given, needed = len(inputs["waste_t_by_month"]), inputs["year"] * _MONTHS
    if given < needed:
        raise MethodologyError(
            f"waste_t_by_month holds {given} months and year = {inputs['year']} needs {needed};"
            " give every month up to its end, zeros where nothing came"
        )


METHODOLOGY = Methodology(
    id=ID,
    versions=(VERSION,),
    title="Avoidance of methane emissions through composting, monthly",
    reference="CDM AMS-III.F version 12.0, TOOL04 v8 equation 2, TOOL13 v2",
    notes=__doc__.strip(),
    additive=ADDITIVE,
    inputs={
        "year": _composting.YEAR,
        "waste_t_by_month": BY_MONTH,
        **SITE,
        **_composting.PROJECT,
    },
    reductions=reductions,
    uses=(*DECAY, "tool13.", "diesel."),
    plausible=plausible,
    conditions=_composting.CONDITIONS,
    rules=_composting.RULES,
)
