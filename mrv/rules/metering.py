"""Metered data of a period's devices, read once: intervals, gaps and time without certificate."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from ingest.model import HOUR_US, INTERVAL_US, Device, Fleet, IntervalRows
from mrv import calendar
from mrv.accounting.coverage import Gap, Service, Span, common, costed, gaps, role_needs, service
from mrv.accounting.cross_checks import Rows
from mrv.accounting.device_period import (
    FUEL,
    Monitored,
    YearPart,
    cut_of_gap,
    cuts_of_errors,
    highest_rate,
    no_rate,
    own_use_rate,
    rated_fuel,
)
from mrv.errors import PeriodError
from mrv.model import ClassLimit, Methodology, RoleNeeds
from mrv.parameters import Inputs, read
from mrv.registry import Calibration
from mrv.registry.calibration import by_plan, larger, of_channels, registers_of, uncovered
from mrv.registry.monitoring_plan import Version
from mrv.registry.project import Project, ProjectDevice, service_intervals
from mrv.rounding import exact_sum

# weeks in a part whose service is compared with its energy use
WEEKS = 4
_WEEK = 7 * 24 * HOUR_US // INTERVAL_US
# device, role and service, which do not depend on parameters
_Key = tuple[str, str, int, int]


def _room(gap: Gap, whole: Service, per_day: Fraction | None, timezone: str) -> Fraction | None:
    """
    Return the design capacity of a gap's local days less the quantity metered on them. [base units]

    None without a capacity.
    """
    if per_day is None:
        return None
    room = Fraction(0)
    for _, *edges in calendar.days(gap.start_us, gap.end_us, timezone):
        metered = whole.cut(*(us // INTERVAL_US for us in edges)).value
        room += max(Fraction(0), per_day - exact_sum(metered))
    return room


def stretches(first: int, last: int) -> tuple[int, ...]:
    """
    Return the edges of the weeks of intervals [first, last): stretches of about seven days.
    [interval numbers]

    They have equal length, so that no short remainder is evaluated separately.
    """
    count = max(1, round((last - first) / _WEEK))
    return tuple(first + (last - first) * k // count for k in range(count + 1))


def months(edges: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the four-week blocks of weeks with given edges: first week, week after the last."""
    weeks = len(edges) - 1
    count = max(1, weeks // WEEKS)
    return pairwise(weeks * k // count for k in range(count + 1))


@dataclass(frozen=True, slots=True)
class Limits:
    """
    Limits of each device by registry and methodology; none in rule set 1.

    `ratings`: rated powers by device, with their start. [us UTC, W]
    `per_day`: design capacity of a role, documented before the period. [base units/d]
    `parameters`: parameters of the project, which may limit a class of devices; None in rule set 1.
    `stretches`: edges of the period's weeks; empty in rule set 1. [interval numbers]
    `versions`: versions of the monitoring plan, which may correct readings.
    """

    ratings: Mapping[str, tuple[tuple[int, int], ...]] = field(default_factory=dict)
    per_day: Callable[[str], Fraction | None] = lambda _: None
    parameters: Inputs | None = None
    stretches: tuple[int, ...] = ()
    versions: tuple[Version, ...] = ()


@dataclass(frozen=True)
class Metered:
    """A device in its role with its metered quantity, before any rule."""

    base: Monitored
    stretches: tuple[int, ...]

    @property
    def whole(self) -> Service:
        """Return the device's intervals in the project, with its measured quantity."""
        return self.base.service

    @property
    def baseline(self) -> bool:
        """Return whether the meter is on the baseline side."""
        return self.base.needs.side == "baseline"

    @property
    def edges(self) -> list[tuple[int, int]]:
        """Return the edges of the meter's parts. [interval numbers]"""
        return [part.edges for part in self.base.parts]

    @cached_property
    def cells(self) -> list[tuple[int, int, int, int]]:
        """Return each part in each week: (week, part, first, last); the last two index `whole`."""
        first, result = self.whole.first, []
        for j, (a, b) in enumerate(self.edges):
            for k, (begin, end) in enumerate(pairwise(self.stretches)):
                low, high = max(a, begin) - first, min(b, end) - first
                if low < high:
                    result.append((k, j, low, high))
        return result

    @cached_property
    def lost(self) -> list[tuple[int, int]]:
        """Return the time without data, and the service time, of each week. [us]"""
        services = [self.whole.cut(begin, end) for begin, end in pairwise(self.stretches)]
        return [(part.lost_us, len(part) * INTERVAL_US) for part in services]


@dataclass
class Reader:
    """
    Reader of the rows of a period's devices, cached for repeated closes.

    Raises PeriodError if a project has no device in the period, one is not registered, rows are
    inconsistent, or a gap on the project side has no highest rate.
    """

    project: Project
    methodology: Methodology
    fleet: Fleet
    calibrations: Mapping[str, Sequence[Calibration]]
    rows: Rows
    period_us: tuple[int, int]
    known: dict[_Key, list[Service]] = field(default_factory=dict)

    def metered(self, project: Project, limits: Limits) -> tuple[Metered, ...]:
        """Return every device of a project in its role, by id, role and start."""
        from_us, to_us = self.period_us
        period = from_us // INTERVAL_US, to_us // INTERVAL_US
        bound = sorted(
            (
                b
                for b in project.devices
                if b.from_us < to_us and (b.to_us is None or b.to_us > from_us)
            ),
            key=lambda b: (b.device, b.role, b.from_us),
        )
        if not bound:
            raise PeriodError(
                f"project {project.id} has no device in this period; assign devices to it"
            )
        gaining = common([period], costed(project, self.methodology, self.fleet))
        return tuple(
            metered for b in bound for metered in self._of(project, b, period, gaining, limits)
        )

    def _of(
        self, project: Project, bound: ProjectDevice, period: Span, gaining: Sequence[Span],
        limits: Limits,
    ) -> list[Metered]:  # fmt: skip
        """Return a device in each part of its service in which its quantity can be counted."""
        where = f"project {project.id}: device {bound.device}"
        needs = role_needs(self.methodology, bound, where)
        if bound.device not in self.fleet.by_id:
            raise PeriodError(f"{where} is not in the registry; import it first")
        device = self.fleet.devices[self.fleet.by_id[bound.device]]
        params = read(needs.params, bound.params, where)
        first, last = service_intervals(project, bound, device, needs.side)
        spans: Sequence[Span] = [period]
        if needs.side == "baseline":
            # a device that is never counted has an empty span; its quantity is stated separately
            spans = common([(first, last)], gaining) or [(period[1], period[1])]
        # the period is divided at the starts, so that each row is in one span
        begins = [period[0], *(begin for begin, _ in spans[1:]), period[1]]
        metered = []
        for span, window in zip(spans, pairwise(begins), strict=True):
            begin = max(first, span[0])
            end = max(begin, min(last, span[1]))
            key = bound.device, bound.role, begin, end
            if key not in self.known:
                self.known[key] = [
                    service(_inside(self.rows.of(device.id, q), window), begin, end, device.id)
                    for q in needs.quantities
                ]
            metered.append(
                self._metered_part(bound, device, needs, params, self.known[key], limits)
            )
        return metered

    def _metered_part(
        self, bound: ProjectDevice, device: Device, needs: RoleNeeds, params: Mapping[str, Any],
        services: Sequence[Service], limits: Limits,
    ) -> Metered:  # fmt: skip
        """Return the metered quantity of a device in a part of its service."""
        timezone, whole = self.project.timezone, services[0]
        first, last = whole.first, whole.first + len(whole)
        valid = of_channels(
            self.calibrations.get(device.id, ()), registers_of(device.class_id, needs.quantity)
        )
        rate = _rate(device, needs, whole, limits.ratings.get(device.id, ()))
        bare = tuple(uncovered(valid, needs.quantity, timezone, first, last))
        planned = by_plan(limits.versions, bound.role, device.id, timezone, first, last)
        errors = tuple(larger(bare, planned))
        per_day, rated = limits.per_day(bound.role), bool(limits.stretches)
        if needs.side == "project" and rate is None and whole.lost_us:
            since = calendar.local_text(gaps(whole)[0].start_us, timezone)
            raise PeriodError(no_rate(device, needs, since, rated=rated))
        span_us = first * INTERVAL_US, last * INTERVAL_US
        parts = []
        for year, month, a, b in calendar.parts(
            *span_us, timezone, monthly=self.methodology.monthly
        ):
            edges = a // INTERVAL_US, b // INTERVAL_US
            part = whole.cut(*edges)
            cuts = [
                *(
                    cut_of_gap(gap, needs, rate, _room(gap, whole, per_day, timezone))
                    for gap in gaps(part)
                ),
                *cuts_of_errors(errors, part, add=needs.side == "project"),
            ]
            made = YearPart(year, exact_sum(part.value), tuple(cuts), month, edges=edges)
            parts.append(made)
        base = Monitored(
            bound, device, needs, params, valid, whole, bare, tuple(parts),
            errors=errors, rate=rate, class_limit=_class_limit(bound, needs, limits.parameters),
        )  # fmt: skip
        if needs.less:
            first = limits.parameters is None  # rule set 1
            base = base.less_own_use(_own_use(base, services[1], first=first), first=first)
        return Metered(base, limits.stretches)


def _own_use(base: Monitored, used: Service, *, first: bool) -> Monitored:
    """Return the own use that a device's role deducts, with its gaps at the highest rate."""
    needs = replace(base.needs, quantity=base.needs.less, less="", side="project", costs=None)
    rate_of = highest_rate if first else own_use_rate
    rate = rate_of(base.device, needs.quantity, int(used.value.max(initial=0))) or Fraction(0)
    parts = list[YearPart]()
    for part in base.parts:
        own = used.cut(*part.edges)
        cuts = (*(cut_of_gap(gap, needs, rate) for gap in gaps(own)),
                *cuts_of_errors(base.errors, own, add=True))  # fmt: skip
        parts.append(replace(part, metered=exact_sum(own.value), cuts=cuts))
    return replace(base, needs=needs, service=used, parts=tuple(parts), rate=rate)


def _inside(rows: IntervalRows, window: Span) -> IntervalRows:
    edges = np.searchsorted(rows.start_us, [edge * INTERVAL_US for edge in window])
    return rows.within(*edges.tolist())


def _class_limit(
    bound: ProjectDevice, needs: RoleNeeds, parameters: Inputs | None
) -> ClassLimit | None:
    """Return the highest plausible quantity of a device's class; None in rule set 1."""
    if needs.class_limit is None or parameters is None:
        return None
    return needs.class_limit({**bound.params, **parameters})


def _rate(
    device: Device, needs: RoleNeeds, whole: Service, ratings: Sequence[tuple[int, int]]
) -> Fraction | None:
    """Return the highest rate for gaps of the project side. [base units/h]"""
    rate = highest_rate(device, needs.quantity, int(whole.value.max(initial=0)))
    if needs.side == "baseline" or not ratings:
        return rate
    if needs.unit == "Wh":
        # a lowered rating does not lower the charge for a gap
        rate = max(rate or Fraction(0), Fraction(max(watt for _, watt in ratings)))
    fed = [watt for _, watt in ratings if watt > 0]
    if rate is None and fed and needs.quantity == FUEL:
        rate = rated_fuel(max(fed))
    return rate
