"""
Electric and hybrid vehicles, for buses in place of diesel buses.

CDM AMS-III.C version 16.0; version 15.0 has the same equations.  Their structure is that of the
table of contents of version 15 and of other implementations (secondary source).  The equations, the
improvement factor of 0.99 a year and the default grid losses of 20 % (TOOL05) were not compared
with the text of the methodology.  The diesel properties of the baseline are the central values of
IPCC 2006 (secondary source), since no available text requires the bounds of their 95 % intervals;
the baseline fuel consumption is a lower 95 % bound.  Diesel that hybrid project vehicles burn has
the upper bounds that TOOL03 requires.  The grid factor is that announced by the Department of
Climate Change (secondary source). The published equation has a factor of 10^-3 with which its units
do not agree; the units of the equation below agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction

from mrv.errors import MethodologyError
from mrv.methodologies._shared import DIESEL, LEAKAGE, LOSSES, YEARS_SINCE, diesel
from mrv.model import Activity, Candidate, Check, ClassLimit, Factors, Methodology, RoleNeeds
from mrv.parameters import Inputs, ParameterSpec
from mrv.rounding import significant
from mrv.service_bounds import Consumption
from mrv.steps import Published, Step, baseline_emissions, project_emissions, steps
from mrv.texts import Text, joint, text


@dataclass(frozen=True, slots=True)
class VehicleClass:
    """
    A class of vehicles by the baseline's diesel consumption, and limits of its electric vehicles.

    `below`: upper limit of the baseline's fuel [L/100 km]; `kwh_per_km`: lowest and highest
    specific consumption over days; `km_per_mean_day`: the highest mean over a period.
    """

    name: str
    below: Fraction
    kwh_per_km: tuple[Fraction, Fraction]
    km_per_day: int
    km_per_h: int
    km_per_mean_day: int


def _class(
    name: str, below: str, kwh: tuple[str, str], day: int, hour: int, mean: int
) -> VehicleClass:
    low, high = map(Fraction, kwh)
    return VehicleClass(name, Fraction(below), (low, high), day, hour, mean)


CLASSES = (
    _class("two-wheeler", "4", ("0.02", "0.10"), 400, 80, 200),
    _class("car", "9", ("0.11", "0.32"), 800, 120, 500),
    _class("van or minibus", "15", ("0.18", "0.60"), 800, 110, 400),
    _class("bus up to 9 m", "24", ("0.40", "1.20"), 500, 100, 350),
    _class("bus of 10 to 13.5 m", "45", ("0.60", "2.00"), 500, 100, 350),
    _class("articulated bus", "1000", ("1.10", "3.00"), 450, 90, 350),
)
SOURCE = "UITP ZeEUS eBus Report 2 (2017); Gallet et al. 2018; Circular 31/2019/TT-BGTVT [M]"


def class_of(inputs: Inputs) -> VehicleClass:
    """Return the class of a baseline's fuel consumption."""
    fuel = inputs["sfc_l_per_100km"]
    return next(kind for kind in CLASSES if fuel < kind.below)


def specific(inputs: Inputs) -> tuple[Fraction, Fraction]:
    """Return the lowest and highest specific electricity of the class. [kWh/km]"""
    return class_of(inputs).kwh_per_km


def class_limit(inputs: Inputs) -> ClassLimit:
    """Return the maximum distance of a vehicle of the class in an hour and in a day. [m]"""
    kind = class_of(inputs)
    return ClassLimit(
        per_hour=kind.km_per_h * _M_PER_KM,
        per_day=kind.km_per_day * _M_PER_KM,
        source=SOURCE,
        per_day_as_mean=kind.km_per_mean_day * _M_PER_KM,
    )


# in kWh/km, which is Wh/m
CONSUMPTION = Consumption(
    uses=("charging",),
    serves=("vehicle",),
    unit="kWh/km",
    per_base=Fraction(1),
    keys=("charging_mwh", "distance_km"),
    per_input=Fraction(1000),
    span=specific,
    range="that of the vehicle's class, in the table below",
    source=SOURCE,
    by_history=True,
    by_model="kwh_per_km",
    # the same buses consumed 15 % less on a suburban line than in the city, measured over two years
    # (Vepsalainen et al., Energies 11 (2018) 3267, abstract [r]); the margin includes drivers
    driven=Fraction(4, 5),
    # the approval excludes air conditioning and charging losses, so a consumption below it by the
    # materiality threshold (Circular 38/2023/TT-BCT) is implausible
    sure=Fraction(19, 20),
)
# minimum consumption in service at the charger's input: charging losses and air conditioning are in
# addition to the approved consumption
MODEL = {
    CONSUMPTION.by_model: ParameterSpec(
        unit="kWh/km",
        meaning="electricity per kilometre, by the type approval of the vehicle's model",
        required=False,
        minimum="0.02",
        maximum="3",
        source="type approval (UN Regulation 101, WLTP), or a test report (UITP SORT)",
        symbol="SEC_i",
        side="baseline",
    )
}


ID = "ams-iii-c"
VERSION = "16.0"
ADDITIVE = False

_WH_PER_MWH = 10**6
_M_PER_KM = 1000
_NOTHING = Fraction(0)
_TYPE_III_LIMIT_T = 60_000
# Plausible range: from a light van to an articulated bus in winter, with a margin.
_PLAUSIBLE_KWH_PER_KM = (Fraction(1, 20), Fraction(20))

_FUEL = ParameterSpec(
    unit="L/100 km",
    meaning="diesel consumption of the baseline vehicles, lower 95 % bound",
    maximum="150",
    source="survey over one year, or comparable vehicles",
    symbol="SFC_BL",
    side="baseline",
)
_BIOFUEL = ParameterSpec(
    unit="1",
    meaning="share of biofuel in the diesel of the baseline vehicles, by volume, such as"
    " 0.05 for B5",
    required=False,
    maximum="1",
    source="fuel standard in force, or the supplier",
    symbol="biofuel",
    side="baseline",
)
_LOSSES = ParameterSpec(
    unit="1",
    meaning="technical losses of the grid as a fraction, such as 0.0615 for 6.15 %",
    below="1",
    source="official grid losses of the year",
    symbol="TDL",
    side="project",
)


def consumption_is_metered(candidate: Candidate) -> Text | None:
    """Return a finding if charging is not metered at the chargers' AC input; else None."""
    roles = {d.role for d in candidate.devices}
    missing = [role for role in ("charging", "vehicle") if role not in roles]
    return text("condition.no_role", roles=joint("text.or", missing)) if missing else None


def baseline_precedes_project(candidate: Candidate) -> Text | None:
    """Return a finding if baseline data are later than the first vehicle's start; else None."""
    year = candidate.parameters["baseline_year"]
    if year <= candidate.first_year:
        return None
    return text("condition.baseline_year", year=int(year), first=candidate.first_year)


def within_small_scale(candidate: Candidate) -> Text | None:
    """Return a finding if the reduction exceeds the type III limit of 60 kt CO2e a year."""
    expected = candidate.reduction_t_per_year
    if expected is None or expected <= _TYPE_III_LIMIT_T:
        return None
    return text("condition.small_scale", amount=significant(expected), most=_TYPE_III_LIMIT_T)


def inputs_of(
    activities: Sequence[Activity], parameters: Inputs, factors: Factors, year: int
) -> Inputs:
    """Return distance [m] as [km], charging [Wh] as [MWh], and the year's factors."""
    begin = date(year, 1, 1)
    losses = parameters.get("tdl")
    if losses is None:
        losses = factors.select("grid.losses", "consumed", begin).value
    return {
        "sfc_l_per_100km": parameters["sfc_l_per_100km"],
        "years_since_baseline": max(0, year - parameters["baseline_year"]),
        "distance_km": _total(activities, "vehicle") / _M_PER_KM,
        "charging_mwh": _total(activities, "charging") / _WH_PER_MWH,
        "ef_grid_t_per_mwh": factors.select("grid", "consumed", begin).value,
        "tdl": losses,
        "biofuel_share": parameters.get("biofuel_share", _NOTHING),
        # not metered, and not attributable to an interval
        "project_diesel_l": _NOTHING,
        "leakage_t": _NOTHING,
    }


STEPS = steps(
    Published("density_kg_per_l", "rho", "kg/L", "diesel.density", "avoided"),
    Published("ncv_kj_per_g", "NCV", "kJ/g", "diesel.ncv", "either"),
    Published("ef_fuel_g_per_mj", "EF_fuel", "gCO2/MJ", "diesel.co2", "either"),
    Published("improvement", "IR", "1", "ams-iii-c.improvement", "avoided"),
    Step(
        "sfc_g_per_km",
        "SFC_BL,g",
        "g/km",
        "sfc_l_per_100km * density_kg_per_l * G_PER_KM",
        "AMS-III.C, baseline emissions per kilometre",
        "fuel mass that the replaced vehicle burns per kilometre",
    ),
    Step(
        "ef_bl_g_per_km",
        "EF_BL,km",
        "gCO2/km",
        "sfc_g_per_km * ncv_kj_per_g * ef_fuel_g_per_mj * improvement ** years_since_baseline"
        " / KJ_PER_MJ * (1 - biofuel_share)",
        "AMS-III.C, baseline emissions per kilometre; biofuel in the baseline counts 0",
        "emissions per kilometre of the replaced vehicle",
    ),
    baseline_emissions("distance_km * ef_bl_g_per_km / G_PER_T", "AMS-III.C"),
    Step(
        "power_t",
        "PE_EC",
        "tCO2",
        "charging_mwh * ef_grid_t_per_mwh / (1 - tdl)",
        "AMS-III.C, project emissions of electric vehicles",
        "emissions of the electricity at the chargers, including grid losses",
    ),
    diesel("project_diesel_l"),
    project_emissions("power_t + fuel_t", "AMS-III.C"),
    defaults={"biofuel_share": _NOTHING},
    extra=("ef_bl_g_per_km",),
)


def odd(inputs: Inputs) -> None:
    """Raise MethodologyError for an impossible consumption per kilometre, probably a unit error."""
    if not inputs["distance_km"] or not inputs["charging_mwh"]:
        return
    per_km = inputs["charging_mwh"] * 1000 / inputs["distance_km"]
    lowest, highest = _PLAUSIBLE_KWH_PER_KM
    if not lowest <= per_km <= highest:
        raise MethodologyError(
            f"charging_mwh over distance_km is {float(per_km):.4g} kWh/km, and vehicles use"
            f" {float(lowest)} to {float(highest)}; give charging_mwh in MWh and distance_km in km"
        )


def _total(activities: Sequence[Activity], role: str) -> Fraction:
    return sum((a.value for a in activities if a.role == role), start=_NOTHING)


METHODOLOGY = Methodology(
    id=ID,
    versions=(VERSION, "15.0"),
    title="Emission reductions by electric and hybrid vehicles",
    reference="CDM AMS-III.C version 16.0",
    programme="CDM",
    notes=__doc__.strip(),
    additive=ADDITIVE,
    roles={
        "charging": RoleNeeds(
            ("ev_charger", "energy_meter"),
            "energy_import",
            "project",
            symbol="EC",
            source="AC import register of the charger",
            frequency="every session and daily",
        ),
        "vehicle": RoleNeeds(
            ("vehicle",),
            "distance",
            "baseline",
            params=MODEL,
            cap=("service_km_per_year", _M_PER_KM),
            class_limit=class_limit,
            symbol="DD_i,y",
            source="odometer",
            frequency="daily",
        ),
    },
    parameters={
        "sfc_l_per_100km": _FUEL,
        "baseline_year": ParameterSpec(
            unit="year",
            meaning="calendar year of the baseline's data",
            minimum="1990",
            maximum="2100",
            integer=True,
            source="baseline survey",
            side="baseline",
        ),
        "tdl": replace(
            LOSSES,
            meaning=f"{_LOSSES.meaning}; the default of TOOL05 if not entered",
            source=_LOSSES.source,
        ),
        "biofuel_share": _BIOFUEL,
        "service_km_per_year": ParameterSpec(
            unit="km/year",
            meaning="distance that the baseline vehicles would have driven a year, where the"
            " service is new or grows; distance beyond it is not credited",
            required=False,
            maximum="10000000000",
            source="timetable before the project",
            symbol="DD cap",
            side="baseline",
        ),
    },
    inputs={
        "sfc_l_per_100km": _FUEL,
        "years_since_baseline": YEARS_SINCE,
        "distance_km": ParameterSpec(
            unit="km",
            meaning="distance of all project vehicles",
            maximum="10000000000",
            source="odometers",
            symbol="DD_i,y * N_i,y",
            option="C",
            frequency="daily",
            side="baseline",
        ),
        "charging_mwh": ParameterSpec(
            unit="MWh",
            meaning="electricity at the AC input of the chargers",
            maximum="10000000",
            source="AC import registers of the chargers",
            symbol="EC",
            option="C",
            frequency="every session and daily",
            side="project",
        ),
        "ef_grid_t_per_mwh": ParameterSpec(
            unit="tCO2/MWh",
            meaning="emission factor of the grid that supplies the chargers",
            maximum="2",
            source="official value of the year",
            certainty="[r]",
            symbol="EF_el",
            side="project",
            published="grid",
        ),
        "tdl": _LOSSES,
        "biofuel_share": _BIOFUEL,
        "project_diesel_l": replace(
            DIESEL, default="0", meaning="diesel that hybrid project vehicles burn"
        ),
        "leakage_t": replace(
            LEAKAGE, meaning="annual emissions of replaced vehicles that were sold and not scrapped"
        ),
    },
    applicability=(
        Check("AMS-III.C monitoring: chargers and vehicles are metered", consumption_is_metered),
        Check("AMS-III.C baseline: data precede the project", baseline_precedes_project, True),
        Check("AMS-III.C limit: 60 kt CO2e a year", within_small_scale, True),
    ),
    inputs_of=inputs_of,
    steps=STEPS,
    uses=("diesel.", "ams-iii-c.", "grid"),
    odd=odd,
    consumptions=(CONSUMPTION,),
    dated=("sfc_l_per_100km", "baseline_year", *MODEL),
    rules=(
        (
            "Project emissions of charging are calculated with the grid's emission factor and"
            " its losses, not with a reference factor."
        ),
        (
            "Distance beyond the baseline service (`service_km_per_year`) is not credited. The"
            " electricity for it is a project emission."
        ),
        (
            "Baseline vehicles must have the size and routes of the project vehicles. The"
            " biofuel in their diesel is counted without emissions."
        ),
        "No leakage is calculated. The verifier confirms that the replaced vehicles were scrapped.",
        (
            "The electricity per kilometre must lie within the range of the vehicle's class."
            " Below it, the highest value of the range is applied (MTR-05)."
        ),
        (
            "The credited distance is at most the charged electricity divided by the consumption"
            " of the type approval (MTR-06)."
        ),
        (
            "Without invoices of the charged electricity, the mean distance per day is at most"
            " the maximum mean of the class (EVD-04)."
        ),
        "Distance above the hourly or daily limit of the class is not credited (MTR-01).",
        (
            "Dated documents of the baseline fuel consumption, of its year and of the type"
            " approval are required (PAR-07)."
        ),
        "Solar electricity that another project claims is counted with the grid's emission factor.",
    ),
)
