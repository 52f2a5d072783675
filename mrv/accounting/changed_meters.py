"""
What a change of meters took off: a time without a meter, or one in which two metered the same.

The baseline's devices count only while each role that costs something has its device, so a day
between two power meters takes the water of that day off.  Of two meters of the project's side both
count, so what both metered is taken off twice.  Either is conservative: it is an observation with
its tonnes, so that whoever owns the plant can mend the registry.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise

from ingest.model import INTERVAL_US
from mrv.accounting.device_period import Monitored
from mrv.accounting.device_results import Pricing
from mrv.accounting.overlapping_ids import Overlap, overlapping, size_of
from mrv.accounting.period_result import Finding
from mrv.calendar import utc_text
from mrv.rounding import decimal_text

RULE = "REG-03"
_SHOWN = 5
_PLACES = 6


def changed_meters(
    monitored: Sequence[Monitored], pricing: Pricing, timezone: str
) -> Iterator[Finding]:
    """Tell what of a period a change of meters took off, and what to do."""
    told = [*_between(monitored, pricing)]
    told += [
        _twice(one, pricing, timezone)
        for one in overlapping(monitored, side="project")
        if one.equal
    ]
    if told:
        more = f"; and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
        remedy = ": let the service of the new meter begin where that of the old one ends"
        yield Finding(RULE, False, "; ".join(told[:_SHOWN]) + more + remedy)


def _between(monitored: Sequence[Monitored], pricing: Pricing) -> Iterator[str]:
    """What the baseline's devices metered between two parts of one service."""
    period = min((one.service.first for one in monitored), default=0)
    for one, after in pairwise(monitored):
        begin = one.service.first + one.service.intervals
        apart = one.bound == after.bound and begin < after.service.first
        # rows before the first part are told with it
        alone = one.service.first == period or one.service.outside == 0
        if not (apart and alone and one.service.outside and one.needs.side == "baseline"):
            continue
        idle = _idle(monitored, begin, after.service.first)
        if not idle:
            continue
        rate = pricing.rate(one, one.parts[-1].year) if one.parts else Fraction(0)
        cost = decimal_text(one.service.outside * rate, _PLACES, "up")
        yield (
            f"{one.device.id}: {one.service.outside:,} {one.needs.unit} from"
            f" {utc_text(begin * INTERVAL_US)} to {utc_text(after.service.first * INTERVAL_US)}"
            f" count nothing, {cost} t of the baseline, since no {' and no '.join(idle)} meter"
            " serves then"
        )


def _idle(monitored: Sequence[Monitored], begin: int, end: int) -> list[str]:
    """Roles of the project's side none of whose devices serves in a time. [interval numbers]"""
    serving: dict[str, bool] = {}
    for one in monitored:
        if one.needs.side == "project":
            meets = one.service.first < end and begin < one.service.first + one.service.intervals
            serving[one.bound.role] = serving.get(one.bound.role, False) or meets
    return sorted(role for role, now in serving.items() if not now)


def _twice(overlap: Overlap, pricing: Pricing, timezone: str) -> str:
    begin, end = (utc_text(number * INTERVAL_US) for number in overlap.edges)
    return (
        f"{overlap.later.device.id} says what {overlap.one} says from {begin} to {end}, while both"
        f" serve: {size_of(overlap, pricing, timezone)} count twice for the project"
    )
