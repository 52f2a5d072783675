"""
What a service used: metered, what lost time is charged, and what standing still is charged.

Rules that compare a service with its energy read it by parts of about four weeks, or of a period.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from ingest.model import HOUR_US, INTERVAL_US
from mrv.accounting.cuts import Kind
from mrv.accounting.device_period import Monitored
from mrv.service_bounds import Consumption

# a part of a period, in stretches of about a week
WEEKS = 4
_TIMES = "time_us", "lost_us"


def used_of(
    one: Monitored, first: int, last: int, span_us: tuple[int, int], of: Consumption
) -> Fraction:
    """
    Quantity of some stretches, with what is charged for lost time and for standing still.

    A plant's meter that is lost for less than half of the time used as much then as else: what
    lost time is charged, which is little beside methane, would carry any service.
    """
    rate = one.rate or Fraction(0)
    time, lost = (sum(getattr(s, n) for s in one.stretches[first:last]) for n in _TIMES)
    if of.by_design and 0 < 2 * lost < time:
        known = sum(s.value for s in one.stretches[first:last])
        rate = min(rate, Fraction(known * HOUR_US, time - lost))
    charged = (
        -c.quantity
        for p in one.parts
        for c in p.cuts
        if c.kind is Kind.SERVICE and span_us[0] <= c.start_us < span_us[1]
    )
    metered = (s.value + rate * Fraction(s.lost_us, HOUR_US) for s in one.stretches[first:last])
    return sum((*metered, *charged), start=Fraction(0))


def electricity(monitored: Sequence[Monitored], one: Consumption) -> Fraction:
    """Return what a service used in the whole period, with what is charged for it. [base units]"""
    users = [m for m in monitored if m.bound.role in one.uses]
    begin = min((m.service.first for m in users), default=0) * INTERVAL_US
    end = max((m.service.first + m.service.intervals for m in users), default=0) * INTERVAL_US
    return sum(
        (used_of(m, 0, len(m.stretches), (begin, end), one) for m in users), start=Fraction(0)
    )
