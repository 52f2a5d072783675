"""
Factors that a registry file brought, compared with those that tonne publishes.

An owner's factor counts only where it is more conservative than the published one that would count
without it.  That is the bound which costs the claimant: the lower of the two for what is
avoided, the higher for what is consumed, and for what serves both the one that leaves less
in the account as a whole.  One that states its value in a document of a third party counts like
those that tonne publishes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from fractions import Fraction
from typing import NamedTuple

from mrv.errors import FactorError
from mrv.factors import FactorBook
from mrv.factors.ledger import Ledger
from mrv.model import Factor, Factors


class Choice(NamedTuple):
    """
    A brought factor that the account asks for, and what it and the others come to. [tCO2e]

    `counts` says whether it is the one that counts; `others` are what counts without it.
    """

    factor: Factor
    others: tuple[Factor, ...]
    ours: Fraction
    theirs: Fraction
    counts: bool


def published(book: Iterable[Factor]) -> FactorBook:
    """Return the book without what registry files brought, but for what a third party states."""
    every = list(book)
    kept = [factor for factor in every if not factor.brought or factor.documented]
    if isinstance(book, FactorBook) and len(kept) == len(every):
        return book
    return FactorBook(kept, getattr(book, "country", None))


def without(book: Factors, withheld: Collection[str]) -> FactorBook:
    """Return the book without some of what registry files brought, by id."""
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
    Take up each brought factor that is the same as what counts without it, or is more conservative.

    They are taken up one by one into the book of the published ones, in their order: no two of
    them are compared with each other alone.

    Parameters
    ----------
    book : Factors
    reduction : callable
        What the account comes to with a book. [tCO2e]
    """
    every = list(book)
    brought = [one for one in every if one.brought and not one.documented]
    if not brought:
        return book, ()
    counted, found = published(book), []
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
            found.append(Choice(factor, (), ours, ours, counts=True))
            continue
        others = tuple(f for f in without_it.values() if f.kind == factor.kind)
        same = any(f.value == factor.value for f in others)
        counts = ours < theirs or (ours == theirs and same)
        found.append(Choice(factor, others, ours, theirs, counts))
        if counts:
            counted = more
    return counted, tuple(found)


def _account(
    book: Factors, reduction: Callable[[Factors], Fraction]
) -> tuple[dict[str, Factor], Fraction]:
    """Factors that an account asks for, by id, and what it comes to."""
    ledger = Ledger(book)
    comes_to = reduction(ledger)
    return {factor.id: factor for factor in ledger.used()}, comes_to
