"""
Rule EVD-05: invoices above the project side's meters.

It covers electricity of chargers, fans and lines, and fuel.  If a supplier's invoice with its
file states more than the counted quantity, beyond its tolerance (`tolerance_percent`, at most 5 %),
the whole difference is charged, less the differences of lower invoices of the same meters.  An
invoice of several meters is compared as a whole.  Time without an invoice is charged in the same
proportion, up to the mean of the invoices.  From an invoice that extends beyond the period, the
quantity metered outside the period is deducted.  If that quantity is unknown, the invoice is
divided by time, if at least a week is in the period, and used only if its share exceeds the counted
quantity by half.

In a gap of these meters at most the remainder of an invoice of its time is charged
(`invoiced_gaps`).  These are tonne's own rules.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from ingest.model import HOUR_US, INTERVAL_US
from mrv.accounting.coverage import joined, remaining
from mrv.accounting.cross_checks import ALIKE
from mrv.accounting.device_period import Charge, Cut, Kind, Monitored, within
from mrv.accounting.evidenced_time import TOLERANCE, Corroboration, Span, shows
from mrv.accounting.period_result import INVOICE
from mrv.registry.project import Project
from mrv.rounding import amount_text, plain_text
from mrv.rules.corrected_invoices import first_ones
from mrv.rules.effects import Floor, Judged, RuleReport
from mrv.rules.facts import Facts
from mrv.rules.metering import Metered
from mrv.texts import Text, lines, text

MORE = text("invoice.more")
# tolerance of an invoice that is divided by time, as it extends beyond the period
_BY_TIME = Fraction(1, 3)
_MIN_SHARED_US = 7 * 24 * HOUR_US

_Key = tuple[str, str, int]  # device, role, first interval in service


class _Bill(NamedTuple):
    """
    Invoice on the project side, limited to the period. [us UTC, base units]

    `room`: its tolerance.  `by_time`: whether it is divided by time.  `more`: whether it exceeds
    its meters.  `narrow`: whether its tolerance is at most `ALIKE`, and no other invoice offsets
    it.  `shows`: whether it corroborates the quantity of the period.  `keys`: its meters.
    """

    name: str
    span: Span
    invoiced: Fraction
    room: Fraction
    by_time: bool
    more: bool
    narrow: bool
    shows: bool
    keys: tuple[_Key, ...]


@dataclass(slots=True)
class _Meter:
    """Meter compared with invoices, additional charges, and the invoiced time."""

    view: Monitored
    added: list[Charge] = field(default_factory=list)
    billed: list[Span] = field(default_factory=list)
    reported: Fraction = Fraction(0)

    def service(self, span: Span) -> Span:
        """Return the part of a span in which the meter is installed; empty if end <= start."""
        begin, end = self.view.span_us
        return max(begin, span[0]), min(end, span[1])

    def counts(self, span: Span) -> Fraction:
        """Return a span's counted quantity: metered, gaps, and charges by rules. [base units]"""
        cuts = (cut for part in self.view.parts for cut in part.cuts)
        charged = [*self.added, *((c.start_us, c.end_us, -c.quantity) for c in cuts)]
        own = Fraction(self.view.quantity(span))
        return sum((_within(charge, span) for charge in charged), own)

    def add(self, span: Span, quantity: Fraction) -> None:
        """Add a charge to a span. [us UTC, base units]"""
        begin, end = self.service(span)
        if quantity > 0 and begin < end:
            self.added.append((begin, end, quantity))


def _weights(meters: Sequence[_Meter], spans: Sequence[Span]) -> list[Fraction]:
    """
    Return the share of each meter and span, by metered quantity; by time if nothing was
    metered.
    """
    both = list(zip(meters, spans, strict=True))
    result = [Fraction(meter.view.quantity(span)) for meter, span in both]
    if not any(result):
        served = (meter.service(span) for meter, span in both)
        result = [Fraction(max(0, end - begin)) for begin, end in served]
    return [weight / sum(result) for weight in result]


def invoiced_use(facts: Facts) -> Iterator[Judged]:
    """EVD-05: yield charges for consumption that suppliers' invoices state above the meters."""
    first = first_ones(facts.supporting)
    checks = [*facts.checks]
    if first:
        more = replace(facts.supporting, meters=(), invoices=first)
        checks += facts.compare(more, facts.price.pricing)
    with_first = replace(facts.supporting, invoices=(*facts.supporting.invoices, *first))
    evidence = Corroboration(with_first, checks)
    meters = {_key(m): _Meter(m) for m in facts.views if m.needs.side == "project"}
    texts = [*_counted(list(_bills(facts, evidence)), meters)]
    if not texts:
        return
    billed = [meter for meter in meters.values() if meter.billed]
    alike = [meter for meter in billed if _without_invoice(meter, evidence)]
    for i, metered in enumerate(facts.metered):
        of = meters.get(_key(metered.base))
        added = of.added if of is not None else []
        for j, (a, b) in enumerate(metered.edges if added else ()):
            begin, end = a * INTERVAL_US, b * INTERVAL_US
            inside = [
                (max(charge[0], begin), min(charge[1], end), _within(charge, (begin, end)))
                for charge in added
                if max(charge[0], begin) < min(charge[1], end)
            ]
            if inside:
                quantity = sum((q for *_, q in inside), start=Fraction(0))
                time = min(s for s, *_ in inside), max(e for _, e, _ in inside)
                yield Floor(i, j, quantity, MORE, time, invoiced=True, charges=(*inside,))
    takes = text("EVD-05.proportion" if alike else "EVD-05.takes")
    yield RuleReport(False, (*lines(texts), takes))


def _counted(bills: list[_Bill], meters: Mapping[_Key, _Meter]) -> Iterator[Text]:
    """Add charges for invoiced consumption above the meters; yield a text on each."""
    remaining = _net(bills, meters)
    # the largest first, as its charge includes that of a smaller invoice within its time
    for bill in sorted(bills, key=lambda bill: (-bill.invoiced, bill.span, bill.name)):
        of = [meters[key] for key in bill.keys]
        counted = sum((m.counts(bill.span) for m in of), start=Fraction(0))
        more = bill.invoiced - counted
        counting = more if bill.by_time else min(more, remaining[bill.keys])
        if more <= bill.room or counting <= 0:
            continue
        if not bill.by_time:
            remaining[bill.keys] -= counting
        shares = _weights(of, [bill.span] * len(of))
        for m, share in zip(of, shares, strict=True):
            if not any(_meets(bill.span, other) for other in m.billed):
                m.reported += m.counts(bill.span)
            m.billed.append(bill.span)
            m.add(bill.span, counting * share)
        unit = of[0].view.needs.unit
        yield text(
            "EVD-05.share_more" if bill.by_time else "EVD-05.invoice_more",
            invoice=bill.name,
            meters=tuple(dict.fromkeys(f"{device} ({role})" for device, role, _ in bill.keys)),
            says=amount_text(bill.invoiced, unit), counted=amount_text(counted, unit),
            more=amount_text(counting, unit),
            percent=plain_text((counted / bill.invoiced - 1) * 100, 2),
        )  # fmt: skip


def invoiced_gaps(facts: Facts) -> tuple[Metered, ...]:
    """
    Return the devices with each gap of the project side limited by invoices; empty without a limit.

    An invoice of all of a gap's time, or successive ones together, limit the gap to their excess
    over the meters, or to the meters' mean rate if there is no excess.  Of several invoices the
    largest remainder applies.
    """
    cuts = {
        (_key(meter.base), cut)
        for meter in facts.metered
        if not meter.baseline
        for part in meter.base.parts
        for cut in part.cuts
        if cut.kind is Kind.GAP
    }
    shares: dict[tuple[_Key, Cut], Fraction] = {}
    views = {_key(meter.base): meter.base for meter in facts.metered}
    for bill in _of_gaps(facts, cuts, views) if cuts else ():
        inside = [(key, cut) for key, cut in cuts if key in bill.keys and _covers(bill, cut)]
        metered = sum(views[key].quantity(bill.span) for key in bill.keys)
        charged = -sum((cut.quantity for _, cut in inside), start=Fraction(0))
        if not charged or metered > bill.invoiced + bill.room:
            continue
        mean = sum((_mean(views[key], bill.span, cut) for key, cut in inside), start=Fraction(0))
        leaves = max(bill.invoiced - metered, Fraction(0)) or mean
        share = min(Fraction(1), leaves / charged)
        shares |= {place: max(share, shares.get(place, share)) for place in inside}
    if not shares:
        return ()
    return tuple(
        replace(meter, base=replace(meter.base, parts=tuple(
            replace(part, cuts=tuple(
                replace(cut, quantity=cut.quantity * shares.get((_key(meter.base), cut), 1))
                for cut in part.cuts
            ))
            for part in meter.base.parts
        )))
        for meter in facts.metered
    )  # fmt: skip


def _of_gaps(
    facts: Facts, cuts: Collection[tuple[_Key, Cut]], views: Mapping[_Key, Monitored]
) -> dict[_Bill, None]:
    """
    Return the invoices that limit gaps: each that covers a gap; else successive ones as one.

    Successive invoices limit no gap of a meter that another invoice or check meter contradicts.
    """
    bills = [bill for bill in _bills(facts, facts.evidence) if bill.narrow and not bill.by_time]
    result = dict[_Bill, None]()
    for key, cut in sorted(cuts, key=lambda place: (place[0], _span(place[1]))):
        of = [bill for bill in bills if key in bill.keys and _meets(bill.span, _span(cut))]
        alone = [bill for bill in of if _covers(bill, cut)]
        if not (alone or any(facts.evidence.contradicted(views[k]) for b in of for k in b.keys)):
            joint = _joint(sorted(of, key=lambda bill: bill.span))
            alone = [joint] if joint is not None and _covers(joint, cut) else []
        result |= dict.fromkeys(alone)
    return result


def _joint(bills: Sequence[_Bill]) -> _Bill | None:
    """Return successive invoices of the same meters as one; None if they are no such."""
    if not bills or any(a.span[1] != b.span[0] or a.keys != b.keys for a, b in pairwise(bills)):
        return None
    return bills[0]._replace(
        span=(bills[0].span[0], bills[-1].span[1]),
        invoiced=sum((bill.invoiced for bill in bills), start=Fraction(0)),
        room=sum((bill.room for bill in bills), start=Fraction(0)),
    )


def _span(cut: Cut) -> Span:
    return cut.start_us, cut.end_us


def _covers(bill: _Bill, cut: Cut) -> bool:
    return bill.span[0] <= cut.start_us and cut.end_us <= bill.span[1]


def left_by_invoices(facts: Facts, meter: Monitored) -> Iterator[tuple[Text, Span, Fraction]]:
    """
    Yield each invoice of a single project-side meter: its text, its time, and its excess over the
    counted quantity, at least 0. [us UTC, base units]
    """
    for bill in _bills(facts, facts.evidence):
        if bill.keys == (_key(meter),) and bill.narrow and bill.shows and not bill.by_time:
            counted = meter.quantity(bill.span) - meter.taken(bill.span)
            if counted <= bill.invoiced + bill.room:
                kind = text("cross_check.invoice")
                witness = text("cross_check.witness", kind=kind, against=bill.name)
                yield witness, bill.span, max(bill.invoiced - counted, Fraction(0))


def _mean(meter: Monitored, span: Span, cut: Cut) -> Fraction:
    """Return a gap's quantity at a span's mean metered rate; else its charge. [base units]"""
    begin, end = (us // INTERVAL_US for us in span)
    part = meter.service.cut(begin, end)
    known_us = len(part) * INTERVAL_US - part.lost_us
    if cut.lost is None or not known_us:
        return -cut.quantity
    return Fraction(meter.quantity(span) * cut.lost.gap.time_us, known_us)


def applied(facts: Facts) -> dict[str, list[Span]]:
    """Return the time of invoices that exceed the meters and apply, by device. [us UTC]"""
    result = defaultdict[str, list[Span]](list)
    for bill in _bills(facts, facts.evidence):
        for device, *_ in bill.keys if bill.more and not bill.by_time else ():
            result[device].append(bill.span)
    return dict(result)


def _net(bills: Iterable[_Bill], meters: Mapping[_Key, _Meter]) -> dict[tuple[_Key, ...], Fraction]:
    """
    Return invoiced less metered quantity by group of meters. [base units]

    So an invoice that was estimated too high is offset by the next one.
    """
    more = [
        (bill.invoiced - sum(meters[key].counts(bill.span) for key in bill.keys), bill)
        for bill in bills
        if not bill.by_time
    ]
    total = defaultdict[tuple[_Key, ...], Fraction](Fraction)
    taken = defaultdict[tuple[_Key, ...], list[Span]](list)
    for beyond, bill in sorted(more, key=lambda pair: (-pair[0], pair[1].span, pair[1].name)):
        if not any(_meets(bill.span, other) for other in taken[bill.keys]):
            taken[bill.keys].append(bill.span)
            total[bill.keys] += beyond
    return total


def _key(monitored: Monitored) -> _Key:
    return monitored.device.id, monitored.bound.role, monitored.service.first


def _bills(facts: Facts, evidence: Corroboration) -> Iterator[_Bill]:
    """Yield invoices of project-side meters that may be evidence."""
    for check in evidence.checks:
        counts = check.kind == INVOICE and check.against in evidence.documents
        if not counts or not int(check.theirs):
            continue
        of = [m for m in facts.views
              if m.device.id in check.devices and m.needs.quantity == check.quantity]  # fmt: skip
        other = any(m.needs.side != "project" for m in of)
        # the consumption of other projects' meters is known if the invoice was compared
        if other or (check.holds is None and {m.device.id for m in of} != {*check.devices}):
            continue
        whole = check.from_us, check.to_us
        begin, end = max(whole[0], facts.period_us[0]), min(whole[1], facts.period_us[1])
        if check.holds is not None:
            invoiced = Fraction(check.theirs_within)
            share = min(Fraction(check.tolerance_percent) / 100, TOLERANCE)
            room = (Fraction(1) if check.is_offset else share) * int(check.theirs)
        elif (
            (begin, end) != whole
            and end - begin >= _MIN_SHARED_US
            and all(_serves(m, whole, facts.project) for m in of)
        ):
            invoiced = Fraction(int(check.theirs) * (end - begin), whole[1] - whole[0])
            room = _BY_TIME * invoiced
        else:
            continue
        keys = tuple(_key(m) for m in of if len(m.service))
        if keys:
            more = int(check.theirs) - int(check.ours) > room
            narrow = not check.is_offset and Fraction(check.tolerance_percent) <= ALIKE
            yield _Bill(
                check.against, (begin, end), invoiced, room, check.holds is None, more, narrow,
                shows(check, end - begin, "project"), keys,
            )  # fmt: skip


def _serves(monitored: Monitored, span: Span, project: Project) -> bool:
    """Return whether a meter serves the project during all of a span, also outside the period."""
    begin = max(project.from_us, monitored.bound.from_us, monitored.device.installed_us)
    ends = (project.to_us, monitored.bound.to_us, monitored.device.removed_us)
    return begin <= span[0] and all(end is None or span[1] <= end for end in ends)


def _meets(span: Span, other: Span) -> bool:
    return max(span[0], other[0]) < min(span[1], other[1])


def _within(charge: Charge, span: Span) -> Fraction:
    begin, end, quantity = charge
    return within(quantity, (begin, end), span)


def _without_invoice(meter: _Meter, evidence: Corroboration) -> bool:
    """Charge time without invoice in proportion, up to the mean; return whether charged."""
    others = [
        (c.from_us, c.to_us)
        for c in evidence.of(meter.view)
        if c.against in evidence.documents and c.holds is not None
    ]
    billed = joined(meter.service(span) for span in meter.billed)
    length = sum(end - begin for begin, end in billed)
    invoiced = meter.reported + sum((quantity for *_, quantity in meter.added), start=Fraction(0))
    bare = remaining((*meter.billed, *others), *meter.view.span_us)
    if not bare or not length:
        return False
    metered = sum(meter.view.quantity(span) for span in bare)
    mean = invoiced * Fraction(sum(end - begin for begin, end in bare), length)
    maximum = min(mean, metered * invoiced / meter.reported) if meter.reported else mean
    more = maximum - sum((meter.counts(span) for span in bare), start=Fraction(0))
    for span, share in zip(bare, _weights([meter] * len(bare), bare), strict=True):
        meter.add(span, more * share)
    return more > 0
