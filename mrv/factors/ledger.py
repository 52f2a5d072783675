"""
Factor books derived from the published one: used, added, bounded or changed factors.

A factor book that remembers which factors were used.

A factor book without the ends of intervals: as accounting had it before it asked for them.

What a newer factor book changes in a period that was closed with an older one.

The usual case: a year had no official value, the last one went on as provisional,
and now the official one is there.

Factors that a registry file brought, compared with those that tonne publishes.

An owner's factor counts only where it is more conservative than the published one that would count
without it.  That is the bound which costs the claimant: the lower of the two for what is
avoided, the higher for what is consumed, and for what serves both the one that gives the lower
reduction
in the account as a whole.  One that states its value in a document of a third party counts like
those that tonne publishes.
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
    Passes each request to a book and records the answers.

    A statement lists the factors that its numbers used, not those that exist.
    """

    def __init__(self, book: Factors) -> None:
        self._book = book
        self._used: dict[tuple[str, bool], Factor] = {}

    @property
    def grid(self) -> str | None:
        """The grid that the book answers for."""
        return getattr(self._book, "grid", None)

    def select(self, kind: str, direction: Direction, at: date | None = None) -> Factor:
        """Return the book's answer, or raise its error."""
        factor = self._book.select(kind, direction, at)
        self._used[factor.id, factor.provisional] = factor
        return factor

    def __iter__(self) -> Iterator[Factor]:
        """All factors of the book; looking at one does not use it."""
        return iter(self._book)

    @property
    def book(self) -> Factors:
        """Return the underlying book."""
        return self._book

    def used(self) -> list[Factor]:
        """Return all factors used so far, by id."""
        return [self._used[key] for key in sorted(self._used)]


def centres(factors: Iterable[Factor]) -> FactorBook:
    """Return the book without its bounds."""
    kept = (factor for factor in factors if not factor.bound)
    return FactorBook(kept, getattr(factors, "grid", None))


@dataclass(frozen=True, slots=True)
class Change:
    """Factors of one kind in a statement, and those that would be used today."""

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
        Computes a unit of a local calendar year with the factors it is given.
    span_us : tuple of int
        Half-open. [us UTC]
    """
    ledger = Ledger(book)
    for year, _, _ in years(*span_us, timezone):
        ask(ledger, year)
    return ledger.used()


def changes(recorded: Iterable[Mapping[str, Any]], now: Iterable[Factor]) -> Iterator[Change]:
    """
    Compare the factors of a statement with today's, by kind.

    Parameters
    ----------
    recorded : iterable of mapping
        `factors` of a statement: kind, id, value, provisional.
    now : iterable of Factor
        What the same account uses today.
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

    `counts` says whether it is the one that counts; `others` are what counts without it.
    """

    factor: Factor
    others: tuple[Factor, ...]
    ours: Fraction
    theirs: Fraction
    counts: bool


def published(book: Iterable[Factor]) -> FactorBook:
    """Return the book without factors of registry files, except those stated by a third party."""
    every = list(book)
    kept = [factor for factor in every if not factor.brought or factor.documented]
    if isinstance(book, FactorBook) and len(kept) == len(every):
        return book
    return FactorBook(kept, getattr(book, "grid", None))


def without(book: Factors, withheld: Collection[str]) -> FactorBook:
    """Return the book without some factors of registry files, by id."""
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
    Use each factor of a registry file that is equal to, or more conservative than, the book's.

    They are taken up one by one into the book of the published ones, in their order: no two of
    them are compared with each other alone.

    Parameters
    ----------
    book : Factors
    reduction : callable
        What the account comes to with a book. [tCO2e]
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
    """Factors that an account asks for, by id, and what it comes to."""
    ledger = Ledger(book)
    comes_to = reduction(ledger)
    return {factor.id: factor for factor in ledger.used()}, comes_to
