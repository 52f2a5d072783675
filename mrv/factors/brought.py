"""
Factors that a registry file brought, held against those that tonne publishes.

An owner's factor counts only where it leaves less than the published one that would count
without it.  That is the bound which costs the claimant: the lower of the two for what is
avoided, the higher for what is consumed, and for what serves both the one that leaves less
in the account as a whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mrv.errors import FactorError
from mrv.factors import FactorBook
from mrv.factors.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from fractions import Fraction

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
    """Return the book without what registry files brought."""
    return FactorBook(factor for factor in book if not factor.brought)


def bounded(
    book: Factors, reduction: Callable[[Factors], Fraction]
) -> tuple[Factors, tuple[Choice, ...]]:
    """
    Leave out each brought factor that is not the same as, and leaves no less than, the published.

    Parameters
    ----------
    book : Factors
    reduction : callable
        What the account comes to with a book. [tCO2e]
    """
    found = []
    for factor in [one for one in book if one.brought]:
        with_it, ours = _account(book, reduction)
        if factor.id not in with_it:
            continue
        rest = FactorBook(one for one in book if one.id != factor.id)
        try:
            without_it, theirs = _account(rest, reduction)
        except FactorError:  # nobody else publishes one, so there is nothing to hold it against
            continue
        others = tuple(f for f in without_it.values() if f.kind == factor.kind)
        same = any(f.value == factor.value for f in others)
        counts = ours < theirs or (ours == theirs and same)
        found.append(Choice(factor, others, ours, theirs, counts))
        if not counts:
            book = rest
    return book, tuple(found)


def _account(
    book: Factors, reduction: Callable[[Factors], Fraction]
) -> tuple[dict[str, Factor], Fraction]:
    """Factors that an account asks for, by id, and what it comes to."""
    ledger = Ledger(book)
    comes_to = reduction(ledger)
    return {factor.id: factor for factor in ledger.used()}, comes_to
