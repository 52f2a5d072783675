"""
Planned electric buses on a route; tonnes by AMS-III.C.

Distance follows from the timetable, electricity from the consumption at the chargers' AC input. The
result includes the consumption at which the reduction becomes zero.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from mrv.exante import Estimate, Flag, Outcome
from mrv.methodologies import evaluate, find, hypothetical
from mrv.model import Factors
from mrv.parameters import Inputs, ParameterSpec, Spec

METHOD = "ams-iii-c"
_OF_METHOD = (
    "sfc_l_per_100km",
    "years_since_baseline",
    "ef_grid_t_per_mwh",
    "tdl",
    "biofuel_share",
)
_DAYS = 365
_HOURS = 24
# Share of a battery that a timetable may use, with room for ageing and cold days. [M]
_USABLE = Fraction(4, 5)


def compute(inputs: Inputs, factors: Factors, where: str) -> Outcome:
    """
    Return the yearly distance, electricity and reduction of planned electric buses.

    DD = route * trips * days * buses [km]; EC = DD * SEC [kWh]; ER by AMS-III.C [tCO2].
    Consumption at which ER is 0: BE / (EF * (1 + TDL)) / DD [kWh/km].
    """
    daily_km = inputs["route_km"] * inputs["trips_per_bus_day"]
    distance = daily_km * inputs["days_per_year"] * inputs["buses"]
    charging_kwh = distance * inputs["kwh_per_km"]
    shared = {key: inputs[key] for key in _OF_METHOD if key in inputs}
    parameters = {**shared, "distance_km": distance, "charging_mwh": charging_kwh / 1000}
    result = evaluate(find(METHOD), parameters, factors, where)
    none = hypothetical(find(METHOD), {**parameters, "charging_mwh": 0}, factors, where)
    reductions = hypothetical(
        find(METHOD), {**parameters, "distance_km": 0, "charging_mwh": 1}, factors, where
    )
    even = (
        none.baseline_t / reductions.project_t * 1000 / distance
        if reductions.project_t
        else Fraction(0)
    )
    return Outcome(
        method=METHOD,
        energy_kwh=int(charging_kwh),
        reductions=result,
        flags=tuple(_flags(inputs, daily_km, even)),
        figures={
            "distance_km": distance,
            "km_per_bus_day": daily_km,
            "break_even_kwh_per_km": even,
            **result.extra,
        },
    )


def _flags(inputs: Inputs, daily_km: Fraction, even: Fraction) -> Iterator[Flag]:
    hours = daily_km / inputs["speed_km_per_h"]
    if hours > _HOURS:
        yield Flag(
            "timetable",
            "impossible",
            f"{float(daily_km):,.0f} km per bus and day take {float(hours):.1f} "
            f"h at {float(inputs['speed_km_per_h']):g} km/h; correct route_km, trips_per_bus_day "
            "or speed_km_per_h",
        )
    need = daily_km * inputs["kwh_per_km"]
    battery = inputs.get("battery_kwh")
    if battery is not None and need > battery * _USABLE:
        yield Flag(
            "battery",
            "check",
            f"a bus uses {float(need):,.0f} kWh a day but its battery "
            f"supplies {float(battery * _USABLE):,.0f}; "
            "plan charging by day, or shorter service",
        )
    if inputs["kwh_per_km"] >= even:
        yield Flag(
            "no_reduction",
            "check",
            f"{float(inputs['kwh_per_km']):g} kWh/km emit at least as much as the "
            f"diesel buses: on this grid the reduction is zero from {float(even):.4f} "
            "kWh/km on",
        )


def _number(unit: str, meaning: str, minimum: str, maximum: str, **more: object) -> ParameterSpec:
    return ParameterSpec(
        unit=unit,
        meaning=meaning,
        minimum=minimum,
        maximum=maximum,
        source=str(more.get("source", "the plan")),
        integer=bool(more.get("integer")),
        default=None if more.get("default") is None else str(more["default"]),
        required=bool(more.get("required", True)),
    )


INPUTS: Spec = {
    "route_km": _number("km", "length of a trip there and back", "0.1", "2000"),
    "trips_per_bus_day": _number("1", "trips there and back of a bus on a day", "0.1", "200"),
    "days_per_year": _number("d", "days of service a year", "1", str(_DAYS), integer=True),
    "buses": _number("1", "buses in service", "1", "100000", integer=True),
    "kwh_per_km": _number(
        "kWh/km",
        "electricity at the chargers' AC input for each kilometre",
        "0.05",
        "20",
        source="measured on the route, or stated by the manufacturer; the result depends on it",
    ),
    "speed_km_per_h": _number(
        "km/h", "mean speed with stops", "1", "120", default="18", source="city bus [M]"
    ),
    "battery_kwh": _number("kWh", "battery of a bus", "1", "2000", required=False),
    **{key: find(METHOD).inputs[key] for key in _OF_METHOD},
}


ESTIMATE = Estimate(
    id="ev-bus",
    title="Planned electric buses on a route",
    reference="CDM AMS-III.C version 16.0",
    notes=__doc__.strip(),
    inputs=INPUTS,
    compute=compute,
)
