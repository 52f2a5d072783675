"""
A device's monitored quantity in a period, and its adjustments for gaps, meter errors and own use.

The counted quantity of each part of a year is the metered quantity less its adjustments (`Cut`). On
the baseline side they are positive: unknown or missing time is counted as zero, and the error of an
uncertified meter is deducted.  On the project side they are negative: unknown or missing time is
charged at the device's highest plausible rate, and the error is added.  For a quantity on both
sides, such as composted waste, each part uses the more conservative of the two
(`mrv.rules.account.worst`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fractions import Fraction
from functools import cached_property
from typing import Any, NamedTuple

from ingest import classes
from ingest.model import HOUR_US, INTERVAL_US, Device
from mrv.accounting.coverage import Gap, Service, Span
from mrv.model import MONTH, Activity, ClassLimit, RoleNeeds
from mrv.registry import Calibration
from mrv.registry.calibration import Uncovered
from mrv.registry.project import ProjectDevice
from mrv.rounding import exact_sum
from mrv.texts import Text, Value, text

FUEL = "flow"
# gasoline 8.9, diesel 9.9 (IPCC 2006, volume 2, table 1.2; densities 0.745, 0.835) [M]; no role of
# tonne on the project side has a lighter fuel
_WH_PER_ML = Fraction(89, 10)
# lowest efficiency: a small engine at part load [M]
_MIN_EFFICIENCY = Fraction(1, 5)


class Kind(StrEnum):
    """Kind of an adjustment in a statement of release 0.1.0; later statements name the rule."""

    GAP = "gap"
    CALIBRATION = "calibration"
    OWN_USE = "own use"
    DESIGN = "design"
    PLAUSIBILITY = "plausibility"  # of single intervals
    CERTIFIED = "certified energy"
    CONSUMPTION = "consumption"  # above the plausible consumption of a week
    SERVICE = "service"  # other limits of weeks, months, devices or roles


@dataclass(frozen=True, slots=True)
class Lost:
    """
    Upper bounds of the quantity during a gap. [base units]

    `at_most`: at the device's highest plausible rate; None on the project side or without a rate.
    `bound`: highest possible quantity, where a baseline quantity also causes project emissions.
    """

    gap: Gap
    at_most: Fraction | None
    bound: Fraction = Fraction(0)


Charge = tuple[int, int, Fraction]  # begin and end [us UTC], quantity [base units]


@dataclass(frozen=True, slots=True)
class Cut:
    """
    Adjustment: metered less counted quantity of a time span, and the reason. [base units, us UTC]

    `percent`: error of the meter.  `lost`: gap with its upper bounds.  `certified`: certificate of
    energy, and its energy in the part of the year [Wh].  `rule`: rule that made the adjustment.
    `charges`: added quantity by time, such as that of each invoice; else it is uniform.
    """

    kind: Kind
    quantity: Fraction
    start_us: int
    end_us: int
    reason: Text | str
    percent: Fraction | None = None
    lost: Lost | None = None
    certified: tuple[str, int] | None = None
    rule: str = ""
    charges: tuple[Charge, ...] = ()

    @property
    def is_unknown(self) -> bool:
        """Return whether it is the own use of time without data."""
        return self.kind is Kind.OWN_USE and self.lost is not None

    def within(self, span_us: tuple[int, int]) -> Fraction:
        """Return the part of the adjustment within a span, in proportion to time. [base units]"""
        if self.charges:
            charged = (within(q, (begin, end), span_us) for begin, end, q in self.charges)
            return -sum(charged, start=Fraction(0))
        return within(self.quantity, (self.start_us, self.end_us), span_us)

    def at_upper_bound(self) -> Cut | None:
        """
        Return the adjustment if the gap had the highest possible quantity; None without
        an effect.
        """
        if self.lost is not None:
            return replace(self, quantity=-self.lost.bound)
        return replace(self, quantity=-self.quantity) if self.kind is Kind.CALIBRATION else None


def within(quantity: Fraction, own: Span, span: Span) -> Fraction:
    """
    Return the part of a quantity that falls in a span, in proportion to time. [base units]

    `own`: time span of the quantity.
    """
    shared = min(own[1], span[1]) - max(own[0], span[0])
    return quantity * Fraction(shared, own[1] - own[0]) if shared > 0 else Fraction(0)


def limit_of(device: Device, quantity: str) -> Fraction | None:
    """Return the rated power, or the class's own limit; None where unknown. [base units/h]"""
    for channel in classes.load()[device.class_id].registers:
        limit = device.rated_power_w if channel.limit == "rated_power" else channel.limit
        if channel.quantity == quantity and isinstance(limit, int) and limit > 0:
            return Fraction(limit)
    return None


def highest_rate(device: Device, quantity: str, largest: int) -> Fraction | None:
    """
    Return the highest plausible rate of a device's quantity. [base units/h]

    Its limit, or else the rate of its `largest` known interval; None without either.
    """
    limit = limit_of(device, quantity)
    by_interval = Fraction(largest * HOUR_US, INTERVAL_US) if largest else None
    return by_interval if limit is None else limit


def own_use_rate(device: Device, quantity: str, largest: int) -> Fraction:
    """
    Return the highest plausible rate of a generator's own use. [base units/h]

    The rate that its class publishes, unless its `largest` known interval exceeds it.
    """
    rate = highest_rate(device, quantity, largest) or Fraction(0)
    published = classes.load()[device.class_id].own_use
    if published is None or not device.rated_power_w:
        return rate
    own = Fraction(str(published.of_rated)) * device.rated_power_w
    return own if largest * HOUR_US <= own * INTERVAL_US else rate


def rated_fuel(watt: int) -> Fraction:
    """Return the highest liquid fuel use of engines or burners of a rated power. [mL/h]"""
    return Fraction(watt) / (_WH_PER_ML * _MIN_EFFICIENCY)


def no_rate(device: Device, needs: RoleNeeds, since: str, *, rated: bool) -> str:
    """
    Return the error for a gap on the project side whose highest rate is not known, with the remedy.

    `rated`: whether the rated power of a fuel meter's consumers limits its quantity.
    """
    message = f"device {device.id}: no reading from {since} on, and nothing to charge the gap at:"
    registers = classes.load()[device.class_id].registers
    by_power = any(c.limit == "rated_power" for c in registers if c.quantity == needs.quantity)
    if by_power:
        return f"{message} enter its `rated_power_w` in the registry"
    if rated and needs.quantity == FUEL:
        return (
            f"{message} enter in its `rated_power_w` the power of all engines and burners"
            " that it feeds [W], such as 150000; they take"
            f" {float(rated_fuel(1000) / 1000):.3g} L/h for each kW at most"
        )
    return (
        f"{message} it sent no reading in this period, so its highest rate is not known; send"
        " its readings of the period, or begin its service with `from` at its first reading"
    )


def cut_of_gap(
    gap: Gap, needs: RoleNeeds, rate: Fraction | None, room: Fraction | None = None
) -> Cut:
    """
    Return the adjustment for a gap: none on the baseline side, the highest rate on the project
    side.

    `rate`: highest plausible rate. [base units/h]  `room`: remaining part of the documented design
    capacity on the days of the gap. [base units]
    """
    quantity, bound = Fraction(0), Fraction(0)
    at_most = None if rate is None else rate * gap.time_us / HOUR_US
    if needs.side == "project" and at_most is not None:
        quantity, at_most = -at_most, None
    elif needs.costs is not None:
        bound = max(rate or Fraction(0), Fraction(needs.costs)) * gap.time_us / HOUR_US
        if room is not None:
            bound = min(bound, room)
    lost = Lost(gap, at_most, bound)
    return Cut(Kind.GAP, quantity, gap.start_us, gap.end_us, gap.kind, lost=lost)


def cuts_of_errors(bare: Sequence[Uncovered], part: Service, *, add: bool = False) -> list[Cut]:
    """Return the adjustments for time without a certificate; `add`: they increase the quantity."""
    cuts = []
    for span in bare:
        first, last = max(span.first, part.first), min(span.last, part.first + len(part))
        if first < last:
            error = span.percent / 100 * exact_sum(part.cut(first, last).value)
            time = first * INTERVAL_US, last * INTERVAL_US
            quantity = -error if add else error
            cuts.append(Cut(Kind.CALIBRATION, quantity, *time, span.reason, span.percent))
    return cuts


@dataclass(frozen=True, slots=True)
class Stretch:
    """A device's sums in one week of the period: quantity, time in service, time without data."""

    value: int
    lost_us: int
    time_us: int


class AbovePower(NamedTuple):
    """Electricity of weeks that exceeded hours of use times the entered power. [us UTC, Wh]"""

    span_us: tuple[int, int]
    measured_wh: int
    entered_wh: Fraction


@dataclass(frozen=True)
class YearPart:
    """
    A device's local calendar year within the period: metered quantity and its adjustments.

    `month`: set if the methodology accounts by months.  `at_most`: whether gaps are at their upper
    bound, which is conservative for some quantities.  `edges`: its first interval and the one after
    its last.
    """

    year: int
    metered: int
    cuts: tuple[Cut, ...]
    month: int | None = None
    at_most: bool = False
    edges: tuple[int, int] = (0, 0)

    def cut(self, *kinds: Kind) -> Fraction:
        """Return the sum of the adjustments of some kinds. [base units]"""
        return sum((c.quantity for c in self.cuts if c.kind in kinds and c.quantity), Fraction(0))

    @cached_property
    def counted(self) -> Fraction:
        """Return the metered quantity minus all deductions. [base units]"""
        return self.metered - self.cut(*Kind)

    def less(self, *cuts: Cut) -> YearPart:
        """Return the part with additional adjustments."""
        return replace(self, cuts=(*self.cuts, *cuts))

    def without_debt(self) -> YearPart:
        """Return the part with own use in time without data limited to the rest of its output."""
        lost = [cut for cut in self.cuts if cut.is_unknown]
        charged = sum((cut.quantity for cut in lost), start=Fraction(0))
        if not charged or self.counted >= 0:
            return self
        share = max(Fraction(0), 1 + self.counted / charged)
        rest = (cut for cut in self.cuts if cut not in lost)
        limited = (replace(cut, quantity=cut.quantity * share) for cut in lost if share)
        return replace(self, cuts=(*rest, *limited))

    def at_upper_bound(self) -> YearPart:
        """Return the part with gaps and meter errors at the highest possible quantity."""
        cuts = (cut for part in self.cuts if (cut := part.at_upper_bound()) is not None)
        return replace(self, cuts=tuple(cuts), at_most=True)


@dataclass(frozen=True, slots=True)
class Monitored:
    """
    A device in its role, with its service time, certificates and years.

    `errors`: meter errors applied: for time without certificate, and by the plan.
    `own`: the own use that its role deducts, as a quantity of the project side.
    `rate`: highest plausible rate. [base units/h]
    `class_limit`: limit of its class.
    `uncounted`: reason for not counting its quantity; empty if it counts.
    `measured`: parameters that its measured electricity replaces.
    `above_power`: times in which that electricity exceeded the entered power.
    """

    bound: ProjectDevice
    device: Device
    needs: RoleNeeds
    params: Mapping[str, Any]
    calibrations: tuple[Calibration, ...]
    service: Service
    uncovered: tuple[Uncovered, ...]
    parts: tuple[YearPart, ...]
    errors: tuple[Uncovered, ...] = ()
    own: Monitored | None = None
    stretches: tuple[Stretch, ...] = ()
    rate: Fraction | None = None
    class_limit: ClassLimit | None = None
    uncounted: Text | str = ""
    measured: Mapping[str, Fraction] = field(default_factory=dict)
    above_power: tuple[AbovePower, ...] = ()

    @property
    def span_us(self) -> tuple[int, int]:
        """Return the device's service time within the period, end excluded. [us UTC]"""
        return self.service.first * INTERVAL_US, self.service.last * INTERVAL_US

    @property
    def nets(self) -> bool:
        """Return whether the own use that its role deducts was metered."""
        return self.own is None or self.own.service.reported

    def less_own_use(self, own: Monitored, *, first: bool = False) -> Monitored:
        """
        Return the device with own use deducted, in place of any deducted before.

        `first`: for rule set 1, which deducts nothing if none was metered.
        """
        parts = list[YearPart]()
        for part, used in zip(self.parts, own.parts, strict=True):
            values: dict[str, Value] = {"channel": own.needs.quantity, "year": part.year}
            lost = [] if first else [cut for cut in used.cuts if cut.kind is Kind.GAP]
            known = used.counted + sum((cut.quantity for cut in lost), start=Fraction(0))
            code = "deduction.own_use" if first else "deduction.own_use_metered"
            cuts = [cut for cut in part.cuts if cut.kind is not Kind.OWN_USE]
            if known and (own.service.reported or not first):
                cuts.append(Cut(Kind.OWN_USE, known, *self.span_us, text(code, **values)))
            reason = text("deduction.own_use_gap", **values, watt=int(own.rate or 0))
            cuts += (
                replace(gap, kind=Kind.OWN_USE, quantity=-gap.quantity, reason=reason)
                for gap in lost if gap.quantity
            )  # fmt: skip
            parts.append(replace(part, cuts=tuple(cuts)))
        return replace(self, own=own, parts=tuple(parts))

    @property
    def moved(self) -> bool:
        """Return whether the device metered any quantity in the period."""
        return any(part.metered for part in self.parts)

    @property
    def metered(self) -> int:
        """Return the metered quantity of the period. [base units]"""
        return sum(part.metered for part in self.parts)

    @property
    def counts(self) -> Fraction:
        """Return the counted quantity of the period, after all adjustments. [base units]"""
        return sum((part.counted for part in self.parts), start=Fraction(0))

    @property
    def own_use(self) -> Fraction:
        """
        Return the own use deducted in the period, not included in an invoice of the output. [base
        units]
        """
        return sum((part.cut(Kind.OWN_USE) for part in self.parts), start=Fraction(0))

    @property
    def delivered(self) -> int:
        """Return the quantity of all its weeks. [base units]"""
        return sum(stretch.value for stretch in self.stretches)

    def quantity(self, span_us: Span) -> int:
        """Return the metered quantity of a time span. [base units]"""
        begin, end = (max(0, us // INTERVAL_US - self.service.first) for us in span_us)
        return exact_sum(self.service.value[begin:end]) if begin < end else 0

    def taken(self, span_us: Span) -> Fraction:
        """Return the adjustments within a time span, own use excluded. [base units]"""
        cuts = (cut for part in self.parts for cut in part.cuts if cut.kind is not Kind.OWN_USE)
        return sum((cut.within(span_us) for cut in cuts), start=Fraction(0))

    def activity(self, part: YearPart, *, gross: bool) -> Activity:
        """Return the activity for the methodology, before (gross) or after all adjustments."""
        params = self.params if gross else {**self.params, **self.measured}
        params = params if part.month is None else {**params, MONTH: part.month}
        value = Fraction(part.metered) if gross else part.counted
        return Activity(self.bound.role, params, value)
