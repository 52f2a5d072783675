"""
What was fixed ex ante and was changed after the period began: a condition, with its tonnes.

Who knows the readings can choose the value that makes the most of them.  So the value that
was registered before counts where it leaves less, unless a document of before the period
shows the new one; that has to be another document than the one of the value before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any

from mrv.accounting.fixed_ex_ante import with_value
from mrv.accounting.invoice_evidence import undocumented
from mrv.accounting.period_result import Finding
from mrv.accounting.value_choices import Move
from mrv.calendar import utc_text
from mrv.parameters.inputs import exact
from mrv.registry.project import ChangedLate, Document, Project
from mrv.rounding import UG_PER_T, decimal_text, exact_text

RULE = "PAR-02"
_REMEDY = (
    "a verifier accepts it with a reason, or it is registered as it was; a new value that"
    " leaves more counts once the project's `documents` name another document of before the"
    " period that shows it, with `by`, `issued` and `sha256`"
)
_PLACES = 6
_SHOWN = 5
# of a document's hash
_DIGITS = 8


@dataclass(frozen=True)
class _Change:
    """The same change of one parameter, of the project or of several devices."""

    of: tuple[ChangedLate, ...]
    now: str | None
    lacks: str | None

    @property
    def one(self) -> ChangedLate:
        return self.of[0]

    def undone(self, project: Project) -> Project:
        for one in self.of:
            project = with_value(project, one.device, one.parameter, one.before)
        return project

    def told(self) -> str:
        one = self.one
        names = [each.device for each in self.of if each.device is not None]
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        whose = f" of {', '.join(names[:_SHOWN])}{more}" if names else ""
        return (
            f"{one.parameter}{whose} was {one.before or 'not given'} and is"
            f" {self.now or 'left out'}, changed on {utc_text(one.changed_us)} by {one.by}"
        )


def values_before(late: Sequence[ChangedLate], project: Project, first: date) -> list[Move]:
    """
    Return the values of before the period, which count where no document shows those of now.

    Parameters
    ----------
    first : date
        First local day of the period: a document of then or before may show a new value.
    """
    return [_move(change) for change in _grouped(late, project, first)]


def _move(change: _Change) -> Move:
    def told(difference_ug: int | None, counts: bool) -> str:
        if difference_ug is None:
            # shares that add up to one, say: the account knows them only together
            lacks = "" if change.lacks is None else f"; {change.lacks}"
            return f"{change.told()}; by that value alone there is no account{lacks}"
        which = _which(change, less=counts)
        return f"{change.told()}; {_cost(difference_ug, less=counts)}; {which}"

    return Move(change.told(), change.undone, told, free=change.lacks is not None)


def finding(late: Sequence[ChangedLate], told: Sequence[str]) -> list[Finding]:
    """Return the finding that says of each change, also of documents that were changed alone."""
    papers = [_other_paper(one) for one in late if one.paper_only and not _completed(one)]
    said = "; ".join([*told, *papers])
    return [Finding(RULE, False, f"{said}: {_REMEDY}")] if said else []


def _grouped(late: Iterable[ChangedLate], project: Project, first: date) -> list[_Change]:
    """Changes that are others than the project's value, the same ones of several devices once."""
    found: dict[tuple[Any, ...], list[ChangedLate]] = {}
    for one in late:
        now = _now(project, one)
        if one.paper_only or now == one.before:
            continue
        of = one.device is None, one.parameter, one.before, now, one.changed_us, one.by
        found.setdefault(of, []).append(one)
    return [_Change(tuple(of), key[3], _lacks(of[0], key[3], first)) for key, of in found.items()]


def _now(project: Project, one: ChangedLate) -> str | None:
    """Value of now; that which differs where a device serves more than once."""
    given = [project.parameters] if one.device is None else []
    given += [bound.params for bound in project.devices if bound.device == one.device]
    texts = [
        exact_text(exact(values[one.parameter], one.parameter))
        for values in given
        if one.parameter in values
    ]
    return next((text for text in texts if text != one.before), texts[0] if texts else None)


def _lacks(one: ChangedLate, now: str | None, first: date) -> str | None:
    """Say why no document shows the new value; None where one does."""
    if now is None:
        return "no value is given any more"
    held = one.document
    missing = undocumented(
        one.parameter, {one.parameter: now}, [] if held is None else [held], first
    )
    if missing is None and held is not None and _same(held, one.was):
        return f"its document {held.document} is the one of the value before"
    return None if missing is None else str(missing)


def _same(one: Document, other: Document | None) -> bool:
    if other is None:
        return False
    if one.document == other.document:
        # another file, or what was missing, makes no other document of it
        dated = (one.by, other.by), (one.issued, other.issued)
        if all(before in (None, now) for now, before in dated):
            return True
    if other.sha256 is not None:
        return one.sha256 == other.sha256
    return one == other


def _cost(difference_ug: int, *, less: bool) -> str:
    text = decimal_text(Fraction(difference_ug, UG_PER_T), _PLACES, "up")
    return f"by the value of before there would be {text} t {'less' if less else 'more'}"


def _which(change: _Change, *, less: bool) -> str:
    if less:
        return f"{change.lacks}, so the value of before counts"
    if change.lacks is not None:
        return "the new value counts, which leaves less"
    paper = change.one.document
    name = "" if paper is None else f"{paper.document} of {paper.issued} shows it, and "
    return f"{name}the new value counts"


def filled_in(was: Document | None, now: Document | None) -> bool:
    """Return whether a document that lacked something has more of it, and the rest as it was."""
    if was is None or now is None:
        return False
    old, new = _parts(was), _parts(now)
    kept = all(before in (None, after) for before, after in zip(old, new, strict=True))
    return None in old and kept


def _completed(one: ChangedLate) -> bool:
    """Whether a document that showed nothing was given in full, as a condition asks for."""
    full = one.document is not None and None not in _parts(one.document)
    return full and filled_in(one.was, one.document)


def _parts(paper: Document) -> tuple[str | date | None, ...]:
    return paper.by, paper.issued, paper.sha256


def _other_paper(one: ChangedLate) -> str:
    was, now = (
        "left out" if paper is None else f"{paper.document} ({_dated(paper)})"
        for paper in (one.was, one.document)
    )
    return (
        f"the document of {one.parameter} was {was} and is {now}, changed on"
        f" {utc_text(one.changed_us)} by {one.by}"
    )


def _dated(paper: Document) -> str:
    said = [paper.by, None if paper.issued is None else paper.issued.isoformat()]
    if paper.sha256 is not None:
        said.append(f"SHA-256 {paper.sha256[:_DIGITS]}")
    return ", ".join([one for one in said if one] or ["no date"])
