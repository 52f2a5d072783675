"""
One device's monitored quantity in a period, and what its gaps and meter cost.

Conservative on either side.  Baseline: what is unknown or missing counts zero,
and an unattested meter error is taken off.  Project: unknown or missing time
counts at the device's highest plausible rate, and the error is added.  What a
plant's own meter imports is taken off its output by the rules of the project side.
Where one quantity stands on both sides, as waste that is composted, each part takes
the worse of the two (mrv/accounting/conservative_range.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np

from ingest.model import INTERVAL_US, Device, Int32, Int64, IntervalRows
from mrv import calendar
from mrv.accounting.coverage import Served, Service, gaps, service
from mrv.accounting.device_limits import beyond_most, beyond_rating
from mrv.accounting.gap_deductions import (
    FUEL,
    ErrorCharge,
    GapCharge,
    OwnUse,
    charge_error,
    charge_gap,
    highest_rate,
    no_rate,
    rated_fuel,
)
from mrv.errors import PeriodError
from mrv.model import MONTH, Activity, Most, RoleNeeds
from mrv.registry.calibration import Uncovered, uncovered
from mrv.registry.project import (
    Calibration,
    Certified,
    Project,
    ProjectDevice,
    Unshown,
    service_intervals,
)
from mrv.rounding import exact_sum


@dataclass(frozen=True, slots=True)
class Raised:
    """What a service is charged more than was metered for it, when and why. [base units]"""

    start_us: int
    end_us: int
    reason: str
    quantity: Fraction


@dataclass(frozen=True, slots=True)
class Stretch:
    """A device's sums in a stretch of the period: quantity, time lost of its time in service."""

    value: int
    lost_us: int
    time_us: int


@dataclass(frozen=True, slots=True)
class Beyond:
    """
    What of a year no other channel of the device shows, why, and from when to when.

    Times are interval numbers, half-open. [base units]
    """

    reason: str
    first: int
    last: int
    quantity: int


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """
    What of a year a certificate of energy certifies, so that it is not credited.

    Times are interval numbers, half-open.  `taken` is what was taken off, `certified` what
    is certified; where less was there, the first is less. [Wh]
    """

    certificate: str
    scheme: str
    first: int
    last: int
    taken: int
    certified: int


@dataclass(frozen=True, slots=True)
class YearPart:
    """
    A device's local calendar year within the period. [base units]

    `month` says which part of the year it is where the methodology goes by months.
    `own` is what the device's `less` comes to, with its gaps and errors; `above` is
    its part of what lies above the design, which is not credited.  `at_most` says
    that what was lost counts at its most, since less would leave more.  `beyond` is what
    no device of its kind can have done, `unshown` what its other channels do not show,
    `raised` what a service that shows too little use is charged, `limited` what is
    claimed of it beyond what its use carries, `elsewhere` what certificates certify of it.
    """

    year: int
    metered: int
    gaps: tuple[GapCharge, ...]
    errors: tuple[ErrorCharge, ...]
    own: Fraction = Fraction(0)
    above: Fraction = Fraction(0)
    month: int | None = None
    at_most: bool = False
    beyond: int = 0
    raised: tuple[Raised, ...] = ()
    unshown: tuple[Beyond, ...] = ()
    limited: tuple[Raised, ...] = ()
    elsewhere: tuple[Elsewhere, ...] = ()

    @property
    def certified(self) -> int:
        """All that is taken off because a certificate certifies it."""
        return sum(one.taken for one in self.elsewhere)

    @property
    def implausible(self) -> int:
        """All that does not count because the device cannot have done it, or does not show it."""
        return self.beyond + sum(b.quantity for b in self.unshown)

    @property
    def unused(self) -> Fraction:
        """What is claimed beyond what its use carries."""
        return sum((r.quantity for r in self.limited), start=Fraction(0))

    @property
    def charged(self) -> Fraction:
        """What implausible services are charged more."""
        return sum((r.quantity for r in self.raised), start=Fraction(0))

    @property
    def substituted(self) -> Fraction:
        """What was put in for gaps."""
        if self.at_most:
            return sum((g.bound for g in self.gaps), start=Fraction(0))
        return sum((g.substituted for g in self.gaps), start=Fraction(0))

    @property
    def deducted(self) -> Fraction:
        """What unattested meter errors come to; below zero where they are added."""
        error = sum((e.quantity for e in self.errors), start=Fraction(0))
        return -error if self.at_most else error


@dataclass(frozen=True, slots=True)
class Monitored:
    """
    A device in its role, its time in service, its certificates and its years.

    `nets` is false where its role takes something off and the period has no row of it.
    `rate` is its highest plausible rate, `most` what its kind can do. [base units/h]
    `uncounted` says why nothing of it counts; empty where it counts.  `shown` are parameters of
    its own that count as its electricity shows them, `told` where it does.
    """

    bound: ProjectDevice
    device: Device
    needs: RoleNeeds
    params: Mapping[str, Any]
    calibrations: tuple[Calibration, ...]
    service: Served
    uncovered: tuple[Uncovered, ...]
    parts: tuple[YearPart, ...]
    nets: bool = True
    stretches: tuple[Stretch, ...] = ()
    rate: Fraction | None = None
    most: Most | None = None
    series: Int32 | None = None
    uncounted: str = ""
    shown: Mapping[str, Fraction] = field(default_factory=dict)
    told: tuple[str, ...] = ()

    def counted(self, part: YearPart) -> Fraction:
        """Quantity of a year after deductions and substitutions. [base units]"""
        if self.needs.side == "baseline":
            if part.at_most:
                return part.metered - part.deducted + part.substituted
            whole = part.metered - part.implausible - part.deducted - part.own - part.above
            return whole - part.unused - part.certified
        return part.metered + part.deducted + part.substituted + part.charged

    def activity(self, part: YearPart, *, gross: bool) -> Activity:
        """Return what the methodology is told, before (gross) or after what gaps cost."""
        params = self.params if gross else {**self.params, **self.shown}
        params = params if part.month is None else {**params, MONTH: part.month}
        value = Fraction(part.metered) if gross else self.counted(part)
        return Activity(self.bound.role, params, value)


@dataclass(frozen=True, slots=True)
class Bounds:
    """
    What holds of a device beside its own rows; without any of it nothing is held against it.

    `ratings` are its rated powers from when on [us UTC, W], `edges` those of the period's
    stretches [interval numbers].  `unshown` is what its other channels do not show,
    `certified` what certificates of energy certify of it.  `per_day` is what the plant was built
    for, where a document says it [base units]; `rated_fuel` that the rating of a fuel meter is
    the power of what it feeds.
    """

    most: Most | None = None
    ratings: tuple[tuple[int, int], ...] = ()
    edges: tuple[int, ...] = ()
    unshown: tuple[Unshown, ...] = ()
    certified: tuple[Certified, ...] = ()
    per_day: Fraction | None = None
    rated_fuel: bool = False

    def beyond(self, whole: Service, needs: RoleNeeds, timezone: str) -> Int64:
        """What of each interval the device cannot have done, for the baseline. [base unit]"""
        beyond = np.zeros(len(whole), dtype=np.int64)
        if needs.side == "project":
            return beyond
        if self.ratings and needs.unit == "Wh":
            beyond = beyond_rating(whole, self.ratings)
        if self.most is not None:
            kept = replace(whole, value=whole.value - beyond)
            beyond = beyond + beyond_most(kept, self.most, timezone)
        return beyond

    def not_shown(
        self, whole: Service, needs: RoleNeeds, beyond: Int64
    ) -> tuple[tuple[str, Int64], ...]:
        """What of each interval is not shown and was not taken off before, by reason."""
        if needs.side == "project" or not self.unshown:
            return ()
        total, taken, found = np.zeros(len(whole), dtype=np.int64), beyond, []
        for one in self.unshown:
            inside = (one.number >= whole.first) & (one.number < whole.first + len(whole))
            total[one.number[inside] - whole.first] += one.value[inside]
            now = np.maximum(total, taken)
            if (now > taken).any():
                found.append((one.reason, now - taken))
            taken = now
        return tuple(found)

    def elsewhere(
        self, whole: Service, needs: RoleNeeds, kept: Int64
    ) -> Iterator[tuple[Certified, Int64, Int64]]:
        """
        What of each interval each certificate takes, of what the others left, and certifies.

        Parameters
        ----------
        kept : int64 array, n
            What else counts of each interval of `whole`. [Wh]
        """
        left = kept
        for one in self.certified if needs.side == "baseline" else ():
            said = np.zeros(len(whole), dtype=np.int64)
            inside = (one.number >= whole.first) & (one.number < whole.first + len(whole))
            said[one.number[inside] - whole.first] = one.value[inside]
            taken = np.minimum(said, left)
            left = left - taken
            yield one, taken, said

    def series(self, whole: Service) -> Int32 | None:
        """Quantity of each interval, in half the memory; None where nothing is held against it."""
        if not self.edges:
            return None
        found: Int32 = np.minimum(whole.value, np.iinfo(np.int32).max).astype(np.int32)
        return found

    def sums(self, whole: Service, beyond: Int64) -> tuple[Stretch, ...]:
        """Sum up each stretch of the period."""
        found = []
        for begin, end in pairwise(self.edges):
            part = whole.cut(begin, end)
            at = part.first - whole.first
            lost = exact_sum(part.unknown_us) + exact_sum(part.missing_us)
            value = exact_sum(part.value) - exact_sum(beyond[at : at + len(part)])
            found.append(Stretch(value, lost, len(part) * INTERVAL_US))
        return tuple(found)


def monitor(
    project: Project,
    bound: ProjectDevice,
    device: Device,
    needs: RoleNeeds,
    params: Mapping[str, Any],
    calibrations: Sequence[Calibration],
    rows: Sequence[IntervalRows],
    period: tuple[int, int],
    *,
    monthly: bool = False,
    bounds: Bounds | None = None,
) -> Monitored:
    """
    Work out one device's part of a period.

    Parameters
    ----------
    rows : sequence of IntervalRows
        Of this device within the period, in any order: one for each of the role's
        quantities.
    period : tuple of int
        Interval numbers since the epoch, half-open.
    monthly : bool
        Its parts are local months and not years.
    bounds : Bounds, optional
        What it can have done at most, by the rules of accounting from version 2 on.

    Raises
    ------
    PeriodError
        If its rows are inconsistent, or a gap on the project side has no
        highest rate to be charged at.
    """
    first, last = service_intervals(project, bound, device, needs.side)
    first, last = max(first, period[0]), min(last, period[1])
    last = max(first, last)
    whole = service(rows[0], first, last, device.id)
    rate = highest_rate(device, needs.quantity, whole)
    limits = bounds or Bounds()
    if limits.ratings and needs.side == "project" and needs.unit == "Wh":
        # a rating that was lowered makes no gap cheaper
        rate = max(rate or Fraction(0), Fraction(max(watt for _, watt in limits.ratings)))
    fed = [watt for _, watt in limits.ratings if watt > 0] if limits.rated_fuel else []
    if rate is None and fed and needs.side == "project" and needs.quantity == FUEL:
        rate = rated_fuel(max(fed))
    beyond = limits.beyond(whole, needs, project.timezone)
    unshown = limits.not_shown(whole, needs, beyond)
    # a meter's error is one of what counts
    kept = replace(whole, value=whole.value - sum(more for _, more in unshown))
    elsewhere = tuple(limits.elsewhere(whole, needs, kept.value - beyond))
    bare = uncovered(calibrations, needs.quantity, project.timezone, first, last)
    own = OwnUse.of(device, needs, service(rows[1], first, last, device.id)) if needs.less else None
    parts = tuple(
        replace(
            _year_part(
                year,
                whole.cut(a, b),
                kept.cut(a, b),
                bare,
                needs,
                rate,
                limits.per_day,
                device,
                own and own.cut(a, b),
                timezone=project.timezone,
                rated=limits.rated_fuel,
            ),
            month=month,
            beyond=exact_sum(beyond[a - first : b - first]),
            unshown=tuple(_beyond(unshown, first, a, b)),
            elsewhere=tuple(_elsewhere(elsewhere, first, a, b)),
        )
        for year, month, a, b in _edges(first, last, project.timezone, monthly=monthly)
    )
    served = Served.of(whole)
    nets = own is None or own.metered
    return Monitored(
        bound, device, needs, params, tuple(calibrations), served, tuple(bare), parts, nets,
        limits.sums(whole, sum((more for _, more in unshown), start=beyond)), rate, limits.most,
        limits.series(whole),
    )  # fmt: skip


def _beyond(
    unshown: Sequence[tuple[str, Int64]], first: int, begin: int, end: int
) -> Iterator[Beyond]:
    """Sum up what of a part is not shown; intervals [begin, end), arrays from `first` on."""
    for reason, more in unshown:
        at = np.flatnonzero(more[begin - first : end - first])
        if len(at):
            edges = begin + int(at[0]), begin + int(at[-1]) + 1
            yield Beyond(reason, *edges, exact_sum(more[begin - first : end - first]))


def _elsewhere(
    found: Sequence[tuple[Certified, Int64, Int64]], first: int, begin: int, end: int
) -> Iterator[Elsewhere]:
    """Sum up what certificates take of a part; intervals [begin, end), arrays from `first` on."""
    for one, taken, said in found:
        at = np.flatnonzero(said[begin - first : end - first])
        if len(at):
            sums = (exact_sum(some[begin - first : end - first]) for some in (taken, said))
            edges = begin + int(at[0]), begin + int(at[-1]) + 1
            yield Elsewhere(one.certificate, one.scheme, *edges, *sums)


def _edges(
    first: int, last: int, timezone: str, *, monthly: bool
) -> list[tuple[int, int | None, int, int]]:
    edges = calendar.parts(first * INTERVAL_US, last * INTERVAL_US, timezone, monthly=monthly)
    return [(year, month, a // INTERVAL_US, b // INTERVAL_US) for year, month, a, b in edges]


def _year_part(
    year: int,
    part: Service,
    kept: Service,
    bare: Sequence[Uncovered],
    needs: RoleNeeds,
    rate: Fraction | None,
    per_day: Fraction | None,
    device: Device,
    own: OwnUse | None,
    *,
    timezone: str,
    rated: bool,
) -> YearPart:
    found = gaps(part)
    if needs.side == "project" and found and rate is None:
        since = calendar.local_text(found[0].start_us, timezone)
        raise PeriodError(no_rate(device, needs, since, rated=rated))
    return YearPart(
        year,
        exact_sum(part.value),
        tuple(charge_gap(gap, needs, rate, per_day) for gap in found),
        tuple(charge for span in bare for charge in charge_error(span, kept)),
        Fraction(0) if own is None else own.total(bare),
    )
