"""
One meter under two ids: series that are identical or proportional (MTR-03).

Meters that serve the same time are compared over all of it.  Those whose services differ are
compared over the time in which both serve: where one is identical to the other, the one that
began later counts nothing there.  A proportional series takes nothing off and is to be clarified.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ingest.model import INTERVAL_US, Int32
from mrv.accounting.cross_checks import ONE_SIGNAL
from mrv.accounting.device_period import Monitored
from mrv.accounting.device_results import Pricing
from mrv.accounting.twin_series import (
    FEW,
    MANY,
    MEASURED,
    NEARLY_INSIDE,
    Twins,
    twins,
    twins_between,
)
from mrv.calendar import local_span
from mrv.quantity_text import amount
from mrv.rounding import decimal_text, exact_sum
from mrv.rules.effects import CapEach, Effect, Exclude, Said
from mrv.rules.facts import Facts
from mrv.rules.metering import Metered
from mrv.texts import Text, text

_PLACES = 6
_MINUTES = 15
# above so many pairs those alone are found that are equal throughout
_PAIRS = MANY * MANY // 2

_Bools = NDArray[np.bool_]


def twin_series(facts: Facts) -> Iterator[Effect | Said]:
    """MTR-03: two meters with identical or proportional series, or a check meter that copies."""
    identical, proportional = [], []
    counted: defaultdict[str, list[int]] = defaultdict(list)
    for i, metered in enumerate(facts.metered):
        if metered.baseline:
            counted[metered.base.device.id].append(i)
    for name, copy, found in _pairs(facts):
        if not found.equal:
            case = text("MTR-03.proportional", device=copy, other=name)
            if found.lag:
                apart = abs(found.lag) * _MINUTES
                case = text("MTR-03.shifted", device=copy, other=name, minutes=apart)
            proportional.append(case)
            continue
        identical.append(text("MTR-03.identical", device=copy, other=name))
        for i in counted[copy]:
            yield Exclude(i, text("MTR-03.copy", other=name))
    details = (check.detail for check in facts.checks)
    one = (said for said in details if isinstance(said, Text) and said.code == ONE_SIGNAL)
    yield from _copies(identical, [*proportional, *one])


def _copies(identical: Sequence[Text], proportional: Sequence[Text]) -> Iterator[Said]:
    """Identical series are impossible of two meters; proportional ones are to be clarified."""
    if identical:
        yield Said(False, tuple(identical))
    if proportional:
        yield Said(False, tuple(proportional), "CL")


def _pairs(facts: Facts) -> Iterator[tuple[str, str, Twins]]:
    groups: defaultdict[tuple[str, int, int], list[Metered]] = defaultdict(list)
    for one in facts.metered:
        needs = one.base.needs
        if one.baseline and needs.unit in MEASURED and one.base.series is not None:
            groups[needs.quantity, one.whole.first, len(one.whole)].append(one)
    for group in groups.values():
        series = [one.base.series for one in group if one.base.series is not None]
        for twin in twins(series, NEARLY_INSIDE):
            yield group[twin.one].base.device.id, group[twin.other].base.device.id, twin


def overlapping_services(facts: Facts) -> Iterator[Effect | Said]:
    """MTR-03: two meters with identical or proportional series whose services overlap."""
    identical, proportional = [], []
    for one in overlapping([m.base for m in facts.metered]):
        values = one.values(facts.price.pricing, facts.timezone)
        if not one.equal:
            proportional.append(text("MTR-03.proportional_overlap", **values))
            continue
        whole = facts.metered[one.place].whole
        reason = text("MTR-03.copy_overlap", other=one.one)
        yield CapEach(one.place, np.where(one.both, 0, whole.value), reason)
        identical.append(text("MTR-03.identical_overlap", **values))
    yield from _copies(identical, proportional)


@dataclass(frozen=True, slots=True)
class Overlap:
    """
    Two devices of a period with one series while both serve; `later` began later.

    `place` is the later one's among the monitored ones.  `both` says in which intervals of its
    service both measure something; `equal` that it counts nothing there.
    """

    place: int
    one: str
    later: Monitored
    both: _Bools
    equal: bool

    def values(self, pricing: Pricing, timezone: str) -> dict[str, str]:
        """Return devices, time, quantity of the later one and its tonnes, as values of a text."""
        one, first = self.later, self.later.service.first
        at = np.flatnonzero(self.both)
        span_us = (first + int(at[0])) * INTERVAL_US, (first + int(at[-1]) + 1) * INTERVAL_US
        series = np.where(self.both, _series(one), 0).astype(np.int64)
        cost = Fraction(0)
        for part in one.parts:
            a, b = (edge - first for edge in part.edges)
            cost += exact_sum(series[a:b]) * pricing.rate(one, part.year)
        return {
            "device": one.device.id, "other": self.one, "cost": decimal_text(cost, _PLACES, "up"),
            **local_span(span_us, timezone), **amount(exact_sum(series), one.needs.unit),
        }  # fmt: skip


def overlapping(monitored: Sequence[Monitored], *, side: str = "baseline") -> list[Overlap]:
    """Find devices of a side with one series while both serve, by quantity."""
    groups: defaultdict[str, defaultdict[tuple[int, int], list[int]]]
    groups = defaultdict(lambda: defaultdict(list))
    for i, one in enumerate(monitored):
        measured = one.needs.side == side and one.needs.unit in MEASURED
        if measured and one.series is not None:
            groups[one.needs.quantity][one.service.first, len(one.series)].append(i)
    found = list[Overlap]()
    for services in groups.values():
        pairs = [sorted(pair, key=len) for pair in combinations(services.values(), 2)]
        closely = sum(len(one) * len(other) for one, other in pairs) <= _PAIRS
        for few, many in pairs:
            found += _between(monitored, few, many, closely=closely)
    return found


def _between(
    monitored: Sequence[Monitored], some: Sequence[int], others: Sequence[int], *, closely: bool
) -> Iterator[Overlap]:
    """Compare devices of one time in service with those of another one, over their common part."""
    begin = max(monitored[i[0]].service.first for i in (some, others))
    end = min(monitored[i[0]].service.last for i in (some, others))
    if end - begin < FEW:
        return
    parts = [
        [_series(monitored[i])[begin - monitored[i].service.first :][: end - begin] for i in group]
        for group in (some, others)
    ]
    for found in twins_between(*parts, closely=closely):
        pair = some[found.one], others[found.other]
        if monitored[pair[0]].device.id != monitored[pair[1]].device.id:
            yield _overlap(monitored, pair, found, (begin, end))


def _overlap(
    monitored: Sequence[Monitored], pair: tuple[int, int], found: Twins, edges: tuple[int, int]
) -> Overlap:
    one, later = sorted(pair, key=lambda i: (monitored[i].service.first, i))
    # by how many intervals the later one is behind
    lag = found.lag if later == pair[1] else -found.lag
    whole = monitored[later]
    number = np.arange(*edges)
    inside = number[(number - lag >= edges[0]) & (number - lag < edges[1])]
    there, here = _series(monitored[one]), _series(whole)
    both = np.zeros(len(here), dtype=np.bool_)
    at = inside - whole.service.first
    both[at] = (there[inside - lag - monitored[one].service.first] > 0) & (here[at] > 0)
    return Overlap(later, monitored[one].device.id, whole, both, found.equal)


def _series(monitored: Monitored) -> Int32:
    if monitored.series is None:  # of a device that no bound is compared with
        return np.zeros(0, dtype=np.int32)
    return monitored.series
