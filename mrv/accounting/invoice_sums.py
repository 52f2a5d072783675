"""
Invoices that agree in sum: lines of a document, estimates and their correction, two interchanged.

An estimated invoice and the next one, which corrects it, may each differ from the meter and agree
in sum.  The same applies to invoices of a meter that is read in the course of a day.  Differing
invoices are then accepted; the comparison of each names the others.  Lines of one document for the
same meters and time, such as day and night tariffs, are one invoice.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import combinations
from typing import Any

from mrv.accounting.evidenced_time import COVERED, TOLERANCE, runs
from mrv.accounting.period_result import OFFSET, CrossCheck
from mrv.registry.project import Invoice, SupportingData
from mrv.rounding import six_places
from mrv.texts import text


def with_lines_added(supporting: SupportingData) -> SupportingData:
    """
    Return the data of a period with the lines of each document added up to one invoice.

    Lines have issuer, number, file, meters and time in common.  If all amounts of a document occur
    n times, the document was entered n times and is counted once.  A correction replaces all lines
    of a document.
    """
    documents = defaultdict[Invoice, list[Invoice]](list)
    for row in supporting.invoices:
        documents[_document(row)].append(row)
    now = {row: _added(lines) or row for lines in documents.values() for row in lines}
    by_id = {row.id: whole for row, whole in now.items()}
    replaced = dict[tuple[Invoice, Invoice], str]()
    for old, new, reason in supporting.replaced:
        first, of = {new.id: old}, _document(old)
        # lines of a document that a correction replaced, and lines that remain
        for other, by, _ in supporting.replaced:
            if of == _document(other) != _document(by):
                first.setdefault(by.id, other)
        for row in documents[of]:
            first.setdefault(row.id, row)
        pair = _added(first.values()) or old, now.get(new, by_id.get(new.id, new))
        replaced.setdefault(pair, reason)
    whole = tuple((*pair, reason) for pair, reason in replaced.items())
    return replace(supporting, invoices=tuple(dict.fromkeys(now.values())), replaced=whole)


def _added(lines: Iterable[Invoice]) -> Invoice | None:
    """Return several lines as one invoice; None for a single line, or without a file."""
    lines = sorted(lines, key=lambda line: line.id)
    amounts = Counter(line.value for line in lines)
    if len({*amounts.values()}) == 1:  # the whole document was entered several times
        lines = [*{line.value: line for line in reversed(lines)}.values()][::-1]
    if lines[0].sha256 is None or len(lines) == 1:
        return None
    names = ", ".join(line.id for line in lines)
    signed = lines[0].signed if all(line.signed for line in lines) else None
    return replace(lines[0], id=names, value=sum(line.value for line in lines), signed=signed)


def _document(invoice: Invoice) -> Invoice:
    """Return an invoice with only the fields that the lines of a document have in common."""
    return replace(invoice, id="", value=0, signed=None)


def _compared(checks: Sequence[CrossCheck], evidence: Collection[str]) -> list[int]:
    """
    Return the indices of the comparisons of invoices that are evidence.

    The meter's data must cover the required share of the invoice's time, and the invoice's
    tolerance must not be above the usual one.
    """
    return [
        i for i, c in enumerate(checks)
        if c.holds is not None and c.against in evidence
        and Fraction(c.coverage) >= COVERED and Fraction(c.tolerance_percent) <= TOLERANCE * 100
    ]  # fmt: skip


def exchanged(
    checks: Sequence[CrossCheck], evidence: Collection[str], alike: Mapping[str, Any]
) -> list[CrossCheck]:
    """
    Return the comparisons, with a remedy where invoices of two meters are interchanged.

    `alike`: role and parameters by device; equal for meters that may be interchanged without an
    effect on the emissions.
    """
    result = list(checks)
    differing = [i for i in _compared(checks, evidence) if not checks[i].holds]
    for i, j in combinations(differing, 2):
        check, other = checks[i], checks[j]
        if (check.quantity, check.from_us, check.to_us) != (
            other.quantity,
            other.from_us,
            other.to_us,
        ):
            continue
        (name, *more), (second, *others) = check.devices, other.devices
        if more or others or name == second or alike.get(name, 0) != alike.get(second):
            continue
        crossed = replace(check, ours=other.ours), replace(other, ours=check.ours)
        if all(_made_good([check]) for check in crossed):
            result[i] = replace(check, detail=text("cross_check.exchanged", device=second))
            result[j] = replace(other, detail=text("cross_check.exchanged", device=name))
    return result


def offset_by_others(
    checks: Sequence[CrossCheck], evidence: Collection[str], earning: Collection[tuple[str, str]]
) -> list[CrossCheck]:
    """
    Return the comparisons; invoices that offset each other are accepted.

    A differing invoice is offset if it and successive invoices, without a gap, agree with the
    meters in sum within the tolerance of each: estimates and the invoice that corrects them, or
    invoices of a meter that is read in the course of a day.

    `earning`: devices and quantities of the baseline.  The sum of their invoices may be slightly
    above that of the meters, if one of them also corrects estimates from before the period; then
    the invoices that state less are accepted.
    """
    result = list(checks)
    left = _compared(checks, evidence)
    while left:
        run = [left.pop(0)]
        for i in left:
            last, check = checks[run[-1]], checks[i]
            if (check.devices, check.quantity, check.from_us) != (
                last.devices, last.quantity, last.to_us
            ):  # fmt: skip
                continue
            run.append(i)
            some = [checks[j] for j in run]
            differing = [j for j in run if not result[j].holds]
            if not _made_good(some):
                of_baseline = {(name, check.quantity) for name in check.devices} <= {*earning}
                less = [j for j in differing if int(checks[j].ours) > int(checks[j].theirs)]
                differing = less if of_baseline and _more_than_made_good(some) else []
            if differing:
                for j in differing:
                    result[j] = _offset(checks[j], [checks[k] for k in run if k != j])
                break
    return result


def netted(
    checks: Sequence[CrossCheck],
    evidence: Collection[str],
    counted_of: Callable[[CrossCheck], Fraction | None],
) -> list[CrossCheck]:
    """
    Return the comparisons; successive invoices of meters with gaps have no effect if the meters'
    counted quantity, gaps included, is at least the invoices' sum in the period.

    `counted_of`: counted quantity of project-side meters in the period; else None. [base units]
    """
    result = list(checks)
    known = {
        c.against: i for i, c in enumerate(checks)
        if c.holds is not None and c.against in evidence
        and Fraction(c.tolerance_percent) <= TOLERANCE * 100
    }  # fmt: skip
    for some in runs(checks[i] for i in known.values()):
        counted = [counted_of(check) for check in some]
        less = any(Fraction(check.effect_t) > 0 for check in some)
        lost = any(Fraction(check.coverage) < 1 for check in some)
        if len(some) > 1 and lost and less and None not in counted:
            beyond = sum(filter(None, counted)) - sum(check.theirs_within for check in some)
            if beyond > -len(some):  # metered quantities are rounded to units
                for c in some:
                    result[known[c.against]] = replace(c, effect_t=six_places(Fraction(0)))
    return result


def _made_good(run: Sequence[CrossCheck]) -> bool:
    """Return whether the sum of the invoices equals that of their meters within each tolerance."""
    off = sum(int(c.ours) - int(c.theirs) for c in run)
    return all(abs(off) * 100 <= Fraction(c.tolerance_percent) * int(c.theirs) for c in run)


def _more_than_made_good(run: Sequence[CrossCheck]) -> bool:
    """Return whether the sum of the invoices is slightly above that of their meters."""
    theirs = sum(int(c.theirs) for c in run)
    return 0 < theirs - sum(int(c.ours) for c in run) <= TOLERANCE * theirs


def _offset(check: CrossCheck, others: Sequence[CrossCheck]) -> CrossCheck:
    """Return a comparison as accepted, since the other invoices offset its difference."""
    named = tuple(other.against for other in others)
    return replace(check, holds=True, detail=text(OFFSET, invoices=named))
