"""
Invoices that another one corrects: what the first one said, and what the change brings.

Who knows what an invoice costs may correct it to less, to another meter or to another time.  So a
period is closed by the first invoice too.  Where that leaves less, a condition names both.  What
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
from mrv.accounting.invoiced_time import TOLERANCE
from mrv.accounting.period_result import Finding
from mrv.calendar import local_date
from mrv.methodologies import find
from mrv.quantity_text import quantity_text
from mrv.registry.project import Besides, Invoice, Project
from mrv.rounding import UG_PER_T, decimal_text

RULE = "EVD-06"
_REMEDY = (
    "a verifier has to see the files of both, and what their issuer says of the change, and"
    " accepts it with a reason"
)
_PLACES = 6

# the first one, the one that counts in its place, and the reason that was given
_Corrected = tuple[Invoice, Invoice, str]


def keep_first(
    project: Project, besides: Besides, left_by: Callable[[Besides], int]
) -> tuple[Besides, list[Finding]]:
    """
    Return what a period is held against, and the condition that says of each correction.

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
    ours, told, rest = left_by(now), list[str](), list[_Corrected]()
    for one in changed:
        if _of_use(project, *one[:2]):
            more = replace(now, replaced=(*now.replaced, one))
            theirs = left_by(more)
            if theirs < ours:
                told.append(f"{_said(one, project)}; {_cost(ours - theirs)}; the first counts on")
                now, ours = more, theirs
                continue
        theirs = left_by(_instead(now, [one], besides))
        if theirs < ours:
            told.append(f"{_said(one, project)}; {_cost(ours - theirs)}; the correction counts")
        else:
            rest.append(one)
    if len(rest) > 1:
        theirs = left_by(_instead(now, rest, besides))
        if theirs < ours:
            names = "; ".join(_said(one, project) for one in rest)
            told.append(f"{names}; together {_cost(ours - theirs)}; the corrections count")
    return now, [Finding(RULE, False, f"{'; '.join(told)}: {_REMEDY}")] if told else []


def first_ones(besides: Besides) -> tuple[Invoice, ...]:
    """Return first invoices that count on, each as good a paper as that which corrects it."""
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

    Of what invoices alone tell (`Methodology.billed`) a mistyped one would cost the whole period.
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


def _said(one: _Corrected, project: Project) -> str:
    old, new, reason = one
    return (
        f"{_words(old, project.timezone)} is corrected by {_words(new, project.timezone)}"
        f" (reason given: {reason or 'none'})"
    )


def _words(one: Invoice, timezone: str) -> str:
    unit = QUANTITIES[QUANTITY_INDEX[one.quantity]].unit
    begin, end = (local_date(us, timezone) for us in (one.from_us, one.to_us))
    return (
        f"{one.id} ({one.issuer}, {one.number}; {one.quantity} of {', '.join(one.devices)},"
        f" {begin} to {end}: {quantity_text(one.value, unit)})"
    )


def _cost(less_ug: int) -> str:
    text = decimal_text(Fraction(less_ug, UG_PER_T), _PLACES, "up")
    return f"by the first one there would be {text} t less"
