"""
Which registered values count: those of now, those that were issued, those of before the period.

A candidate counts where it leaves no more.  Up to four candidates are tried in every
combination, since two that offset each other hide what each of them does; above that one after
the other, in the order of their names, and all together.  No order of the candidates moves the
figure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

from mrv.errors import FactorError, MethodologyError, PeriodError
from mrv.registry.project import Project

# 2 to the power of it passes over a period
MOST_COMBINED = 4


@dataclass(frozen=True, slots=True)
class Move:
    """
    A candidate in place of a registered value.

    Attributes
    ----------
    name : str
        By which candidates are ordered where they are too many to combine.
    apply : callable
        Returns the project with it.
    told : callable
        Text of a finding, by the difference to the other choice [ug CO2e], or None where by
        this value alone there is no account, and by whether it counts.
    free : bool
        Whether it counts where it leaves no more; else it is priced and told alone.
    """

    name: str
    apply: Callable[[Project], Project]
    told: Callable[[int | None, bool], str | None]
    free: bool = True


def choose(
    project: Project, moves: Sequence[Move], left_by: Callable[[Project], int]
) -> tuple[Project, list[tuple[Move, str]]]:
    """
    Return the project with the candidates that leave least, and what is said of each.

    Parameters
    ----------
    left_by : callable
        Reduction that the whole period comes to with a project. [ug CO2e]
    """
    known: dict[frozenset[int], int | None] = {}

    def by(some: frozenset[int]) -> int | None:
        if some not in known:
            other = _with(project, moves, some)
            try:
                known[some] = left_by(other)
            except (FactorError, MethodologyError, PeriodError):
                if not some:
                    raise
                # by these values there is no account
                known[some] = None
        return known[some]

    best = _least(moves, by)
    found = []
    for k, move in enumerate(moves):
        counts = k in best
        other = by(best - {k} if counts else best | {k})
        ours = by(best)
        difference = None if other is None or ours is None else abs(other - ours)
        text = move.told(difference, counts)
        if text is not None:
            found.append((move, text))
    return _with(project, moves, best), found


def _with(project: Project, moves: Sequence[Move], some: frozenset[int]) -> Project:
    for k in sorted(some):
        project = moves[k].apply(project)
    return project


def _least(moves: Sequence[Move], by: Callable[[frozenset[int]], int | None]) -> frozenset[int]:
    free = sorted((k for k, move in enumerate(moves) if move.free), key=lambda k: moves[k].name)
    if len(free) <= MOST_COMBINED:
        sets = [frozenset(c) for n in range(len(free) + 1) for c in combinations(free, n)]
    else:
        one_by_one = frozenset[int]()
        for k in free:
            ours, theirs = by(one_by_one), by(one_by_one | {k})
            if theirs is not None and (ours is None or theirs <= ours):
                one_by_one |= {k}
        sets = [frozenset(), one_by_one, frozenset(free)]
    left = {some: ours for some in sets if (ours := by(some)) is not None}
    # on a tie more values of before: a day of rest would change what counts afterwards
    return min(left, key=lambda some: (left[some], -len(some), sorted(moves[k].name for k in some)))
