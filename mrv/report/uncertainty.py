"""
Uncertainty of each meter, and of the sum of what they metered.

    U = sqrt(sum((u_i x_i)^2)) / |sum(x_i)|

(IPCC 2006 Guidelines, volume 1, chapter 3, equation 3.2: uncertain quantities that are
added.)  u_i is the largest permissible error of the meter by its certificates, or by its
accuracy class; x_i are the emissions that its readings stand for, baseline positive and
project negative.  The meters' errors are taken as independent.  Shown figures are rounded
up: an uncertainty is never shown as less.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import isqrt
from typing import NamedTuple

from mrv.documents.monitoring import MonitoredParameter
from mrv.registry.calibration import class_percent

_UG = 10**6  # a millionth of a tonne


class Uncertainty(NamedTuple):
    """Of a sum: in t CO2e, and as a share of it [%]; None where it is not determined."""

    tonnes: str | None
    percent: str | None


def percent_of(parameter: MonitoredParameter) -> Fraction | None:
    """Largest permissible error of a meter [%]; None where no certificate or class says it."""
    found = [
        Fraction(c.max_error_percent)
        if c.max_error_percent is not None
        else class_percent(c.accuracy_class)
        for c in parameter.calibrations
    ]
    known = [percent for percent in found if percent is not None]
    return max(known) if known and len(known) == len(found) else None


def combined(parameters: Sequence[MonitoredParameter]) -> Uncertainty:
    """Combine the uncertainties of all meters; not determined where one of them is unknown."""
    total, squares = Fraction(0), Fraction(0)
    for parameter in parameters:
        percent = percent_of(parameter)
        if percent is None:
            return Uncertainty(None, None)
        amount = Fraction(parameter.emissions_t)
        total += amount if parameter.side == "baseline" else -amount
        squares += (percent / 100 * amount) ** 2
    tonnes = _root_up(squares, _UG)
    share = None if not total else _decimal(-(-tonnes * 10_000 // abs(total)), 100)
    return Uncertainty(_decimal(int(tonnes * _UG), _UG), share)


def _root_up(square: Fraction, parts: int) -> Fraction:
    """Square root, rounded up to one of so many parts of one."""
    scaled = -(-square * parts * parts // 1)
    root = isqrt(int(scaled))
    return Fraction(root if root * root == scaled else root + 1, parts)


def _decimal(units: int, parts: int) -> str:
    places = len(str(parts)) - 1
    whole, rest = divmod(int(units), parts)
    return f"{whole}.{rest:0{places}d}"


def shown(percent: Fraction | None) -> str | None:
    """Write a percentage with two places, rounded up."""
    return None if percent is None else _decimal(-(-percent * 100 // 1), 100)
