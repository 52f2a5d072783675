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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from ingest.model import INTERVAL_US, Device, Int32
from mrv import calendar
from mrv.accounting.coverage import Served, Service, gaps
from mrv.accounting.gap_deductions import (
    ErrorCharge,
    GapCharge,
    OwnUse,
    charge_error,
    charge_gap,
    no_rate,
)
from mrv.errors import PeriodError
from mrv.model import MONTH, Activity, Most, RoleNeeds
from mrv.registry.calibration import Uncovered
from mrv.registry.project import Calibration, ProjectDevice
from mrv.rounding import exact_sum
from mrv.texts import Text


@dataclass(frozen=True, slots=True)
class Raised:
    """What a service is charged more than was metered for it, when and why. [base units]"""

    start_us: int
    end_us: int
    reason: Text | str
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

    reason: Text | str
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
    uncounted: Text | str = ""
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


def part_edges(
    first: int, last: int, timezone: str, *, monthly: bool
) -> list[tuple[int, int | None, int, int]]:
    """Return year, month and edges of the calendar parts of a service. [interval numbers]"""
    edges = calendar.parts(first * INTERVAL_US, last * INTERVAL_US, timezone, monthly=monthly)
    return [(year, month, a // INTERVAL_US, b // INTERVAL_US) for year, month, a, b in edges]


def year_part(
    when: tuple[int, int | None],
    part: Service,
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
    """
    Return a device's part of a calendar year, or month, before any rule.

    Raises
    ------
    PeriodError
        If a gap of the project's side has no highest rate to be charged at.
    """
    found = gaps(part)
    if needs.side == "project" and found and rate is None:
        since = calendar.local_text(found[0].start_us, timezone)
        raise PeriodError(no_rate(device, needs, since, rated=rated))
    return YearPart(
        when[0],
        exact_sum(part.value),
        tuple(charge_gap(gap, needs, rate, per_day) for gap in found),
        tuple(charge for span in bare for charge in charge_error(span, part)),
        Fraction(0) if own is None else own.total(bare),
        month=when[1],
    )
