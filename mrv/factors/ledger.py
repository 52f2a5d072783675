"""
Factor books derived from the published one, and their records.

A project participant's factor in a registry file is used only if it is more conservative than the
published one: lower for avoided emissions, higher for consumed energy; for both, if it gives the
lower reduction.  A factor stated in a third party's document is used like a published one.  A newer
book is compared with an older one if an official value replaces a provisional one.

A pack contains all factors of each kind used, so that the selection (year, provisional or not) can
be repeated from the pack alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction
from typing import Any, NamedTuple

from mrv.calendar import years
from mrv.errors import FactorError
from mrv.factors import FactorBook, kinds_in, load, national, parse_entry
from mrv.model import Direction, Factor, Factors


class Ledger:
    """
    A factor book that records which factors were selected.

    A statement lists only the factors used in its figures.
    """

    def __init__(self, book: Factors) -> None:
        self._book = book
        self._used: dict[tuple[str, bool], Factor] = {}

    @property
    def grid(self) -> str | None:
        """Return the grid of the underlying factor book."""
        return getattr(self._book, "grid", None)

    def select(self, kind: str, direction: Direction, at: date | None = None) -> Factor:
        """Return the factor selected from the underlying factor book, and record it."""
        factor = self._book.select(kind, direction, at)
        self._used[factor.id, factor.provisional] = factor
        return factor

    def __iter__(self) -> Iterator[Factor]:
        return iter(self._book)

    @property
    def book(self) -> Factors:
        """Return the underlying factor book."""
        return self._book

    def used(self) -> list[Factor]:
        """Return all factors used so far, by id."""
        return [self._used[key] for key in sorted(self._used)]


def centres(factors: Iterable[Factor]) -> FactorBook:
    """Return a factor book of the central values, without uncertainty bounds."""
    kept = (factor for factor in factors if not factor.bound)
    return FactorBook(kept, getattr(factors, "grid", None))


@dataclass(frozen=True, slots=True)
class Change:
    """Factors of one kind in a statement, and the currently valid ones."""

    kind: str
    was: tuple[str, ...]
    now: tuple[str, ...]
    provisional: bool


def used_by(
    ask: Callable[[Factors, int], object], span_us: tuple[int, int], timezone: str, book: Factors
) -> list[Factor]:
    """
    Return the factors that a project's account uses in a period.

    `ask`: calculates the emissions per unit in a local calendar year with given factors.
    `span_us`: half-open. [us UTC]
    """
    ledger = Ledger(book)
    for year, _, _ in years(*span_us, timezone):
        ask(ledger, year)
    return ledger.used()


def changes(recorded: Iterable[Mapping[str, Any]], now: Iterable[Factor]) -> Iterator[Change]:
    """
    Yield the kinds whose factors in a statement differ from the currently valid ones.

    `recorded`: `factors` of a statement: kind, id, value, provisional.
    `now`: factors that the same account uses now.
    """
    today: dict[str, set[str]] = {}
    for factor in now:
        today.setdefault(factor.kind, set()).add(_factor_text(factor.id, factor.text, factor.unit))
    before: dict[str, set[str]] = {}
    carried: set[str] = set()
    for item in recorded:
        before.setdefault(item["kind"], set()).add(
            _factor_text(item["id"], item["value"], item["unit"])
        )
        if item["provisional"]:
            carried.add(item["kind"])
    for kind in sorted(before.keys() & today.keys()):
        if before[kind] != today[kind]:
            was, is_ = tuple(sorted(before[kind])), tuple(sorted(today[kind]))
            yield Change(kind, was, is_, kind in carried)


def _factor_text(identifier: str, value: str, unit: str) -> str:
    return f"{identifier} = {value} {unit}"


class Choice(NamedTuple):
    """
    A factor from a registry file, and the reductions with it and with the published ones. [tCO2e]

    `ours`, `theirs`: reduction with this factor, and with `others`.
    `counts`: whether it is used in the account.  `others`: factors that would be used without it.
    """

    factor: Factor
    others: tuple[Factor, ...]
    ours: Fraction
    theirs: Fraction
    counts: bool


def published(book: Iterable[Factor]) -> FactorBook:
    """
    Return the factor book without registry files' factors that have no third party's
    document.
    """
    while isinstance(book, Ledger):  # a factor used for comparison only is not recorded
        book = book.book
    return (book if isinstance(book, FactorBook) else FactorBook(book)).published


def without(book: Factors, withheld: Collection[str]) -> FactorBook:
    """Return the factor book without some factors of registry files, by id."""
    counted = published(book)
    for factor in book:
        if factor.brought and factor.id not in withheld:
            with suppress(FactorError):  # it supersedes a factor that is not accepted
                counted = counted.with_factor(factor)
    return counted


def bounded(
    book: Factors, reduction: Callable[[Factors], Fraction]
) -> tuple[Factors, tuple[Choice, ...]]:
    """
    Return the factor book without factors of registry files that increase the reduction.

    The factors are tried in order, each together with those already accepted.

    `reduction`: returns the reduction of the account with a given book. [tCO2e]
    """
    every = list(book)
    brought = [factor for factor in every if factor.brought and not factor.documented]
    if not brought:
        return book, ()
    counted, choices = published(book), []
    for factor in brought:
        try:
            more = counted.with_factor(factor)
            with_it, ours = _account(more, reduction)
        except FactorError:  # it supersedes a factor that is not accepted, or overlaps another
            continue
        if factor.id not in with_it:
            counted = more
            continue
        try:
            without_it, theirs = _account(counted, reduction)
        except FactorError:  # no published factor to compare it with
            counted = more
            choices.append(Choice(factor, (), ours, ours, counts=True))
            continue
        others = tuple(f for f in without_it.values() if f.kind == factor.kind)
        same = any(f.value == factor.value for f in others)
        counts = ours < theirs or (ours == theirs and same)
        choices.append(Choice(factor, others, ours, theirs, counts))
        if counts:
            counted = more
    return counted, tuple(choices)


def _account(
    book: Factors, reduction: Callable[[Factors], Fraction]
) -> tuple[dict[str, Factor], Fraction]:
    """Return the factors used in an account, by id, and its reduction. [tCO2e]"""
    ledger = Ledger(book)
    comes_to = reduction(ledger)
    return {factor.id: factor for factor in ledger.used()}, comes_to


_DATES = ("valid_from", "valid_to")
_NUMBERS = ("value", "unit", "direction", *_DATES)
# optional fields of a factor
_MORE = ("bound", "supersedes")
# who entered a factor, and the issuer of its document; not covered by the factor's hash
_MARKS = ("brought", "documented")


def records_of(kinds: Iterable[str], book: Iterable[Factor]) -> list[dict[str, Any]]:
    """Return the records of all factors of some kinds, in the factor book's order."""
    required, grid = set(kinds), getattr(book, "grid", None)
    wanted = required.union(*(kinds_in(national(kind)[0], grid) for kind in required))
    return [to_record(factor) for factor in book if factor.kind in wanted]


def to_record(factor: Factor) -> dict[str, Any]:
    """Return a factor as JSON: the hashed fields, and the hash."""
    texts = {"id", "kind", "unit", "direction", "source", "certainty", "verified", "sha256"}
    record = {name: getattr(factor, name) for name in sorted(texts)}
    record["value"] = factor.text
    for name in _DATES:
        day = getattr(factor, name)
        if day is not None:
            record[name] = day.isoformat()
    for name in (*_MORE, *_MARKS):
        if getattr(factor, name):
            record[name] = getattr(factor, name)
    if factor.document is not None:
        record["document"] = factor.document._asdict()
    if factor.calculation is not None:
        record["calculation"] = factor.calculation._asdict()
    return record


def factor_of(record: Mapping[str, Any], name: str = "registry") -> Factor:
    """
    Return a factor from fields with dates as text and without hash; errors mention `name`.

    Raises FactorError if a field is missing or malformed.
    """
    entry = {key: value for key, value in record.items() if key != "sha256"}
    for key in _DATES:
        if key in entry:
            entry[key] = _date(entry[key], record)
    return parse_entry(entry, name)


def from_record(record: Mapping[str, Any]) -> Factor:
    """
    Return the factor that `to_record` wrote.

    Raises FactorError if a field is missing or malformed, or the hash is not of these fields.
    """
    marked = {name: record.get(name, False) for name in _MARKS}
    for name, mark in marked.items():
        if not isinstance(mark, bool):
            raise FactorError(
                f"factors.json: factor {record.get('id')!r}: {name} = {mark!r} must be true or"
                " false"
            )
    fields = {key: value for key, value in record.items() if key not in _MARKS}
    factor = replace(factor_of(fields, "factors.json"), **marked)
    if factor.sha256 != record.get("sha256"):
        raise FactorError(
            f"factor {factor.id!r} has hash {factor.sha256}, but its record has "
            f"{record.get('sha256')!r}: a field was changed; obtain the pack again from its sender"
        )
    return factor


def _date(text: object, record: Mapping[str, Any]) -> date:
    try:
        return date.fromisoformat(str(text))
    except ValueError:
        raise FactorError(
            f"factor {record.get('id')!r} has the date {text!r}; write 2026-01-31"
        ) from None


def book_of(records: Iterable[Mapping[str, Any]]) -> FactorBook:
    """Return the factor book of a pack. Raises FactorError as `from_record`."""
    return FactorBook(from_record(record) for record in records)


def unpublished(factors: Iterable[Factor]) -> list[str]:
    """Return the ids of factors that this version of tonne does not publish."""
    return sorted(factor.id for factor in _unknown(factors))


def unmarked(factors: Iterable[Factor]) -> list[str]:
    """Return the ids of factors that this version does not publish and no registry file states."""
    return sorted(factor.id for factor in _unknown(factors) if not factor.brought)


def _unknown(factors: Iterable[Factor]) -> list[Factor]:
    own = {factor.id for factor in load()}
    return [factor for factor in factors if factor.id not in own]


def departures(factors: Iterable[Factor]) -> list[str]:
    """
    Return the factors of a pack that differ from those published by this version of tonne.

    The text of a source may differ; number, unit, direction and validity must be equal.
    """
    own = {factor.id: factor for factor in load()}
    result = []
    for factor in factors:
        published = own.get(factor.id)
        if published is None:
            continue
        parameters, known = to_record(factor), to_record(published)
        result += [
            f"factor {factor.id!r}: {name} is {parameters.get(name)!r}, published:"
            f" {known.get(name)!r}"
            for name in _NUMBERS
            if parameters.get(name) != known.get(name)
        ]
    return result
