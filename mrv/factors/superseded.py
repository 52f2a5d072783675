"""
Which factors of a kind and direction count when: what was superseded ends there.

A row is never edited.  The one that takes its place names it, and counts from the
begin of its own validity on; the old one keeps the days before.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from itertools import pairwise
from typing import NamedTuple

from mrv.errors import FactorError
from mrv.model import Factor


class InForce(NamedTuple):
    """A factor and the local days on which it counts, half-open."""

    factor: Factor
    begin: date
    end: date


def in_force(kind: str, group: Sequence[Factor]) -> list[InForce]:
    """
    Return the factors that count, in order of time, each with the days that are left to it.

    Parameters
    ----------
    kind : str
        For the error.
    group : sequence of Factor
        Of one kind and direction, in order of time.

    Raises
    ------
    FactorError
        If a factor supersedes none, itself or one that another supersedes, if it counts
        from an earlier day than that one, or if two are valid on one day.
    """
    by_id = {factor.id: factor for factor in group}
    ends: dict[str, date] = {}
    for factor in group:
        if factor.supersedes is None:
            continue
        old = by_id.get(factor.supersedes)
        if old is None or old is factor:
            known = ", ".join(name for name in by_id if name != factor.id) or "none"
            raise FactorError(
                f"factor {factor.id!r} supersedes {factor.supersedes!r}, which is no other factor"
                f" of kind {kind!r} for {factor.direction}; known: {known}"
            )
        if old.id in ends:
            raise FactorError(
                f"factor {factor.id!r} supersedes {old.id!r}, which another one supersedes already;"
                " name the newest"
            )
        if begin(factor) < begin(old):
            raise FactorError(
                f"factor {factor.id!r} supersedes {old.id!r} and is valid from {begin(factor)},"
                f" before {begin(old)}; let it begin there or later"
            )
        ends[old.id] = begin(factor)
    kept = [
        InForce(factor, begin(factor), min(_end(factor), ends.get(factor.id, date.max)))
        for factor in group
    ]
    found = [one for one in kept if one.begin < one.end]
    for earlier, later in pairwise(found):
        if later.begin < earlier.end:
            raise FactorError(
                f"factors {earlier.factor.id!r} and {later.factor.id!r} of kind {kind!r} are both"
                f" valid on {later.begin}; end the earlier one there, or let the later one name it"
                " in `supersedes`"
            )
    return found


def begin(factor: Factor) -> date:
    """First local day of a factor's validity."""
    return factor.valid_from or date.min


def _end(factor: Factor) -> date:
    return factor.valid_to or date.max
