"""Daily figures from hours: minimum data, and judgement by a standard."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any

from ingest.model import Device
from mrv import indicators, limits
from mrv.environment.kinds import Day, Row
from mrv.errors import IndicatorError, MethodologyError
from mrv.parameters.specs import RecordSpec

_PLACES = 3
# Three quarters of the hours; the rule for an hour, for want of another: [M].
_NEEDED = Fraction(3, 4)


def known(values: Mapping[int, float], hours: Sequence[int]) -> list[float]:
    """Return the values of hours; none where fewer than three quarters are known."""
    found = [values[start] for start in hours if start in values]
    return found if found and len(found) >= _NEEDED * len(hours) else []


def mean(values: Sequence[float]) -> float:
    """Return the arithmetic mean, to three decimals."""
    return round(math.fsum(values) / len(values), _PLACES)


@lru_cache(maxsize=65_536)
def number(value: float) -> Fraction:
    """Return a value in the form of an input of `tonne indicator`."""
    return Fraction(Decimal(repr(value)))


@lru_cache(maxsize=65_536)
def amount(value: float) -> Fraction:
    """Return a concentration; values of an analyser below zero are zero."""
    return max(number(value), Fraction(0))


def verdict(device: Device, given: Mapping[str, Any], day: Day, kind: str = "limits") -> list[Row]:
    """
    Return the judgement of a day by the standard that the registry names for a device.

    `attributes: {limits: {standard: qcvn-26-2010, area: ordinary}}`; what is listed with `standard`
    goes to the indicator with what was measured.  `table` is the TOML of a standard whose numbers
    did not come with this package.  A standard that cannot be applied gives no verdict but the
    reason.
    """
    rules = dict(device.limits)
    name, text = str(rules.pop("standard", "")), rules.pop("table", None)
    if not name or not given:
        return []
    try:
        standard = indicators.find(name)
        measured = {
            key: _limited(value, standard.inputs[key])
            for key, value in given.items()
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
    """Leave out what the standard has no limit for, such as COD in QCVN 14:2008."""
    if not isinstance(value, Mapping) or not isinstance(spec, RecordSpec):
        return value
    return {name: one for name, one in value.items() if name in spec.fields}


def judged(kind: str, day: Day, exceeded: Sequence[str], detail: Mapping[str, Any]) -> Row:
    """Return the number of limits exceeded on a day, and their names."""
    grade = "exceeded" if exceeded else "within"
    figures = {**detail, "exceeded": list(exceeded)}
    return Row(kind, day.begin_us, float(len(exceeded)), None, grade, figures)
