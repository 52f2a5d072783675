"""
Rules FAC-01 and FAC-02: emission factors and default values, compared with published ones.

An entered value replaces a published one only if it is more conservative.  A published default may
also be replaced by a third party's document, such as losses published by the grid operator.  A
registry file's factor is applied only if it is more conservative than the published one.  Values
that the account does not use are ignored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction
from typing import NamedTuple

from mrv.accounting.entered_values import accepted, amount, is_accepted, unaccepted, undocumented
from mrv.calendar import local_date
from mrv.errors import FactorError, MethodologyError
from mrv.factors import is_of_banks
from mrv.factors.ledger import Choice, bounded, published
from mrv.methodologies import GRID
from mrv.model import Direction, Factor, Factors
from mrv.parameters import ParameterSpec
from mrv.registry.project import FIRST, Project
from mrv.rules import Severity
from mrv.rules.account import Account
from mrv.rules.effects import Bound, Judged, RuleReport, Withheld
from mrv.rules.facts import Facts
from mrv.texts import Text, Value, text

_OFFICIAL = (GRID, "gwp")
# kinds whose value is chosen from a published list
_LISTS = ("wastewater.mcf", "flare.efficiency", "tool04.phi", "tool04.mcf")
# text of release 0.1.0
_FIRST_REMEDY = (
    "compare the value with its text and correct `certainty` in its TOML, or name the factor in"
    " parameters.accept_factors of the project, and close again"
)


class _Published(NamedTuple):
    """
    Entered value and the published ones for it: official, from a list, or a default.

    `lacks`: what is missing in a document that would replace a default.
    """

    name: str
    value: Fraction
    kind: str
    others: tuple[Factor, ...]
    lacks: Text | None = None


def published_values(facts: Facts) -> Iterator[Judged]:
    """FAC-01: yield limits on entered values other than published ones, and on registry factors."""
    for item in _entered(facts):
        yield from (Bound(item.name, factor.value) for factor in _near(item))
    counted, _ = _brought(facts)
    ids = {factor.id for factor in counted}
    for factor in facts.factors:
        if factor.brought and factor.id not in ids:
            yield Withheld(factor.id)


def published_findings(facts: Facts) -> Iterator[Judged]:
    """FAC-01: yield reports on the applied value, and on how the finding is resolved."""
    price = facts.price
    texts, holds, priced = list[Text](), True, True
    for item in _entered(facts):
        remaining = price.reduced(price.stated)
        tried = [item.value, *(f.value for f in _near(item))]
        if all(price.reduced({**price.stated, item.name: value}) == remaining for value in tried):
            continue
        result = _finding(facts, item, Fraction(price.stated[item.name]))
        if result is not None:
            texts.append(result)
            holds = holds and result.code == "FAC-01.entered_applied"
    ids = {factor.id for factor in price.book}
    for choice in _brought(facts)[1]:
        counts = choice.factor.id in ids
        texts.append(_of_file(choice, facts.supporting.accepted, counts=counts))
        holds, priced = False, priced and not counts
    if texts:
        codes = {text.code for text in texts}
        severity: Severity | None = "CAR" if "FAC-01.official_applied" in codes else None
        if codes == {"FAC-01.default_applied"}:
            severity = "observation"  # the conservative value applies, so there is no request
        yield RuleReport(holds, tuple(texts), severity, priced)


def _entered(facts: Facts) -> Iterator[_Published]:
    """Yield entered values that differ from the published ones."""
    for name, spec in facts.methodology.parameters.items():
        if name not in facts.price.measured:
            continue
        value = Fraction(facts.price.measured[name])
        kind, others = published_of(spec, facts.project, facts.factors)
        lacks = _unpublished(facts, name)
        documented = spec.by_publication and lacks is None
        if others and not documented and value not in {f.value for f in others}:
            yield _Published(name, value, kind, others, lacks)


def _unpublished(facts: Facts, name: str) -> Text | None:
    """Return why no publication of any day supports a value; None if a publication does."""
    documents = facts.supporting.documents
    lacks = undocumented(name, facts.price.measured, documents, date.max)
    silent = (d.document for d in documents if d.parameter == name and d.stated() is None)
    if lacks is None and (document := next(silent, None)) is not None:
        return text("document.incomplete", document=document, lacks=("`value`",))
    return lacks


def published_of(
    spec: ParameterSpec, project: Project, factors: Factors
) -> tuple[str, tuple[Factor, ...]]:
    """Return kind and factors of the published values of a parameter: official, default, a list."""
    book = published(factors)
    if spec.published in _OFFICIAL:
        kind = spec.published if spec.factor is None or spec.published == GRID else spec.factor[0]
        day = date(local_date(project.from_us, project.timezone).year, 1, 1)
        directions: tuple[Direction, ...] = ("consumed", "either", "avoided")
        for direction in directions:
            with suppress(FactorError):
                return "official", (book.select(kind, direction, day),)
        if kind == GRID:
            # an entered value is compared with the official one; without that, the error names the
            # missing row
            return "official", (factors.select(kind, "consumed", day),)
    elif spec.factor is not None:
        return "default", (book.select(*spec.factor),)
    elif spec.by_publication or spec.published.startswith(_LISTS):
        kind = "open list" if spec.by_publication else "list"
        return kind, tuple(f for f in book if f.kind.startswith(spec.published))
    return "", ()


def is_published(
    spec: ParameterSpec, project: Project, issued: Fraction, now: Fraction, factors: Factors
) -> bool:
    """
    Return whether an issued value is the published one, applied in place of the entered one.

    `now`: the currently entered value.
    """
    kind, others = published_of(spec, project, factors)
    if "list" in kind and now in {f.value for f in others}:
        return False
    return issued in {f.value for f in _near(_Published("", now, kind, others))}


def _near(beside: _Published) -> tuple[Factor, ...]:
    """Return the published values that may be applied; of a list, those next to the entered one."""
    if "list" not in beside.kind:
        return beside.others
    below = [f for f in beside.others if f.value < beside.value]
    above = [f for f in beside.others if f.value > beside.value]
    near = (
        max(below, key=lambda f: f.value, default=None),
        min(above, key=lambda f: f.value, default=None),
    )
    return tuple(f for f in near if f is not None)


def _brought(facts: Facts) -> tuple[Factors, tuple[Choice, ...]]:
    price = facts.price
    return bounded(facts.factors, lambda book: price.comes_to(price.stated, book))


def _finding(facts: Facts, beside: _Published, applied: Fraction) -> Text | None:
    """Return the text on the applied value, and on how the finding is resolved."""
    unit, factor = facts.methodology.parameters[beside.name].unit, beside.others[0]
    values: dict[str, Value] = {"parameter": beside.name, "amount": amount(beside.value, unit)}
    lacks = beside.lacks
    if beside.kind in ("list", "open list"):
        values |= {"applied": amount(applied), "published": tuple(
            amount(v) for v in sorted({f.value for f in beside.others}))}  # fmt: skip
        if beside.kind == "list" or lacks is None:
            return text("FAC-01.listed", **values)
        return None if applied == beside.value else text("FAC-01.not_listed", **values, lacks=lacks)
    values |= {"factor": factor.id, "published": amount(factor.value, factor.unit)}
    if beside.kind == "official":
        lower = applied == beside.value
        return text("FAC-01.entered_applied" if lower else "FAC-01.official_applied", **values)
    if applied == beside.value or lacks is None:
        return None
    return text("FAC-01.default_applied", **values, lacks=lacks)


def _named(factor: Factor) -> Text:
    return text("value.factor", factor=factor.id, amount=amount(factor.value, factor.unit))


def _of_file(choice: Choice, accepted: Mapping[str, str], *, counts: bool) -> Text:
    acceptance = accepted.get(choice.factor.id)
    return text(
        "FAC-01.file_applied" if counts else "FAC-01.file_not_applied",
        factor=choice.factor.id,
        amount=amount(choice.factor.value, choice.factor.unit),
        published=tuple(map(_named, choice.others)),
        acceptance=text("FAC-01.not_accepted") if acceptance is None else acceptance,
    )


def stating(account: Account, project: Project, factors: Factors) -> tuple[Factor, ...]:
    """
    Return the published factors with a parameter's value, entered or applied in its place.

    A factor of a list is returned only if no other has the same value.
    """
    result: dict[str, Factor] = {}
    for name, spec in account.methodology.parameters.items():
        if name not in account.stated or not (spec.published or spec.factor):
            continue
        kind, others = published_of(spec, project, factors)
        same = [other for other in others if other.value == Fraction(account.stated[name])]
        if len(same) == 1 or "list" not in kind:
            result |= {factor.id: factor for factor in same}
    return tuple(result.values())


def compared_kinds(account: Account) -> tuple[str, ...]:
    """Return the kinds of factors with which values are compared; a pack includes them."""
    if account.terms.supporting.accounting == FIRST:
        return ()
    result: set[str] = set()
    for name, spec in account.methodology.parameters.items():
        if name not in account.terms.parameters:
            continue
        if spec.published == GRID:
            result.add(GRID)
        elif spec.factor is not None:
            result.add(spec.factor[0])
        if spec.published in _LISTS or (spec.by_publication and spec.published):
            result |= {f.kind for f in account.book if f.kind.startswith(spec.published)}
    return tuple(sorted(result))


# --- unverified default factors ------------------------------------------------------------------


@dataclass(frozen=True)
class _Changed:
    """Factor book in which one factor has another value."""

    book: Factors
    factor: str
    times: Fraction

    @property
    def grid(self) -> str | None:
        return getattr(self.book, "grid", None)

    def select(self, kind: str, direction: Direction, at: date | None = None) -> Factor:
        """Return the factor of the factor book, with its changed value."""
        factor = self.book.select(kind, direction, at)
        return (
            replace(factor, value=factor.value * self.times) if factor.id == self.factor else factor
        )

    def __iter__(self) -> Iterator[Factor]:
        return iter(self.book)


def _moves(price: Account, factor: Factor) -> bool:
    """Return whether half or twice the value of a factor changes the account."""
    parameters, views = price.parameters, price.views
    remaining = price.comes_to(parameters, price.book, views)
    for times in (Fraction(1, 2), Fraction(2)):
        other = _Changed(price.book, factor.id, times)
        try:
            if price.comes_to(parameters, other, views) != remaining:
                return True
        except MethodologyError:
            return True
    return False


def _of_banks(facts: Facts, used: Sequence[Factor]) -> list[Factor]:
    """Return the used defaults of development banks, if the country's authority has no factor."""
    values = facts.price.measured
    beside = [
        factor
        for name, spec in facts.methodology.parameters.items()
        if spec.published == GRID and name in values
        for factor in published_of(spec, facts.project, facts.factors)[1]
        if factor.value == values[name]
    ]
    return sorted(
        {f.id: f for f in (*used, *beside) if is_of_banks(f)}.values(), key=lambda f: f.id
    )


def default_factors(facts: Facts) -> Iterator[Judged]:
    """FAC-02: yield unverified default factors of the account, and those of development banks."""
    names = accepted(facts.project.parameters, f"project {facts.project.id}: parameters")
    price = facts.price
    first_set = facts.supporting.accounting == FIRST
    used = [f for f in price.used if first_set or f.certainty != "M" or _moves(price, f)]
    missing = sorted({(f.id, f.text, f.unit): f for f in unaccepted(used, names)}.items())
    banks = [] if first_set else [f for f in _of_banks(facts, used) if f.id not in names]
    if missing and first_set:
        listed = ", ".join(f"{f.id} = {f.text} {f.unit}" for _, f in missing)
        yield RuleReport(False, f"{listed}: {_FIRST_REMEDY}")
    elif missing or banks:
        texts = [
            text(code, factors=tuple(map(_named, those)))
            for code, those in (
                ("FAC-02.unverified", [f for _, f in missing]), ("FAC-02.of_banks", banks),
            )
            if those
        ]  # fmt: skip
        yield RuleReport(False, tuple(texts) if banks else texts[0])
    elif any(is_accepted(factor, names) for factor in used):
        yield RuleReport(True)
