"""
Of which time of a meter invoices are evidence.

An invoice counts that names its file, was written after its time had ended, may differ by 5 % at
most and says what the meter says.  Invoices show a meter that cover 95 % of its time.  Suppliers
bill from mid-month to mid-month, and periods begin and end with a month: such ends
without an invoice are not asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from fractions import Fraction

from ingest.model import HOUR_US, INTERVAL_US
from mrv.accounting.device_period import Monitored
from mrv.accounting.period_result import INVOICE, CrossCheck
from mrv.calendar import local_date
from mrv.registry.project import Besides, Invoice

# that an invoice may differ by, and that it may leave out: from more on it is material
TOLERANCE = Fraction(5, 100)
COVERED = 1 - TOLERANCE
# of a meter's time, where the rest is before its first invoice or after its last
COVERED_AT_LEAST = Fraction(9, 10)
# an end without an invoice: 31 local days, of which one may have 25 hours
_LONGEST_END_US = (31 * 24 + 1) * HOUR_US
# part of an invoice's time that a meter knows at least
_KNOWN = Fraction(1, 2)

_Span = tuple[int, int]


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
    that no invoice contradicts.
    """
    if invoiced(one, besides, checks):
        return True
    return uncovered_share(one) <= TOLERANCE and not contradicted(one, checks)


def contradicted(one: Monitored, checks: Sequence[CrossCheck]) -> bool:
    """Whether an invoice states another quantity than a meter reports."""
    return any(_refuting(one, checks))


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
    """Time before the first invoice and after the last that nobody is asked to show. [us]"""
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


def holding(one: Monitored, besides: Besides, checks: Sequence[CrossCheck]) -> Iterator[CrossCheck]:
    """Comparisons of a device with invoices that count as evidence."""
    papers = documents(besides)
    for check in checks:
        if (
            check.kind == INVOICE
            and check.against in papers
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
