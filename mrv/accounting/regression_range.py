"""
Range of the weather in which a baseline was regressed, and what counts beyond it.

A regression says nothing of weather that its months did not have (IPMVP option C; ASHRAE
Guideline 14 allows a tenth beyond them [M]).  Parts of about four weeks above 1.1 of the warmest
month count as that; below 0.9 of the coolest one the line gives less than its bound and counts.
Both are a condition that does not hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise

from ingest.model import HOUR_US, INTERVAL_US
from mrv.accounting.device_period import Monitored
from mrv.accounting.period_result import Finding
from mrv.accounting.service_history import WEEKS, take_off
from mrv.accounting.time_in_service import together_us
from mrv.calendar import utc_text
from mrv.model import Methodology
from mrv.parameters.inputs import Inputs
from mrv.service_bounds import Range

RANGE = "IPMVP option C, range of the baseline's weather in the period"
# of the range of a regression, beyond which it is not asked (ASHRAE Guideline 14) [M]
BEYOND = Fraction(1, 10)
_MONTH_US = Fraction(36525, 1200) * 24 * HOUR_US


def within_ranges(
    monitored: Sequence[Monitored],
    methodology: Methodology,
    parameters: Inputs,
    edges: Sequence[int],
    timezone: str,
) -> tuple[list[Monitored], list[Finding]]:
    """
    Count no more of a variable than the range in which its baseline was regressed, and say so.

    Parameters
    ----------
    edges : sequence of int
        Of the stretches. [interval numbers]
    """
    found, said = list(monitored), list[Finding]()
    for one in methodology.ranges:
        if one.least in parameters and one.most in parameters:
            told = list(_outside(found, methodology, one, parameters, edges, timezone))
            said.append(Finding(RANGE, not told, "; ".join(told)))
    return found, said


def _outside(
    found: list[Monitored],
    methodology: Methodology,
    one: Range,
    parameters: Inputs,
    edges: Sequence[int],
    timezone: str,
) -> Iterator[str]:
    """Take off what is above the range in each part of about four weeks; what is said of it."""
    least, most = (Fraction(parameters[name]) for name in (one.least, one.most))
    unit = methodology.parameters[one.most].unit
    weeks = len(edges) - 1
    count = max(1, weeks // WEEKS)
    for first, last in pairwise(weeks * k // count for k in range(count + 1)):
        there = [m for m in found if m.bound.role == one.role]
        time_us = together_us(there, edges[first], edges[last])
        value = sum(s.value for m in there for s in m.stretches[first:last])
        if not time_us:
            continue
        months = Fraction(time_us) / _MONTH_US
        rate = Fraction(value, one.base_units) / months
        begin_us, end_us = edges[first] * INTERVAL_US, edges[last] * INTERVAL_US
        span = f"{utc_text(begin_us)} to {utc_text(end_us)}: {float(rate):.4g} {unit} a month"
        bound = most * (1 + BEYOND)
        if rate > bound:
            excess = (rate - bound) * months * one.base_units
            reason = (
                f"{float(rate):.4g} {unit} a month, and its regression had {float(most):.4g} at"
                " most: a tenth above that counts"
            )
            places = first, last
            take_off(found, (one.role,), places, begin_us, end_us, excess, reason, timezone)
            yield (
                f"{span}, and the regression had {float(most):.4g} at most: {float(bound):.4g}"
                " counts"
            )
        elif rate < least * (1 - BEYOND):
            yield f"{span}, and the regression had {float(least):.4g} at least"
