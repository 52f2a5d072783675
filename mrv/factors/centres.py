"""A factor book without the ends of intervals: as accounting had it before it asked for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrv.factors import FactorBook

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mrv.model import Factor


def centres(factors: Iterable[Factor]) -> FactorBook:
    """Return the book without its bounds."""
    return FactorBook(factor for factor in factors if not factor.bound)
