"""
Rule EVD-06: corrected invoices.

Since an owner may have an invoice corrected, the period is also evaluated with the first invoice.
For the project's own consumption the more conservative one applies, for deliveries the correction.
The correction also applies if it mends a typing error, which the file proves: an amount with the
same file, or a start or end by up to a day.  A correction of number, issuer or file, or within the
tolerance, has no effect.  Corrections of one document's lines are evaluated together.  These are
tonne's own rules.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction

from ingest.classes import QUANTITIES, QUANTITY_INDEX
from ingest.model import HOUR_US
from mrv.accounting.evidenced_time import TOLERANCE
from mrv.accounting.period_result import Finding
from mrv.calendar import local_date
from mrv.methodologies import find
from mrv.registry.project import Invoice, Project, SupportingData
from mrv.rounding import amount_text, tonnes_text
from mrv.texts import Text, Value, lines, text

CORRECTED = "EVD-06"
# typing error of up to a day, such as the last day entered as `to`; some days have 25 hours
_A_DAY_US = 25 * HOUR_US

# the first invoice, its correction, and the reason entered
_Corrected = tuple[Invoice, Invoice, str]


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
    for first in dict.fromkeys(old for old, *_ in changed):
        # each line of a document may be corrected by a document of its own
        each = [item for item in changed if item[0] == first]
        more = replace(now, replaced=(*now.replaced, *each))
        of_use = any(
            _of_use(project, *item[:2]) and not _exchanged(project, item, changed) for item in each
        )
        if of_use and (theirs := reduction_by(more)) < ours:
            texts.append(text("EVD-06.first_counts", **_corrected(each, project, ours - theirs)))
            now, ours = more, theirs
        elif (theirs := reduction_by(_instead(now, each, supporting))) < ours:
            code = "EVD-06.same_file" if _retyped(*each[0][:2]) else "EVD-06.correction_counts"
            texts.append(text(code, **_corrected(each, project, ours - theirs)))
        else:
            rest += each
    several = len({old for old, *_ in rest}) > 1
    if several and (theirs := reduction_by(_instead(now, rest, supporting))) < ours:
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
    result = dict[str, Invoice]()
    for first, new, _ in supporting.replaced:
        old = result.get(first.id, first)
        result[old.id] = replace(
            old,
            percent=min(old.percent, new.percent, key=Fraction),
            issued=max(old.issued, new.issued),
            sha256=old.sha256 or new.sha256,
        )
    return tuple(result.values())


def with_first_applied(supporting: SupportingData) -> SupportingData:
    """Return the supporting data with the first invoices that apply in place of corrections."""
    return _instead(supporting, supporting.replaced, supporting)


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


def _corrected(each: Sequence[_Corrected], project: Project, less_ug: int) -> dict[str, Value]:
    (old, *_), *_ = each
    corrections = tuple(_invoice(new, project.timezone) for _, new, _ in each)
    reasons = tuple(dict.fromkeys(reason for *_, reason in each if reason))
    return {
        "first": _invoice(old, project.timezone),
        "correction": corrections if len(corrections) > 1 else corrections[0],
        "reason": (reasons if len(reasons) > 1 else reasons[0])
        if reasons else text("EVD-06.no_reason"),
        "less": tonnes_text(less_ug),
    }  # fmt: skip


def _invoice(invoice: Invoice, timezone: str) -> Text:
    unit = QUANTITIES[QUANTITY_INDEX[invoice.quantity]].unit
    begin, end = (str(local_date(us, timezone)) for us in (invoice.from_us, invoice.to_us))
    return text(
        "invoice.named", invoice=invoice.id, issuer=invoice.issuer, number=invoice.number,
        quantity=invoice.quantity, devices=invoice.devices, begin=begin, end=end,
        amount=amount_text(invoice.value, unit),
    )  # fmt: skip
