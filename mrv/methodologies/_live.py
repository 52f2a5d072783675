"""
Inputs from meters: roles shared by several methodologies, and sums of activities.

Files that begin with `_` are not loaded as methodologies.  Emissions that depend on time alone,
such as a yearly leakage, use the activity `PERIOD`, whose value is the share of the calendar year
in the period; live rows do not have it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date
from fractions import Fraction

from mrv.methodologies._shared import EF_GRID, LEAKAGE, LOSSES, NOTHING
from mrv.model import GAINING, PERIOD, Activity, Candidate, Factors, RoleNeeds
from mrv.parameters import Inputs, ParameterSpec
from mrv.service_bounds import Capacity, Consumption
from mrv.texts import Text, text

WH_PER_MWH = 10**6
G_PER_T = 10**6
ML_PER_M3 = 10**6
ML_PER_L = 1000
SECONDS_PER_HOUR = 3600
SECONDS_PER_DAY = 86_400

POWER_ROLE = RoleNeeds(
    ("energy_meter", "furnace", "pump", "chiller"),
    "energy_import",
    "project",
    symbol="EC",
    source="import register of the electricity meter",
)
FUEL_ROLE = RoleNeeds(
    ("fuel_meter",),
    "flow",
    "project",
    symbol="FC",
    source="fuel meter, cross-checked with invoices",
)
OUTPUT_ROLE = RoleNeeds(
    ("recycling_line", "weighbridge"),
    "mass",
    "baseline",
    required=False,
    symbol="Q_i",
    source="scale of the products sold, cross-checked with invoices",
)
EF_BOTH = replace(
    EF_GRID, meaning="emission factor of the grid, fixed ex ante for baseline and project emissions"
)
LOSSES_LIVE = replace(LOSSES, meaning=f"{LOSSES.meaning}; the default of TOOL05 where absent")

# what a plant was built for, from its licence or design; none is part of a methodology's equations
_LICENCE = "environmental licence or design report"
DESIGN_FLOW = ParameterSpec(
    unit="m3/d",
    meaning="design capacity of the plant",
    required=False,
    minimum="0.001",
    maximum="100000000",
    source=_LICENCE,
    symbol="Q_design",
    side="baseline",
)
DESIGN_COD = replace(
    DESIGN_FLOW,
    unit="kg/d",
    meaning="design load of the plant, as COD of the inflow",
    symbol="L_design",
)
DESIGN_MASS = replace(DESIGN_FLOW, unit="t/d", symbol="M_design")
DESIGN_PER_M3 = replace(
    DESIGN_FLOW,
    unit="kWh/m3",
    meaning="electricity per cubic metre, by the plant's design",
    minimum="0.001",
    maximum="20",
    source="design report or commissioning test",
    symbol="SEC_design",
)
DESIGN_PER_T = replace(
    DESIGN_PER_M3,
    unit="kWh/t",
    meaning="electricity per tonne, by the plant's design",
    maximum="10000",
)


DESIGN_PIECES = replace(DESIGN_FLOW, unit="1/d", symbol="N_design")
DESIGN_PER_PIECE = replace(DESIGN_PER_M3, unit="kWh", minimum="0.0001", maximum="1000")
# of the design electricity: below it, mass or electricity may be wrong, and which is unknown
CLOSER = Fraction(9, 10)
# from which a misstatement is material (Circular 38/2023/TT-BCT)
SURE = Fraction(19, 20)


def built_for_flow(role: str) -> tuple[Capacity, ...]:
    """Return the limit of a water flow by the plant's design capacity."""
    return (Capacity("design_flow_m3_per_d", (role,), ML_PER_M3),)


def built_for_mass(*roles: str) -> tuple[Capacity, ...]:
    """Return the limit of the mass of some roles by the plant's design capacity."""
    return (Capacity("design_mass_t_per_d", roles, G_PER_T),)


def powered(*roles: str) -> Consumption:
    """Return the plausible specific electricity of a recycling plant without a design value."""
    return Consumption(
        uses=("power",),
        serves=roles,
        unit="kWh/t",
        # 1 Wh for each gram
        per_base=Fraction(1000),
        by_history=True,
        by_design="design_kwh_per_t",
        lowest=Fraction(1, 2),
        highest=Fraction(5),
        closer=CLOSER,
        sure=SURE,
    )


def yearly(spec: ParameterSpec) -> ParameterSpec:
    """Return a yearly tonnage as a parameter that is applied pro rata to the period."""
    return replace(
        spec,
        default="0",
        meaning=f"{spec.meaning}; applied in proportion to the length of the period",
    )


LEAKAGE_YEARLY = yearly(LEAKAGE)


def total(activities: Sequence[Activity], role: str) -> Fraction:
    """Return the sum of a role's activities. [base units]"""
    return sum((a.value for a in activities if a.role == role), start=NOTHING)


def part_of_year(activities: Sequence[Activity]) -> Fraction:
    """Return the share of the calendar year in the period; 0 for live rows. [1]"""
    return total(activities, PERIOD)


def gaining_part_of_year(activities: Sequence[Activity]) -> Fraction:
    """
    Return the share of the calendar year in which time-dependent baseline emissions are included.
    [1]
    """
    return sum((a.params[GAINING] for a in activities if a.role == PERIOD), start=NOTHING)


def power_mwh(activities: Sequence[Activity]) -> Fraction:
    """Return the electricity of the role `power`. [MWh]"""
    return total(activities, "power") / WH_PER_MWH


def diesel_l(activities: Sequence[Activity]) -> Fraction:
    """Return the diesel of the role `fuel`. [L]"""
    return total(activities, "fuel") / ML_PER_L


def losses(parameters: Inputs, factors: Factors, year: int) -> Fraction:
    """Return the grid losses given by the project, else the default of the year. [1]"""
    return or_published(parameters, "tdl", factors, ("grid.losses", "consumed"), year)


def grid(factors: Factors, year: int) -> Fraction:
    """Return the factor of the electricity that a project consumes in a year. [tCO2/MWh]"""
    value: Fraction = factors.select("grid", "consumed", date(year, 1, 1)).value
    return value


def warming(parameters: Inputs, factors: Factors, year: int, *gases: str) -> dict[str, Fraction]:
    """Return global warming potentials by input name: the project's, else those of AR5. [1]"""
    return {
        f"gwp_{gas}": or_published(
            parameters, f"gwp_{gas}", factors, (f"gwp.ar5.{gas}", "either"), year
        )
        for gas in gases
    }


def or_published(
    parameters: Inputs, key: str, factors: Factors, published: tuple[str, str], year: int
) -> Fraction:
    """Return the project's own value, or the published one if the project has none."""
    own: Fraction | None = parameters.get(key)
    if own is not None:
        return own
    kind, direction = published
    value: Fraction = factors.select(kind, direction, date(year, 1, 1)).value  # type: ignore[arg-type]
    return value


def any_role(candidate: Candidate, roles: Iterable[str]) -> Text | None:
    """Return a finding if no device has one of these roles; else None."""
    wanted = list(roles)
    if any(d.role in wanted for d in candidate.devices):
        return None
    return text("condition.no_roles", roles=tuple(wanted))


def import_is_metered(candidate: Candidate) -> Text | None:
    """
    Return a finding if import is not metered where net electricity is claimed; None if it
    is. [M]
    """
    blind = tuple(d.id for d in candidate.devices if not d.nets)
    return text("condition.no_import", device=blind) if blind else None
