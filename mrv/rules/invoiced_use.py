"""
Rules EVD-05 and EVD-06: invoices above the project side's meters, and corrected invoices.

EVD-05 covers electricity of chargers, fans and lines, and fuel.  If a supplier's invoice with its
file states more than the counted quantity, beyond its tolerance (`tolerance_percent`, at most 5 %),
the whole difference is charged, less the differences of lower invoices of the same meters.  An
invoice of several meters is compared as a whole.  Time without an invoice is charged in the same
proportion, up to the mean of the invoices.  From an invoice that extends beyond the period, the
quantity metered outside the period is deducted.  If that quantity is unknown, the invoice is
divided by time, if at least a week is in the period, and used only if its share exceeds the counted
quantity by half.

In a gap of these meters at most the remainder of an invoice of its time is charged
(`invoiced_gaps`).

EVD-06: since an owner may have an invoice corrected, the period is also evaluated with the first
invoice.  For the project's own consumption the more conservative one applies, for deliveries the
correction. The correction also applies if it mends a typing error, which the file proves: an amount
with the same file, or a start or end by up to a day.  A correction of number, issuer or file, or
within the tolerance, has no effect.  These are tonne's own rules.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import NamedTuple

from ingest.classes import QUANTITIES, QUANTITY_INDEX
from ingest.model import HOUR_US, INTERVAL_US
from mrv.accounting.coverage import joined, remaining
from mrv.accounting.cross_checks import ALIKE
from mrv.accounting.device_period import Cut, Kind, Monitored, within
from mrv.accounting.evidenced_time import TOLERANCE, Corroboration, Span, shows
from mrv.accounting.period_result import INVOICE, Finding
from mrv.calendar import local_date
from mrv.methodologies import find
from mrv.registry.project import Invoice, Project, SupportingData
from mrv.rounding import amount_text, plain_text, tonnes_text
from mrv.rules.effects import Floor, Judged, RuleReport
from mrv.rules.facts import Facts
from mrv.rules.metering import Metered
from mrv.texts import Text, Value, lines, text

MORE = text("invoice.more")
# tolerance of an invoice that is divided by time, as it extends beyond the period
_BY_TIME = Fraction(1, 3)
_MIN_SHARED_US = 7 * 24 * HOUR_US
# typing error of up to a day, such as the last day entered as `to`; some days have 25 hours
_A_DAY_US = 25 * HOUR_US

CORRECTED = "EVD-06"

# the first invoice, its correction, and the reason entered
_Corrected = tuple[Invoice, Invoice, str]
_Key = tuple[str, str, int]  # device, role, first interval in service
_Charge = tuple[int, int, Fraction]  # begin and end [us UTC], quantity [base units]


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
    added: list[_Charge] = field(default_factory=list)
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
                yield Floor(i, j, quantity, MORE, time, invoiced=True)
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

    An invoice of all of a gap's time limits the gap to the invoice's excess over its meters, or to
    the meters' mean rate if there is no excess.  Of several invoices the largest remainder applies.
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
    for bill in _bills(facts, facts.evidence) if cuts else ():
        inside = [
            (key, cut) for key, cut in cuts
            if key in bill.keys and bill.span[0] <= cut.start_us and cut.end_us <= bill.span[1]
        ]  # fmt: skip
        metered = sum(views[key].quantity(bill.span) for key in bill.keys)
        charged = -sum((cut.quantity for _, cut in inside), start=Fraction(0))
        if bill.by_time or not (bill.narrow and charged and metered <= bill.invoiced + bill.room):
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


def _within(charge: _Charge, span: Span) -> Fraction:
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


# --- EVD-06: corrected invoices -----------------------------------------------------------


def keep_first(
    project: Project, supporting: SupportingData, reduction_by: Callable[[SupportingData], int]
) -> tuple[SupportingData, list[Finding]]:
    """
    Return the supporting data with each first invoice that is more conservative than its
    correction, and the findings.

    `reduction_by`: returns the reduction of the period with given invoices. [ug CO2e]
    """
    changed = [pair for pair in supporting.replaced if _changed(*pair[:2])]
    now = replace(supporting, replaced=())
    if not changed:
        return now, []
    ours, texts, rest = reduction_by(now), list[Text](), list[_Corrected]()
    for item in changed:
        more = replace(now, replaced=(*now.replaced, item))
        of_use = _of_use(project, *item[:2]) and not _exchanged(project, item, changed)
        if of_use and (theirs := reduction_by(more)) < ours:
            texts.append(text("EVD-06.first_counts", **_corrected(item, project, ours - theirs)))
            now, ours = more, theirs
        elif (theirs := reduction_by(_instead(now, [item], supporting))) < ours:
            code = "EVD-06.same_file" if _retyped(*item[:2]) else "EVD-06.correction_counts"
            texts.append(text(code, **_corrected(item, project, ours - theirs)))
        else:
            rest.append(item)
    if len(rest) > 1 and (theirs := reduction_by(_instead(now, rest, supporting))) < ours:
        names = tuple(new.id for _, new, _ in rest)
        texts.append(text("EVD-06.together", invoices=names, less=tonnes_text(ours - theirs)))
    return now, [Finding(CORRECTED, False, lines(texts))] if texts else []


def added_lines(
    project: Project, before: Sequence[Invoice], after: Sequence[Invoice]
) -> list[Finding]:
    """Return the report on documents whose registry rows were added up (`with_lines_added`)."""
    named = tuple(_invoice(each, project.timezone) for each in after if each not in before)
    return [Finding(CORRECTED, True, (text("EVD-06.lines", invoices=named),))] if named else []


def first_ones(supporting: SupportingData) -> tuple[Invoice, ...]:
    """
    Return the first versions of corrected invoices, with the file and the smaller tolerance of
    either.
    """
    return tuple(
        replace(
            old,
            percent=min(old.percent, new.percent, key=Fraction),
            issued=max(old.issued, new.issued),
            sha256=old.sha256 or new.sha256,
        )
        for old, new, _ in supporting.replaced
    )


def _scope(invoice: Invoice) -> tuple[frozenset[str], str, int, int]:
    return frozenset(invoice.devices), invoice.quantity, invoice.from_us, invoice.to_us


def _changed(old: Invoice, new: Invoice) -> bool:
    """Return whether a correction differs from an invoice by more than the tolerance of both."""
    percent = min(Fraction(old.percent), Fraction(new.percent))
    room = min(percent / 100, TOLERANCE) * old.value
    return _scope(old) != _scope(new) or abs(old.value - new.value) > room


def _retyped(old: Invoice, new: Invoice) -> bool:
    """
    Return whether a correction of the same file and meters may correct a typing error.

    It differs in the amount, or in a start or end by up to a day.
    """
    same = old.sha256 is not None and old.sha256 == new.sha256
    moved_us = max(abs(old.from_us - new.from_us), abs(old.to_us - new.to_us))
    return same and _scope(old)[:2] == _scope(new)[:2] and moved_us <= _A_DAY_US


def _of_use(project: Project, old: Invoice, new: Invoice) -> bool:
    """
    Return whether a corrected invoice covered consumption of the project that the correction omits.

    A typing error is not included.  Quantities that are only invoiced (`Methodology.billed`) are
    not included either, as a typing error would charge the whole period.
    """
    if _retyped(old, new):
        return False
    methodology = find(project.methodology, project.version)
    of = {
        bound.role
        for bound in project.devices
        if bound.device in old.devices
        and methodology.roles[bound.role].quantity == old.quantity
        and methodology.roles[bound.role].side == "project"
    }
    more = _scope(old) != _scope(new) or old.value > new.value
    return more and bool(of.difference(methodology.billed))


def _exchanged(project: Project, item: _Corrected, every: Sequence[_Corrected]) -> bool:
    """Return whether a correction interchanges the invoices of two meters of the same kind."""
    old, new, _ = item
    both = {*old.devices, *new.devices}
    like = {(b.role, *sorted(b.params.items())) for b in project.devices if b.device in both}
    return len(old.devices) == len(new.devices) == len(like) == 1 and any(
        (_scope(old), old.value) == (_scope(replace(new, devices=old.devices)), new.value)
        and (_scope(other), _scope(theirs)) == (_scope(new), _scope(old))
        for other, theirs, _ in every
    )


def _instead(
    supporting: SupportingData, corrected: Sequence[_Corrected], known: SupportingData
) -> SupportingData:
    """Return the supporting data with first invoices in place of their corrections."""
    by = {new.id for _, new, _ in corrected}
    away = by | {old.id for old, new, _ in known.replaced if new.id in by}
    kept = [invoice for invoice in supporting.invoices if invoice.id not in away]
    first = first_ones(replace(supporting, replaced=tuple(corrected)))
    return replace(supporting, invoices=(*kept, *first))


def _corrected(corrected: _Corrected, project: Project, less_ug: int) -> dict[str, Value]:
    old, new, reason = corrected
    first, correction = (_invoice(each, project.timezone) for each in (old, new))
    why = reason or text("EVD-06.no_reason")
    return {"first": first, "correction": correction, "reason": why, "less": tonnes_text(less_ug)}


def _invoice(invoice: Invoice, timezone: str) -> Text:
    unit = QUANTITIES[QUANTITY_INDEX[invoice.quantity]].unit
    begin, end = (str(local_date(us, timezone)) for us in (invoice.from_us, invoice.to_us))
    return text(
        "invoice.named", invoice=invoice.id, issuer=invoice.issuer, number=invoice.number,
        quantity=invoice.quantity, devices=invoice.devices, begin=begin, end=end,
        amount=amount_text(invoice.value, unit),
    )  # fmt: skip
