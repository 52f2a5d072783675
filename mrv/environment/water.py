"""
Wastewater: mean concentrations, flow and load of a day, and the limits of its plant.

The load is the day's mean concentration times its flow, as the register counts
it.  A day's flow needs three quarters of its time inside steps that are known.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

from ingest.model import Device
from mrv import limits
from mrv.environment.clock import Day
from mrv.environment.kinds import DISCHARGED, MEANS, Hourly, Row
from mrv.environment.parts import amount, known, mean, verdict
from mrv.indicators import discharge

_ML_PER_M3 = 1_000_000
_NEEDED = Fraction(3, 4)
_MEANS = MEANS["wastewater_plant"]


class Flow(NamedTuple):
    """What went through in a day, and how much of the day is known. [mL, us]"""

    ml: int
    known_us: int


def of_day(device: Device, values: Hourly, day: Day, flow: Flow | None) -> list[Row]:
    """Concentrations, flow and loads of a day, and the verdict of its standard."""
    hours = day.hours()
    whole = {
        channel: found
        for channel, kind in _MEANS.items()
        if (found := known(values.get(kind, {}), hours))
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
    given = {
        "flow_m3_d": through,
        "concentration_mg_l": {x: amount(value) for x, value in means.items()},
    }
    loads = discharge.load(given, limits.NONE)["load_kg_d"]
    return [
        Row("flow_24h_m3", day.begin_us, float(through), share),
        *(Row(f"{x}_load_kg_d", day.begin_us, float(v), share) for x, v in loads.items()),
    ]
