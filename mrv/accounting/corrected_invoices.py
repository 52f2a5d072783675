"""
Invoices that another one corrects: what the first one said, and what the change brings.

An owner who knows what an invoice costs may have it corrected to less, to another meter or to
another time.  So a period is closed by the first invoice too.  Where that gives a lower reduction,
a finding names both.  What
the first one said of the project's own use counts on beside the other (`invoiced_use`); of what is
delivered the correction counts.  A correction of a number, an issuer or a file changes nothing,
and one within the tolerance does not either.
A rule of tonne's own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction

from ingest.classes import QUANTITIES, QUANTITY_INDEX
from mrv.accounting.evidenced_time import TOLERANCE
from mrv.accounting.period_result import Finding
from mrv.calendar import local_date
from mrv.methodologies import find
from mrv.quantity_text import amount_text
from mrv.registry.project import Besides, Invoice, Project
from mrv.rounding import UG_PER_T, decimal_text
from mrv.texts import Text, Value, lines, text

RULE = "EVD-06"
_PLACES = 6

# the first one, the one that counts in its place, and the reason that was given
_Corrected = tuple[Invoice, Invoice, str]


def keep_first(
    project: Project, besides: Besides, left_by: Callable[[Besides], int]
) -> tuple[Besides, list[Finding]]:
    """
    Return the evidence of a period, and the finding that names each correction.

    Of `replaced` those stay that count on.

    Parameters
    ----------
    left_by : callable
        Reduction that the whole period comes to by such invoices. [ug CO2e]
    """
    changed = [one for one in besides.replaced if _changed(*one[:2])]
    now = replace(besides, replaced=())
    if not changed:
        return now, []
    ours, texts, rest = left_by(now), list[Text](), list[_Corrected]()
    for one in changed:
        if _of_use(project, *one[:2]):
            more = replace(now, replaced=(*now.replaced, one))
            theirs = left_by(more)
            if theirs < ours:
                texts.append(text("EVD-06.first_counts", **_values(one, project, ours - theirs)))
                now, ours = more, theirs
                continue
        theirs = left_by(_instead(now, [one], besides))
        if theirs < ours:
            texts.append(text("EVD-06.correction_counts", **_values(one, project, ours - theirs)))
        else:
            rest.append(one)
    if len(rest) > 1:
        theirs = left_by(_instead(now, rest, besides))
        if theirs < ours:
            names = tuple(new.id for _, new, _ in rest)
            texts.append(text("EVD-06.together", invoices=names, less=_tonnes(ours - theirs)))
    return now, [Finding(RULE, False, lines(texts))] if texts else []


def first_ones(besides: Besides) -> tuple[Invoice, ...]:
    """Return first invoices that count on, each as good evidence as that which corrects it."""
    return tuple(
        replace(
            old,
            percent=min(old.percent, new.percent, key=Fraction),
            issued=max(old.issued, new.issued),
            sha256=old.sha256 or new.sha256,
        )
        for old, new, _ in besides.replaced
    )


def _scope(one: Invoice) -> tuple[frozenset[str], str, int, int]:
    return frozenset(one.devices), one.quantity, one.from_us, one.to_us


def _changed(old: Invoice, new: Invoice) -> bool:
    """Whether a correction says something else, by more than either may differ."""
    percent = min(Fraction(old.percent), Fraction(new.percent))
    room = min(percent / 100, TOLERANCE) * old.value
    return _scope(old) != _scope(new) or abs(old.value - new.value) > room


def _of_use(project: Project, old: Invoice, new: Invoice) -> bool:
    """
    Whether the first one said something of the project's own use that the other does not.

    Of what invoices alone show (`Methodology.billed`) a mistyped one would cost the whole period.
    """
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


def _instead(besides: Besides, corrected: Sequence[_Corrected], known: Besides) -> Besides:
    """Put first invoices in the place of those that correct them."""
    by = {new.id for _, new, _ in corrected}
    away = by | {old.id for old, new, _ in known.replaced if new.id in by}
    kept = [one for one in besides.invoices if one.id not in away]
    first = first_ones(replace(besides, replaced=tuple(corrected)))
    return replace(besides, invoices=(*kept, *first))


def _values(one: _Corrected, project: Project, less_ug: int) -> dict[str, Value]:
    old, new, reason = one
    return {
        "first": _named(old, project.timezone),
        "correction": _named(new, project.timezone),
        "reason": reason or text("EVD-06.no_reason"),
        "less": _tonnes(less_ug),
    }


def _named(one: Invoice, timezone: str) -> Text:
    unit = QUANTITIES[QUANTITY_INDEX[one.quantity]].unit
    begin, end = (str(local_date(us, timezone)) for us in (one.from_us, one.to_us))
    return text(
        "invoice.named", invoice=one.id, issuer=one.issuer, number=one.number,
        quantity=one.quantity, devices=one.devices, begin=begin, end=end,
        amount=amount_text(one.value, unit),
    )  # fmt: skip


def _tonnes(less_ug: int) -> str:
    return decimal_text(Fraction(less_ug, UG_PER_T), _PLACES, "up")
