"""
Rules on meters' identity: entries of a meter under a second id, duplicates and copies (MTR-03).

If the services of two meters on the project side overlap, both are charged.  This is conservative,
so it is an observation with its tonnes.  Identical or proportional series are treated as one meter
with two ids.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ingest.model import INTERVAL_US
from mrv.accounting.cross_checks import SAME_SIGNAL
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
from mrv.rounding import amount, exact_sum, six_places
from mrv.rules.effects import CapEach, Exclude, Judged, reported
from mrv.rules.facts import Facts
from mrv.rules.metering import Metered
from mrv.texts import Text, text

_MINUTES = 15
# number of pairs above which only series that are equal throughout are detected
_PAIRS = MANY * MANY // 2

_Bools = NDArray[np.bool_]


def twin_series(facts: Facts) -> Iterator[Judged]:
    """MTR-03: yield exclusions of meters with identical or proportional series."""
    proportional = []
    counted: defaultdict[str, list[int]] = defaultdict(list)
    for i, metered in enumerate(facts.metered):
        if metered.baseline:
            counted[metered.base.device.id].append(i)
    # only the first reason of each device, as many meters with one series give very many pairs
    excluded: dict[int, str] = {}
    for name, copy, result in _pairs(facts):
        if not result.equal:
            case = text("MTR-03.proportional", device=copy, other=name)
            if result.lag:
                apart = abs(result.lag) * _MINUTES
                case = text("MTR-03.shifted", device=copy, other=name, minutes=apart)
            proportional.append(case)
            continue
        yield text("MTR-03.identical", device=copy, other=name)
        for i in counted[copy]:
            excluded[i] = min(excluded.get(i, name), name)
    for i, name in excluded.items():
        yield Exclude(i, text("MTR-03.copy", other=name))
    details = (check.detail for check in facts.checks)
    item = (detail for detail in details if isinstance(detail, Text) and detail.code == SAME_SIGNAL)
    # identical series are impossible for two meters; proportional ones require a clarification
    yield from reported([*proportional, *item], "CL")


def _pairs(facts: Facts) -> Sequence[tuple[str, str, Twins]]:
    """Return the ids of two meters with identical or proportional series, and their comparison."""
    if "twins" not in facts.paired:
        facts.paired["twins"] = [*_twins_by_group(facts)]
    return facts.paired["twins"]


def _twins_by_group(facts: Facts) -> Iterator[tuple[str, str, Twins]]:
    groups: defaultdict[tuple[str, int, int], list[Metered]] = defaultdict(list)
    for metered in facts.metered:
        needs = metered.base.needs
        if metered.baseline and needs.unit in MEASURED:
            groups[needs.quantity, metered.whole.first, len(metered.whole)].append(metered)
    for group in groups.values():
        for twin in twins([metered.base.service.value for metered in group], NEARLY_INSIDE):
            yield group[twin.first].base.device.id, group[twin.other].base.device.id, twin


def overlapping_services(facts: Facts) -> Iterator[Judged]:
    """MTR-03: yield exclusions of equal series, reports of proportional ones, in common time."""
    proportional = []
    for overlap in overlapping([m.base for m in facts.metered]):
        values = overlap.values(facts.price.pricing, facts.timezone)
        if not overlap.equal:
            proportional.append(text("MTR-03.proportional_overlap", **values))
            continue
        whole = facts.metered[overlap.place].whole
        reason = text("MTR-03.copy_overlap", other=overlap.earlier)
        yield CapEach(overlap.place, np.where(overlap.both, 0, whole.value), reason)
        yield text("MTR-03.identical_overlap", **values)
    yield from reported(proportional, "CL")


@dataclass(frozen=True, slots=True)
class Overlap:
    """
    Identical or proportional series of two devices in their common service time.

    `later`: device that was installed later.  `place`: index of the later one among the monitored
    devices.  `both`: mask of its intervals in which both measure a quantity; if `equal`, its
    quantity is not counted there.
    """

    place: int
    earlier: str
    later: Monitored
    both: _Bools
    equal: bool

    def values(self, pricing: Pricing, timezone: str) -> dict[str, str]:
        """Return the values of a text: devices, time, quantity of the later one and its tonnes."""
        meter, first = self.later, self.later.service.first
        at = np.flatnonzero(self.both)
        span_us = (first + int(at[0])) * INTERVAL_US, (first + int(at[-1]) + 1) * INTERVAL_US
        series = np.where(self.both, meter.service.value, 0)
        cost = Fraction(0)
        for part in meter.parts:
            a, b = (edge - first for edge in part.edges)
            cost += exact_sum(series[a:b]) * pricing.rate(meter, part.year)
        return {
            "device": meter.device.id, "other": self.earlier,
            "cost": six_places(cost),
            **local_span(span_us, timezone), **amount(exact_sum(series), meter.needs.unit),
        }  # fmt: skip


def overlapping(monitored: Sequence[Monitored], *, side: str = "baseline") -> list[Overlap]:
    """Return pairs of devices of a side with identical or proportional series in common time."""
    groups: defaultdict[str, defaultdict[tuple[int, int], list[int]]]
    groups = defaultdict(lambda: defaultdict(list))
    for i, meter in enumerate(monitored):
        if meter.needs.side == side and meter.needs.unit in MEASURED:
            groups[meter.needs.quantity][meter.service.first, len(meter.service)].append(i)
    overlaps = list[Overlap]()
    for services in groups.values():
        pairs = [sorted(pair, key=len) for pair in combinations(services.values(), 2)]
        closely = sum(len(subset) * len(other) for subset, other in pairs) <= _PAIRS
        for few, many in pairs:
            overlaps += _compared(monitored, few, many, closely=closely)
    return overlaps


def _compared(
    monitored: Sequence[Monitored], subset: Sequence[int], others: Sequence[int], *, closely: bool
) -> Iterator[Overlap]:
    """Yield overlaps between devices of two service times, in their common part."""
    begin = max(monitored[i[0]].service.first for i in (subset, others))
    end = min(monitored[i[0]].service.last for i in (subset, others))
    if end - begin < FEW:
        return
    parts = [
        [monitored[i].service.cut(begin, end).value for i in group] for group in (subset, others)
    ]
    for result in twins_between(*parts, closely=closely):
        pair = subset[result.first], others[result.other]
        if monitored[pair[0]].device.id != monitored[pair[1]].device.id:
            yield _overlap(monitored, pair, result, (begin, end))


def _overlap(
    monitored: Sequence[Monitored], pair: tuple[int, int], result: Twins, edges: tuple[int, int]
) -> Overlap:
    value, later = sorted(pair, key=lambda i: (monitored[i].service.first, i))
    # lag of the later device [intervals]
    lag = result.lag if later == pair[1] else -result.lag
    whole = monitored[later]
    number = np.arange(*edges)
    inside = number[(number - lag >= edges[0]) & (number - lag < edges[1])]
    there, here = monitored[value].service.value, whole.service.value
    both = np.zeros(len(here), dtype=np.bool_)
    at = inside - whole.service.first
    both[at] = (there[inside - lag - monitored[value].service.first] > 0) & (here[at] > 0)
    return Overlap(later, monitored[value].device.id, whole, both, result.equal)


# --- excluded meters ----------------------------------------------------------------------


def known_meters(facts: Facts) -> Iterator[Judged]:
    """REG-01: yield exclusions of a meter's second ids, and of meters without rated power."""
    unrated = {
        metered.base.device.id: text("REG-01.unrated", device=metered.base.device.id)
        for metered in facts.metered
        if metered.base.needs.unit == "Wh" and metered.base.device.rated_power_w is None
    }
    yield from excluded("REG-01", facts, unrated)


def excluded(
    rule: str, facts: Facts, unrated: Mapping[str, Text] | None = None
) -> Iterator[Judged]:
    """Yield exclusions of baseline meters by a rule of the registry: REG-01, CLM-02 or MTR-03."""
    by_registry = {item.device: item.reason for item in facts.supporting.excluded
                   if item.rule == rule}  # fmt: skip
    why, reasons = {**(unrated or {}), **by_registry}, dict[Text, None]()
    for i, metered in enumerate(facts.metered):
        reason = why.get(metered.base.device.id)
        if metered.baseline and reason is not None:
            yield Exclude(i, reason)
            reasons[reason] = None
    yield from reasons
