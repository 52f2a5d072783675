"""
One device's monitored quantity in a period, and what its gaps and meter cost.

Conservative on either side.  Baseline: what is unknown or missing counts zero,
and an unattested meter error is taken off.  Project: unknown or missing time
counts at the device's highest plausible rate, and the error is added.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from ingest import classes
from ingest.model import HOUR_US, INTERVAL_US
from mrv.calendar import years
from mrv.calibration import uncovered
from mrv.coverage import Served, gaps, service
from mrv.errors import PeriodError
from mrv.model import Activity
from mrv.project import service_intervals
from mrv.rounding import exact_sum

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ingest.model import Device, IntervalRows
    from mrv.calibration import Uncovered
    from mrv.coverage import Gap, Service
    from mrv.model import RoleNeeds
    from mrv.project import Calibration, Project, ProjectDevice


@dataclass(frozen=True, slots=True)
class GapCharge:
    """A gap, what was put in for it, and the most that could have been. [base units]"""

    gap: Gap
    substituted: Fraction
    at_most: Fraction | None


@dataclass(frozen=True, slots=True)
class ErrorCharge:
    """What an unattested meter error comes to in a stretch of time. [base units]"""

    span: Uncovered
    quantity: Fraction


@dataclass(frozen=True, slots=True)
class YearPart:
    """
    A device's local calendar year within the period. [base units]

    `above` is its part of what lies above the design, which is not credited.
    """

    year: int
    metered: int
    gaps: tuple[GapCharge, ...]
    errors: tuple[ErrorCharge, ...]
    above: Fraction = Fraction(0)

    @property
    def substituted(self) -> Fraction:
        """What was put in for gaps."""
        return sum((g.substituted for g in self.gaps), start=Fraction(0))

    @property
    def deducted(self) -> Fraction:
        """What unattested meter errors come to."""
        return sum((e.quantity for e in self.errors), start=Fraction(0))


@dataclass(frozen=True, slots=True)
class Monitored:
    """A device in its role, its time in service, its certificates and its years."""

    bound: ProjectDevice
    device: Device
    needs: RoleNeeds
    params: Mapping[str, Any]
    calibrations: tuple[Calibration, ...]
    service: Served
    uncovered: tuple[Uncovered, ...]
    parts: tuple[YearPart, ...]

    def counted(self, part: YearPart) -> Fraction:
        """Quantity of a year after deductions and substitutions. [base units]"""
        if self.needs.side == "baseline":
            return part.metered - part.deducted - part.above
        return part.metered + part.deducted + part.substituted

    def activity(self, part: YearPart, *, gross: bool) -> Activity:
        """Return what the methodology is told, before (gross) or after what gaps cost."""
        value = Fraction(part.metered) if gross else self.counted(part)
        return Activity(self.bound.role, self.params, value)


def monitor(
    project: Project,
    bound: ProjectDevice,
    device: Device,
    needs: RoleNeeds,
    params: Mapping[str, Any],
    calibrations: Sequence[Calibration],
    rows: IntervalRows,
    period: tuple[int, int],
) -> Monitored:
    """
    Work out one device's part of a period.

    Parameters
    ----------
    rows : IntervalRows
        Of this device and its role's quantity within the period, in any order.
    period : tuple of int
        Interval numbers since the epoch, half-open.

    Raises
    ------
    PeriodError
        If its rows are inconsistent, or a gap on the project side has no
        highest rate to be charged at.
    """
    first, last = service_intervals(project, bound, device, needs.side)
    first, last = max(first, period[0]), min(last, period[1])
    last = max(first, last)
    whole = service(rows, first, last, device.id)
    rate = highest_rate(device, needs.quantity, whole)
    bare = uncovered(calibrations, needs.quantity, project.timezone, first, last)
    edges = years(first * INTERVAL_US, last * INTERVAL_US, project.timezone)
    parts = tuple(
        _year_part(year, whole.cut(a // INTERVAL_US, b // INTERVAL_US), bare, needs, rate, device)
        for year, a, b in edges
    )
    served = Served.of(whole)
    return Monitored(bound, device, needs, params, tuple(calibrations), served, tuple(bare), parts)


def highest_rate(device: Device, quantity: str, whole: Service) -> Fraction | None:
    """
    Highest plausible rate of a device's quantity. [base units/h]

    The rated power, or the class's own limit; where neither is known, the
    largest interval of the period; None where there is no interval either.
    """
    for channel in classes.load()[device.class_id].registers:
        limit = device.rated_power_w if channel.limit == "rated_power" else channel.limit
        if channel.quantity == quantity and isinstance(limit, int) and limit > 0:
            return Fraction(limit)
    largest = int(whole.value.max(initial=0))
    return Fraction(largest * HOUR_US, INTERVAL_US) if largest else None


def _year_part(
    year: int,
    part: Service,
    bare: Sequence[Uncovered],
    needs: RoleNeeds,
    rate: Fraction | None,
    device: Device,
) -> YearPart:
    found = gaps(part)
    if needs.side == "project" and found and rate is None:
        raise PeriodError(
            f"device {device.id}: no reading from {found[0].start_us} us on, and no rated power to"
            " charge the gap at; give its rated_power_w in the registry"
        )
    return YearPart(
        year,
        exact_sum(part.value),
        tuple(_charge(gap, needs, rate) for gap in found),
        tuple(charge for span in bare for charge in _error(span, part)),
    )


def _charge(gap: Gap, needs: RoleNeeds, rate: Fraction | None) -> GapCharge:
    at_most = None if rate is None else rate * gap.time_us / HOUR_US
    if needs.side == "project" and at_most is not None:
        return GapCharge(gap, at_most, None)
    return GapCharge(gap, Fraction(0), at_most)


def _error(span: Uncovered, part: Service) -> list[ErrorCharge]:
    first, last = max(span.first, part.first), min(span.last, part.first + len(part))
    if first >= last:
        return []
    quantity = span.percent / 100 * exact_sum(part.cut(first, last).value)
    return [ErrorCharge(type(span)(first, last, span.percent, span.reason), quantity)]
