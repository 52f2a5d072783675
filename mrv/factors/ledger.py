"""A factor book that remembers which factors were used."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from mrv.model import Direction, Factor, Factors


class Ledger:
    """
    Passes every question on to a book and keeps the answers.

    A statement lists the factors that its numbers used, not those that exist.
    """

    def __init__(self, book: Factors) -> None:
        self._book = book
        self._used: dict[tuple[str, bool], Factor] = {}

    @property
    def country(self) -> str | None:
        """Whose grid the book answers for."""
        return getattr(self._book, "country", None)

    def select(self, kind: str, direction: Direction, at: date | None = None) -> Factor:
        """Return the book's answer; raises what the book raises."""
        factor = self._book.select(kind, direction, at)
        self._used[factor.id, factor.provisional] = factor
        return factor

    def __iter__(self) -> Iterator[Factor]:
        """All factors of the book; looking at one does not use it."""
        return iter(self._book)

    @property
    def book(self) -> Factors:
        """The book that is asked."""
        return self._book

    def used(self) -> list[Factor]:
        """Return all factors given out so far, by id."""
        return [self._used[key] for key in sorted(self._used)]
