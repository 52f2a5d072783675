"""
Air quality index of Viet Nam, hourly and daily.

Decision 1459/QD-TCMT, 12 November 2019, read in full in a transcription.  Dust is used as the
NowCast of twelve hours: a weighted mean in which recent hours count more.  Indices are rounded half
up.  The Decision's own example prints 60 for 118.7 ug/m3 of nitrogen dioxide where its formula
gives 59; the formula is followed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from mrv.errors import IndicatorError
from mrv.limits import Table
from mrv.model import Indicator
from mrv.parameters import Inputs, NumbersSpec, ParameterSpec, RecordSpec
from mrv.rounding import half_up

_NEEDED_OF_THREE = 2
_DUST = ("pm2_5", "pm10")
_GASES = ("so2", "no2", "co", "o3")


def nowcast(latest_first: Sequence[Fraction | None]) -> Fraction | None:
    """
    Return the dust concentration that represents this hour. [ug/m3]

    w = max(min/max, 1/2); SUM w^(i-1) c_i / SUM w^(i-1), and where w is 1/2 SUM (1/2)^i c_i;
    missing hours are omitted.  None if fewer than two of the latest three hours have a value.
    """
    if sum(c is not None for c in latest_first[:3]) < _NEEDED_OF_THREE:
        return None
    # in whole numbers over one denominator: a fraction for every term would cost
    # a fleet of stations most of its time
    scale = math.lcm(*(c.denominator for c in latest_first if c is not None))
    whole = [None if c is None else int(c * scale) for c in latest_first]
    known = [c for c in whole if c is not None]
    lowest, highest = min(known), max(known)
    if highest >= 2 * lowest and highest:
        lowest, highest = 1, 2
    common = math.gcd(lowest, highest) or 1
    lowest, highest = lowest // common or 1, highest // common or 1
    last = len(whole) - 1
    weights = [lowest**i * highest ** (last - i) for i in range(len(whole))]
    total = sum(w * c for w, c in zip(weights, whole, strict=True) if c is not None)
    if (lowest, highest) == (1, 2):
        return Fraction(total, scale * highest ** len(whole))
    weight_known = sum(w for w, c in zip(weights, whole, strict=True) if c is not None)
    return Fraction(total, scale * weight_known)


def hourly(inputs: Inputs, table: Table) -> Mapping[str, Any]:
    """
    Return the index of each pollutant (`sub_indices`), and the highest of them (`aqi`).

    Dust has the index of its NowCast, a gas that of the hour's mean.
    """
    sub: dict[str, int] = {}
    for name in _DUST:
        series = inputs["pm_12h_latest_first_ug_m3"].get(name)
        dust = None if series is None else nowcast(series)
        if dust is not None:
            sub[name] = _index(table, name, dust)
    if not sub:
        raise IndicatorError(
            "pm_12h_latest_first_ug_m3 has fewer than two values in the latest three hours; give "
            "two of pm2_5 or of pm10"
        )
    for name, value in inputs.get("gas_1h_ug_m3", {}).items():
        sub[name] = _index(table, "o3_1h" if name == "o3" else name, value)
    return {"sub_indices": sub, "aqi": max(sub.values())}


def daily(inputs: Inputs, table: Table) -> Mapping[str, Any]:
    """
    Return the index of each pollutant (`sub_indices`), and the highest of them (`aqi`).

    Dust has the index of the day's mean, a gas that of its highest hour.
    """
    dust, gases = inputs["pm_24h_ug_m3"], inputs.get("gas_1h_max_ug_m3", {})
    if not dust:
        raise IndicatorError("pm_24h_ug_m3 is empty; give pm2_5 or pm10")
    sub = {name: _index(table, name, value) for name, value in dust.items()}
    for name, value in gases.items():
        sub[name] = _index(table, "o3_1h" if name == "o3" else name, value)
    if "o3_8h_max_ug_m3" in inputs:
        over_8h = table.curves["o3_8h"].at(inputs["o3_8h_max_ug_m3"])
        if over_8h is None and "o3" not in sub:
            raise IndicatorError(
                f"o3_8h_max_ug_m3 = {float(inputs['o3_8h_max_ug_m3']):g} is above 400, where only "
                "the hourly value is used; give gas_1h_max_ug_m3.o3"
            )
        if over_8h is not None:
            sub["o3"] = max(sub.get("o3", 0), int(half_up(over_8h)))
    return {"sub_indices": sub, "aqi": max(sub.values())}


def _index(table: Table, curve: str, value: Fraction) -> int:
    at = table.curves[curve].at(value)
    assert at is not None, curve  # noqa: S101 - all curves but o3_8h go on
    return int(half_up(at))


def _concentration(name: str, what: str) -> ParameterSpec:
    return ParameterSpec(
        unit="ug/m3",
        meaning=f"{name}, {what}",
        required=False,
        maximum="1000000",
        source="air station at 25 Cel",
        certainty="[T]",
    )


HOURLY = Indicator(
    id="vn-aqi-hourly",
    title="Air quality index of an hour",
    reference="Decision 1459/QD-TCMT, 12 November 2019",
    notes=__doc__.strip(),
    table="vn_aqi",
    banded="aqi",
    inputs={
        "pm_12h_latest_first_ug_m3": RecordSpec(
            "dust of the latest twelve hours, the latest first, null where one is missing",
            {
                name: NumbersSpec(
                    name,
                    _concentration(name, "mean of an hour"),
                    length=(2, 12),
                    gaps=True,
                    required=False,
                )
                for name in _DUST
            },
        ),
        "gas_1h_ug_m3": RecordSpec(
            "gases, mean of the hour",
            {name: _concentration(name, "mean of the hour") for name in _GASES},
            required=False,
        ),
    },
    compute=hourly,
)
DAILY = Indicator(
    id="vn-aqi-daily",
    title="Air quality index of a day, 01:00 to 24:00",
    reference="Decision 1459/QD-TCMT, 12 November 2019",
    notes=__doc__.strip(),
    table="vn_aqi",
    banded="aqi",
    inputs={
        "pm_24h_ug_m3": RecordSpec(
            "dust, mean of the day",
            {name: _concentration(name, "mean of the day") for name in _DUST},
        ),
        "gas_1h_max_ug_m3": RecordSpec(
            "gases, highest hour of the day",
            {name: _concentration(name, "highest hour") for name in _GASES},
            required=False,
        ),
        "o3_8h_max_ug_m3": _concentration("o3", "highest mean of eight hours"),
    },
    compute=daily,
)
INDICATORS = (HOURLY, DAILY)
