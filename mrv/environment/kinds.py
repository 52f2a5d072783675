"""
Stored values of a station: local days, kinds of value, and columns of values.

A kind of value belongs to an hour or a day and has its unit in its name.  Hours and days are local
to the site.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest.model import HOUR_US, INTERVAL_US, Device, Float64, Int16, Int32, Int64
from mrv import indicators, limits
from mrv.calendar import local_date, midnight_us, offset_us
from mrv.errors import IndicatorError, MethodologyError
from mrv.parameters import RecordSpec

Hourly = Mapping[str, Mapping[int, float]]

Period = Literal["hour", "day"]


class Day(NamedTuple):
    """A local day and its half-open edges. [us UTC]"""

    begin_us: int
    end_us: int
    date: date
    timezone: str

    def hours(self) -> range:
        """Return the starts of the 23, 24 or 25 hours of the day. [us UTC]"""
        return range(self.begin_us, self.end_us, HOUR_US)

    def clock(self, start_us: int) -> int:
        """Return the local hour of an instant, 0 to 23."""
        local = start_us + offset_us(start_us, self.timezone)
        return local // HOUR_US % 24


@lru_cache(maxsize=10_000)
def day_of(instant_us: int, timezone: str) -> Day:
    """Return the local day of an instant."""
    day = local_date(instant_us, timezone)
    end_us = midnight_us(day + timedelta(days=1), timezone)
    return Day(midnight_us(day, timezone), end_us, day, timezone)


def hour_starts(time_us: Int64, timezone: str) -> Int64:
    """
    Return the start of the local hour of each instant. [us UTC]

    Clock changes occur at a multiple of 15 minutes; after a change by half an hour, the adjacent
    hours are shorter and never complete.
    """
    quarter, at = np.unique(time_us // INTERVAL_US, return_inverse=True)
    offsets = [offset_us(q * INTERVAL_US, timezone) for q in quarter.tolist()]
    offset = np.array(offsets, dtype=np.int64)[at]
    return time_us - (time_us + offset) % HOUR_US


class Kind(NamedTuple):
    """Kind of value that is calculated from a station's readings for an hour or a day."""

    name: str
    period: Period
    unit: str


DUST = ("pm2_5", "pm10")
GASES = ("so2", "no2", "co", "o3")
LEVELS = (10, 50, 90)
# Substances that a plant discharges, and the channel that measures each.
DISCHARGED = {
    "cod": "cod_out_mg_l",
    "bod5": "bod5_mg_l",
    "tss": "tss_mg_l",
    "tn": "tn_mg_l",
    "tp": "tp_mg_l",
    "nh4_n": "nh4_n_mg_l",
}
_WATER = ("cod_in_mg_l", *DISCHARGED.values())
# Channels of a station in a canal, river or lake, from which the index is calculated.
SURFACE = (
    "do_mg_l",
    "bod5_mg_l",
    "cod_mg_l",
    "nh4_n_mg_l",
    "no3_n_mg_l",
    "po4_p_mg_l",
    "coliform_mpn_100ml",
)


def _hour_of(channel: str) -> str:
    """Return the name of the hourly kind of a channel: cod_1h_mg_l of cod_mg_l."""
    name, unit = channel.rsplit("_mpn_" if "_mpn_" in channel else "_mg_", 1)
    return f"{name}_1h_{channel[len(name) + 1 : -len(unit)]}{unit}"


# Kind of the hourly mean, by class and channel.
MEANS: Mapping[str, Mapping[str, str]] = {
    "air_station": {f"{x}_ug_m3": f"{x}_1h_ug_m3" for x in (*DUST, *GASES)},
    "noise_station": {},
    "wastewater_plant": {
        **{channel: _hour_of(channel) for channel in _WATER},
        "ph": "ph_1h",
        "temperature_c": "temperature_1h_c",
    },
    "water_station": {
        **{channel: _hour_of(channel) for channel in SURFACE},
        "ph": "ph_1h",
        "temperature_c": "temperature_1h_c",
    },
    "water_tube": {"level_cm": "level_1h_cm"},
}
CLASSES = tuple(MEANS)

KINDS: tuple[Kind, ...] = (
    *(Kind(f"{x}_1h_ug_m3", "hour", "ug/m3") for x in (*DUST, *GASES)),
    Kind("vn-aqi-hourly", "hour", "1"),
    *(Kind(f"{x}_24h_ug_m3", "day", "ug/m3") for x in (*DUST, "so2", "no2")),
    *(Kind(f"{x}_1h_max_ug_m3", "day", "ug/m3") for x in GASES),
    *(Kind(f"{x}_8h_max_ug_m3", "day", "ug/m3") for x in ("o3", "co")),
    Kind("vn-aqi-daily", "day", "1"),
    Kind("qcvn-05-2023", "day", "1"),
    Kind("leq_1h_dba", "hour", "dBA"),
    *(Kind(f"l{x}_1h_dba", "hour", "dBA") for x in LEVELS),
    *(Kind(f"{x}_dba", "day", "dBA") for x in ("leq_24h", "lden", "ldn")),
    *(Kind(f"leq_{x}_dba", "day", "dBA") for x in ("day", "night")),
    *(Kind(_hour_of(x), "hour", "mg/L") for x in _WATER),
    Kind("ph_1h", "hour", "1"),
    Kind("temperature_1h_c", "hour", "Cel"),
    *(Kind(f"{x}_24h_mg_l", "day", "mg/L") for x in DISCHARGED),
    Kind("flow_24h_m3", "day", "m3"),
    *(Kind(f"{x}_load_kg_d", "day", "kg/d") for x in DISCHARGED),
    Kind("limits", "day", "1"),
    *(Kind(_hour_of(x), "hour", "mg/L") for x in SURFACE[:-1] if x not in _WATER),
    Kind(_hour_of(SURFACE[-1]), "hour", "MPN/100mL"),
    Kind("vn-wqi", "day", "1"),
    Kind("level_1h_cm", "hour", "cm"),
    *(Kind(f"level_24h_{x}_cm", "day", "cm") for x in ("min", "max")),
    Kind("awd", "day", "1"),
)
KIND_INDEX: Mapping[str, int] = {kind.name: i for i, kind in enumerate(KINDS)}


def _between(first: str, last: str) -> tuple[Kind, ...]:
    return KINDS[KIND_INDEX[first] : KIND_INDEX[last] + 1]


# Kinds of values that are stored for a station, by class.
KINDS_OF: Mapping[str, tuple[Kind, ...]] = {
    "air_station": (*_between("pm2_5_1h_ug_m3", "qcvn-05-2023"), KINDS[KIND_INDEX["limits"]]),
    "noise_station": _between("leq_1h_dba", "leq_night_dba"),
    "wastewater_plant": _between(_hour_of(_WATER[0]), "limits"),
    "water_station": tuple(
        KINDS[KIND_INDEX[name]] for name in (*MEANS["water_station"].values(), "vn-wqi")
    ),
    "water_tube": _between("level_1h_cm", "awd"),
}


_COLUMNS = ("device", "kind", "start_us", "value", "covered")


class Row(NamedTuple):
    """A value of a station; `covered`: measured share of its hour or day."""

    kind: str
    start_us: int
    value: float | None
    covered: float | None
    grade: str | None = None
    detail: Mapping[str, Any] | None = None


@dataclass(slots=True)
class Values:
    """
    Values of many stations as columns.

    Absent values and shares are NaN; `verdicts` has grade and detail by row number.
    """

    device: Int32
    kind: Int16
    start_us: Int64
    value: Float64
    covered: Float64
    verdicts: dict[int, tuple[str | None, Mapping[str, Any] | None]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.start_us)

    @staticmethod
    def of(device: int, rows: Sequence[Row]) -> Values:
        """Return the columns of one station's values."""
        grades = {i: (r.grade, r.detail) for i, r in enumerate(rows) if r.grade or r.detail}
        return Values(
            np.full(len(rows), device, dtype=np.int32),
            np.array([KIND_INDEX[r.kind] for r in rows], dtype=np.int16),
            np.array([r.start_us for r in rows], dtype=np.int64),
            np.array([r.value for r in rows], dtype=np.float64),
            np.array([r.covered for r in rows], dtype=np.float64),
            grades,
        )

    @staticmethod
    def concat(parts: Iterable[Values]) -> Values:
        """Join values in the order given."""
        kept = [Values.of(0, ()), *parts]
        joined: list[Any] = [np.concatenate([getattr(p, c) for p in kept]) for c in _COLUMNS]
        out = Values(*joined)
        at = 0
        for part in kept:
            out.verdicts |= {at + i: words for i, words in part.verdicts.items()}
            at += len(part)
        return out

    def take(self, rows: NDArray[np.bool_]) -> Values:
        """Return the rows that a mask selects."""
        index = np.flatnonzero(rows)
        out = Values(*(getattr(self, c)[index] for c in _COLUMNS))
        out.verdicts = {
            k: self.verdicts[i] for k, i in enumerate(index.tolist()) if i in self.verdicts
        }
        return out

    def by_device(self) -> dict[int, dict[str, dict[int, float]]]:
        """Return hourly values by device, kind, and start of the hour."""
        result: dict[int, dict[str, dict[int, float]]] = {}
        columns = (self.device, self.kind, self.start_us, self.value)
        for device, kind, start, value in zip(*(c.tolist() for c in columns), strict=True):
            result.setdefault(device, {}).setdefault(KINDS[kind].name, {})[start] = value
        return result


_PLACES = 3
# Minimum share of a day's hours with a value; no source states one, so it is that of an hour. [M]
_NEEDED = Fraction(3, 4)


def known(values: Mapping[int, float], hours: Sequence[int]) -> list[float]:
    """Return the known values of the given hours; empty if fewer than three quarters are known."""
    result = [values[start] for start in hours if start in values]
    return result if result and len(result) >= _NEEDED * len(hours) else []


def mean(values: Sequence[float]) -> float:
    """Return the arithmetic mean, rounded to three decimals."""
    return round(math.fsum(values) / len(values), _PLACES)


@lru_cache(maxsize=65_536)
def number(value: float) -> Fraction:
    """Return a value as an exact fraction, as the indicators require it."""
    return Fraction(Decimal(repr(value)))


@lru_cache(maxsize=65_536)
def amount(value: float) -> Fraction:
    """Return a concentration as an exact fraction; negative values of an analyser become zero."""
    return max(number(value), Fraction(0))


def verdict(
    device: Device, parameters: Mapping[str, Any], day: Day, kind: str = "limits"
) -> list[Row]:
    """
    Return the comparison of a day's values with the standard that the registry names for a device.

    `attributes: {limits: {standard: qcvn-26-2010, area: ordinary}}`; the keys other than
    `standard` are parameters of the indicator.  `table` is the TOML of a standard that this package
    does not contain.  Where a standard cannot be applied, the row gives the reason instead.
    """
    rules = dict(device.limits)
    name, text = str(rules.pop("standard", "")), rules.pop("table", None)
    rules.pop("day_hours", None)  # for noise: the hours that the standard counts as day
    if not name or not parameters:
        return []
    try:
        standard = indicators.find(name)
        measured = {
            key: _limited(value, standard.inputs[key])
            for key, value in parameters.items()
            if key in standard.inputs
        }
        where = f"device {device.id}: attributes.limits"
        table = None if text is None else limits.read(str(text), f"{where}.table")
        result = indicators.evaluate(standard, {**measured, **rules}, where, table)
    except (IndicatorError, MethodologyError) as error:
        detail = {"standard": name, "reason": str(error)}
        return [Row(kind, day.begin_us, None, None, "not judged", detail)]
    return [judged(kind, day, result["exceeded"], {"standard": name})]


def _limited(value: Any, spec: Any) -> Any:
    """Return a value without the parameters for which the standard has no limit."""
    if not isinstance(value, Mapping) or not isinstance(spec, RecordSpec):
        return value
    return {name: item for name, item in value.items() if name in spec.fields}


def judged(kind: str, day: Day, exceeded: Sequence[str], detail: Mapping[str, Any]) -> Row:
    """Return a row with the number of limits exceeded on a day, and their names."""
    grade = "exceeded" if exceeded else "within"
    figures = {**detail, "exceeded": list(exceeded)}
    return Row(kind, day.begin_us, float(len(exceeded)), None, grade, figures)
