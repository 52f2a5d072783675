"""
Quantities that satisfy all bounds: one pass from intervals up, in the order of `Level`.

At each node the tightest bound counts, and its parts share what is left in proportion.  The
result is a function of the set of bounds; which rule gave them, and when, does not matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from ingest.model import INTERVAL_US, Int64
from mrv.accounting.cuts import Certified, Cut, Kind, cuts_of_errors
from mrv.accounting.device_period import Monitored, Stretch, YearPart
from mrv.rounding import exact_sum
from mrv.rules.effects import Cap, CapEach, Effect, Exclude, Floor, Level, Node, SetAside
from mrv.rules.metering import Metered
from mrv.texts import Text, text

ZERO = Fraction(0)
# ex-ante cap of a role's counted quantity, by calendar year [base units]
Design = Mapping[str, Mapping[int, Fraction]]
# stretch and part of a device
_Cell = tuple[int, int]


@dataclass(frozen=True)
class Solved:
    """
    What counts of each device.

    Attributes
    ----------
    kept : sequence of int64 array
        Each interval, within the bounds of its device. [base units]
    weeks : sequence of sequence of Fraction
        By device: what other rules read of each stretch. [base units]
    views : tuple of Monitored
        As the statement and the methodology take it.
    """

    kept: Sequence[Int64]
    weeks: Sequence[Sequence[Fraction]]
    views: tuple[Monitored, ...]

    def counted(self, i: int) -> Fraction:
        """Return what counts of a device. [base units]"""
        return sum((part.counted for part in self.views[i].parts), start=ZERO)


@dataclass(frozen=True, slots=True)
class _Taken:
    """What a cap took off a part, from when to when. [interval numbers]"""

    cap: Cap
    first: int
    last: int
    quantity: Fraction


def solve(metered: Sequence[Metered], effects: Iterable[Effect], design: Design) -> Solved:
    """Return the quantities that satisfy all effects."""
    every = list(effects)
    caps = _tightest(one for one in every if isinstance(one, Cap))
    devices = [_Device(one, i, every) for i, one in enumerate(metered)]
    seen: list[list[Fraction]] = []
    # weeks that other rules read first, then what does not move them
    for still in (False, True):
        for node, cap in caps:
            if node.level <= Level.PERIOD and cap.moves_weeks is not still:
                _scale(devices, node, cap)
        if not still:
            seen = [one.weeks() for one in devices]
    views = [one.view(weeks) for one, weeks in zip(devices, seen, strict=True)]
    for role, years in design.items():
        for year, most in years.items():
            places = [
                (i, j)
                for i, view in enumerate(views)
                if view.bound.role == role
                for j, part in enumerate(view.parts)
                if part.year == year
            ]
            _cap_counted(views, places, most, Kind.DESIGN)
    for node, cap in caps:
        if node.level > Level.PERIOD:
            places = [(i, j) for i in node.of for j in range(len(views[i].parts))]
            _cap_counted(views, places, cap.at_most, Kind.SERVICE, _why(cap.reason))
    return Solved([one.kept for one in devices], seen, tuple(views))


def _tightest(caps: Iterable[Cap]) -> list[tuple[Node, Cap]]:
    """Return the tightest cap of each node, in the order of levels, stretches and devices."""
    found: dict[tuple[Node, bool], Cap] = {}
    for one in caps:
        key = one.node, one.moves_weeks
        before = found.get(key)
        if before is None or (one.at_most, one.reason) < (before.at_most, before.reason):
            found[key] = one
    return sorted(
        ((node, cap) for (node, _), cap in found.items()),
        key=lambda of: (of[0].level, of[0].weeks, of[0].of),
    )


class _Device:
    """A device while bounds are applied to it."""

    def __init__(self, one: Metered, place: int, effects: Sequence[Effect]) -> None:
        self.one = one
        self.kept = one.whole.value
        # what bounds of intervals take off; a meter's error is one of what other channels support
        self.above: list[tuple[Text | str, Int64]] = []
        self.supported = one.whole.value
        mine = [e for e in effects if not isinstance(e, Cap) and getattr(e, "of", None) == place]
        self.excluded = min((e.reason for e in mine if isinstance(e, Exclude)), default="")
        self.aside = list({e.certificate: e for e in mine if isinstance(e, SetAside)}.values())
        self.floors = [e for e in mine if isinstance(e, Floor)]
        self.taken: dict[int, list[_Taken]] = {}
        if one.baseline and self.excluded:
            self.above = [(_why(self.excluded, "not counted"), one.whole.value)]
            self.kept = np.zeros_like(self.kept)
        elif one.baseline:
            each = [e for e in mine if isinstance(e, CapEach)]
            for e in sorted(each, key=lambda e: not e.plausible):
                self._bound(e)
        self.cells: dict[_Cell, Fraction] = {
            (k, j): Fraction(exact_sum(self.kept[low:high])) for k, j, low, high in one.cells
        }

    def _bound(self, cap: CapEach) -> None:
        now = np.minimum(self.kept, np.maximum(cap.at_most, 0))
        if (now < self.kept).any():
            self.above.append((_why(cap.reason), self.kept - now))
            if not cap.plausible:
                self.supported = self.supported - (self.kept - now)
            self.kept = now

    def weeks(self) -> list[Fraction]:
        """Sum up the stretches."""
        found = [ZERO] * max(0, len(self.one.stretches) - 1)
        for (k, _), value in self.cells.items():
            found[k] += value
        return found

    def scale(self, cells: Sequence[_Cell], share: Fraction, cap: Cap) -> None:
        """Keep a share of some cells, and note what that took off each part."""
        for k, j in cells:
            before = self.cells[k, j]
            self.cells[k, j] = before * share
            first, last, off = (
                self.one.stretches[k],
                self.one.stretches[k + 1],
                before * (1 - share),
            )
            some = self.taken.setdefault(j, [])
            if some and some[-1].cap is cap:
                other = some.pop()
                first, off = other.first, off + other.quantity
            some.append(_Taken(cap, first, last, off))

    def view(self, weeks: Sequence[Fraction]) -> Monitored:
        """Return what counts as a record of the period."""
        one = self.one
        make = self._baseline if one.baseline else self._project
        parts = tuple(make(j, part) for j, part in enumerate(one.base.parts))
        stretches = tuple(
            Stretch(int(week), *times) for week, times in zip(weeks, one.lost, strict=True)
        )
        return replace(one.base, parts=parts, stretches=stretches, uncounted=self.excluded)

    def _baseline(self, j: int, part: YearPart) -> YearPart:
        one, first = self.one, self.one.whole.first
        a, b = one.edges[j]
        low, high = a - first, b - first
        kept = [cut for cut in part.cuts if cut.kind is not Kind.CALIBRATION]
        made = replace(part, cuts=(*kept, *self._errors(part, a, b))).less(
            *self._implausible(a, low, high), *self._elsewhere(a, low, high)
        )
        taken = self.taken.get(j, [])
        total = sum((one.quantity for one in taken), start=ZERO)
        if not total:
            return made
        share = min(Fraction(1), max(ZERO, made.counted) / total)
        return made.less(*(
            Cut(
                Kind.SERVICE, some.quantity * share, max(some.first, a) * INTERVAL_US,
                min(some.last, b) * INTERVAL_US, _why(some.cap.reason),
            )
            for some in taken
            if some.quantity * share
        ))  # fmt: skip

    def _implausible(self, first: int, low: int, high: int) -> Iterable[Cut]:
        """What no such device can have done, or its other channels do not corroborate."""
        for reason, above in self.above:
            if above[low:high].any():
                quantity = Fraction(exact_sum(above[low:high]))
                yield Cut(Kind.PLAUSIBILITY, quantity, *_span_us(first, above[low:high]), reason)

    def _errors(self, part: YearPart, a: int, b: int) -> Iterable[Cut]:
        if self.excluded and self.one.base.needs.costs is None:
            return ()
        if self.excluded or self.supported is self.one.whole.value:
            return (cut for cut in part.cuts if cut.kind is Kind.CALIBRATION)
        kept = replace(self.one.whole, value=self.supported).cut(a, b)
        return cuts_of_errors(self.one.uncovered, kept)

    def _elsewhere(self, first: int, low: int, high: int) -> Iterable[Cut]:
        if self.excluded:
            return
        left = self.kept[low:high]
        for some in self.aside:
            certified = some.value[low:high]
            taken = np.minimum(certified, left)
            left = left - taken
            if certified.any():
                reason = text(
                    "deduction.certified_elsewhere",
                    certificate=some.certificate, scheme=some.scheme,
                )  # fmt: skip
                yield Cut(
                    Kind.CERTIFIED, Fraction(exact_sum(taken)), *_span_us(first, certified),
                    reason, certified=Certified(some.certificate, exact_sum(certified)),
                )  # fmt: skip

    def _project(self, j: int, part: YearPart) -> YearPart:
        """Add the most of all floors: stretches add up, a part's floor is one of all of them."""
        of = [f for f in self.floors if f.part == j]
        weeks: dict[int, Floor] = {}
        for f in of:
            if f.week is not None and (f.week not in weeks or weeks[f.week].more < f.more):
                weeks[f.week] = f
        raised = [_more(f, f.more) for _, f in sorted(weeks.items())]
        so_far = -sum((cut.quantity for cut in raised), start=ZERO)
        whole = _most(f for f in of if f.week is None and not f.invoiced)
        if whole is not None and whole.more > so_far:
            raised.append(_more(whole, whole.more - so_far))
        invoiced = _most(f for f in of if f.invoiced)
        if invoiced is not None:
            raised.append(_more(invoiced, invoiced.more))
        return part.less(*raised)


def _why(reason: Text | str, what: str = "not plausible") -> Text | str:
    return reason if isinstance(reason, Text) else f"{what}: {reason}"


def _more(floor: Floor, quantity: Fraction) -> Cut:
    kind = Kind.SERVICE if floor.week is None else Kind.CONSUMPTION
    return Cut(kind, -quantity, *floor.span_us, _why(floor.reason))


def _most(floors: Iterable[Floor]) -> Floor | None:
    return max(floors, key=lambda f: (f.more, f.reason), default=None)


def _span_us(first: int, values: Int64) -> tuple[int, int]:
    """Return the time from the first interval above zero to the end of the last. [us UTC]"""
    at = np.flatnonzero(values)
    return (first + int(at[0])) * INTERVAL_US, (first + int(at[-1]) + 1) * INTERVAL_US


def _scale(devices: Sequence[_Device], node: Node, cap: Cap) -> None:
    places = [
        (
            devices[i],
            [
                cell
                for cell in devices[i].cells
                if node.level == Level.PERIOD or node.weeks[0] <= cell[0] < node.weeks[1]
            ],
        )
        for i in node.of
    ]
    total = sum((one.cells[cell] for one, cells in places for cell in cells), start=ZERO)
    if total > cap.at_most:
        for one, cells in places:
            one.scale(cells, cap.at_most / total, cap)


def _cap_counted(
    views: list[Monitored],
    places: Sequence[tuple[int, int]],
    most: Fraction,
    kind: Kind,
    reason: Text | str = "",
) -> None:
    """Take what is above a cap of counted quantities off each part, in proportion."""
    counted = {(i, j): views[i].parts[j].counted for i, j in places}
    total = sum((v for v in counted.values() if v > 0), start=ZERO)
    over = sum(counted.values(), start=ZERO) - most
    if over <= 0 or not total:
        return
    share = min(Fraction(1), over / total)
    for (i, j), value in counted.items():
        if value > 0:
            one, parts = views[i], list(views[i].parts)
            design = one.needs.cap[0] if one.needs.cap else ""
            year = parts[j].year
            why = reason or text("deduction.above_design", year=year, parameter=design)
            parts[j] = parts[j].less(Cut(kind, value * share, *one.span_us, why))
            views[i] = replace(one, parts=tuple(parts))
