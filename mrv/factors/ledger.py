"""
Factor books derived from the published one: used, added, bounded or changed factors.

An owner's factor of a registry file counts only where it is more conservative than the published
one: lower for avoided emissions, higher for consumed energy; for both, where it gives the lower
reduction of the account.  A factor stated in a third party's document counts like a published one.
A newer book is compared with an older one where an official value replaces a provisional one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any, NamedTuple

from mrv.calendar import years
from mrv.errors import FactorError
from mrv.factors import FactorBook
from mrv.model import Direction, Factor, Factors


class Ledger:
    """
    A factor book that records which factors were selected.

    A statement lists the factors used in its figures, not all that exist.
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
        """Yield all factors of the factor book without recording them."""
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
    """Factors of one kind in a statement, and those valid today."""

    kind: str
    was: tuple[str, ...]
    now: tuple[str, ...]
    provisional: bool


def used_by(
    ask: Callable[[Factors, int], object], span_us: tuple[int, int], timezone: str, book: Factors
) -> list[Factor]:
    """
    Return factors used by a project's account in a period.

    Parameters
    ----------
    ask : callable
        Calculates the emissions per unit in a local calendar year with given factors.
    span_us : tuple of int
        Half-open. [us UTC]
    """
    ledger = Ledger(book)
    for year, _, _ in years(*span_us, timezone):
        ask(ledger, year)
    return ledger.used()


def changes(recorded: Iterable[Mapping[str, Any]], now: Iterable[Factor]) -> Iterator[Change]:
    """
    Yield the kinds whose factors in a statement differ from those valid today.

    Parameters
    ----------
    recorded : iterable of mapping
        `factors` of a statement: kind, id, value, provisional.
    now : iterable of Factor
        Factors that the same account uses today.
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
    A factor from a registry file, with the reductions it and the alternatives give. [tCO2e]

    `counts`: it is used in the account; `others`: the factors that would be used without it.
    """

    factor: Factor
    others: tuple[Factor, ...]
    ours: Fraction
    theirs: Fraction
    counts: bool


def published(book: Iterable[Factor]) -> FactorBook:
    """Return the factor book without registry files' factors that no third party states."""
    every = list(book)
    kept = [factor for factor in every if not factor.brought or factor.documented]
    if isinstance(book, FactorBook) and len(kept) == len(every):
        return book
    return FactorBook(kept, getattr(book, "grid", None))


def without(book: Factors, withheld: Collection[str]) -> FactorBook:
    """Return the factor book without some factors of registry files, by id."""
    counted = published(book)
    for factor in book:
        if factor.brought and factor.id not in withheld:
            with suppress(FactorError):  # it supersedes one that does not count
                counted = counted.with_factor(factor)
    return counted


def bounded(
    book: Factors, reduction: Callable[[Factors], Fraction]
) -> tuple[Factors, tuple[Choice, ...]]:
    """
    Return the emission factors without those of a registry file that raise the reduction.

    Each factor is tried in order on top of those accepted before.

    Parameters
    ----------
    book : Factors
    reduction : callable
        Returns the reduction of the account with a given book. [tCO2e]
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
        except FactorError:  # it supersedes one that does not count, or is of a day of another
            continue
        if factor.id not in with_it:
            counted = more
            continue
        try:
            without_it, theirs = _account(counted, reduction)
        except FactorError:  # no other is published, so there is nothing to compare it with
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
    """Return the factors that an account uses, by id, and its reduction. [tCO2e]"""
    ledger = Ledger(book)
    comes_to = reduction(ledger)
    return {factor.id: factor for factor in ledger.used()}, comes_to
