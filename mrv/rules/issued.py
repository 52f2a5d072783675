"""
Rules PAR-01 and PAR-02: ex-ante values as registered now, as issued, and as before the period.

A value of an issued statement applies if it does not give a higher reduction (PAR-01).  The same
applies to the value before the period, unless a third party's document issued by the period's first
day supports the new one (PAR-02).  Up to four candidates are tried in every combination, as two may
offset each other; more are tried one after the other, by name, and all together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from functools import partial
from itertools import combinations
from typing import Any

from mrv.accounting.entered_values import named, subject, undocumented
from mrv.accounting.period_result import Finding
from mrv.calendar import utc_text
from mrv.errors import FactorError, MethodologyError, PeriodError
from mrv.methodologies import find
from mrv.model import Factors
from mrv.parameters import exact
from mrv.registry.project import FIRST, ChangedLate, Document, FixedBefore, Project, SupportingData
from mrv.rounding import decimal_of, exact_text, tonnes_text
from mrv.rules.plausible_values import with_value
from mrv.rules.published import is_published
from mrv.texts import Text, lines, text, texts_of

ISSUED, LATE = "PAR-01", "PAR-02"
# maximum number of candidates tried in every combination: 2^4 evaluations of the period
MAX_COMBINED = 4


@dataclass(frozen=True, slots=True)
class _Candidate:
    """
    Alternative values for registered ones: device, parameter and decimal text of each.

    `name`: sort key, if there are too many candidates to combine.
    `reason`: returns a finding's text, from the difference to the other choice [tCO2e] (None if the
    account cannot be calculated) and whether this choice applies.
    `free`: whether it applies if the reduction is not higher; else it is only reported.
    """

    rule: str
    name: str
    values: tuple[tuple[str | None, str, str | None], ...]
    reason: Callable[[str | None, bool], Text | str]
    free: bool = True


def choose(
    project: Project,
    supporting: SupportingData,
    first: date,
    factors: Factors,
    reduction_by: Callable[[Project], int],
) -> tuple[Project, list[Finding]]:
    """
    Return the project with the most conservative of its registered and issued values, and the
    findings.

    `first`: first local day of the period.  `reduction_by`: returns the reduction of the period
    with a given project. [ug CO2e]
    """
    first_set = supporting.accounting == FIRST
    every = [
        _issued(fixed, project, first_set=first_set)
        for fixed in supporting.fixed
        if first_set or not _by_publication(fixed, project, factors)
    ]
    every += _late(supporting.late, project, first)
    known: dict[frozenset[int], int | None] = {}

    def by(subset: frozenset[int]) -> int | None:
        if subset not in known:
            try:
                known[subset] = reduction_by(_with(project, every, subset))
            except (FactorError, MethodologyError, PeriodError):
                if not subset:
                    raise
                # the account cannot be calculated with these values
                known[subset] = None
        return known[subset]

    best = _least(every, by)
    result: dict[str, list[Text]] = {ISSUED: [], LATE: []}
    for k, candidate in enumerate(every):
        other, ours = by(best ^ {k}), by(best)
        difference = None
        if other is not None and ours is not None:
            difference = tonnes_text(abs(other - ours))
        result[candidate.rule] += texts_of(candidate.reason(difference, k in best))
    for late in supporting.late:
        # completing an incomplete document is the remedy of a finding, and no change
        full = late.document is not None and None not in _parts(late.document)
        if late.paper_only and not (full and filled_in(late.was, late.document)):
            result[LATE].append(_other_document(late))
    return _with(project, every, best), [
        Finding(rule, False, lines(texts)) for rule, texts in result.items() if texts
    ]


def _with(project: Project, every: Sequence[_Candidate], subset: frozenset[int]) -> Project:
    for k in sorted(subset):
        for device, name, value in every[k].values:
            decimal = None if value is None else decimal_of(value)
            project = with_value(project, device, name, decimal)
    return project


def _least(
    every: Sequence[_Candidate], by: Callable[[frozenset[int]], int | None]
) -> frozenset[int]:
    free = sorted(
        (k for k, candidate in enumerate(every) if candidate.free), key=lambda k: every[k].name
    )
    if len(free) <= MAX_COMBINED:
        sets = [frozenset(c) for n in range(len(free) + 1) for c in combinations(free, n)]
    else:
        one_by_one = frozenset[int]()
        for k in free:
            ours, theirs = by(one_by_one), by(one_by_one | {k})
            if theirs is not None and (ours is None or theirs <= ours):
                one_by_one |= {k}
        sets = [frozenset(), one_by_one, frozenset(free)]
    remaining = {chosen: ours for chosen in sets if (ours := by(chosen)) is not None}
    # of equal reductions the one with more earlier values; otherwise a day without activity would
    # change later choices
    return min(
        remaining,
        key=lambda chosen: (remaining[chosen], -len(chosen), sorted(every[k].name for k in chosen)),
    )


def _now(project: Project, device: str | None, parameter: str, before: str | None) -> str | None:
    """
    Return the current value of a parameter; of a device with several assignments, the value that
    differs from `before`.
    """
    entered = [project.parameters] if device is None else []
    entered += [bound.params for bound in project.devices if bound.device == device]
    values = [exact_text(exact(v[parameter], parameter)) for v in entered if parameter in v]
    return next((value for value in values if value != before), values[0] if values else None)


def _value(decimal: str | None) -> Text:
    return text("value.none") if decimal is None else text("value.number", value=decimal)


# --- issued statements --------------------------------------------------------------------


def differing(fixed: Iterable[FixedBefore], project: Project) -> tuple[FixedBefore, ...]:
    """Return the issued values from which a project's values differ."""
    return tuple(f for f in fixed if _now(project, f.device, f.parameter, f.value) != f.value)


def _by_publication(fixed: FixedBefore, project: Project, factors: Factors) -> bool:
    """Return whether the issued value was the published one, and not one fixed by the project."""
    spec = find(project.methodology, project.version).parameters.get(fixed.parameter)
    if fixed.device is not None or spec is None or not (spec.published or spec.factor):
        return False
    now = _now(project, None, fixed.parameter, fixed.value)
    entered = Fraction(fixed.value if now is None else now)
    return is_published(spec, project, Fraction(fixed.value), entered, factors)


def _issued(fixed: FixedBefore, project: Project, *, first_set: bool) -> _Candidate:
    whose = "" if fixed.device is None else f" of {fixed.device}"
    now = _now(project, fixed.device, fixed.parameter, fixed.value)

    def reason(difference: str | None, counts: bool) -> Text | str:
        if first_set:  # text of release 0.1.0
            return (
                f"{fixed.parameter}{whose} = {fixed.value} of {fixed.statement} counts; by the"
                f" value of now there would be {difference or '0.000000'} t more"
                if counts
                else ""
            )
        values: dict[str, str | Text] = {} if fixed.device is None else {"device": fixed.device}
        return text(
            "PAR-01.issued_applied" if counts else "PAR-01.registered_applied",
            subject=subject(fixed.parameter, [fixed.device]), statement=fixed.statement,
            issued=fixed.value, now=_value(now), difference=difference or "0", **values,
        )  # fmt: skip

    name, value = (
        f"{fixed.parameter}{whose}, {fixed.statement}",
        (fixed.device, fixed.parameter, fixed.value),
    )
    return _Candidate(ISSUED, name, (value,), reason)


# --- changes after the period began -------------------------------------------------------


def _late(late: Iterable[ChangedLate], project: Project, first: date) -> Iterator[_Candidate]:
    """
    Yield values changed late as candidates; equal changes of several devices are one
    candidate.
    """
    changes: dict[tuple[Any, ...], list[ChangedLate]] = {}
    for change in late:
        now = _now(project, change.device, change.parameter, change.before)
        if not (change.paper_only or now == change.before):
            key = (
                change.device is None,
                change.parameter,
                change.before,
                now,
                change.changed_us,
                change.by,
            )
            changes.setdefault(key, []).append(change)
    specs = find(project.methodology, project.version).parameters
    for (_, parameter, before, now, changed_us, by), subset in changes.items():
        spec, change = specs.get(parameter), subset[0]
        # grid losses of a year are published after it began
        last = date.max if spec is not None and spec.by_publication else first
        lacks = _lacks(change, now, last)
        values: dict[str, str | Text] = {
            "subject": subject(parameter, [each.device for each in subset]),
            "before": _value(before), "now": _value(now), "time": utc_text(changed_us), "by": by,
        }  # fmt: skip
        yield _Candidate(
            LATE, f"{parameter} {change.device} {before} {now} {changed_us}",
            tuple((each.device, parameter, before) for each in subset),
            partial(_of_change, values, lacks, change.document), free=lacks is not None,
        )  # fmt: skip


def _of_change(
    values: Mapping[str, str | Text], lacks: Text | None, document: Document | None,
    difference: str | None, counts: bool,
) -> Text:  # fmt: skip
    if difference is None:
        # for example, shares that add up to 1 cannot be replaced singly
        return text("PAR-02.no_account", **values)
    if lacks is None:
        named = "" if document is None else document.document
        return text("PAR-02.documented", **values, document=named, difference=difference)
    return text(
        "PAR-02.before_applied" if counts else "PAR-02.lower_applied",
        **values, lacks=lacks, difference=difference,
    )  # fmt: skip


def _lacks(change: ChangedLate, now: str | None, last: date) -> Text | None:
    """Return why no document supports the new value; None if a document does."""
    if now is None:
        return text("document.no_value")
    documents = [] if change.document is None else [change.document]
    missing = undocumented(change.parameter, {change.parameter: now}, documents, last)
    if missing is None and change.document is not None and _same(change.document, change.was):
        return text("document.same", document=change.document.document)
    return missing


def _same(document: Document, other: Document | None) -> bool:
    if other is None:
        return False
    if document.document == other.document:
        # with another file or an added entry it is still the same document
        dated = (document.by, other.by), (document.issued, other.issued)
        if all(before in (None, now) for now, before in dated):
            return True
    if other.sha256 is not None:
        return document.sha256 == other.sha256
    return document == other


def filled_in(was: Document | None, now: Document | None) -> bool:
    """Return whether the new document completes the old one and changes nothing else."""
    if was is None or now is None:
        return False
    both = list(zip(_parts(was), _parts(now), strict=True))
    return any(old is None for old, _ in both) and all(old in (None, new) for old, new in both)


def _parts(document: Document) -> tuple[str | date | None, ...]:
    return document.by, document.issued, document.sha256


def _other_document(change: ChangedLate) -> Text:
    return text(
        "PAR-02.document_changed", parameter=change.parameter, before=named(change.was),
        now=named(change.document), time=utc_text(change.changed_us), by=change.by,
    )  # fmt: skip
