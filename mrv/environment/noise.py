"""
Noise: energy mean and levels exceeded of an hour, and the parts of a day.

A part's level is the energy mean of its hours and needs three quarters of them.  A
night is the night hours of one calendar day, those before the morning and those
after the evening.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from ingest.model import Device
from mrv import limits
from mrv.environment.clock import Day
from mrv.environment.kinds import LEVELS, Hourly, Row
from mrv.environment.parts import known, number, verdict
from mrv.indicators import noise

HOURLY = ("leq_1h_dba", *(f"l{x}_1h_dba" for x in LEVELS))
# Hours of the clock, half-open: directive 2002/49/EC, American practice, QCVN 26.
_DEN = {"day": (7, 19), "evening": (19, 23)}
_DN = {"ldn_day": (7, 22)}
_LIMITED = {"day": (6, 21)}


def of_hour(levels: Sequence[float]) -> dict[str, float]:
    """Figures of an hour's levels, by kind. [dBA]."""
    given: dict[str, Any] = {"laeq_dba": levels, "exceedance_percent": LEVELS}
    said = noise.figures(given, limits.NONE)
    return {kind: float(said[kind.replace("_1h_", "_")]) for kind in HOURLY}


def of_day(device: Device, values: Hourly, day: Day) -> list[Row]:
    """Levels of a day and of its parts, and the limits of its place. [dBA]."""
    levels = values.get("leq_1h_dba", {})
    whole = known(levels, day.hours())
    rows = []
    if whole:
        given: dict[str, Any] = {"laeq_dba": [number(v) for v in whole]}
        for parts, rest in ((_DEN, "night"), (_DN, "ldn_night")):
            found = _parts(levels, day, parts, rest)
            given |= found if len(found) == len(parts) + 1 else {}
        said = noise.figures({**given, "exceedance_percent": ()}, limits.NONE)
        names = {"leq_dba": "leq_24h_dba", "lden_dba": "lden_dba", "ldn_dba": "ldn_dba"}
        share = len(whole) / len(day.hours())
        rows = [
            Row(kind, day.begin_us, float(said[name]), share)
            for name, kind in names.items()
            if name in said
        ]
    limited = _parts(levels, day, _LIMITED, "night")
    rows += [Row(f"leq_{part}", day.begin_us, float(v), None) for part, v in limited.items()]
    return rows + verdict(device, {part: float(v) for part, v in limited.items()}, day)


def _parts(
    levels: Mapping[int, float], day: Day, parts: dict[str, tuple[int, int]], rest: str
) -> dict[str, Fraction]:
    """Level of each part that is known; `rest` is what the parts leave of the day."""
    hours: dict[str, list[int]] = {name: [] for name in (*parts, rest)}
    for start in day.hours():
        clock = day.clock(start)
        name = next((n for n, (begin, end) in parts.items() if begin <= clock < end), rest)
        hours[name].append(start)
    found = {name: known(levels, starts) for name, starts in hours.items()}
    return {
        f"{name}_dba": noise.figures(
            {"laeq_dba": [number(v) for v in values], "exceedance_percent": ()}, limits.NONE
        )["leq_dba"]
        for name, values in found.items()
        if values
    }
