"""A factor book without the ends of intervals: as accounting had it before it asked for them."""

from __future__ import annotations

from collections.abc import Iterable

from mrv.factors import FactorBook
from mrv.model import Factor


def centres(factors: Iterable[Factor]) -> FactorBook:
    """Return the book without its bounds."""
    kept = (factor for factor in factors if not factor.bound)
    return FactorBook(kept, getattr(factors, "country", None))
