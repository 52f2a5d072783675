"""Rows of a period, read once: each device's intervals, gaps and time without certificate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from ingest.classes import QUANTITY_INDEX
from ingest.model import HOUR_US, INTERVAL_US, Device, Fleet, Int32, IntervalRows
from mrv.accounting.coverage import Served, Service, service
from mrv.accounting.cuts import FUEL, OwnUse, highest_rate, rated_fuel
from mrv.accounting.device_bindings import Span, common, costed, role_needs
from mrv.accounting.device_period import Monitored, part_edges, year_part
from mrv.errors import PeriodError
from mrv.model import Methodology, Most, RoleNeeds
from mrv.parameters.inputs import read
from mrv.registry.calibration import Uncovered, uncovered
from mrv.registry.project import Calibration, Project, ProjectDevice, service_intervals
from mrv.rounding import exact_sum

# stretches of about a week in a part that is compared with its energy
WEEKS = 4
_WEEK = 7 * 24 * HOUR_US // INTERVAL_US
# device, role and service: what a change of parameters does not move
_Key = tuple[str, str, int, int]


def stretches(first: int, last: int) -> tuple[int, ...]:
    """
    Return the edges of a period's stretches, about a week each. [interval numbers]

    They are of one length, so that no short rest of a period is judged by itself.
    """
    count = max(1, round((last - first) / _WEEK))
    return tuple(first + (last - first) * k // count for k in range(count + 1))


@dataclass(frozen=True, slots=True)
class Limits:
    """
    What the registry and the methodology bound of each device.

    Attributes
    ----------
    ratings : mapping
        Rated powers by device, from when on. [us UTC, W]
    per_day : callable
        Design capacity of a role, documented before the period. [base units/d]
    most : callable
        What a device of its class can do at most.
    stretches : tuple of int
        Edges of the period's stretches of about a week; empty in rule set 1. [numbers]
    """

    ratings: Mapping[str, tuple[tuple[int, int], ...]]
    per_day: Callable[[str], Fraction | None]
    most: Callable[[ProjectDevice, RoleNeeds], Most | None]
    stretches: tuple[int, ...]


@dataclass(frozen=True)
class Metered:
    """A device in its role: what was metered, before any rule."""

    base: Monitored
    whole: Service
    uncovered: tuple[Uncovered, ...]
    edges: tuple[tuple[int, int], ...]
    stretches: tuple[int, ...]

    @property
    def baseline(self) -> bool:
        """Whether it is of the baseline's side."""
        return self.base.needs.side == "baseline"

    @cached_property
    def cells(self) -> list[tuple[int, int, int, int]]:
        """Stretch, part, and the slice of `whole` that is in both."""
        first, found = self.whole.first, []
        for j, (a, b) in enumerate(self.edges):
            for k, (begin, end) in enumerate(pairwise(self.stretches)):
                low, high = max(a, begin) - first, min(b, end) - first
                if low < high:
                    found.append((k, j, low, high))
        return found

    @cached_property
    def lost(self) -> list[tuple[int, int]]:
        """Time lost and time in service of each stretch. [us]"""
        found = []
        for begin, end in pairwise(self.stretches):
            part = self.whole.cut(begin, end)
            lost = exact_sum(part.unknown_us) + exact_sum(part.missing_us)
            found.append((lost, len(part) * INTERVAL_US))
        return found


@dataclass
class Reader:
    """
    Lays out the rows of a period's devices; intervals are kept for values that are tried.

    Raises
    ------
    PeriodError
        If a project has no device in the period, one is not in the registry, rows are
        inconsistent, or a gap of the project's side has no highest rate to be charged at.
    """

    project: Project
    methodology: Methodology
    fleet: Fleet
    calibrations: Mapping[str, Sequence[Calibration]]
    rows: IntervalRows
    period_us: tuple[int, int]
    known: dict[_Key, list[Service]] = field(default_factory=dict)

    @cached_property
    def _by_key(self) -> Callable[[int, int], IntervalRows]:
        return _grouped(self.rows)

    def metered(self, project: Project, limits: Limits) -> tuple[Metered, ...]:
        """Return every device in its role, by id, role and begin; of a project's parameters."""
        period = self.period_us[0] // INTERVAL_US, self.period_us[1] // INTERVAL_US
        bound = sorted(
            (b for b in project.devices if _meets(b, self.period_us)),
            key=lambda b: (b.device, b.role, b.from_us),
        )
        if not bound:
            raise PeriodError(
                f"project {project.id} has no device in this period; bind its devices"
            )
        gaining = common([period], costed(project, self.methodology, self.fleet))
        return tuple(one for b in bound for one in self._of(project, b, period, gaining, limits))

    def _of(
        self, project: Project, bound: ProjectDevice, period: Span, gaining: Sequence[Span],
        limits: Limits,
    ) -> list[Metered]:  # fmt: skip
        """Read one device, in each part of its service that may count."""
        where = f"project {project.id}: device {bound.device}"
        needs = role_needs(self.methodology, bound, where)
        if bound.device not in self.fleet.by_id:
            raise PeriodError(f"{where} is not in the registry; import it first")
        device = self.fleet.devices[self.fleet.by_id[bound.device]]
        params = read(needs.params, bound.params, where)
        first, last = service_intervals(project, bound, device, needs.side)
        spans: Sequence[Span] = [period]
        if needs.side == "baseline":
            # of a device that never counts, what it metered is stated beside
            spans = common([(first, last)], gaining) or [(period[1], period[1])]
        found = []
        for span, edges in zip(spans, _windows(spans, period), strict=True):
            begin, end = max(first, span[0]), min(last, span[1])
            end = max(begin, end)
            key = bound.device, bound.role, begin, end
            if key not in self.known:
                self.known[key] = self._services(device, needs, begin, end, edges)
            found.append(
                self._one(bound, device, needs, params, self.known[key], (begin, end), limits)
            )
        return found

    def _services(
        self, device: Device, needs: RoleNeeds, begin: int, end: int, edges: Span
    ) -> list[Service]:
        index = self.fleet.by_id[device.id]
        return [
            service(_between(self._by_key(index, QUANTITY_INDEX[q]), edges), begin, end, device.id)
            for q in needs.quantities
        ]

    def _one(
        self, bound: ProjectDevice, device: Device, needs: RoleNeeds, params: Mapping[str, Any],
        services: Sequence[Service], span: Span, limits: Limits,
    ) -> Metered:  # fmt: skip
        first, last = span
        timezone, whole = self.project.timezone, services[0]
        ratings = limits.ratings.get(device.id, ())
        rate = _rate(device, needs, whole, ratings)
        papers = self.calibrations.get(device.id, ())
        bare = tuple(uncovered(papers, needs.quantity, timezone, first, last))
        own = OwnUse.of(device, needs, services[1]) if needs.less else None
        span_us = first * INTERVAL_US, last * INTERVAL_US
        parts, edges = [], []
        for year, month, a, b in part_edges(
            first, last, timezone, monthly=self.methodology.monthly
        ):
            part = whole.cut(a, b)
            parts.append(
                year_part(
                    (year, month), part, bare, needs, rate, limits.per_day(bound.role), device,
                    own and own.cut(a, b), span_us, timezone=timezone, rated=bool(limits.stretches),
                )
            )  # fmt: skip
            edges.append((a, b))
        base = Monitored(
            bound, device, needs, params, tuple(papers), Served.of(whole), bare, tuple(parts),
            own is None or own.metered, (), rate, limits.most(bound, needs),
            _series(whole) if limits.stretches else None,
        )  # fmt: skip
        return Metered(base, whole, bare, tuple(edges), limits.stretches)


def _rate(
    device: Device, needs: RoleNeeds, whole: Service, ratings: Sequence[tuple[int, int]]
) -> Fraction | None:
    """Highest rate that a gap of the project's side is charged at. [base units/h]"""
    rate = highest_rate(device, needs.quantity, int(whole.value.max(initial=0)))
    if needs.side == "baseline" or not ratings:
        return rate
    if needs.unit == "Wh":
        # a rating that was lowered makes no gap cheaper
        rate = max(rate or Fraction(0), Fraction(max(watt for _, watt in ratings)))
    fed = [watt for _, watt in ratings if watt > 0]
    if rate is None and fed and needs.quantity == FUEL:
        rate = rated_fuel(max(fed))
    return rate


def _series(whole: Service) -> Int32:
    """Quantity of each interval, in half the memory."""
    found: Int32 = np.minimum(whole.value, np.iinfo(np.int32).max).astype(np.int32)
    return found


def _windows(spans: Sequence[Span], period: Span) -> list[Span]:
    """Cut the period at the spans' begins, so that each row belongs to one of them."""
    begins = [period[0], *(begin for begin, _ in spans[1:])]
    return list(zip(begins, [*begins[1:], period[1]], strict=True))


def _between(rows: IntervalRows, edges: Span) -> IntervalRows:
    """Return the rows of some intervals, half-open."""
    number = rows.start_us // INTERVAL_US
    return rows.take(np.flatnonzero((number >= edges[0]) & (number < edges[1])))


def _grouped(rows: IntervalRows) -> Callable[[int, int], IntervalRows]:
    """Return a look-up of rows by device and quantity, sorted once for all devices."""
    keys = rows.device.astype(np.int64) * len(QUANTITY_INDEX) + rows.quantity
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]

    def look_up(device: int, quantity: int) -> IntervalRows:
        key = device * len(QUANTITY_INDEX) + quantity
        begin, end = np.searchsorted(ordered, [key, key + 1])
        return rows.take(order[begin:end])

    return look_up


def _meets(bound: ProjectDevice, period_us: tuple[int, int]) -> bool:
    """Whether a device serves its project in a period."""
    return bound.from_us < period_us[1] and (bound.to_us is None or bound.to_us > period_us[0])
