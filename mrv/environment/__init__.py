"""
Indicators from station data: hourly values, indices and daily figures.

Values are a pure function of stored readings and the registry.  An hour is complete if readings
cover three quarters of it; a reading is valid until the next one, at most 15 minutes (an hour for a
field).  Indices and daily figures are calculated from hourly values only.

Daily figures of water:

- wastewater: the load is the mean concentration times the flow, which requires intervals without
  gaps for three quarters of the day;
- surface water: the quality index is calculated from the means of a day with three quarters of its
  hours;
- rice fields under alternate wetting and drying: the lowest and highest water level.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any, NamedTuple

from ingest.model import Device
from mrv import countries, indicators, limits
from mrv.environment import air
from mrv.environment.air import hourly
from mrv.environment.kinds import (
    CLASSES,
    DISCHARGED,
    KIND_INDEX,
    KINDS,
    KINDS_OF,
    MEANS,
    SURFACE,
    Day,
    Hourly,
    Row,
    Values,
    amount,
    known,
    mean,
    number,
    verdict,
)
from mrv.errors import IndicatorError, MethodologyError
from mrv.indicators import discharge
from mrv.rounding import exact_text

_ML_PER_M3 = 1_000_000
_NEEDED = Fraction(3, 4)
_MEANS = MEANS["wastewater_plant"]
_SURFACE_INDEX = "vn-wqi"
_SURFACE_MEANS = MEANS["water_station"]
_SURFACE_LIMITED = "_mg_l"
DRY_CM, WET_CM = -15.0, 0.0
LOWEST, HIGHEST, STATE = "level_24h_min_cm", "level_24h_max_cm", "awd"


class Flow(NamedTuple):
    """Flow of a day, and the known part of the day. [mL, us]"""

    ml: int
    known_us: int


def wastewater_day(device: Device, values: Hourly, day: Day, flow: Flow | None) -> list[Row]:
    """Return concentrations, flow and loads of a day, and the comparison with the standard."""
    hours = day.hours()
    whole = {
        channel: result
        for channel, kind in _MEANS.items()
        if (result := known(values.get(kind, {}), hours))
    }
    means = {x: mean(whole[c]) for x, c in DISCHARGED.items() if c in whole}
    share = {x: len(whole[DISCHARGED[x]]) / len(hours) for x in means}
    rows = [Row(f"{x}_24h_mg_l", day.begin_us, value, share[x]) for x, value in means.items()]
    rows += _through(means, flow, day)
    measured: dict[str, Any] = {
        name: mean(whole[name]) for name in ("ph", "temperature_c") if name in whole
    }
    if means:
        measured["measured_mg_l"] = {x: max(value, 0.0) for x, value in means.items()}
        measured["on"] = day.date.isoformat()
    return rows + verdict(device, measured, day)


def _through(means: dict[str, float], flow: Flow | None, day: Day) -> list[Row]:
    length = day.end_us - day.begin_us
    if flow is None or flow.known_us < _NEEDED * length:
        return []
    share = flow.known_us / length
    through = Fraction(flow.ml, _ML_PER_M3)
    parameters = {
        "flow_m3_d": through,
        "concentration_mg_l": {x: amount(value) for x, value in means.items()},
    }
    loads = discharge.load(parameters, limits.NONE)["load_kg_d"]
    return [
        Row("flow_24h_m3", day.begin_us, float(through), share),
        *(Row(f"{x}_load_kg_d", day.begin_us, float(v), share) for x, v in loads.items()),
    ]


def surface_day(device: Device, values: Hourly, day: Day) -> list[Row]:
    """Return the water quality index of a day, and the comparison with a standard, if any."""
    hours = day.hours()
    result = {
        channel: mean(hourly)
        for channel, kind in _SURFACE_MEANS.items()
        if (hourly := known(values.get(kind, {}), hours))
    }
    if not result:
        return []
    plain = ("ph", "temperature_c", "do_mg_l", "coliform_mpn_100ml")
    parameters: dict[str, Any] = {x: result[x] for x in plain if x in result}
    parameters["measured_mg_l"] = {
        x.removesuffix(_SURFACE_LIMITED): max(result[x], 0.0)
        for x in SURFACE
        if x in result and x.endswith(_SURFACE_LIMITED)
    }
    parameters["on"] = day.date.isoformat()
    return [_index(result, day), *verdict(device, parameters, day)]


def _index(means: dict[str, float], day: Day) -> Row:
    measured = {x: number(v) if x == "temperature_c" else amount(v) for x, v in means.items()}
    try:
        result = indicators.evaluate(indicators.find(_SURFACE_INDEX), measured, _SURFACE_INDEX)
    except (IndicatorError, MethodologyError) as error:
        # an invalid value, or a missing one, prevents only this index
        return Row(_SURFACE_INDEX, day.begin_us, None, None, "not judged", {"reason": str(error)})
    grade = limits.load("vn_wqi").band(result["wqi"]).name
    groups = {key: exact_text(value) for key, value in result.items() if key != "wqi"}
    return Row(_SURFACE_INDEX, day.begin_us, float(result["wqi"]), None, grade, groups)


class Season(NamedTuple):
    """
    Number of days of a season by the water level of a rice field.

    `days`: days with data.  `dry_days`: days on which the level reached 15 cm below ground.
    `dry_downs`: falls to 15 cm below ground after which the field was flooded again.
    `lowest_cm`: the lowest hourly level.
    """

    days: int
    dry_days: int
    dry_downs: int
    lowest_cm: float | None


def field_day(values: Hourly, day: Day) -> list[Row]:
    """
    Return the lowest and highest hourly water level of a day. [cm]

    Empty if less than three quarters of the hours have a value.
    """
    hours = day.hours()
    levels = known(values.get("level_1h_cm", {}), hours)
    if not levels:
        return []
    low, high, share = min(levels), max(levels), len(levels) / len(hours)
    state = "dry" if low <= DRY_CM else "wet" if high >= WET_CM else "falling"
    return [
        Row(LOWEST, day.begin_us, low, share),
        Row(HIGHEST, day.begin_us, high, share),
        Row(STATE, day.begin_us, float(low <= DRY_CM), share, state),
    ]


def season(days: Iterable[tuple[float, float]]) -> Season:
    """
    Return the number of days with data, dry days and dry-downs of a season.

    `days`: lowest and highest hourly level of each day with data, in order. [cm]
    """
    count = dry = down = 0
    lowest: float | None = None
    fallen = flooded = False
    for low, high in days:
        count += 1
        lowest = low if lowest is None else min(lowest, low)
        if fallen and high >= WET_CM:
            down, fallen = down + 1, False
        # a field that was never flooded may be fallow
        flooded = flooded or high >= WET_CM
        if low <= DRY_CM:
            dry += 1
            fallen = flooded
    return Season(count, dry, down, lowest)


__all__ = ["CLASSES", "KINDS", "KINDS_OF", "KIND_INDEX", "Values", "hourly", "of_days", "of_hours"]


def of_hours(device: Device, values: Hourly, starts: Iterable[int]) -> list[Row]:
    """Return the air or noise indices of the hours that begin at `starts`. [us UTC]"""
    if device.class_id != "air_station":
        return []
    return _own(device, (row for start in sorted(starts) for row in air.air_hour(values, start)))


def of_days(
    device: Device, values: Hourly, days: Iterable[Day], flows: Mapping[int, Flow]
) -> list[Row]:
    """
    Return the daily figures of a station, from its hourly values.

    `flows`: flow of a wastewater plant by the start of the local day. [us UTC]
    """
    rows: list[Row] = []
    for day in sorted(days):
        if device.class_id == "air_station":
            rows += air.air_day(device, values, day)
        elif device.class_id == "noise_station":
            rows += air.noise_day(device, values, day)
        elif device.class_id == "water_station":
            rows += surface_day(device, values, day)
        elif device.class_id == "water_tube":
            rows += field_day(values, day)
        else:
            rows += wastewater_day(device, values, day, flows.get(day.begin_us))
    return _own(device, rows)


def _own(device: Device, rows: Iterable[Row]) -> list[Row]:
    """Return the rows without indices and limits of countries other than the station's."""
    ruling = countries.ruling("environment")
    here = countries.country_of(device)
    foreign = {
        kind for country, rules in ruling.items() if country != here for kind in rules["kinds"]
    }
    return [row for row in rows if row.kind not in foreign]
