"""
Surface water: the quality index of a day, and the limits that its station is held to.

The index is that of the day's means, where three quarters of the hours are there.
Its words (good, poor) are the Decision's; it is never carbon.
"""

from __future__ import annotations

from typing import Any

from ingest.model import Device
from mrv import indicators, limits
from mrv.environment.clock import Day
from mrv.environment.kinds import MEANS, SURFACE, Hourly, Row
from mrv.environment.parts import amount, known, mean, number, verdict
from mrv.errors import IndicatorError, MethodologyError
from mrv.rounding import exact_text

_INDEX = "vn-wqi"
_MEANS = MEANS["water_station"]
_LIMITED = "_mg_l"


def of_day(device: Device, values: Hourly, day: Day) -> list[Row]:
    """Quality index of a day, and the verdict of the station's standard where it names one."""
    hours = day.hours()
    found = {
        channel: mean(held)
        for channel, kind in _MEANS.items()
        if (held := known(values.get(kind, {}), hours))
    }
    if not found:
        return []
    plain = ("ph", "temperature_c", "do_mg_l", "coliform_mpn_100ml")
    given: dict[str, Any] = {x: found[x] for x in plain if x in found}
    given["measured_mg_l"] = {
        x.removesuffix(_LIMITED): max(found[x], 0.0)
        for x in SURFACE
        if x in found and x.endswith(_LIMITED)
    }
    given["on"] = day.date.isoformat()
    return [_index(found, day), *verdict(device, given, day)]


def _index(found: dict[str, float], day: Day) -> Row:
    measured = {x: number(v) if x == "temperature_c" else amount(v) for x, v in found.items()}
    try:
        said = indicators.evaluate(indicators.find(_INDEX), measured, _INDEX)
    except (IndicatorError, MethodologyError) as error:
        # a probe in the sun, or a station that measures too little, stops nothing
        return Row(_INDEX, day.begin_us, None, None, "not judged", {"reason": str(error)})
    grade = limits.load("vn_wqi").band(said["wqi"]).name
    groups = {key: exact_text(value) for key, value in said.items() if key != "wqi"}
    return Row(_INDEX, day.begin_us, float(said["wqi"]), None, grade, groups)
