"""
Values that were fixed ex ante: as registered now, as issued, as before the period began.

A baseline that rises after the first statement, a limit that is raised or left out, a value that
is chosen once the readings are known: each would make tonnes of nothing.  So a value of an issued
statement counts where it leaves no more (PAR-01), and so does the value before the period where
no other document of a third party, issued by its first day, shows the new one (PAR-02).  Up to
four candidates are tried in every combination, since two that offset each other hide what each
of them does; above that one after the other, by name, and all together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction
from itertools import combinations
from typing import Any

from mrv.accounting.entered_values import subject, undocumented
from mrv.accounting.period_result import Finding
from mrv.calendar import utc_text
from mrv.errors import FactorError, MethodologyError, PeriodError
from mrv.methodologies import find
from mrv.model import Factors
from mrv.parameters.inputs import exact
from mrv.registry.project import FIRST, Besides, ChangedLate, Document, FixedBefore, Project
from mrv.rounding import UG_PER_T, decimal_of, decimal_text, exact_text
from mrv.rules.published import is_published
from mrv.texts import Text, lines, plain, text

ISSUED, LATE = "PAR-01", "PAR-02"
# 2 to the power of it passes over a period
MOST_COMBINED = 4
_PLACES = 6


@dataclass(frozen=True, slots=True)
class Candidate:
    """
    A value in place of a registered one.

    Attributes
    ----------
    name : str
        By which candidates are ordered where they are too many to combine.
    apply : callable
        Returns the project with it.
    texts : callable
        Texts of a finding, by the difference to the other choice [tCO2e, decimal text], or None
        where by this value alone there is no account, and by whether it counts.
    free : bool
        Whether it counts where it leaves no more; else it is priced and reported alone.
    """

    rule: str
    name: str
    apply: Callable[[Project], Project]
    texts: Callable[[str | None, bool], tuple[Text, ...]]
    free: bool = True


def choose(
    project: Project,
    besides: Besides,
    first: date,
    factors: Factors,
    left_by: Callable[[Project], int],
) -> tuple[Project, list[Finding]]:
    """
    Return the project with the candidates that leave least, and the findings.

    Parameters
    ----------
    first : date
        First local day of the period.
    left_by : callable
        Reduction that the whole period comes to with a project. [ug CO2e]
    """
    first_set = besides.accounting == FIRST
    every = [
        _issued(one, project, first_set=first_set)
        for one in besides.fixed
        if first_set or not _by_publication(one, project, factors)
    ]
    every += [_late(change) for change in _grouped(besides.late, project, first)]
    known: dict[frozenset[int], int | None] = {}

    def by(some: frozenset[int]) -> int | None:
        if some not in known:
            try:
                known[some] = left_by(_with(project, every, some))
            except (FactorError, MethodologyError, PeriodError):
                if not some:
                    raise
                # by these values there is no account
                known[some] = None
        return known[some]

    best = _least(every, by)
    found: dict[str, list[Text]] = {ISSUED: [], LATE: []}
    for k, one in enumerate(every):
        other, ours = by(best ^ {k}), by(best)
        difference = None
        if other is not None and ours is not None:
            difference = decimal_text(Fraction(abs(other - ours), UG_PER_T), _PLACES, "up")
        found[one.rule] += one.texts(difference, k in best)
    found[LATE] += [_other_document(o) for o in besides.late if o.paper_only and not _completed(o)]
    return _with(project, every, best), [
        Finding(rule, False, lines(texts)) for rule, texts in found.items() if texts
    ]


def _with(project: Project, every: Sequence[Candidate], some: frozenset[int]) -> Project:
    for k in sorted(some):
        project = every[k].apply(project)
    return project


def _least(
    every: Sequence[Candidate], by: Callable[[frozenset[int]], int | None]
) -> frozenset[int]:
    free = sorted((k for k, one in enumerate(every) if one.free), key=lambda k: every[k].name)
    if len(free) <= MOST_COMBINED:
        sets = [frozenset(c) for n in range(len(free) + 1) for c in combinations(free, n)]
    else:
        one_by_one = frozenset[int]()
        for k in free:
            ours, theirs = by(one_by_one), by(one_by_one | {k})
            if theirs is not None and (ours is None or theirs <= ours):
                one_by_one |= {k}
        sets = [frozenset(), one_by_one, frozenset(free)]
    left = {some: ours for some in sets if (ours := by(some)) is not None}
    # on a tie more values as before: a day of rest would change what counts afterwards
    return min(left, key=lambda some: (left[some], -len(some), sorted(every[k].name for k in some)))


def with_value(project: Project, device: str | None, parameter: str, value: str | None) -> Project:
    """Return a project with another value of a parameter, its own or a device's; None: without."""
    if device is None:
        return replace(project, parameters=_changed(project.parameters, parameter, value))
    roles = find(project.methodology, project.version).roles
    return replace(
        project,
        devices=tuple(
            replace(bound, params=_changed(bound.params, parameter, value))
            if bound.device == device and parameter in roles[bound.role].params
            else bound
            for bound in project.devices
        ),
    )


def _changed(values: Mapping[str, Any], parameter: str, decimal: str | None) -> dict[str, Any]:
    """Put a value in place of that of now, or where there is none now; None: leave it out."""
    if decimal is None:
        return {key: value for key, value in values.items() if key != parameter}
    value = decimal_of(decimal)
    whole = value == value.to_integral_value()
    return {**values, parameter: int(value) if whole else value}


def _now(project: Project, device: str | None, parameter: str, before: str | None) -> str | None:
    """Return the value of now; that which differs where a device serves more than once."""
    given = [project.parameters] if device is None else []
    given += [bound.params for bound in project.devices if bound.device == device]
    values = [exact_text(exact(v[parameter], parameter)) for v in given if parameter in v]
    return next((value for value in values if value != before), values[0] if values else None)


def _value(decimal: str | None) -> Text:
    return text("value.none") if decimal is None else text("value.number", value=decimal)


# --- issued statements --------------------------------------------------------------------


def _by_publication(one: FixedBefore, project: Project, factors: Factors) -> bool:
    """Whether a published value counted in that statement, which the project did not fix."""
    spec = find(project.methodology, project.version).parameters.get(one.parameter)
    if one.device is not None or spec is None or not (spec.published or spec.factor):
        return False
    now = _now(project, None, one.parameter, one.value)
    entered = Fraction(one.value if now is None else now)
    return is_published(spec, project, Fraction(one.value), entered, factors)


def _issued(one: FixedBefore, project: Project, *, first_set: bool) -> Candidate:
    whose = "" if one.device is None else f" of {one.device}"
    now = _now(project, one.device, one.parameter, one.value)

    def texts(difference: str | None, counts: bool) -> tuple[Text, ...]:
        if first_set:  # as release 0.1.0 worded it
            return plain(
                f"{one.parameter}{whose} = {one.value} of {one.statement} counts; by the value of"
                f" now there would be {difference or '0.000000'} t more"
                if counts
                else ""
            )
        values: dict[str, str | Text] = {
            "subject": subject(one.parameter, [one.device]),
            "statement": one.statement,
            "issued": one.value,
            "now": _value(now),
            "difference": difference or "0",
            **({} if one.device is None else {"device": one.device}),
        }
        if counts:
            return (text("PAR-01.issued_applied", **values),)
        return (text("PAR-01.registered_applied", **values),)

    return Candidate(
        ISSUED,
        f"{one.parameter}{whose}, {one.statement}",
        lambda other: with_value(other, one.device, one.parameter, one.value),
        texts,
    )


# --- changes after the period began -------------------------------------------------------


@dataclass(frozen=True)
class _Change:
    """The same change of one parameter, of the project or of several devices."""

    of: tuple[ChangedLate, ...]
    now: str | None
    lacks: Text | None

    @property
    def values(self) -> dict[str, str | Text]:
        """What every text of it says."""
        first = self.of[0]
        return {
            "subject": subject(first.parameter, [one.device for one in self.of]),
            "before": _value(first.before),
            "now": _value(self.now),
            "time": utc_text(first.changed_us),
            "by": first.by,
        }


def _late(change: _Change) -> Candidate:
    def apply(project: Project) -> Project:
        for one in change.of:
            project = with_value(project, one.device, one.parameter, one.before)
        return project

    def texts(difference: str | None, counts: bool) -> tuple[Text, ...]:
        values, lacks = change.values, change.lacks
        document = change.of[0].document
        if difference is None:
            # shares that add up to one, say: the account knows them only together
            return (text("PAR-02.no_account", **values),)
        if counts and lacks is not None:
            return (text("PAR-02.before_applied", **values, lacks=lacks, difference=difference),)
        if lacks is not None:
            return (text("PAR-02.lower_applied", **values, lacks=lacks, difference=difference),)
        named = "" if document is None else document.document
        return (text("PAR-02.documented", **values, document=named, difference=difference),)

    first = change.of[0]
    name = f"{first.parameter} {first.device} {first.before} {change.now} {first.changed_us}"
    return Candidate(LATE, name, apply, texts, free=change.lacks is not None)


def _grouped(late: Iterable[ChangedLate], project: Project, first: date) -> Iterator[_Change]:
    """Yield changes to others than the value before, the same ones of several devices once."""
    found: dict[tuple[Any, ...], list[ChangedLate]] = {}
    for one in late:
        now = _now(project, one.device, one.parameter, one.before)
        if one.paper_only or now == one.before:
            continue
        key = one.device is None, one.parameter, one.before, now, one.changed_us, one.by
        found.setdefault(key, []).append(one)
    specs = find(project.methodology, project.version).parameters
    for key, some in found.items():
        spec = specs.get(some[0].parameter)
        # the losses of a year are published after it began
        last = date.max if spec is not None and spec.by_publication else first
        yield _Change(tuple(some), key[3], _lacks(some[0], key[3], last))


def _lacks(one: ChangedLate, now: str | None, last: date) -> Text | None:
    """Say why no document shows the new value; None where one does."""
    if now is None:
        return text("document.no_value")
    documents = [] if one.document is None else [one.document]
    missing = undocumented(one.parameter, {one.parameter: now}, documents, last)
    if missing is None and one.document is not None and _same(one.document, one.was):
        return text("document.same", document=one.document.document)
    return missing


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


def filled_in(was: Document | None, now: Document | None) -> bool:
    """Return whether a document that lacked something has more of it, and the rest as it was."""
    if was is None or now is None:
        return False
    old, new = _parts(was), _parts(now)
    kept = all(before in (None, after) for before, after in zip(old, new, strict=True))
    return None in old and kept


def _completed(one: ChangedLate) -> bool:
    """Whether a document that showed nothing was given in full, as a finding asks for."""
    full = one.document is not None and None not in _parts(one.document)
    return full and filled_in(one.was, one.document)


def _parts(document: Document) -> tuple[str | date | None, ...]:
    return document.by, document.issued, document.sha256


def _other_document(one: ChangedLate) -> Text:
    return text(
        "PAR-02.document_changed", parameter=one.parameter, before=_named(one.was),
        now=_named(one.document), time=utc_text(one.changed_us), by=one.by,
    )  # fmt: skip


def _named(document: Document | None) -> Text:
    if document is None:
        return text("value.none")
    return text(
        "document.named", document=document.document, by=document.by or "-",
        issued="-" if document.issued is None else document.issued.isoformat(),
        sha256=document.sha256 or "-",
    )  # fmt: skip
