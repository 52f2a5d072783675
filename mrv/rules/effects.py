"""
Effects of rules (bounds, parameter values, findings), and the quantities that satisfy them.

A bound is a maximum (baseline side) or a minimum (project side).  Bounds are applied in one pass
from intervals upwards, in the order of `Level`: at each node the tightest bound applies, and the
parts of the node are reduced in proportion.  The result does not depend on the order of the bounds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from fractions import Fraction
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ingest.model import INTERVAL_US, Int64
from mrv.accounting.device_period import Cut, Kind, Monitored, Stretch, YearPart, cuts_of_errors
from mrv.parameters import Inputs
from mrv.rounding import exact_sum
from mrv.rules import Severity
from mrv.rules.metering import Metered
from mrv.texts import Text, Texts, text

ZERO = Fraction(0)
# why a parameter is not counted as entered
LABORATORY, CHANNELS = text("how.laboratory"), text("how.channels")
LOWER, CONSTANT = text("how.lower"), text("how.constant")
UNMEASURED, UNCORROBORATED = text("how.unmeasured"), text("how.not_corroborated")
BY_QUANTITIES, AGREED = text("how.quantities"), text("how.agreed")
BUILT_FOR, CARRIED = text("how.design"), text("how.electricity")


class Level(IntEnum):
    """Levels of nodes, in the order in which limits are applied."""

    WEEK = 1  # devices in a stretch of about a week
    MONTH = 2  # devices in about four weeks
    PERIOD = 3  # devices in the period, before errors of meters
    DEVICE = 4  # one device's counted quantity
    ROLE = 5  # counted quantity of the devices of a role


class Node(NamedTuple):
    """
    Quantities to which one limit applies together.

    `of`: indices of the devices in `Facts.metered`.
    `weeks`: run of weeks, end excluded, for levels below `PERIOD`.
    """

    level: Level
    of: tuple[int, ...]
    weeks: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Cap:
    """
    Upper limit of a node on the baseline side, and the reason. [base units]

    `moves_weeks`: whether the weekly sums that other rules use include this limit (not for hours of
    dimmed lamps).
    `share`: minimum share of the quantity within other limits that remains after this limit.
    """

    node: Node
    maximum: Fraction
    reason: Text | str
    moves_weeks: bool = True
    share: Fraction = ZERO
    rule: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class CapEach:
    """Upper limit of each interval of a device, physical if `plausible`. [base units]"""

    of: int
    maximum: Int64
    reason: Text | str
    plausible: bool = False
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Exclude:
    """Exclusion of a baseline device: its quantity is not counted."""

    of: int
    reason: Text | str
    rule: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class SetAside:
    """Energy by interval that another scheme has certified. [Wh]"""

    of: int
    certificate: str
    scheme: str
    value: Int64
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Floor:
    """
    Minimum quantity added to a device's part of a year above its register. [base units]

    `part`: index of the part among the device's parts.
    `week`: only for that week; None: for the whole part.
    `invoiced`: whether it is the invoiced quantity above the counted one, gaps and errors included.
    `span_us`: its time. [us UTC]
    `charges`: its parts by time, if their times differ. [us UTC, base units]
    """

    of: int
    part: int
    more: Fraction
    reason: Text | str
    span_us: tuple[int, int]
    week: int | None = None
    invoiced: bool = False
    charges: tuple[tuple[int, int, Fraction], ...] = ()
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Fix:
    """Fixed value of a parameter, as no evidence supports another one."""

    parameter: str
    value: Fraction
    how: Text | None = UNCORROBORATED


@dataclass(frozen=True, slots=True)
class Bound:
    """Value of a parameter, which applies if it lowers the reduction."""

    parameter: str
    value: Fraction
    how: Text | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Least:
    """Lower limit of a parameter, calculated from the quantities and the other parameters."""

    parameter: str
    at_least: Callable[[Inputs], Fraction]
    how: Text | None = BY_QUANTITIES


@dataclass(frozen=True, slots=True)
class Withheld:
    """Rejection of a registry file's factor; the published one applies."""

    factor: str


@dataclass(frozen=True, slots=True)
class NoReduction:
    """Limit of the reduction to at most 0; a negative one remains."""


_OfDevice = CapEach | Exclude | SetAside | Floor
# `Ruled.add` sets the rule id of each effect, which the statement names
Bounding = Cap | _OfDevice
Effect = Bounding | Fix | Bound | Least | Withheld | NoReduction


@dataclass(frozen=True, slots=True)
class RuleReport:
    """
    Report of a rule: whether its requirement is met, and its texts.

    `{tonnes:number}` in texts is replaced by the rule's deduction.  `severity`: severity in place
    of the rule's own.
    `priced`: whether the tonnes determine the severity; None: only if it is the rule's own.
    """

    holds: bool
    texts: Texts = ()
    severity: Severity | None = None
    priced: bool | None = None


def reported(
    texts: Iterable[Text], severity: Severity | None = None, *, priced: bool | None = None
) -> Iterator[RuleReport]:
    """Yield the report of a requirement that is not met, if there are texts."""
    if reasons := tuple(texts):
        yield RuleReport(False, reasons, severity, priced)


# results of a rule; a text alone reports a requirement that is not met
Judged = Effect | RuleReport | Text
# ex-ante cap of a role's counted quantity, by role and calendar year [base units]
Design = Mapping[tuple[str, int], Fraction]
# week of the period, and part of a device [indices]
_Cell = tuple[int, int]


@dataclass(frozen=True)
class Solved:
    """
    Counted quantities of each device.

    Attributes
    ----------
    kept : sequence of int64 array
        Each interval, within the limits of its device. [base units]
    weeks : sequence of sequence of Fraction
        By device: quantities of each week for use by other rules. [base units]
    views : tuple of Monitored
        Devices with their adjustments, for the statement and the methodology.
    """

    kept: Sequence[Int64]
    weeks: Sequence[Sequence[Fraction]]
    views: tuple[Monitored, ...]


class _Taken(NamedTuple):
    """Deduction by a cap from a part, between two intervals. [interval numbers, base units]"""

    cap: Cap
    first: int
    last: int
    quantity: Fraction


def solve(metered: Sequence[Metered], effects: Iterable[Effect], design: Design) -> Solved:
    """Return the quantities that satisfy all effects."""
    every = list(effects)
    bounds = [effect for effect in every if isinstance(effect, Cap)]
    caps = _tightest(bound for bound in bounds if bound.node.level <= Level.PERIOD)
    mine = defaultdict[int, list[_OfDevice]](list)
    for effect in every:
        if isinstance(effect, _OfDevice):
            mine[effect.of].append(effect)
    devices = [_Device(metered, mine[i]) for i, metered in enumerate(metered)]
    seen: list[list[Fraction]] = []
    # first the limits that the weekly sums for other rules include, then the other limits
    for still in (False, True):
        for node, cap in caps:
            if cap.moves_weeks is not still:
                _scale(devices, node, cap)
        if not still:
            seen = [device.weeks() for device in devices]
    views = [device.view(weeks) for device, weeks in zip(devices, seen, strict=True)]
    parts = [(i, j, part) for i, view in enumerate(views) for j, part in enumerate(view.parts)]
    for (role, year), maximum in design.items():
        of = [(i, j) for i, j, p in parts if views[i].bound.role == role and p.year == year]
        _cap_counted(views, of, maximum)
    # all shares refer to the same quantity, so that the order of deductions does not matter
    counted = [
        replace(b, maximum=max(b.maximum, b.share * sum(views[i].counts for i in b.node.of)))
        for b in bounds if b.node.level > Level.PERIOD
    ]  # fmt: skip
    for node, cap in _tightest(counted):
        of = [(i, j) for i, j, _ in parts if i in node.of]
        _cap_counted(views, of, cap.maximum, cap)
    return Solved([device.kept for device in devices], seen, tuple(views))


def _tightest(caps: Iterable[Cap]) -> list[tuple[Node, Cap]]:
    """
    Return the tightest cap of each node and kind, in the order of levels, weeks and devices.

    The kinds are caps that the weekly sums of other rules include (`moves_weeks`), and other caps.
    """
    result: dict[tuple[Node, bool], Cap] = {}
    for item in caps:
        key = item.node, item.moves_weeks
        before = result.get(key)
        if before is None or (item.maximum, item.reason) < (before.maximum, before.reason):
            result[key] = item
    return sorted(
        ((node, cap) for (node, _), cap in result.items()),
        key=lambda of: (of[0].level, of[0].weeks, of[0].of),
    )


class _Device:
    """Quantities of a device while limits are applied."""

    def __init__(
        self, metered: Metered, mine: Sequence[CapEach | Exclude | SetAside | Floor]
    ) -> None:
        self.metered = metered
        self.kept = metered.whole.value
        # deductions by the limits of single intervals
        self.above: list[tuple[Exclude | CapEach, Int64]] = []
        out = [e for e in mine if isinstance(e, Exclude)]
        self.excluded = min(out, key=lambda e: e.reason) if out else None
        self.aside = list({e.certificate: e for e in mine if isinstance(e, SetAside)}.values())
        self.floors = [e for e in mine if isinstance(e, Floor)]
        self.taken: defaultdict[int, list[_Taken]] = defaultdict(list)
        if metered.baseline and self.excluded:
            self.above = [(self.excluded, metered.whole.value)]
            self.kept = np.zeros_like(self.kept)
        elif metered.baseline:
            each = [e for e in mine if isinstance(e, CapEach)]
            for cap in sorted(each, key=lambda e: not e.plausible):
                above = self.kept - np.minimum(self.kept, np.maximum(cap.maximum, 0))
                if above.any():
                    self.above.append((cap, above))
                    self.kept = self.kept - above
        self.cells: dict[_Cell, Fraction] = {
            (k, j): Fraction(exact_sum(self.kept[low:high])) for k, j, low, high in metered.cells
        }

    def weeks(self) -> list[Fraction]:
        """Return the quantity of each week (a stretch of about seven days). [base units]"""
        result = [ZERO] * max(0, len(self.metered.stretches) - 1)
        for (k, _), value in self.cells.items():
            result[k] += value
        return result

    @cached_property
    def _certain(self) -> Mapping[_Cell, Fraction]:
        """Return the share of each cell after deduction of its meter's error; 1 if not listed."""
        result, errors = dict[_Cell, Fraction](), self.metered.base.errors
        kept = replace(self.metered.whole, value=self.kept)
        for k, j, low, high in self.metered.cells if errors else ():
            part = kept.cut(kept.first + low, kept.first + high)
            if whole := exact_sum(part.value):
                cuts = cuts_of_errors(errors, part)
                result[k, j] = 1 - sum((cut.quantity for cut in cuts), start=ZERO) / whole
        return result

    def scale(self, cells: Sequence[_Cell], share: Fraction, cap: Cap) -> None:
        """
        Reduce cells to a share, and record the deduction from each part.

        The deduction excludes the share of the meter's error, which is already deducted.
        """
        for k, j in cells:
            before = self.cells[k, j]
            self.cells[k, j] = before * share
            first, last = self.metered.stretches[k : k + 2]
            off = before * (1 - share) * self._certain.get((k, j), Fraction(1))
            taken = self.taken[j]
            if taken and taken[-1].cap is cap:
                other = taken.pop()
                first, off = other.first, off + other.quantity
            taken.append(_Taken(cap, first, last, off))

    def view(self, weeks: Sequence[Fraction]) -> Monitored:
        """Return the device with its counted quantities and adjustments of the period."""
        metered = self.metered
        make = self._baseline if metered.baseline else self._project
        parts = tuple(make(j, part) for j, part in enumerate(metered.base.parts))
        stretches = tuple(
            Stretch(int(week), *times) for week, times in zip(weeks, metered.lost, strict=True)
        )
        uncounted = self.excluded.reason if self.excluded else ""
        return replace(metered.base, parts=parts, stretches=stretches, uncounted=uncounted)

    def _baseline(self, j: int, part: YearPart) -> YearPart:
        metered, first = self.metered, self.metered.whole.first
        a, b = metered.edges[j]
        low, high = a - first, b - first
        made = part.less(*self._implausible(a, low, high), *self._elsewhere(a, low, high))
        made = made.without_debt()
        total = sum((taken.quantity for taken in self.taken[j]), start=ZERO)
        if not total:
            return made
        share = min(Fraction(1), max(ZERO, made.counted) / total)
        return made.less(*(
            Cut(
                Kind.SERVICE, taken.quantity * share, max(taken.first, a) * INTERVAL_US,
                min(taken.last, b) * INTERVAL_US, _why(taken.cap.reason), rule=taken.cap.rule,
            )
            for taken in self.taken[j]
            if taken.quantity * share
        ))  # fmt: skip

    def _implausible(self, first: int, low: int, high: int) -> Iterable[Cut]:
        """
        Yield cuts of implausible quantities, and of those that other channels do not corroborate.

        `first`: number of the first interval.  `low`, `high`: its range of intervals in the arrays.
        The error of a meter without certificate is already deducted and not deducted again here.
        """
        for bound, above in self.above:
            if not above[low:high].any():
                continue
            part = replace(self.metered.whole, value=above).cut(first, first + high - low)
            errors = cuts_of_errors(self.metered.base.errors, part)
            quantity = exact_sum(part.value) - sum((cut.quantity for cut in errors), start=ZERO)
            why = _why(bound.reason, "not counted" if isinstance(bound, Exclude) else _NOT)
            time = _span_us(first, above[low:high])
            yield Cut(Kind.PLAUSIBILITY, quantity, *time, why, rule=bound.rule)

    def _elsewhere(self, first: int, low: int, high: int) -> Iterable[Cut]:
        if self.excluded:
            return
        remaining = self.kept[low:high]
        for set_aside in self.aside:
            certified = set_aside.value[low:high]
            taken = np.minimum(certified, remaining)
            remaining = remaining - taken
            if certified.any():
                names = {"certificate": set_aside.certificate, "scheme": set_aside.scheme}
                reason = text("deduction.certified_elsewhere", **names)
                quantity, of = (
                    Fraction(exact_sum(taken)),
                    (set_aside.certificate, exact_sum(certified)),
                )
                time = _span_us(first, certified)
                yield Cut(Kind.CERTIFIED, quantity, *time, reason, None, None, of, set_aside.rule)

    def _project(self, j: int, part: YearPart) -> YearPart:
        """Return a part raised to its largest minimum; minima of weeks are added up."""
        of = [f for f in self.floors if f.part == j]
        weeks: dict[int, Floor] = {}
        for f in of:
            if f.week is not None and (f.week not in weeks or weeks[f.week].more < f.more):
                weeks[f.week] = f
        raised = [(f, f.more) for _, f in sorted(weeks.items())]
        so_far = sum((more for _, more in raised), start=ZERO)
        by_size = sorted(of, key=lambda f: (f.more, f.reason), reverse=True)
        whole = next((f for f in by_size if f.week is None and not f.invoiced), None)
        if whole is not None and whole.more > so_far:
            raised.append((whole, whole.more - so_far))
        invoiced = next((f for f in by_size if f.invoiced), None)
        if invoiced is not None:
            raised.append((invoiced, invoiced.more))
        return part.less(*(
            Cut(
                Kind.SERVICE if f.week is None else Kind.CONSUMPTION, -more, *f.span_us,
                _why(f.reason), rule=f.rule, charges=f.charges,
            )
            for f, more in raised
        ))  # fmt: skip


_NOT = "not plausible"


def _why(reason: Text | str, what: str = _NOT) -> Text | str:
    return reason if isinstance(reason, Text) else f"{what}: {reason}"


def _span_us(first: int, values: Int64) -> tuple[int, int]:
    """Return the start of the first interval above zero, and the end of the last. [us UTC]"""
    at = np.flatnonzero(values)
    return (first + int(at[0])) * INTERVAL_US, (first + int(at[-1]) + 1) * INTERVAL_US


def _scale(devices: Sequence[_Device], node: Node, cap: Cap) -> None:
    places = [
        (item, [c for c in item.cells if node.level == Level.PERIOD or c[0] in range(*node.weeks)])
        for item in (devices[i] for i in node.of)
    ]
    total = sum((device.cells[cell] for device, cells in places for cell in cells), start=ZERO)
    if total > cap.maximum:
        for device, cells in places:
            device.scale(cells, cap.maximum / total, cap)


def _cap_counted(
    views: list[Monitored],
    places: Sequence[tuple[int, int]],
    maximum: Fraction,
    cap: Cap | None = None,
) -> None:
    """Reduce counted quantities above a cap, each part in proportion."""
    counted = {(i, j): views[i].parts[j].counted for i, j in places}
    total = sum((v for v in counted.values() if v > 0), start=ZERO)
    over = sum(counted.values(), start=ZERO) - maximum
    if over <= 0 or not total:
        return
    share = min(Fraction(1), over / total)
    for (i, j), value in counted.items():
        if value > 0:
            meter, parts = views[i], list(views[i].parts)
            design = meter.needs.cap[0] if meter.needs.cap else ""
            year = parts[j].year
            if cap is None:
                above = text("deduction.above_design", year=year, parameter=design)
                cut = Cut(Kind.DESIGN, value * share, *meter.span_us, above)
            else:
                why = _why(cap.reason)
                cut = Cut(Kind.SERVICE, value * share, *meter.span_us, why, rule=cap.rule)
            parts[j] = parts[j].less(cut)
            views[i] = replace(meter, parts=tuple(parts))
