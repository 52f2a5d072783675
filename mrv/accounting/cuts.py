"""
Cuts: what of a device's quantity does not count, or counts beyond its register, and why.

Each part of a year is metered less its cuts.  A cut of the baseline's side is above zero; what
counts more on the project's side is below it.  Here is what gaps, errors of meters and a plant's
own use come to, each by the rule of its side; the bounds of other rules are cuts as well
(`mrv/rules/solve.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction

from ingest import classes
from ingest.model import HOUR_US, INTERVAL_US, Device
from mrv.accounting.coverage import Gap, Service
from mrv.model import RoleNeeds
from mrv.registry.calibration import Uncovered
from mrv.rounding import exact_sum
from mrv.texts import Text

FUEL = "flow"
# gasoline has 8.9, diesel 9.9 (IPCC 2006, volume 2, table 1.2; densities 0.745, 0.835) [M]; lighter
# fuels of the project's side are none of tonne's roles
_WH_PER_ML = Fraction(89, 10)
# of a small engine at part load [M]
_LEAST_EFFICIENCY = Fraction(1, 5)


class Kind(StrEnum):
    """What a cut is for, as a statement names it; the last two are listed as plausibility."""

    GAP = "gap"
    CALIBRATION = "calibration"
    OWN_USE = "own use"
    DESIGN = "design"
    PLAUSIBILITY = "plausibility"  # of single intervals
    CERTIFIED = "certified energy"
    CONSUMPTION = "consumption"  # what a week's service takes
    SERVICE = "service"  # other bounds of weeks, months, devices or roles


@dataclass(frozen=True, slots=True)
class Lost:
    """
    A gap: the most that could have been in it. [base units]

    `at_most` is by what the device is seen to do; `bound` is beyond doubt, for what
    costs the project too.
    """

    gap: Gap
    at_most: Fraction | None
    bound: Fraction = Fraction(0)


@dataclass(frozen=True, slots=True)
class Certified:
    """A certificate of energy, and how much of it is of a part of a year. [Wh]"""

    certificate: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Cut:
    """
    Metered less counted: so much, from when to when, and why. [base units, us UTC]

    `percent` is of a meter's error alone; `lost` and `certified` of their kinds.
    """

    kind: Kind
    quantity: Fraction
    start_us: int
    end_us: int
    reason: Text | str
    percent: Fraction | None = None
    lost: Lost | None = None
    certified: Certified | None = None

    def within(self, span_us: tuple[int, int]) -> Fraction:
        """Return the part of it that is of a span, by time. [base units]"""
        shared = min(self.end_us, span_us[1]) - max(self.start_us, span_us[0])
        length = self.end_us - self.start_us
        return self.quantity * Fraction(shared, length) if shared > 0 else Fraction(0)

    def at_its_most(self) -> Cut | None:
        """Return it where what was lost counts at its most; None where it bounds nothing then."""
        if self.lost is not None:
            return replace(self, quantity=-self.lost.bound)
        return replace(self, quantity=-self.quantity) if self.kind is Kind.CALIBRATION else None


def limit_of(device: Device, quantity: str) -> Fraction | None:
    """Return the rated power, or the class's own limit; None where no limit is known. [1/h]"""
    for channel in classes.load()[device.class_id].registers:
        limit = device.rated_power_w if channel.limit == "rated_power" else channel.limit
        if channel.quantity == quantity and isinstance(limit, int) and limit > 0:
            return Fraction(limit)
    return None


def highest_rate(device: Device, quantity: str, largest: int) -> Fraction | None:
    """
    Highest plausible rate of a device's quantity. [base units/h]

    Its limit, or else the `largest` interval that is known; None where there is none either.
    """
    limit = limit_of(device, quantity)
    by_interval = Fraction(largest * HOUR_US, INTERVAL_US) if largest else None
    return by_interval if limit is None else limit


def rated_fuel(watt: int) -> Fraction:
    """Most liquid fuel that engines or burners of a rated power take. [mL/h]."""
    return Fraction(watt) / (_WH_PER_ML * _LEAST_EFFICIENCY)


def no_rate(device: Device, needs: RoleNeeds, since: str, *, rated: bool) -> str:
    """
    Say that a gap of the project's side cannot be charged, and what to give.

    Parameters
    ----------
    rated : bool
        Whether the rated power of what a fuel meter feeds bounds it.
    """
    said = f"device {device.id}: no reading from {since} on, and nothing to charge the gap at:"
    registers = classes.load()[device.class_id].registers
    by_power = any(c.limit == "rated_power" for c in registers if c.quantity == needs.quantity)
    if by_power:
        return f"{said} give its `rated_power_w` in the registry"
    if rated and needs.quantity == FUEL:
        return (
            f"{said} give in its `rated_power_w` the power of all engines and burners that it feeds"
            f" [W], such as 150000; they take {float(rated_fuel(1000) / 1000):.3g} L/h for each kW"
            " at most"
        )
    return (
        f"{said} it reported nothing in this period, so that its highest rate is not known; send"
        " its readings of the period, or begin its service with `from` at its first reading"
    )


def cut_of_gap(
    gap: Gap, needs: RoleNeeds, rate: Fraction | None, per_day: Fraction | None = None
) -> Cut:
    """
    Nothing on the baseline side, the highest rate on the project's.

    Parameters
    ----------
    rate : Fraction, optional
        Highest plausible rate. [base units/h]
    per_day : Fraction, optional
        What the plant was built for, by a document: of what costs no more came on any of the
        days that a gap touches. [base units]
    """
    quantity, bound = Fraction(0), Fraction(0)
    at_most = None if rate is None else rate * gap.time_us / HOUR_US
    if needs.side == "project" and at_most is not None:
        quantity, at_most = -at_most, None
    elif needs.costs is not None:
        bound = max(rate or Fraction(0), Fraction(needs.costs)) * gap.time_us / HOUR_US
        if per_day is not None:
            # a gap of less than a day may lie in two of them
            bound = min(bound, per_day * (-(-gap.time_us // (24 * HOUR_US)) + 1))
    lost = Lost(gap, at_most, bound)
    return Cut(Kind.GAP, quantity, gap.start_us, gap.end_us, gap.kind, lost=lost)


def cuts_of_errors(bare: Sequence[Uncovered], part: Service, *, add: bool = False) -> list[Cut]:
    """Return what spans without certificate cost within a part; `add` on the project's side."""
    found = []
    for span in bare:
        first, last = max(span.first, part.first), min(span.last, part.first + len(part))
        if first < last:
            error = span.percent / 100 * exact_sum(part.cut(first, last).value)
            time = first * INTERVAL_US, last * INTERVAL_US
            quantity = -error if add else error
            found.append(Cut(Kind.CALIBRATION, quantity, *time, span.reason, span.percent))
    return found


@dataclass(frozen=True, slots=True)
class OwnUse:
    """What a device's role takes off: its intervals, and what a gap of them costs."""

    service: Service
    rate: Fraction | None
    metered: bool

    @staticmethod
    def of(device: Device, needs: RoleNeeds, whole: Service) -> OwnUse:
        """See how it was metered: where a meter never reports it, there is no gap to charge."""
        known = exact_sum(whole.missing_us) < len(whole) * INTERVAL_US
        return OwnUse(
            whole, highest_rate(device, needs.less, int(whole.value.max(initial=0))), known
        )

    def cut(self, first: int, last: int) -> OwnUse:
        """Return the part within intervals [first, last)."""
        return OwnUse(self.service.cut(first, last), self.rate, self.metered)

    def total(self, bare: Sequence[Uncovered]) -> Fraction:
        """All that counts: metered, the errors of its meter, gaps at the highest rate."""
        if not self.metered:
            return Fraction(0)
        lost = exact_sum(self.service.unknown_us) + exact_sum(self.service.missing_us)
        errors = (one.quantity for one in cuts_of_errors(bare, self.service))
        substituted = (self.rate or Fraction(0)) * lost / HOUR_US
        return exact_sum(self.service.value) + substituted + sum(errors, start=Fraction(0))
