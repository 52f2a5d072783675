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

In gaps of these meters at most the remainders of the invoices of their time are charged
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
from mrv.accounting.coverage import gaps, joined, remaining
from mrv.accounting.cross_checks import ALIKE
from mrv.accounting.device_period import Charge, Cut, Kind, Monitored, within
from mrv.accounting.evidenced_time import TOLERANCE, Corroboration, Span, apart, runs, shows
from mrv.accounting.period_result import INVOICE, CrossCheck
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

    `check`: its comparison with the meters.  `room`: its tolerance.  `keys`: its meters.
    """

    check: CrossCheck
    span: Span
    invoiced: Fraction
    room: Fraction
    keys: tuple[_Key, ...]

    @property
    def name(self) -> str:
        return self.check.against

    @property
    def percent(self) -> Fraction:
        """Return its tolerance. [%]"""
        return Fraction(self.check.tolerance_percent)

    @property
    def by_time(self) -> bool:
        """Return whether it is divided by time, as the quantity outside the period is unknown."""
        return self.check.holds is None

    @property
    def most(self) -> Fraction:
        """Return the highest quantity of the meters that it permits in the period. [base units]"""
        return Fraction(int(self.check.theirs)) if self.by_time else self.invoiced


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
    texts = [*_counted(list(_bills(facts, evidence, facts.views)), meters)]
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

    Gaps are divided at the edges of invoices.  Those in the time of an invoice are limited to its
    excess over the meters, so that at least the invoiced quantity is counted.  Of several invoices
    the largest remainder applies.  If another invoice or a check meter contradicts a meter, only an
    invoice of all of a gap's time limits it.
    """
    of = (m.base.own if m.baseline else m.base for m in facts.metered)
    views = {_key(view): view for view in of if view is not None}
    limits = [*_limits(facts, views)] if any(_gaps(view) for view in views.values()) else []
    edges = defaultdict[_Key, set[int]](set)
    for limit in limits:
        for key in limit.keys if limit.divides else ():
            edges[key] |= {*limit.span}
    divided = {key: _divided(view, edges[key]) for key, view in views.items()}
    places = [(key, cut) for key, view in divided.items() for cut in _gaps(view)]
    shares: dict[tuple[_Key, Cut], Fraction] = {}
    for limit in limits:
        inside = [(key, cut) for key, cut in places if key in limit.keys
                  and limit.span[0] <= cut.start_us and cut.end_us <= limit.span[1]]  # fmt: skip
        charged = -sum((cut.quantity for _, cut in inside), start=Fraction(0))
        if not charged or limit.excess < -limit.room:
            continue
        share = min(Fraction(1), max(limit.excess, Fraction(0)) / charged)
        shares |= {place: max(share, shares.get(place, share)) for place in inside}
    if not shares:
        return ()

    def limited(view: Monitored) -> Monitored:
        key = _key(view)
        parts = (
            replace(part, cuts=tuple(
                replace(cut, quantity=cut.quantity * shares.get((key, cut), 1)) for cut in part.cuts
            ))
            for part in divided[key].parts
        )  # fmt: skip
        return replace(view, parts=tuple(parts))

    def settled(base: Monitored) -> Monitored:
        own = base if base.needs.side == "project" else base.own
        if own is None:
            return base
        return limited(base) if own is base else base.less_own_use(limited(own))

    return tuple(replace(meter, base=settled(meter.base)) for meter in facts.metered)


class _Limit(NamedTuple):
    """
    Limit of gaps by one invoice, or by successive ones together. [us UTC, base units]

    `excess`: what the invoices permit above the metered quantity.  `room`: how far below it they
    may be.
    `divides`: whether gaps are divided at its edges.
    """

    span: Span
    keys: tuple[_Key, ...]
    divides: bool
    excess: Fraction
    room: Fraction


def _limits(facts: Facts, views: Mapping[_Key, Monitored]) -> Iterator[_Limit]:
    """
    Yield the limits of gaps: of each invoice; of successive ones together if one of them states
    nothing, or differs from its meters by more than gaps explain, as an estimate does, and nothing
    contradicts the meters.
    """

    def contradicted(run: Sequence[_Bill]) -> bool:
        return any(facts.evidence.contradicted(views[key]) for key in run[0].keys)

    def excess(bill: _Bill) -> Fraction:
        return bill.most - sum(views[key].quantity(bill.span) for key in bill.keys)

    def room(bill: _Bill) -> Fraction:
        return min(bill.percent, ALIKE) / 100 * int(bill.check.theirs)

    def corrected(bill: _Bill) -> bool:
        gaps = (cut for key in bill.keys for cut in _gaps(views[key]))
        gap = any(_meets(bill.span, _span(cut)) for cut in gaps)
        more = excess(bill)
        return (
            bill.check.is_offset
            or not bill.most
            or more < -room(bill)
            or (more > room(bill) and not gap)
        )

    every = _bills(facts, facts.evidence, views.values())
    bills = [bill for bill in every if bill.percent <= TOLERANCE * 100]
    known = [bill for bill in bills if not bill.by_time]
    together = [[bill] for bill in bills if bill.by_time]
    by_name = {bill.name: bill for bill in known}
    for run in ([by_name[c.against] for c in run] for run in runs(b.check for b in known)):
        if any(map(corrected, run)) and not contradicted(run):
            together.append(run)
        else:
            together += [[bill] for bill in run if not bill.check.is_offset]
    # an invoice of nothing, for which no other one vouches, limits nothing
    for run in (run for run in together if any(bill.most for bill in run)):
        span = run[0].span[0], run[-1].span[1]
        sums = (sum(map(of, run), start=Fraction(0)) for of in (excess, room))
        yield _Limit(span, run[0].keys, not contradicted(run), *sums)


def _gaps(view: Monitored) -> list[Cut]:
    return [cut for part in view.parts for cut in part.cuts if cut.kind is Kind.GAP]


def _divided(view: Monitored, edges: Collection[int]) -> Monitored:
    """Return a meter with its gaps divided at edges, in proportion to the lost time. [us UTC]"""

    def pieces(cut: Cut) -> Iterator[Cut]:
        at = sorted(us for us in edges if cut.start_us < us < cut.end_us)
        if cut.kind is not Kind.GAP or cut.lost is None or not at:
            yield cut
            return
        for begin, end in pairwise([cut.start_us, *at, cut.end_us]):
            part = view.service.cut(begin // INTERVAL_US, end // INTERVAL_US)
            for gap in gaps(part):
                if gap.kind == cut.lost.gap.kind:
                    quantity = cut.quantity * Fraction(gap.time_us, cut.lost.gap.time_us)
                    lost = replace(cut.lost, gap=gap)
                    yield replace(cut, quantity=quantity, start_us=gap.start_us,
                                  end_us=gap.end_us, lost=lost)  # fmt: skip

    return replace(view, parts=tuple(
        replace(part, cuts=tuple(piece for cut in part.cuts for piece in pieces(cut)))
        for part in view.parts
    ))  # fmt: skip


def _span(cut: Cut) -> Span:
    return cut.start_us, cut.end_us


def left_by_invoices(facts: Facts, meter: Monitored) -> Iterator[tuple[Text, Span, Fraction]]:
    """
    Yield each invoice of a single project-side meter: its text, its time, and its excess over the
    counted quantity, at least 0. [us UTC, base units]
    """
    for bill in _bills(facts, facts.evidence, facts.views):
        narrow = bill.percent <= ALIKE and not (bill.check.is_offset or bill.by_time)
        inside_us = bill.span[1] - bill.span[0]
        if bill.keys == (_key(meter),) and narrow and shows(bill.check, inside_us, "project"):
            counted = meter.quantity(bill.span) - meter.taken(bill.span)
            if counted <= bill.invoiced + bill.room:
                kind = text("cross_check.invoice")
                witness = text("cross_check.witness", kind=kind, against=bill.name)
                yield witness, bill.span, max(bill.invoiced - counted, Fraction(0))


def applied(facts: Facts) -> dict[str, list[Span]]:
    """Return the time of invoices that exceed the meters and apply, by device. [us UTC]"""
    result = defaultdict[str, list[Span]](list)
    for bill in _bills(facts, facts.evidence, facts.views):
        more = int(bill.check.theirs) - int(bill.check.ours) > bill.room
        for device, *_ in bill.keys if more and not bill.by_time else ():
            result[device].append(bill.span)
    return dict(result)


def _net(bills: Iterable[_Bill], meters: Mapping[_Key, _Meter]) -> dict[tuple[_Key, ...], Fraction]:
    """
    Return invoiced less metered quantity by group of meters. [base units]

    So an invoice that was estimated too high is offset by the next one.
    """
    more = defaultdict[tuple[_Key, ...], dict[_Bill, Fraction]](dict)
    for bill in bills:
        if not bill.by_time:
            counted = sum((meters[key].counts(bill.span) for key in bill.keys), Fraction(0))
            more[bill.keys][bill] = bill.invoiced - counted
    total = defaultdict[tuple[_Key, ...], Fraction](Fraction)
    for keys, of in more.items():
        beyond = {bill.name: value for bill, value in of.items()}
        largest = sorted(of, key=lambda bill: (-of[bill], bill.span, bill.name))
        total[keys] = sum((beyond[c.against] for c in apart(b.check for b in largest)), Fraction(0))
    return total


def _key(monitored: Monitored) -> _Key:
    return monitored.device.id, monitored.bound.role, monitored.service.first


def _bills(facts: Facts, evidence: Corroboration, views: Collection[Monitored]) -> Iterator[_Bill]:
    """Yield invoices of project-side meters, among those in `views`, that may be evidence."""
    for check in evidence.checks:
        if check.kind != INVOICE or check.against not in evidence.documents:
            continue
        of = [m for m in views
              if m.device.id in check.devices and m.needs.quantity == check.quantity]  # fmt: skip
        other = any(m.needs.side != "project" for m in of)
        # the consumption of other projects' meters is known if the invoice was compared
        if other or (check.holds is None and {m.device.id for m in of} != {*check.devices}):
            continue
        whole = check.from_us, check.to_us
        begin, end = max(whole[0], facts.period_us[0]), min(whole[1], facts.period_us[1])
        theirs = Fraction(int(check.theirs))
        if check.holds is not None:
            invoiced = Fraction(check.theirs_within)
            share = min(Fraction(check.tolerance_percent) / 100, TOLERANCE)
            room = theirs if check.is_offset else share * theirs
        elif begin < end and (begin, end) != whole:
            invoiced = theirs * Fraction(end - begin, whole[1] - whole[0])
            long = end - begin >= _MIN_SHARED_US
            served = long and all(_serves(m, whole, facts.project) for m in of)
            room = _BY_TIME * invoiced if served else theirs
        else:
            continue
        keys = tuple(_key(m) for m in of if len(m.service))
        if keys:
            yield _Bill(check, (begin, end), invoiced, room, keys)


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
