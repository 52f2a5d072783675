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
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from typing import Any, NamedTuple

from ingest.model import INTERVAL_US, Device, Int32
from mrv import calendar
from mrv.accounting.coverage import Served, Service, gaps
from mrv.accounting.cuts import Cut, Kind, OwnUse, cut_of_gap, cuts_of_errors, no_rate
from mrv.errors import PeriodError
from mrv.model import MONTH, Activity, Most, RoleNeeds
from mrv.registry.calibration import Uncovered
from mrv.registry.project import Calibration, ProjectDevice
from mrv.rounding import exact_sum
from mrv.texts import Text, text


@dataclass(frozen=True, slots=True)
class Stretch:
    """A device's sums in a stretch of the period: quantity, time lost of its time in service."""

    value: int
    lost_us: int
    time_us: int


class AbovePower(NamedTuple):
    """Electricity of some weeks, and that of its hours at the power entered. [us UTC, Wh]"""

    span_us: tuple[int, int]
    measured_wh: int
    entered_wh: Fraction


@dataclass(frozen=True)
class YearPart:
    """
    A device's local calendar year within the period: metered, and what cuts leave of it.

    `month` says which part of the year it is where the methodology goes by months.  `at_most`:
    what was lost counts at its most, which is the conservative value here. [base units]
    """

    year: int
    metered: int
    cuts: tuple[Cut, ...]
    month: int | None = None
    at_most: bool = False

    def cut(self, *kinds: Kind) -> Fraction:
        """Return what the cuts of some kinds come to."""
        return sum((c.quantity for c in self.cuts if c.kind in kinds and c.quantity), Fraction(0))

    @cached_property
    def counted(self) -> Fraction:
        """Metered less all cuts."""
        return self.metered - self.cut(*Kind)

    def less(self, *cuts: Cut) -> YearPart:
        """Return it with more cuts."""
        return replace(self, cuts=(*self.cuts, *cuts))

    def at_its_most(self) -> YearPart:
        """Return it with what was lost at its most."""
        cuts = (cut for one in self.cuts if (cut := one.at_its_most()) is not None)
        return replace(self, cuts=tuple(cuts), at_most=True)


@dataclass(frozen=True, slots=True)
class Monitored:
    """
    A device in its role, its time in service, its certificates and its years.

    `nets` is false where its role takes something off and the period has no row of it.
    `rate` is its highest plausible rate, `most` what its kind can do. [base units/h]
    `uncounted` is why nothing of it counts; empty where it counts.  `measured` are parameters of
    its own that count by its electricity, `above_power` where that was above the ones entered.
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
    measured: Mapping[str, Fraction] = field(default_factory=dict)
    above_power: tuple[AbovePower, ...] = ()

    @property
    def span_us(self) -> tuple[int, int]:
        """Its service in the period, half-open. [us UTC]"""
        begin = self.service.first * INTERVAL_US
        return begin, begin + self.service.intervals * INTERVAL_US

    @property
    def moved(self) -> bool:
        """Whether it metered anything."""
        return any(part.metered for part in self.parts)

    @property
    def metered(self) -> int:
        """What it metered in the period. [base units]"""
        return sum(part.metered for part in self.parts)

    @property
    def counts(self) -> Fraction:
        """What counts of the period, after all cuts. [base units]"""
        return sum((part.counted for part in self.parts), start=Fraction(0))

    @property
    def delivered(self) -> int:
        """Sum of its stretches. [base units]"""
        return sum(stretch.value for stretch in self.stretches)

    def counted(self, part: YearPart) -> Fraction:
        """Quantity of a year after its cuts. [base units]"""
        return part.counted

    def activity(self, part: YearPart, *, gross: bool) -> Activity:
        """Return what the methodology is given, before (gross) or after all cuts."""
        params = self.params if gross else {**self.params, **self.measured}
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
    span_us: tuple[int, int],
    *,
    timezone: str,
    rated: bool,
) -> YearPart:
    """
    Return a device's part of a calendar year, or month, before any rule.

    Parameters
    ----------
    span_us : (int, int)
        Of the device's whole service. [us UTC]

    Raises
    ------
    PeriodError
        If a gap of the project's side has no highest rate to be charged at.
    """
    found = gaps(part)
    if needs.side == "project" and found and rate is None:
        since = calendar.local_text(found[0].start_us, timezone)
        raise PeriodError(no_rate(device, needs, since, rated=rated))
    errors = cuts_of_errors(bare, part, add=needs.side == "project")
    cuts = [*(cut_of_gap(gap, needs, rate, per_day) for gap in found), *errors]
    used = Fraction(0) if own is None else own.total(bare)
    if used:
        reason = text("deduction.own_use", channel=str(needs.less), year=when[0])
        cuts.append(Cut(Kind.OWN_USE, used, *span_us, reason))
    return YearPart(when[0], exact_sum(part.value), tuple(cuts), when[1])
