"""
Efficient equipment in commercial buildings of Viet Nam, calculated by a ratio.

JCM VN_AM003 version 1.0, approved 14 January 2015.  Reference emissions (the project's consumption
times the ratio of efficiencies) are those of the official page (primary source).  The symbols were
not compared with the text of the methodology.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mrv.methodologies._shared import EF_GRID, NOTHING, POWER
from mrv.model import Activity, Candidate, Check, Factors, Methodology, RoleNeeds
from mrv.parameters import Inputs, ParameterSpec, Plausible
from mrv.rounding import significant
from mrv.steps import Step, steps
from mrv.texts import Text, text

ID = "jcm-vn-am003"
VERSION = "1.0"
ADDITIVE = False

_WH_PER_MWH = 10**6
_CHILLERS = Plausible(
    (("2.5", "8"),),
    "full load: 2.8 to 3.1 of chillers that air cools and 4.7 to 6.4 of those that water cools, at"
    " least (ASHRAE 90.1, paths A and B); the best that Eurovent certifies are below 8 [M]",
)
_FACTOR = replace(EF_GRID, meaning="emission factor of the grid, fixed ex ante")
_REFERENCE = ParameterSpec(
    unit="1",
    meaning="coefficient of performance of the reference equipment",
    minimum="0.1",
    maximum="20",
    source="specification of the most efficient equipment on the market when the project was"
    " designed",
    symbol="eta_RE,i",
    side="baseline",
    plausible=_CHILLERS,
)
_PROJECT = ParameterSpec(
    unit="1",
    meaning="coefficient of performance of the project's equipment",
    minimum="0.1",
    maximum="20",
    source="specification of the manufacturer",
    symbol="eta_PJ,i",
    side="baseline",
    plausible=_CHILLERS,
)


def better_than_reference(candidate: Candidate) -> Text | None:
    """Return a finding if the equipment is not more efficient than the reference; else None."""
    own, reference = candidate.parameters["cop_project"], candidate.parameters["cop_reference"]
    if own > reference:
        return None
    return text("condition.performance", project=significant(own), reference=significant(reference))


def inputs_of(
    activities: Sequence[Activity], parameters: Inputs, factors: Factors, year: int
) -> Inputs:
    """Return consumption [Wh] as [MWh], and values fixed ex ante."""
    del factors, year
    return {
        "ec_mwh": sum((a.value for a in activities), start=NOTHING) / _WH_PER_MWH,
        **{key: parameters[key] for key in METHODOLOGY.parameters},
    }


STEPS = steps(
    Step(
        "project_t",
        "PE_p",
        "tCO2",
        "ec_mwh * ef_grid_t_per_mwh",
        "JCM VN_AM003, project emissions",
        "project emissions",
    ),
    Step(
        "baseline_t",
        "RE_p",
        "tCO2",
        "project_t * cop_project / cop_reference",
        "JCM VN_AM003, reference emissions",
        "emissions of equipment with the reference efficiency",
    ),
)


METHODOLOGY = Methodology(
    id=ID,
    versions=(VERSION,),
    title="Energy efficient equipment in commercial buildings",
    reference="JCM VN_AM003 ver 1.0, 14 January 2015",
    programme="JCM Viet Nam",
    countries=("VN",),
    notes=__doc__.strip(),
    asks=("replaced",),
    additive=ADDITIVE,
    # More consumption gives more reduction, so a gap is counted as zero.
    roles={
        "equipment": RoleNeeds(
            ("energy_meter", "chiller"),
            "energy_import",
            "baseline",
            symbol="EC_PJ,i",
            source="import register of the equipment's meter",
            delivers=("heat", "cop_project", "cop_reference"),
        )
    },
    parameters={"cop_reference": _REFERENCE, "cop_project": _PROJECT, "ef_grid_t_per_mwh": _FACTOR},
    inputs={
        "ec_mwh": replace(
            POWER,
            meaning="electricity that the project's equipment uses",
            symbol="EC_PJ,i",
            side="both",
        ),
        "cop_reference": _REFERENCE,
        "cop_project": _PROJECT,
        "ef_grid_t_per_mwh": EF_GRID,
    },
    applicability=(
        Check("VN_AM003 eligibility: above the reference efficiency", better_than_reference, True),
    ),
    inputs_of=inputs_of,
    billed=("equipment",),
    baseline_documents=("cop_reference", "cop_project"),
    steps=STEPS,
    rules=(
        "For missing data, the electricity is zero in reference and project emissions.",
        (
            "If the measured coefficient of performance is below two thirds of the entered one,"
            " it is applied in its place (MTR-13)."
        ),
        "The coefficient of performance must lie between 2.5 and 8 (PAR-03).",
        "A reduction requires a calibrated meter, or invoices of the electricity (EVD-03).",
        "A reduction requires dated documents of the baseline values (EVD-03).",
    ),
)
