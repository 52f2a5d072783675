"""
Efficient equipment, such as lamps, in place of equipment of the same service.

CDM AMS-II.C version 15.0.  The equation, the default grid losses of 10 % and the limit of 60 GWh
were not compared with the text of the methodology.  For cooling equipment, enter the refrigerant
refilled in the year, which is its loss, and its global warming potential.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from mrv.errors import MethodologyError
from mrv.methodologies._shared import (
    EF_BOTH,
    EF_GRID,
    LOSSES,
    NOTHING,
    SECONDS_PER_HOUR,
    TYPE_II,
    or_published,
)
from mrv.model import Activity, Factors, Methodology, RoleNeeds
from mrv.parameters import Inputs, ListSpec, ParameterSpec
from mrv.service_bounds import Capacity, Related
from mrv.steps import Step, baseline_emissions, project_emissions, steps

ID = "ams-ii-c"
VERSION = "15.0"
ADDITIVE = False


def inputs_of(
    activities: Sequence[Activity], parameters: Inputs, factors: Factors, year: int
) -> Inputs:
    """Return hours [s] as [h] of each group, with the power of one piece before and after."""
    groups = [a for a in activities if a.role == "equipment"]

    def side(power: str) -> list[dict[str, Fraction]]:
        return [
            {"count": a.params["count"], "kw": a.params[power], "hours": a.value / SECONDS_PER_HOUR}
            for a in groups
        ]

    return {
        "baseline": side("kw_baseline"),
        "project": side("kw_project"),
        "technical_losses": or_published(
            parameters, "technical_losses", factors, ("ams-ii-c.losses", "avoided"), year
        ),
        "ef_grid_t_per_mwh": parameters["ef_grid_t_per_mwh"],
        # lamps contain no refrigerant; cooling equipment has its own methodology, VN_AM003
        "refrigerant_kg": NOTHING,
        "refrigerant_gwp": NOTHING,
    }


STEPS = steps(
    *(
        Step(
            f"{side}_kwh",
            f"E_{symbol},i",
            "kWh",
            "count * kw * hours / (1 - technical_losses)",
            "AMS-II.C v15, energy baseline",
            f"electricity of a group, {side}, including grid losses",
            over=side,
        )
        for side, symbol in (("baseline", "BL"), ("project", "PJ"))
    ),
    Step(
        "refrigerant_t",
        "PE_ref",
        "tCO2e",
        "refrigerant_kg / KG_PER_T * refrigerant_gwp",
        "AMS-II.C v15, physical leakage of refrigerants",
        "emissions of the refrigerant that the project's equipment lost",
    ),
    baseline_emissions("sum(baseline_kwh) / KWH_PER_MWH * ef_grid_t_per_mwh", "AMS-II.C v15"),
    project_emissions(
        "sum(project_kwh) / KWH_PER_MWH * ef_grid_t_per_mwh + refrigerant_t", "AMS-II.C v15"
    ),
    lists={"baseline": "", "project": ""},
)


def plausible(inputs: Inputs) -> None:
    """Raise MethodologyError for a refrigerant with a global warming potential of zero."""
    if inputs["refrigerant_kg"] and not inputs["refrigerant_gwp"]:
        raise MethodologyError(
            f"refrigerant_kg = {float(inputs['refrigerant_kg']):g} and refrigerant_gwp = 0; give"
            " the refrigerant's warming potential, such as 1924 for R-410A in AR5"
        )


# maximum ratio of luminous efficacies: 200 lm/W of the best LED, 40 lm/W of a mercury lamp
_MAX_RATIO = 5


def _by_project(
    parameters: Inputs, measured: Mapping[str, Fraction]
) -> tuple[Fraction, Fraction] | None:
    """Return the range of a lamp's power before the project, by that of the new lamp. [kW]"""
    del measured
    if not parameters.get("kw_project"):
        return None
    return Fraction(0), _MAX_RATIO * Fraction(parameters["kw_project"])


_FIELDS = {
    "count": ParameterSpec(
        unit="1",
        meaning="number of units in operation",
        maximum="1000000000",
        source="inventory, and yearly sample survey",
        symbol="n_i",
        option="C",
        frequency="yearly",
        side="both",
    ),
    "kw": ParameterSpec(
        unit="kW",
        meaning="power of one piece",
        maximum="10000",
        source="nameplate or measurement",
        symbol="rho_i",
        side="both",
    ),
    "hours": ParameterSpec(
        unit="h",
        meaning="hours of operation in the year",
        maximum="8784",
        source="hour meters of a sample",
        symbol="o_i",
        option="C",
        frequency="continuous",
        side="both",
    ),
}

_LOSSES = replace(
    LOSSES,
    meaning="technical losses of the grid as a fraction, such as 0.1 for 10 %",
    source="official grid losses of the year",
    symbol="l_y",
    side="both",
    factor=("ams-ii-c.losses", "avoided"),
)

METHODOLOGY = Methodology(
    id=ID,
    versions=(VERSION,),
    title="Demand-side energy efficiency for specific technologies",
    reference="CDM AMS-II.C version 15.0",
    programme="CDM",
    notes=__doc__.strip(),
    asks=("replaced",),
    additive=ADDITIVE,
    roles={
        "equipment": RoleNeeds(
            ("lamp_controller",),
            "operating_time",
            "baseline",
            params={
                "count": _FIELDS["count"],
                "kw_baseline": replace(
                    _FIELDS["kw"], meaning="power of one unit of the baseline equipment"
                ),
                "kw_project": replace(
                    _FIELDS["kw"], meaning="power of one unit of the project equipment"
                ),
            },
            symbol="o_i",
            source="hour meter of the group",
            draws=("energy_import", ("count", "kw_project")),
        )
    },
    parameters={
        "design_hours_per_d": ParameterSpec(
            unit="h",
            meaning="operating hours of a group on the day of the longest night, by its schedule",
            required=False,
            minimum="0.1",
            maximum="24",
            source="operating schedule of the owner of the lighting, or lighting design",
            symbol="o_design",
            side="baseline",
        ),
        "technical_losses": replace(_LOSSES, meaning=f"{_LOSSES.meaning}; 0.1 if not entered"),
        "ef_grid_t_per_mwh": EF_BOTH,
    },
    inputs={
        "baseline": ListSpec("groups of equipment that were replaced", _FIELDS),
        "project": ListSpec("groups of equipment that replace the baseline equipment", _FIELDS),
        "technical_losses": _LOSSES,
        "ef_grid_t_per_mwh": EF_GRID,
        "refrigerant_kg": ParameterSpec(
            unit="kg",
            meaning="refrigerant that the project's equipment lost",
            default="0",
            maximum="10000000",
            source="filling records of the year",
            symbol="m_ref",
            option="B",
            frequency="yearly",
            side="project",
        ),
        "refrigerant_gwp": ParameterSpec(
            unit="tCO2e/t",
            meaning="global warming potential over 100 years of the refrigerant lost",
            default="0",
            maximum="30000",
            source="IPCC report of the statement's set",
            symbol="GWP_ref",
            side="project",
        ),
    },
    inputs_of=inputs_of,
    steps=STEPS,
    plausible=plausible,
    conditions=(TYPE_II,),
    baseline_documents=("count", "kw_baseline", "kw_project"),
    related=(
        Related(
            "kw_baseline",
            _by_project,
            "a lamp of the same light takes at most five times the power: 40 lm/W of a mercury lamp"
            " with its ballast, 80 to 110 of high-pressure sodium, 200 of the best LED; IESNA"
            " Lighting Handbook, US DOE, Solid-State Lighting [M]",
            usual=Fraction(4, 5),
        ),
    ),
    capacities=(Capacity("design_hours_per_d", ("equipment",), SECONDS_PER_HOUR, each=True),),
    rules=(
        (
            "The credited operating hours of a group of lamps are at most those of its schedule"
            " (MTR-07)."
        ),
        (
            "The power of a baseline lamp is at most five times that of the lamp that replaces"
            " it (PAR-04)."
        ),
        (
            "Without a calibrated meter, hours are credited only if a design document or"
            " invoices show them (EVD-02)."
        ),
        (
            "If the hours are below half of the schedule, a reduction requires invoices of hours"
            " or electricity, or an agreeing check meter (EVD-03)."
        ),
        (
            "Invoiced electricity corroborates the operating hours if it differs by at most 5 %"
            " from hours times number and power of the lamps."
        ),
        (
            "The credited hours are at most the group's metered electricity divided by number"
            " and power of its lamps (MTR-09)."
        ),
        (
            "The electricity applied for a group is at least the electricity that its controller"
            " measures (MTR-12)."
        ),
        "A reduction requires dated documents of the number and power of the lamps (EVD-03).",
        (
            "If hours and numbers are sampled, the baseline is calculated with the lower bound"
            " of their confidence interval."
        ),
        "Refrigerant that was refilled is counted as emitted.",
    ),
)
