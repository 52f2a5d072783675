"""
Use on the project's side that an invoice shows, and its meters do not.

`invoice_evidence` compares what is delivered with invoices that say less.  Here it is what a
project uses: electricity of chargers, fans and lines, fuel.  Where a supplier's invoice with its
file says more than what counts for its meters and its time, by more than it may differ (its own
`tolerance_percent`, 5 % at most), all of the difference counts as used, less what other invoices of
the same meters say less.  An invoice of several meters is compared as a whole, so that one that
stands still does not escape.  Time of such a meter of which no invoice is counts in the same
proportion, up to the mean of its invoices.

An invoice that reaches beyond the period, but not beyond the time in which its meters serve the
project, is shared by time where a week of it at least is of the period.  No plant uses the same on
each day, so that it is asked only where its share is more than half as much again as what counts.
A rule of tonne's own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ingest.model import HOUR_US, INTERVAL_US
from mrv.accounting.device_period import Monitored
from mrv.accounting.invoiced_time import TOLERANCE, documents
from mrv.accounting.period_result import INVOICE, CrossCheck
from mrv.quantity_text import amount_text
from mrv.registry.project import Besides, Project
from mrv.rounding import exact_sum
from mrv.texts import Text, text

RULE = "EVD-05"
# of the share by time of an invoice that reaches beyond the period
_BY_TIME = Fraction(1, 3)
_LEAST_SHARED_US = 7 * 24 * HOUR_US

# device, role, first interval of its service
_Key = tuple[str, str, int]
_Span = tuple[int, int]


class MoreUsed(NamedTuple):
    """What invoices say beyond meters: by device, role and first interval, and the texts of it."""

    by_meter: dict[_Key, tuple[tuple[int, int, Fraction], ...]]
    texts: tuple[Text, ...]


class _Bill(NamedTuple):
    """
    An invoice of the project's side, as far as it is of the period. [us UTC, base units]

    `alike` is the share by which it may say more, `by_time` whether it is shared by time, and
    `more` whether it says more than its meters.
    """

    name: str
    span: _Span
    says: Fraction
    alike: Fraction
    by_time: bool
    more: bool


@dataclass(slots=True)
class _Meter:
    """A meter that is compared with invoices, what they add to it, and which time they are of."""

    one: Monitored
    added: list[tuple[int, int, Fraction]] = field(default_factory=list)
    billed: list[_Span] = field(default_factory=list)
    reported: Fraction = Fraction(0)

    def service(self, span: _Span) -> _Span:
        """Return the part of a span in which the meter serves; empty where the ends cross."""
        begin = self.one.service.first * INTERVAL_US
        end = begin + self.one.service.intervals * INTERVAL_US
        return max(begin, span[0]), min(end, span[1])

    def metered(self, span: _Span) -> int:
        """Return what was metered in a span. [base units]"""
        series = self.one.series
        if series is None:
            return 0
        first = self.one.service.first
        begin, end = (max(0, us // INTERVAL_US - first) for us in span)
        return exact_sum(series[begin:end].astype(np.int64)) if begin < end else 0

    def counts(self, span: _Span) -> Fraction:
        """Return what counts of a span: metered, for what was lost, charged by other rules."""
        more = Fraction(0)
        for part in self.one.parts:
            more += sum(
                (within((c.start_us, c.end_us, -c.quantity), span) for c in part.cuts),
                start=Fraction(0),
            )
        return more + self.metered(span) + sum((within(a, span) for a in self.added), Fraction(0))

    def add(self, span: _Span, quantity: Fraction) -> None:
        """Count so much more in a span."""
        begin, end = self.service(span)
        if quantity > 0 and begin < end:
            self.added.append((begin, end, quantity))


def more_used(
    monitored: Sequence[Monitored],
    besides: Besides,
    checks: Sequence[CrossCheck],
    project: Project,
    period_us: _Span,
) -> MoreUsed | None:
    """
    Return what invoices show of a project's use beyond its meters; None where none does.

    Parameters
    ----------
    monitored : sequence of Monitored
        As it counts.
    checks : sequence of CrossCheck
        Of the period.
    period_us : (int, int)
        Half-open. [us UTC]
    """
    meters = {meter_key(m): _Meter(m) for m in monitored if m.needs.side == "project"}
    found = list(_bills(monitored, besides, checks, project, period_us))
    # the largest first: a small one within it is met by it
    found.sort(key=lambda one: (-one[0].says, one[0].span, one[0].name))
    left = _net(found, meters)
    texts = list[Text]()
    for bill, keys in found:
        of = [meters[key] for key in keys]
        counted = sum((m.counts(bill.span) for m in of), start=Fraction(0))
        more = bill.says - counted
        counting = more if bill.by_time else min(more, left[keys])
        if more <= bill.alike * bill.says or counting <= 0:
            continue
        if not bill.by_time:
            left[keys] -= counting
        _count(bill, of, counting)
        texts.append(_said(bill, of, counted, counting))
    if not texts:
        return None
    for key, one in meters.items():
        if one.billed:
            _without_invoice(one, _covered(key, one, besides, checks))
    return MoreUsed({key: tuple(m.added) for key, m in meters.items() if m.added}, tuple(texts))


def applied(
    monitored: Sequence[Monitored],
    besides: Besides,
    checks: Sequence[CrossCheck],
    project: Project,
    period_us: _Span,
) -> dict[str, list[_Span]]:
    """Return by device the time of invoices that say more, so that they count. [us UTC]"""
    found = defaultdict[str, list[_Span]](list)
    for bill, keys in _bills(monitored, besides, checks, project, period_us):
        for device, *_ in keys if bill.more and not bill.by_time else ():
            found[device].append(bill.span)
    return dict(found)


def _net(
    found: Sequence[tuple[_Bill, tuple[_Key, ...]]], meters: Mapping[_Key, _Meter]
) -> dict[tuple[_Key, ...], Fraction]:
    """
    Return what all invoices of the same meters say beyond these. [base units]

    A bill that was estimated too high is followed by one that is as much too low.
    """
    more = [
        (bill.says - sum(meters[key].counts(bill.span) for key in keys), bill, keys)
        for bill, keys in found
        if not bill.by_time
    ]
    total = defaultdict[tuple[_Key, ...], Fraction](Fraction)
    taken = defaultdict[tuple[_Key, ...], list[_Span]](list)
    for beyond, bill, keys in sorted(more, key=lambda one: (-one[0], one[1].span, one[1].name)):
        if not any(_meets(bill.span, other) for other in taken[keys]):
            taken[keys].append(bill.span)
            total[keys] += beyond
    return total


def _count(bill: _Bill, of: Sequence[_Meter], more: Fraction) -> None:
    """Count so much more by the meters of an invoice, by what each metered."""
    metered = [Fraction(m.metered(bill.span)) for m in of]
    lengths = [Fraction(max(0, end - begin)) for begin, end in (m.service(bill.span) for m in of)]
    weights = metered if any(metered) else lengths
    for m, weight in zip(of, weights, strict=True):
        if not any(_meets(bill.span, other) for other in m.billed):
            m.reported += m.counts(bill.span)
        m.billed.append(bill.span)
        m.add(bill.span, more * weight / sum(weights))


def meter_key(one: Monitored) -> _Key:
    """Return device, role and first interval of a service."""
    return one.device.id, one.bound.role, one.service.first


def _bills(
    monitored: Sequence[Monitored],
    besides: Besides,
    checks: Sequence[CrossCheck],
    project: Project,
    period_us: _Span,
) -> Iterator[tuple[_Bill, tuple[_Key, ...]]]:
    """Invoices of meters of the project's side alone that may be evidence, with these meters."""
    counting = documents(besides)
    for check in checks:
        if check.kind != INVOICE or check.against not in counting or not int(check.theirs):
            continue
        of = [m for m in monitored
              if m.device.id in check.devices and m.needs.quantity == check.quantity]  # fmt: skip
        if {m.device.id for m in of} != {*check.devices} or any(
            m.needs.side != "project" for m in of
        ):
            continue
        whole = check.from_us, check.to_us
        begin, end = max(whole[0], period_us[0]), min(whole[1], period_us[1])
        if check.holds is not None:
            alike = min(Fraction(check.tolerance_percent) / 100, TOLERANCE)
        elif (
            (begin, end) != whole
            and end - begin >= _LEAST_SHARED_US
            and all(_serves(m, whole, project) for m in of)
        ):
            alike = _BY_TIME
        else:
            continue
        says = Fraction(int(check.theirs) * (end - begin), whole[1] - whole[0])
        served = [m for m in of if m.service.intervals]
        if served:
            more = int(check.theirs) > int(check.ours)
            bill = _Bill(check.against, (begin, end), says, alike, check.holds is None, more)
            yield bill, tuple(meter_key(m) for m in served)


def _serves(one: Monitored, span: _Span, project: Project) -> bool:
    """Whether a meter serves the project all of a time, also outside of the period."""
    begin = max(project.from_us, one.bound.from_us, one.device.installed_us)
    ends = (project.to_us, one.bound.to_us, one.device.removed_us)
    return begin <= span[0] and all(end is None or span[1] <= end for end in ends)


def _meets(span: _Span, other: _Span) -> bool:
    return max(span[0], other[0]) < min(span[1], other[1])


def within(charge: tuple[int, int, Fraction], span: _Span) -> Fraction:
    """Return the part of a charge that is of a span, by time."""
    begin, end, quantity = charge
    shared = min(end, span[1]) - max(begin, span[0])
    return quantity * Fraction(shared, end - begin) if shared > 0 else Fraction(0)


def _covered(key: _Key, one: _Meter, besides: Besides, checks: Sequence[CrossCheck]) -> list[_Span]:
    """Time of a meter of which there is an invoice that can be compared."""
    counting = documents(besides)
    others = (
        (c.from_us, c.to_us)
        for c in checks
        if c.kind == INVOICE and c.against in counting and c.holds is not None
        and key[0] in c.devices and c.quantity == one.one.needs.quantity
    )  # fmt: skip
    return [*one.billed, *others]


def _without_invoice(one: _Meter, covered: Sequence[_Span]) -> None:
    """Count time without an invoice in the same proportion, up to the mean of the invoices."""
    billed = [*_joined(one.service(span) for span in one.billed)]
    length = sum(end - begin for begin, end in billed)
    says = one.reported + sum((quantity for *_, quantity in one.added), start=Fraction(0))
    edges = one.service((0, 1 << 62))
    taken = [*_joined(one.service(span) for span in covered)]
    points = [edges[0], *(us for span in taken for us in span), edges[1]]
    bare = [(begin, end) for begin, end in list(pairwise(points))[::2] if begin < end]
    if not bare or not length:
        return
    metered = sum(one.metered(span) for span in bare)
    mean = says * Fraction(sum(end - begin for begin, end in bare), length)
    most = min(mean, metered * says / one.reported) if one.reported else mean
    more = most - sum((one.counts(span) for span in bare), start=Fraction(0))
    if more <= 0:
        return
    weights = [Fraction(one.metered(span)) if metered else Fraction(span[1] - span[0])
               for span in bare]  # fmt: skip
    for span, weight in zip(bare, weights, strict=True):
        one.add(span, more * weight / sum(weights))


def _joined(spans: Iterator[_Span]) -> Iterator[_Span]:
    """Join spans that touch or overlap; in order."""
    reached: _Span | None = None
    for begin, end in sorted(s for s in spans if s[0] < s[1]):
        if reached is not None and begin <= reached[1]:
            reached = reached[0], max(reached[1], end)
            continue
        if reached is not None:
            yield reached
        reached = begin, end
    if reached is not None:
        yield reached


def _said(bill: _Bill, of: Sequence[_Meter], counted: Fraction, more: Fraction) -> Text:
    unit = of[0].one.needs.unit
    meters = tuple(dict.fromkeys(f"{m.one.device.id} ({m.one.bound.role})" for m in of))
    return text(
        "EVD-05.share_more" if bill.by_time else "EVD-05.invoice_more",
        invoice=bill.name,
        meters=meters,
        says=amount_text(bill.says, unit),
        counted=amount_text(counted, unit),
        more=amount_text(more, unit),
    )
