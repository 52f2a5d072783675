"""
Periods of validity of factors of a kind and direction; a superseded factor ends early.

A row is never changed.  A new row names the one that it supersedes and is valid from its own start;
the old one stays valid before.  A row of a registry file with a third party's document takes
precedence over tonne's rows that begin on the same day or earlier; a row without such a document
applies only on days without a row of tonne's.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from itertools import pairwise
from typing import NamedTuple

from mrv.errors import FactorError
from mrv.model import Factor


class InForce(NamedTuple):
    """A factor with its half-open local days of validity."""

    factor: Factor
    begin: date
    end: date


def in_force(kind: str, group: Sequence[Factor]) -> list[InForce]:
    """
    Return the factors in order of time, each with the days on which it is valid.

    `kind`: kind of factor, for errors.
    `group`: factors of one kind and direction, in order of time.
    Raises FactorError if a factor supersedes an unknown one or itself, starts before the one it
    supersedes, or if two factors of one publisher are valid on one day.
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
                f"factor {factor.id!r} supersedes {factor.supersedes!r}, which is not another "
                f"factor of kind {kind!r} for {factor.direction}; known: {known}"
            )
        if old.id in ends:
            raise FactorError(
                f"factor {factor.id!r} supersedes {old.id!r}, which is already superseded; "
                "name the newest factor"
            )
        if begin(factor) < begin(old):
            raise FactorError(
                f"factor {factor.id!r} supersedes {old.id!r} and is valid from {begin(factor)}, "
                f"before {begin(old)}; set valid_from to that date or later"
            )
        ends[old.id] = begin(factor)
    kept = [
        InForce(factor, begin(factor), min(_end(factor), ends.get(factor.id, date.max)))
        for factor in group
    ]
    forces = _given_way([force for force in kept if force.begin < force.end])
    for earlier, later in pairwise(forces):
        if later.begin < earlier.end:
            raise FactorError(
                f"factors {earlier.factor.id!r} and {later.factor.id!r} of kind {kind!r} are both "
                f"valid on {later.begin}; end the earlier one at that date, or name it in "
                "`supersedes` of the later one"
            )
    return forces


def _given_way(rows: list[InForce]) -> list[InForce]:
    """Return the rows without overlaps between rows of registry files and tonne's rows."""
    ours = [row for row in rows if not row.factor.brought]
    theirs = [row for row in rows if row.factor.brought]
    for brought in theirs:
        if brought.factor.documented:
            begin = brought.begin
            ours = [our._replace(end=min(our.end, begin)) if our.begin <= begin else our
                    for our in ours]  # fmt: skip
    whole = [our for our in ours if our.begin < our.end]
    cut = [_before(their, whole) for their in theirs]
    return sorted((force for force in (*whole, *cut) if force.begin < force.end), key=_first_day)


def _before(brought: InForce, ours: list[InForce]) -> InForce:
    """Return a registry file's row without the days covered by tonne's rows."""
    for our in ours:
        if our.begin <= brought.begin < our.end:
            brought = brought._replace(begin=our.end)
        elif brought.begin < our.begin < brought.end:
            return brought._replace(end=our.begin)
    return brought


def _first_day(force: InForce) -> date:
    return force.begin


def begin(factor: Factor) -> date:
    """Return the first local day of a factor's validity."""
    return factor.valid_from or date.min


def _end(factor: Factor) -> date:
    return factor.valid_to or date.max
