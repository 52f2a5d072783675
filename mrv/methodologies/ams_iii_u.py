"""
Passengers of a cable car, tram or metro in place of their earlier transport modes.

CDM AMS-III.U version 2.0, in the form of AM0031 and ACM0016.  The equations and improvement factors
were not compared with the text of the methodology.  The shares of transport modes come from a
survey with a control question; passengers who would have walked, cycled or stayed at home belong to
no mode.  Leakage has two parts: buses whose load falls by more than ten percentage points, and
traffic that fills the freed roads.  Trips to and from the line are project emissions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from mrv.errors import MethodologyError
from mrv.methodologies._shared import (
    CLOSER,
    DESIGN_PER_PIECE,
    DESIGN_PIECES,
    DIESEL,
    EF_GRID,
    FUEL_ROLE,
    LEAKAGE,
    LEAKAGE_YEARLY,
    LOSSES,
    LOSSES_LIVE,
    OUTPUT_EVIDENCE,
    POWER,
    POWER_ROLE,
    SURE,
    TYPE_III,
    YEARS_SINCE,
    diesel,
    diesel_l,
    grid,
    losses,
    or_published,
    part_of_year,
    power_mwh,
    total,
    yearly,
)
from mrv.model import Activity, Candidate, Check, Factors, Methodology, RoleNeeds
from mrv.parameters import Inputs, MapSpec, ParameterSpec
from mrv.rounding import significant
from mrv.service_bounds import Capacity, Consumption
from mrv.steps import Step, baseline_emissions, project_emissions, steps
from mrv.texts import Text, text

ID = "ams-iii-u"
VERSION = "2.0"
ADDITIVE = False


def shares_sum(candidate: Candidate) -> Text | None:
    """Return a finding if the mode shares add up to more than all passengers; else None."""
    together = sum(candidate.parameters[f"{mode}_share"] for mode in _MODES)
    if together <= 1:
        return None
    return text("condition.shares_of_modes", sum=significant(together))


def inputs_of(
    activities: Sequence[Activity], parameters: Inputs, factors: Factors, year: int
) -> Inputs:
    """Return passengers, electricity [Wh] as [MWh], and the survey's modes."""
    return {
        "passengers": total(activities, "passengers"),
        "trip_km": parameters["trip_km"],
        "years_since_baseline": max(0, year - parameters["baseline_year"]),
        "power_mwh": power_mwh(activities),
        "diesel_l": diesel_l(activities),
        "ef_grid_t_per_mwh": grid(factors, year),
        "tdl": losses(parameters, factors, year),
        "modes": {
            mode: {
                **{key: parameters[f"{mode}_{key}"] for key in _ABSENT},
                "improvement": or_published(
                    parameters,
                    f"{mode}_improvement",
                    factors,
                    (f"ams-iii-u.improvement.{mode}", "avoided"),
                    year,
                ),
            }
            for mode in _MODES
            if parameters[f"{mode}_share"]
        },
        "other_project_t": parameters["other_project_t_per_year"] * part_of_year(activities),
        "leakage_t": parameters["leakage_t_per_year"] * part_of_year(activities),
    }


STEPS = steps(
    Step(
        "travelled_km",
        "PKM",
        "km",
        "passengers * trip_km",
        "AMS-III.U, baseline emissions",
        "total distance of all passengers",
    ),
    Step(
        "mode_t",
        "BE_i",
        "tCO2",
        "travelled_km * share * (ef_g_per_km / occupancy * improvement ** years_since_baseline)"
        " / G_PER_T",
        "AMS-III.U, baseline emissions",
        "emissions of the passengers who would have used a transport mode",
        over="modes",
    ),
    baseline_emissions("sum(mode_t)", "AMS-III.U"),
    Step(
        "power_t",
        "PE_EC",
        "tCO2",
        "power_mwh * ef_grid_t_per_mwh / (1 - tdl)",
        "AMS-III.U, project emissions",
        "emissions of the electricity of the line, including grid losses",
    ),
    diesel(),
    project_emissions("power_t + fuel_t + other_project_t", "AMS-III.U"),
    lists={"modes": ""},
)


def plausible(inputs: Inputs) -> None:
    """Raise MethodologyError if the mode shares add up to more than all passengers."""
    total = sum(mode["share"] for mode in inputs["modes"].values())
    if total > 1:
        raise MethodologyError(
            f"modes: the shares sum to {float(total):g}, more than all passengers; leave out those"
            " who would not have travelled, walked or cycled"
        )


_ACCESS = replace(
    LEAKAGE,
    meaning="annual project emissions of passengers' trips to and from the stations",
    symbol="PE_access",
)
_MODES = ("motorcycle", "car", "bus")
# A mode that does not occur in the survey.
_ABSENT = {"share": "0", "ef_g_per_km": "0", "occupancy": "1"}
_TRIP = ParameterSpec(
    unit="km",
    meaning="mean trip distance of a passenger, lower 95 % bound",
    maximum="1000",
    source="survey in years 1, 3 and 5",
    symbol="D",
    option="C",
    frequency="every second year",
    side="baseline",
)
_OF_MODE = {
    "share": ParameterSpec(
        unit="1",
        meaning="share of passengers, lower 95 % bound",
        maximum="1",
        source="survey with a control question",
        symbol="S_i",
        option="C",
        frequency="every second year",
        side="baseline",
    ),
    "ef_g_per_km": ParameterSpec(
        unit="g/km",
        meaning="emissions per kilometre of the vehicle",
        maximum="5000",
        source="fuel survey; biofuel has an emission factor of 0",
        symbol="EF_km,i",
        side="baseline",
        published="transport.ef",
    ),
    "occupancy": ParameterSpec(
        unit="1",
        meaning="mean number of people in the vehicle",
        minimum="1",
        maximum="500",
        source="counts of occupants on the road",
        symbol="OC_i",
        side="baseline",
    ),
    "improvement": ParameterSpec(
        unit="1",
        meaning="share of fuel consumption that remains after a year of technical progress"
        " (technology improvement factor)",
        minimum="0.5",
        maximum="1",
        source="AMS-III.U",
        symbol="IR_i",
        side="baseline",
        published="ams-iii-u.improvement",
    ),
}

# Range of the electricity per passenger-kilometre, from a full metro to an empty bus. [kWh]
_KWH_PER_PKM = (Fraction("0.005"), Fraction("0.5"))


def _specific(inputs: Inputs) -> tuple[Fraction, Fraction]:
    """Return the lowest and highest plausible electricity per passenger trip. [kWh]"""
    low, high = _KWH_PER_PKM
    return low * inputs["trip_km"], high * inputs["trip_km"]


METHODOLOGY = Methodology(
    id=ID,
    versions=(VERSION,),
    title="Cable cars and other mass rapid transit: modal shift",
    reference="CDM AMS-III.U version 2.0, the form of AM0031 and ACM0016",
    programme="CDM",
    notes=__doc__.strip(),
    additive=ADDITIVE,
    roles={
        "passengers": RoleNeeds(
            ("passenger_counter",),
            "count",
            "baseline",
            symbol="pax",
            source="passenger counters or validated tickets",
        ),
        "power": POWER_ROLE,
        "fuel": replace(FUEL_ROLE, required=False),
    },
    parameters={
        "design_passengers_per_d": replace(
            DESIGN_PIECES, meaning="passengers per day, by the line's design"
        ),
        "design_kwh_per_passenger": replace(
            DESIGN_PER_PIECE, meaning="electricity per passenger, by the line's design"
        ),
        "trip_km": _TRIP,
        "baseline_year": replace(
            YEARS_SINCE,
            unit="year",
            meaning="calendar year of the baseline's data",
            minimum="1990",
            maximum="2100",
            source="baseline survey",
        ),
        **{
            f"{mode}_{key}": replace(
                spec,
                meaning=f"{mode}: {spec.meaning}",
                default=_ABSENT.get(key),
                required=False,
                factor=(f"{spec.published}.{mode}", "avoided") if key == "improvement" else None,
            )
            for mode in _MODES
            for key, spec in _OF_MODE.items()
        },
        "tdl": LOSSES_LIVE,
        "other_project_t_per_year": yearly(_ACCESS),
        "leakage_t_per_year": LEAKAGE_YEARLY,
    },
    inputs={
        "passengers": ParameterSpec(
            unit="1",
            meaning="number of passengers of the project",
            maximum="100000000000",
            source="tickets or counters",
            symbol="pax",
            option="C",
            frequency="continuous",
            side="baseline",
        ),
        "trip_km": _TRIP,
        "years_since_baseline": YEARS_SINCE,
        "power_mwh": replace(POWER, meaning="electricity of the line"),
        "ef_grid_t_per_mwh": replace(EF_GRID, side="project"),
        "tdl": LOSSES,
        "diesel_l": replace(DIESEL, default="0", meaning="diesel of the line"),
        "other_project_t": _ACCESS,
        "modes": MapSpec("transport modes that passengers would have used, by name", _OF_MODE),
        "leakage_t": replace(
            LEAKAGE,
            meaning="annual emissions of reduced congestion and rebound effects; also of a lower"
            " load factor of the remaining buses and taxis, if it falls by more than 10 points",
        ),
    },
    applicability=(Check("AMS-III.U survey: shares of the modes", shares_sum, True),),
    inputs_of=inputs_of,
    timed=True,
    steps=STEPS,
    uses=("diesel.", "ams-iii-u.improvement"),
    plausible=plausible,
    conditions=(TYPE_III,),
    consumptions=(
        Consumption(
            uses=("power",),
            serves=("passengers",),
            unit="kWh/passenger",
            per_base=Fraction(1, 1000),
            keys=("power_mwh", "passengers"),
            per_input=1000,
            span=_specific,
            source="0.005 to 0.5 kWh a passenger's kilometre, metro to bus [M]",
            range="0.005 to 0.5 times `trip_km` kWh/passenger",
            by_history=True,
            by_design="design_kwh_per_passenger",
            # 0, as the same trains may carry more passengers than in the year before
            lowest=Fraction(0),
            highest=Fraction(5),
            closer=CLOSER,
            sure=SURE,
        ),
    ),
    capacities=(Capacity("design_passengers_per_d", ("passengers",), 1),),
    rules=(
        (
            "The credited passengers are at most the line's design capacity, as stated in its"
            " licence or design document (MTR-07)."
        ),
        *OUTPUT_EVIDENCE,
        "Passengers who would have walked, cycled or stayed at home have no baseline emissions.",
        (
            "The lower bound of the 95 % confidence interval is applied to the shares of the"
            " transport modes. Trips to and from stations are project emissions."
        ),
    ),
)
