"""
Inputs, limits and roles of meters that several methodologies share, and sums of activities.

Files that begin with `_` are not loaded as methodologies.  Emissions that depend on time only, such
as a yearly leakage, use the activity `PERIOD`, whose value is the share of the calendar year in the
period; live rows do not have it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date
from fractions import Fraction

from mrv.model import (
    GAINING,
    PERIOD,
    Activity,
    Candidate,
    Check,
    Condition,
    Factors,
    Reductions,
    RoleNeeds,
)
from mrv.parameters import ChoiceSpec, Inputs, ParameterSpec
from mrv.rounding import significant
from mrv.service_bounds import Capacity, Consumption
from mrv.steps import Part, Published, Step, project_emissions
from mrv.texts import Text, joint, text

NOTHING = Fraction(0)
FUELS = ("anthracite", "bituminous", "coke", "diesel", "fuel_oil", "gasoline", "lignite", "lpg",
         "natural_gas")  # fmt: skip
_TYPE_II_LIMIT_MWH = 60_000
_TYPE_III_LIMIT_T = 60_000
OUTPUT_EVIDENCE = (
    (
        "Without a calibrated meter, output is credited only if a design document or invoices show"
        " it (EVD-02)."
    ),
    (
        "A reduction requires a calibrated meter, or invoices of the output or of its electricity"
        " (EVD-03)."
    ),
)

EF_GRID = ParameterSpec(
    unit="tCO2/MWh",
    meaning="emission factor of the grid",
    maximum="2",
    source="official value of the year; for avoided electricity the combined margin of TOOL07",
    certainty="[r]",
    symbol="EF_el",
    side="both",
    published="grid",
)
PRODUCTION = ParameterSpec(
    unit="t",
    meaning="good castings of the year",
    maximum="100000000",
    source="weighed",
    symbol="P_y",
    option="C",
    frequency="per charge",
    side="both",
)
PRODUCTION_BEFORE = replace(
    PRODUCTION,
    meaning="mean annual output before the project",
    source="records of three years",
    symbol="P_hist",
    option="",
    frequency="",
)
LOSSES = ParameterSpec(
    unit="1",
    meaning="technical losses of the grid as a fraction, such as 0.0615 for 6.15 %",
    required=False,
    below="1",
    source="official grid losses of the year; default of CDM TOOL05 if none are published",
    symbol="TDL",
    side="project",
    factor=("grid.losses", "consumed"),
)
POWER = ParameterSpec(
    unit="MWh",
    meaning="electricity that the project draws from the grid",
    maximum="10000000",
    source="import register of the electricity meter",
    symbol="EC",
    option="C",
    frequency="hourly or finer",
    side="project",
)
DIESEL = ParameterSpec(
    unit="L",
    meaning="emissions of the diesel that the project burns",
    maximum="1000000000",
    source="invoices, or a fuel meter",
    symbol="FC",
    option="B",
    frequency="monthly",
    side="project",
)
GWP_CH4 = ParameterSpec(
    unit="tCO2e/tCH4",
    meaning="global warming potential of methane over 100 years",
    required=False,
    minimum="1",
    maximum="100",
    source="IPCC AR5, as required by the Paris Agreement's transparency framework",
    certainty="[r]",
    symbol="GWP_CH4",
    side="both",
    factor=("gwp.ar5.ch4", "either"),
    published="gwp",
)
GWP_N2O = ParameterSpec(
    unit="tCO2e/tN2O",
    meaning="global warming potential of nitrous oxide over 100 years",
    required=False,
    minimum="1",
    maximum="500",
    source="IPCC AR5, as required by the Paris Agreement's transparency framework",
    certainty="[r]",
    symbol="GWP_N2O",
    side="both",
    factor=("gwp.ar5.n2o", "either"),
    published="gwp",
)
YEARS_SINCE = ParameterSpec(
    unit="year",
    meaning="whole calendar years since the baseline's data",
    maximum="100",
    integer=True,
    source="calendar",
    symbol="t",
    side="baseline",
)
LEAKAGE = ParameterSpec(
    unit="tCO2e",
    meaning="annual leakage",
    default="0",
    maximum="1000000000",
    source="annual calculation in the monitoring report",
    symbol="LE",
    side="project",
)
SAVED_PER_T = ParameterSpec(
    unit="tCO2/t",
    meaning="emissions of primary production minus those of recovery",
    maximum="100",
    source="project design document; the published values are examples, not defaults",
    symbol="SE_i",
    side="baseline",
    published="material",
)
HOSTED = "programme: a project in its countries"
FUEL = ChoiceSpec("fuel", FUELS, "IPCC 2006 Guidelines, volume 2")


def hosted(countries: Sequence[str]) -> Check:
    """Return a check that a project is in a country in which a bilateral methodology applies."""
    return Check(HOSTED, lambda candidate: abroad(countries, candidate.country), quiet=True)


def abroad(countries: Sequence[str], country: str | None) -> Text | None:
    """Return why a project is in none of its methodology's countries; None if it is in one."""
    if not countries or country in countries:
        return None
    if country is None:
        return text("condition.no_country", countries=joint("text.and", countries))
    return text("condition.abroad", country=country, countries=joint("text.and", countries))


def diesel(key: str = "diesel_l") -> tuple[Published | Step, ...]:
    """
    Return the steps of emissions of diesel burnt by a project, as `fuel_t`. [tCO2]

    CDM TOOL03: net calorific value and emission factor are the upper 95 % bounds of IPCC.  Without
    diesel no factor is selected.
    """
    of = {"of": key, "zero": "either"}
    return (
        Published("diesel_kg_per_l", "rho_diesel", "kg/L", "diesel.density", "consumed"),
        Published("diesel_ncv", "NCV_diesel", "TJ/Gg", "diesel.ncv", "consumed", **of),
        Published("diesel_co2", "EF_diesel", "tCO2/TJ", "diesel.co2", "consumed", **of),
        Step(
            "fuel_t",
            "PE_FC",
            "tCO2",
            f"{key} * diesel_kg_per_l / KG_PER_T * diesel_ncv * diesel_co2 / GJ_PER_TJ",
            "CDM TOOL03, combustion of fossil fuel",
            "emissions of the diesel that the project burns",
        ),
    )


def drawn(factor: str = "ef_grid_t_per_mwh") -> Step:
    """Return the step of emissions of consumed grid electricity (TOOL05), `power_t`. [tCO2]"""
    return Step(
        "power_t",
        "PE_EC",
        "tCO2",
        f"power_mwh * {factor} * (1 + tdl)",
        "CDM TOOL05, consumption of electricity",
        "emissions of the electricity that the project draws, including grid losses",
    )


def _saved_power(inputs: Inputs, result: Reductions) -> Text | None:
    factor: Fraction = inputs["ef_grid_t_per_mwh"]
    saved = result.reduction_t / factor if factor else NOTHING
    if saved <= _TYPE_II_LIMIT_MWH:
        return None
    return text("condition.saved", mwh=significant(saved), most=_TYPE_II_LIMIT_MWH)


def _reduced(inputs: Inputs, result: Reductions) -> Text | None:
    del inputs
    if result.reduction_t <= _TYPE_III_LIMIT_T:
        return None
    return text(
        "condition.reduced", amount=significant(result.reduction_t, 8), most=_TYPE_III_LIMIT_T
    )


TYPE_II = Condition("type II limit, 60 GWh saved a year", _saved_power)
TYPE_III = Condition("type III limit, 60 kt CO2e a year", _reduced)


# factors and steps common to all polymers
PLASTIC = (
    Published("net_to_gross", "L", "1", "recycling.net-to-gross", "avoided"),
    Published("gas_co2", "EF_ff", "tCO2/TJ", "natural_gas.co2", "either"),
)


def virgin(polymer: str, mass: str) -> tuple[Part, ...]:
    """Return the steps of emissions of virgin plastic, named `POLYMER_t`. [tCO2]"""
    return (
        Published(
            f"sec_{polymer}", f"SEC_{polymer}", "MWh/t", f"plastic.power.{polymer}", "avoided"
        ),
        Published(f"sfc_{polymer}", f"SFC_{polymer}", "GJ/t", f"plastic.fuel.{polymer}", "avoided"),
        Step(
            f"{polymer}_t",
            f"BE_{polymer}",
            "tCO2",
            f"{mass} * net_to_gross"
            f" * (sec_{polymer} * ef_grid_t_per_mwh + sfc_{polymer} * gas_co2 / GJ_PER_TJ)",
            "AMS-III.AJ, baseline emissions",
            f"emissions of virgin {polymer} not produced",
        ),
    )


def primary(materials: str, mass: str, source: str) -> Step:
    """Return the step of emissions of primary production less recovery, `primary_t`. [tCO2]"""
    return Step(
        "primary_t",
        "BE_i",
        "tCO2",
        f"{mass} * ef_t_per_t",
        f"{source}, baseline emissions",
        "emissions of primary material not produced",
        over=materials,
    )


def recycled(source: str) -> tuple[Part, ...]:
    """Return the steps of the emissions of the recycling plant. [tCO2]"""
    return (*diesel(), project_emissions("power_mwh * ef_grid_t_per_mwh + fuel_t", source))


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
    source="weighing scale of the products sold, cross-checked with invoices",
)
EF_BOTH = replace(
    EF_GRID, meaning="emission factor of the grid, fixed ex ante for baseline and project emissions"
)
LOSSES_LIVE = replace(LOSSES, meaning=f"{LOSSES.meaning}; the default of TOOL05 if not entered")

# design values of a plant, from its licence or design; not part of any equation
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
    meaning="electricity per cubic metre of wastewater, by the plant's design",
    minimum="0.001",
    maximum="20",
    source="design report or commissioning test",
    symbol="SEC_design",
)
DESIGN_PER_T = replace(
    DESIGN_PER_M3,
    unit="kWh/t",
    meaning="electricity per tonne of waste or product, by the plant's design",
    maximum="10000",
)


DESIGN_PIECES = replace(DESIGN_FLOW, unit="1/d", symbol="N_design")
DESIGN_PER_PIECE = replace(DESIGN_PER_M3, unit="kWh", minimum="0.0001", maximum="1000")
# share of the design electricity below which either mass or electricity must be wrong
CLOSER = Fraction(9, 10)
# 1 less the materiality threshold (Circular 38/2023/TT-BCT)
SURE = Fraction(19, 20)


def built_for_flow(role: str) -> tuple[Capacity, ...]:
    """Return the design capacity that limits a role's flow of water."""
    return (Capacity("design_flow_m3_per_d", (role,), ML_PER_M3),)


def built_for_mass(*roles: str) -> tuple[Capacity, ...]:
    """Return the design capacity that limits the mass of some roles."""
    return (Capacity("design_mass_t_per_d", roles, G_PER_T),)


def powered(*roles: str) -> Consumption:
    """Return the plausible specific electricity of a recycling plant without a design value."""
    return Consumption(
        uses=("power",),
        serves=roles,
        unit="kWh/t",
        # 1 Wh per gram
        per_base=Fraction(1000),
        by_history=True,
        by_design="design_kwh_per_t",
        lowest=Fraction(1, 2),
        highest=Fraction(5),
        closer=CLOSER,
        sure=SURE,
    )


def yearly(spec: ParameterSpec) -> ParameterSpec:
    """Return the specification of a yearly tonnage that is applied pro rata to the period."""
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
    """Return the share of the calendar year with time-dependent baseline emissions. [1]"""
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


IMPORT_UNKNOWN = (
    "For time without data of the import, the highest plausible import is deducted: the own use"
    " published for the device class (PV inverters: 0.35 % of the rated power), or else the rated"
    " power. Third parties' invoices of the import limit this amount, and it is at most the"
    " output."
)


def import_is_metered(candidate: Candidate) -> Text | None:
    """Return a finding if net electricity is claimed without metered import; else None."""
    blind = tuple(d.id for d in candidate.devices if not d.nets)
    return text("condition.no_import", device=blind) if blind else None
