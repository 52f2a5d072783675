"""
Of which time of a meter invoices are evidence.

An invoice counts that names its file, was written after its time had ended, may differ by 5 % at
most and agrees with the meter.  Invoices that cover 95 % of a meter's time corroborate it.
Suppliers bill from mid-month to mid-month, and periods begin and end with a month: such ends
without an invoice are not asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from fractions import Fraction

from ingest.model import HOUR_US, INTERVAL_US
from mrv.accounting.device_period import Monitored
from mrv.accounting.period_result import INVOICE, METER, CrossCheck
from mrv.calendar import local_date
from mrv.quantity_text import plain_text
from mrv.registry.project import Besides, Doubt, Invoice
from mrv.texts import Text, text

# that an invoice may differ by, and that it may leave out: from more on it is material
TOLERANCE = Fraction(5, 100)
COVERED = 1 - TOLERANCE
# of a meter's time, where the rest is before its first invoice or after its last
COVERED_AT_LEAST = Fraction(9, 10)
# an end without an invoice: 31 local days, of which one may have 25 hours
_LONGEST_END_US = (31 * 24 + 1) * HOUR_US
# invoices that a finding names of a meter
_NAMED = 3
# why an invoice is no evidence, by the registry
_DOUBTS: Mapping[Doubt, Text] = {
    "operator": text("invoice.operator"),
    "one_file": text("invoice.one_file"),
    "other_issuer": text("invoice.other_issuer"),
}
# part of an invoice's time that a meter knows at least
_KNOWN = Fraction(1, 2)

_Span = tuple[int, int]
Spans = Sequence[_Span]


def invoiced(one: Monitored, besides: Besides, checks: Sequence[CrossCheck]) -> bool:
    """
    Whether invoices with their files show a device's quantity over nearly all its time.

    Time for which another invoice says something else is not shown.  Time before the first
    invoice, or after the last, is not asked for where it is shorter than that invoice and 31 days
    long at most, as long as nine tenths of all time are shown.
    """
    begin, end = time_of(one)
    whole, shown = end - begin, shown_us(one, besides, checks)
    asked = COVERED * (whole - _ends(one, besides, checks))
    return shown >= max(asked, COVERED_AT_LEAST * whole)


def uncovered_share(one: Monitored) -> Fraction:
    """Return the share of a meter's time in service without a valid certificate of that meter."""
    first, last = one.service.first, one.service.first + one.service.intervals
    spans = ((max(first, span.first), min(last, span.last)) for span in one.uncovered)
    bare = sum(max(0, end - begin) for begin, end in spans)
    return Fraction(bare, last - first) if last > first else Fraction(1)


def evidenced(one: Monitored, besides: Besides, checks: Sequence[CrossCheck]) -> bool:
    """
    Whether a quantity has the grade of evidence that a programme asks for by default.

    A third party's invoices (B), or a meter under valid calibration over nearly all its time (C)
    that no invoice or check meter contradicts, and that did not stand still.
    """
    if invoiced(one, besides, checks):
        return True
    moved = any(part.metered for part in one.parts)
    return moved and uncovered_share(one) <= TOLERANCE and not contradicted(one, checks)


def contradicted(one: Monitored, checks: Sequence[CrossCheck]) -> bool:
    """Whether an invoice or a check meter states another quantity than a meter reports."""
    return any(_refuting(one, checks)) or any(
        check.kind == METER
        and check.holds is False
        and one.device.id in check.devices
        and check.quantity == one.needs.quantity
        for check in checks
    )


def time_of(one: Monitored) -> _Span:
    """Return a device's time in service, half-open. [us UTC]"""
    begin = one.service.first * INTERVAL_US
    return begin, begin + one.service.intervals * INTERVAL_US


def shown_us(one: Monitored, besides: Besides, checks: Sequence[CrossCheck]) -> int:
    """Return how much of a device's time invoices show. [us]"""
    begin, end = time_of(one)
    refuted = _spans(_refuting(one, checks))
    holds = _spans(holding(one, besides, checks))
    return _length([*holds, *refuted], begin, end) - _length(refuted, begin, end)


def _spans(checks: Iterator[CrossCheck]) -> list[_Span]:
    return [(c.from_us, c.to_us) for c in checks]


def _length(spans: Sequence[_Span], begin: int, end: int) -> int:
    """Time that spans cover together. [us]"""
    covered, reached = 0, begin
    for first, last in sorted(spans):
        covered += max(0, min(last, end) - max(first, reached))
        reached = max(reached, last)
    return covered


def _ends(one: Monitored, besides: Besides, checks: Sequence[CrossCheck]) -> int:
    """Time before the first invoice and after the last of which no invoice is asked for. [us]"""
    begin, end = time_of(one)
    refuted = _spans(_refuting(one, checks))
    holds = _spans(holding(one, besides, checks))
    if not holds:
        return 0
    first = min(a for a, _ in (*holds, *refuted))
    last = max(b for _, b in (*holds, *refuted))
    # an invoice that says something else is one as well
    beside_first = max((b - a for a, b in holds if a == first), default=0)
    beside_last = max((b - a for a, b in holds if b == last), default=0)
    return sum(
        gap
        for gap, beside in ((first - begin, beside_first), (end - last, beside_last))
        if 0 < gap < beside and gap <= _LONGEST_END_US
    )


def _refuting(one: Monitored, checks: Sequence[CrossCheck]) -> Iterator[CrossCheck]:
    """Comparisons of a device with invoices that do not hold."""
    for check in checks:
        if (
            check.kind == INVOICE
            and one.device.id in check.devices
            and check.quantity == one.needs.quantity
            and check.holds is False
            and not _agrees(check)
        ):
            yield check


def covered(one: Monitored, besides: Besides, checks: Sequence[CrossCheck], applied: Spans) -> bool:
    """
    Whether invoices corroborate a meter of the project's side, or are applied to it.

    Where a supplier's invoice says more than the meter, that use counts (`invoiced_use`): nothing
    is left to ask for in its time.

    Parameters
    ----------
    applied : sequence of (int, int)
        Time of the meter's invoices that say more. [us UTC]
    """
    begin, end = time_of(one)
    spans = [*applied, *_spans(holding(one, besides, checks))]
    return _length(spans, begin, end) >= COVERED * (end - begin)


def holding(one: Monitored, besides: Besides, checks: Sequence[CrossCheck]) -> Iterator[CrossCheck]:
    """Comparisons of a device with invoices that count as evidence."""
    counting = documents(besides)
    for check in checks:
        if (
            check.kind == INVOICE
            and check.against in counting
            and one.device.id in check.devices
            and check.quantity == one.needs.quantity
            and Fraction(check.tolerance_percent) <= TOLERANCE * 100
            and _agrees(check)
        ):
            yield check


def documents(besides: Besides) -> set[str]:
    """Return the names of the invoices that may be evidence, whatever they say."""
    return {name_of(i) for i in besides.invoices if i.sha256 and not i.doubt and not too_early(i)}


def name_of(one: Invoice) -> str:
    """Return an invoice's name, as comparisons have it."""
    return f"{one.id}: {one.issuer}, {one.number}"


def too_early(one: Invoice) -> bool:
    """Whether an invoice was written more than a day before its time ended: it was not metered."""
    return one.issued < local_date(one.to_us - 1, "UTC") - timedelta(days=1)


def _agrees(check: CrossCheck) -> bool:
    """
    Whether an invoice says what the known time of its meters does.

    Where more is lost than it may leave out, the rest is taken for the whole, and may be lower by
    as much more, as what was lost may have been higher.
    """
    known = Fraction(check.coverage)
    if known >= COVERED:
        return bool(check.holds)
    if check.holds is None or known < _KNOWN:
        return False
    ours, theirs = int(check.ours) / known, int(check.theirs)
    return (known - TOLERANCE) * theirs <= ours <= (1 + TOLERANCE) * theirs


def unshown(
    meters: Iterable[Monitored], besides: Besides, checks: Sequence[CrossCheck]
) -> Iterator[Text]:
    """Name each meter once, with the reason why invoices of it do not corroborate it."""
    for one in {m.device.id: m for m in meters}.values():
        why = tuple(_why(one, besides, checks))[:_NAMED]
        if why:
            yield text("invoice.not_enough", device=one.device.id, why=why)
        else:
            yield text("invoice.none", device=one.device.id)


def _why(one: Monitored, besides: Besides, checks: Sequence[CrossCheck]) -> Iterator[Text]:
    name, no_evidence = one.device.id, _no_evidence(besides)
    begin, end = time_of(one)
    share = Fraction(shown_us(one, besides, checks), max(1, end - begin))
    if share:
        yield text("invoice.covers", percent=percent(share))
    for check in checks:
        if check.kind != INVOICE or name not in check.devices:
            continue
        against = check.against
        if check.holds is None:
            yield text("invoice.incomparable", invoice=against, why=check.detail)
        elif not check.holds and check.difference_percent is None:
            yield text("invoice.zero", invoice=against)
        elif not check.holds:
            yield differing(check)
        elif against in no_evidence:
            yield text("invoice.no_evidence", invoice=against, why=no_evidence[against])


def differing(check: CrossCheck) -> Text:
    """Say by how much an invoice differs from its meters."""
    off = plain_text(Fraction(check.difference_percent or 0), 4)
    return text("invoice.differs", invoice=check.against, percent=off)


def _no_evidence(besides: Besides) -> dict[str, Text]:
    """Say why invoices are no evidence, whatever they say."""
    found = dict[str, Text]()
    for one in besides.invoices:
        name = name_of(one)
        if Fraction(one.percent) > TOLERANCE * 100:
            found[name] = text("invoice.wide", percent=str(one.percent), most=percent(TOLERANCE))
        if too_early(one):
            found[name] = text("invoice.early", issued=str(one.issued))
        if not one.sha256:
            found[name] = text("invoice.no_file")
        if one.doubt is not None:
            found[name] = _DOUBTS[one.doubt]
    return found


def percent(share: Fraction) -> str:
    """Return a share in percent, with three digits at most."""
    return plain_text(share * 100, 1)
