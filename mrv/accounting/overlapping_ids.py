"""
One meter under two ids whose services overlap: what both say counts once.

`mrv.accounting.twin_series.twins` compares meters that serve the same time.  Here those are
compared whose times differ, over the time in which both serve: where one says what the other says,
quarter hour by quarter hour, the one that began later counts nothing while both tell something, and
where it is nearly so, a condition says what it comes to.  A rule of tonne's own.
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
from mrv import calendar
from mrv.accounting.device_period import Monitored, YearPart
from mrv.accounting.device_results import Pricing
from mrv.accounting.twin_series import FEW, MANY, Twins, twins_between
from mrv.rounding import decimal_text, exact_sum

RULE = "MTR-03"
_MEASURED = ("Wh", "mL", "m", "g")
_SHOWN = 5
_PLACES = 6
# above so many pairs those alone are found that are equal throughout
_PAIRS = MANY * MANY // 2

_Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Overlap:
    """
    Two devices of a period that say the same while both serve; `later` began later.

    `place` is the later one's among the monitored ones.  `both` says in which intervals of its
    service both tell something; `equal` that it counts nothing there.
    """

    place: int
    one: str
    later: Monitored
    both: _Bools
    equal: bool

    @property
    def edges(self) -> tuple[int, int]:
        """First interval in which both tell something, and the end of the last. [numbers]"""
        at = np.flatnonzero(self.both)
        return self.later.service.first + int(at[0]), self.later.service.first + int(at[-1]) + 1


def overlapping(monitored: Sequence[Monitored], *, side: str = "baseline") -> list[Overlap]:
    """Find devices of a side that say the same while both serve, by quantity."""
    groups: defaultdict[str, defaultdict[tuple[int, int], list[int]]]
    groups = defaultdict(lambda: defaultdict(list))
    for i, one in enumerate(monitored):
        measured = one.needs.side == side and one.needs.unit in _MEASURED
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
    end = min(_end(monitored[i[0]]) for i in (some, others))
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


def size_of(overlap: Overlap, pricing: Pricing, timezone: str) -> str:
    """Return what the later one tells while both do, and its tonnes, as text."""
    one, series = overlap.later, np.where(overlap.both, _series(overlap.later), 0).astype(np.int64)
    first = one.service.first
    tonnes = sum(
        (
            exact_sum(series[a - first : b - first]) * pricing.rate(one, part.year)
            for part, a, b in _parts(one, timezone)
        ),
        start=Fraction(0),
    )
    return f"{exact_sum(series):,} {one.needs.unit}, {decimal_text(tonnes, _PLACES, 'up')} t"


def _parts(one: Monitored, timezone: str) -> list[tuple[YearPart, int, int]]:
    """Parts of a device with their edges. [interval numbers]"""
    edges = calendar.parts(
        one.service.first * INTERVAL_US,
        _end(one) * INTERVAL_US,
        timezone,
        monthly=any(part.month is not None for part in one.parts),
    )
    return [
        (part, a // INTERVAL_US, b // INTERVAL_US)
        for part, (*_, a, b) in zip(one.parts, edges, strict=True)
    ]


def _end(one: Monitored) -> int:
    return one.service.first + len(_series(one))


def _series(one: Monitored) -> Int32:
    if one.series is None:  # no bound is held against it
        return np.zeros(0, dtype=np.int32)
    return one.series
