"""
Air quality and noise: hourly means, indices of an hour and a day, and comparison with limits.

The air index of an hour is calculated from the dust values of the twelve hours that end with it; an
hour without dust data has no index.  An eight-hour mean needs six of its hours and belongs to the
day in which it ends.

The noise level of a part of the day is the energy mean of its hours and needs three quarters of
them.  A night consists of the night hours of one calendar day: those before the morning and those
after the evening.

A reading is valid until the next one, but for at most 15 minutes (an hour for a field's water
level); so the last reading of an hour may cover the beginning of the next.  An hour is complete if
readings cover three quarters of it.  Means have three decimals.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest.model import HOUR_US, Device, Float64, Frame, Int32, Int64
from mrv import limits
from mrv.environment.kinds import (
    DUST,
    GASES,
    KIND_INDEX,
    LEVELS,
    MEANS,
    Day,
    Hourly,
    Row,
    Values,
    amount,
    hour_starts,
    judged,
    known,
    mean,
    number,
    verdict,
)
from mrv.errors import IndicatorError
from mrv.indicators import noise, qcvn_05, vn_aqi

REACH_HOURS = 11
DAY_REACH_HOURS = 7
_EIGHT_NEEDED = 6
_KINDS = {name: f"{name}_1h_ug_m3" for name in (*DUST, *GASES)}
HOURLY = ("leq_1h_dba", *(f"l{x}_1h_dba" for x in LEVELS))
# Hours of the clock, half-open: directive 2002/49/EC, American practice, QCVN 26.
_DEN = {"day": (7, 19), "evening": (19, 23)}
_DN = {"ldn_day": (7, 22)}
_LIMITED = (6, 21)


def air_hour(values: Hourly, start_us: int) -> Iterator[Row]:
    """Yield the air quality index of an hour; nothing if dust data are missing."""
    if not any(start_us in _of(values, x) for x in _KINDS):
        return
    gases = {x: amount(v) for x in GASES if (v := _of(values, x).get(start_us)) is not None}
    dust = {x: _latest_first(_of(values, x), start_us) for x in DUST}
    table = limits.load("vn_aqi")
    try:
        index = vn_aqi.hourly({"pm_12h_latest_first_ug_m3": dust, "gas_1h_ug_m3": gases}, table)
    except IndicatorError:
        return  # without dust there is no index
    yield _index("vn-aqi-hourly", start_us, None, index, table)


def air_day(device: Device, values: Hourly, day: Day) -> Iterator[Row]:
    """Yield a day's means and maxima, air quality index, and number of limits exceeded."""
    hours = day.hours()
    whole = {x: result for x in _KINDS if (result := known(_of(values, x), hours))}
    share = {x: len(values) / len(hours) for x, values in whole.items()}
    means = {x: mean(whole[x]) for x in (*DUST, "so2", "no2") if x in whole}
    highest: dict[str, float] = {x: max(whole[x]) for x in GASES if x in whole}
    over_8h: dict[str, float] = {
        x: top for x in ("o3", "co") if x in whole and (top := _over_8h(values, x, day))
    }
    for name, value in means.items():
        yield Row(f"{name}_24h_ug_m3", day.begin_us, value, share[name])
    for name, value in highest.items():
        yield Row(f"{name}_1h_max_ug_m3", day.begin_us, value, share[name])
    for name, value in over_8h.items():
        yield Row(f"{name}_8h_max_ug_m3", day.begin_us, value, share[name])
    yield from _daily_index(means, highest, over_8h, share, day)
    yield from _against_limits(device, means, highest, over_8h, day)


def _daily_index(
    means: Mapping[str, float],
    highest: Mapping[str, float],
    over_8h: Mapping[str, float],
    share: Mapping[str, float],
    day: Day,
) -> Iterator[Row]:
    dust = {x: amount(means[x]) for x in DUST if x in means}
    if not dust:
        return
    parameters: dict[str, Any] = {
        "pm_24h_ug_m3": dust,
        "gas_1h_max_ug_m3": {x: amount(v) for x, v in highest.items()},
    }
    if "o3" in over_8h:
        parameters["o3_8h_max_ug_m3"] = amount(over_8h["o3"])
    table = limits.load("vn_aqi")
    covered = max(share[x] for x in dust)
    yield _index("vn-aqi-daily", day.begin_us, covered, vn_aqi.daily(parameters, table), table)


def _against_limits(
    device: Device,
    means: Mapping[str, float],
    highest: Mapping[str, float],
    over_8h: Mapping[str, float],
    day: Day,
) -> Iterator[Row]:
    parameters = {
        "1h": {x: number(v) for x, v in highest.items()},
        "8h": {x: number(v) for x, v in over_8h.items()},
        "24h": {x: number(v) for x, v in means.items()},
    }
    if any(parameters.values()) and "table" in device.limits:
        yield from _by_table(device, parameters, day)
    elif any(parameters.values()):
        table = limits.load("qcvn_05_2023")
        verdict = qcvn_05.judge({"on": day.date, "mean_ug_m3": parameters}, table)
        yield judged("qcvn-05-2023", day, verdict["exceeded"], {})


def _by_table(
    device: Device, parameters: Mapping[str, Mapping[str, Fraction]], day: Day
) -> Iterator[Row]:
    """Yield the comparison of a day with the limits of the station's country."""
    try:
        text, where = str(device.limits["table"]), f"device {device.id}: attributes.limits.table"
        table = limits.read(text, where)
    except IndicatorError as error:
        detail = {"standard": device.limits.get("standard"), "reason": str(error)}
        yield Row("limits", day.begin_us, None, None, "not judged", detail)
        return
    limited = {
        mean: {x: v for x, v in some.items() if table.limit(x, {"mean": mean}, day.date)}
        for mean, some in parameters.items()
    }
    if any(limited.values()):
        verdict = qcvn_05.judge({"on": day.date, "mean_ug_m3": limited}, table)
        yield judged("limits", day, verdict["exceeded"], {"standard": table.id})


def _index(
    kind: str, start_us: int, covered: float | None, figures: Mapping[str, Any], table: limits.Table
) -> Row:
    grade = table.band(figures["aqi"]).name
    detail = {"sub_indices": figures["sub_indices"]}
    return Row(kind, start_us, float(figures["aqi"]), covered, grade, detail)


def _of(values: Hourly, name: str) -> Mapping[int, float]:
    return values.get(_KINDS[name], {})


def _latest_first(values: Mapping[int, float], start_us: int) -> list[Fraction | None]:
    hours = (values.get(start_us - i * HOUR_US) for i in range(REACH_HOURS + 1))
    return [None if value is None else amount(value) for value in hours]


def _over_8h(values: Hourly, name: str, day: Day) -> float | None:
    result = []
    for last in day.hours():
        hours = (_of(values, name).get(last - i * HOUR_US) for i in range(DAY_REACH_HOURS + 1))
        there = [value for value in hours if value is not None]
        if len(there) >= _EIGHT_NEEDED:
            result.append(mean(there))
    return max(result, default=None)


def noise_hour(levels: Sequence[float]) -> dict[str, float]:
    """Return the figures of an hour's noise levels, by kind. [dBA]"""
    parameters: dict[str, Any] = {"laeq_dba": levels, "exceedance_percent": LEVELS}
    figures = noise.figures(parameters, limits.NONE)
    return {kind: float(figures[kind.replace("_1h_", "_")]) for kind in HOURLY}


def noise_day(device: Device, values: Hourly, day: Day) -> list[Row]:
    """Return the noise levels of a day and its parts, and the limits at the location. [dBA]"""
    levels = values.get("leq_1h_dba", {})
    whole = known(levels, day.hours())
    rows = []
    if whole:
        parameters: dict[str, Any] = {"laeq_dba": [number(v) for v in whole]}
        for parts, rest in ((_DEN, "night"), (_DN, "ldn_night")):
            result = _parts(levels, day, parts, rest)
            parameters |= result if len(result) == len(parts) + 1 else {}
        figures = noise.figures({**parameters, "exceedance_percent": ()}, limits.NONE)
        names = {"leq_dba": "leq_24h_dba", "lden_dba": "lden_dba", "ldn_dba": "ldn_dba"}
        share = len(whole) / len(day.hours())
        rows = [
            Row(kind, day.begin_us, float(figures[name]), share)
            for name, kind in names.items()
            if name in figures
        ]
    begin, end = device.limits.get("day_hours", _LIMITED)
    limited = _parts(levels, day, {"day": (begin, end)}, "night")
    rows += [Row(f"leq_{part}", day.begin_us, float(v), None) for part, v in limited.items()]
    return rows + verdict(device, {part: float(v) for part, v in limited.items()}, day)


def _parts(
    levels: Mapping[int, float], day: Day, parts: dict[str, tuple[int, int]], rest: str
) -> dict[str, Fraction]:
    """
    Return the level of each part of the day with enough hours. [dBA]

    `rest`: name of the hours that are in none of `parts`.
    """
    hours: dict[str, list[int]] = {name: [] for name in (*parts, rest)}
    for start in day.hours():
        clock = day.clock(start)
        name = next((n for n, (begin, end) in parts.items() if begin <= clock < end), rest)
        hours[name].append(start)
    result = {name: known(levels, starts) for name, starts in hours.items()}
    return {
        f"{name}_dba": noise.figures(
            {"laeq_dba": [number(v) for v in values], "exceedance_percent": ()}, limits.NONE
        )["leq_dba"]
        for name, values in result.items()
        if values
    }


_COVERS_US = 900_000_000
_SLOW_US = {"water_tube": HOUR_US}
NEEDED_US = HOUR_US * 3 // 4
PLACES = 3


def covers_us(class_id: str) -> int:
    """Return the longest time for which a reading of a device class is valid. [us]"""
    return _SLOW_US.get(class_id, _COVERS_US)


class _Hours(NamedTuple):
    """Complete hours of one channel: device, start, the channel's readings [begin, end)."""

    device: Int32
    start_us: Int64
    covered: Float64
    begin: NDArray[np.intp]
    end: NDArray[np.intp]


def hourly(devices: Sequence[Device], frame: Frame) -> Values:
    """
    Return the hourly means of stations of one class, for complete hours only.

    `devices`: stations, to which `frame.device` has indices.
    `frame`: readings in order of device and time: all of each requested hour, and those of the time
    `covers_us` before it.
    """
    start_us = starts(devices, frame.device, frame.time_us)
    parts = []
    for channel, kind in MEANS[frame.class_id].items():
        values: Float64 = frame.columns[channel].astype(np.float64)
        measured = np.isfinite(values)
        hours = _complete(frame, measured, start_us)
        mean = _means(values[measured], hours)
        parts.append(_values(kind, hours, mean))
    if frame.class_id == "noise_station":
        parts += _levels(frame, start_us)
    return Values.concat(parts)


def starts(devices: Sequence[Device], device: Int32, time_us: Int64) -> Int64:
    """Return the start of the local hour of each reading. [us UTC]"""
    out = np.empty(len(time_us), dtype=np.int64)
    present, at = np.unique(device, return_inverse=True)
    zones = [devices[d].timezone for d in present.tolist()]
    for zone in sorted(set(zones)):
        rows = np.array([z == zone for z in zones])[at]
        out[rows] = hour_starts(time_us[rows], zone)
    return out


def _complete(frame: Frame, measured: NDArray[np.bool_], start_us: Int64) -> _Hours:
    """Return the hours with three quarters covered by readings with a value."""
    device, time_us, start_us = frame.device[measured], frame.time_us[measured], start_us[measured]
    n = len(time_us)
    if not n:
        none = np.empty(0, dtype=np.intp)
        return _Hours(device, start_us, np.empty(0), none, none)
    following = time_us + covers_us(frame.class_id)
    same = device[1:] == device[:-1]
    following[:-1][same] = np.minimum(following[:-1], time_us[1:])[same]
    new = np.ones(n, dtype=np.bool_)
    new[1:] = ~same | (start_us[1:] != start_us[:-1])
    begin = np.flatnonzero(new)
    end = np.append(begin[1:], n)
    hour, owner = start_us[begin], device[begin]
    inside = np.minimum(following, start_us + HOUR_US) - time_us
    covered = np.add.reduceat(inside, begin)
    beyond = np.maximum(following[end - 1] - (hour + HOUR_US), 0)
    joined = (owner[1:] == owner[:-1]) & (hour[1:] == hour[:-1] + HOUR_US)
    covered[1:] += np.where(joined, beyond[:-1], 0)
    whole = covered >= NEEDED_US
    share = covered[whole] / HOUR_US
    return _Hours(owner[whole], hour[whole], share, begin[whole], end[whole])


def _means(values: Float64, hours: _Hours) -> Float64:
    """
    Return the arithmetic mean of each hour, in the unit of the values.

    Values are added in order of time, so that the result does not depend on the batch.
    """
    count = hours.end - hours.begin
    hour = np.repeat(np.arange(len(count)), count)
    rows = np.arange(len(hour)) + np.repeat(hours.begin - np.cumsum(count) + count, count)
    total = np.bincount(hour, weights=values[rows], minlength=len(count))
    return np.asarray(np.round(total / count, PLACES), dtype=np.float64)


def _levels(frame: Frame, start_us: Int64) -> list[Values]:
    values = frame.columns["laeq_dba"]
    measured = np.isfinite(values)
    hours = _complete(frame, measured, start_us)
    levels = values[measured].tolist()
    result = [noise_hour(levels[b:e]) for b, e in zip(hours.begin, hours.end, strict=True)]
    return [
        _values(kind, hours, np.array([figures[kind] for figures in result], dtype=np.float64))
        for kind in HOURLY
    ]


def _values(kind: str, hours: _Hours, value: Float64) -> Values:
    kinds = np.full(len(value), KIND_INDEX[kind], dtype=np.int16)
    return Values(hours.device, kinds, hours.start_us, value, hours.covered)
