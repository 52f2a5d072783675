"""
What stands on both sides of the account: the worse of what may have been lost.

A quantity such as waste whose composting emits may cost more than it gains.  Each
part of it that lost something is asked by itself whether nothing or the most leaves
less, so that a loss that gains never hides one that costs; then each year is the
lowest of nothing for all, the most for those, and the most for all.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from mrv.model import Reductions
    from mrv.monitored import Monitored, YearPart

Place = tuple[int, int]


def worst(
    monitored: Sequence[Monitored],
    account: Callable[[Sequence[Monitored]], Mapping[int, Reductions]],
) -> list[Monitored]:
    """
    Return the devices, with `at_most` set in the parts where that leaves less.

    Parameters
    ----------
    monitored : sequence of Monitored
    account : callable
        What devices come to, by local calendar year.
    """
    years = {
        (k, j): part.year
        for k, one in enumerate(monitored)
        if one.needs.costs is not None
        for j, part in enumerate(one.parts)
        if part.gaps or part.errors
    }
    if not years:
        return list(monitored)
    nothing = account(monitored)
    dear = [
        place
        for place, year in years.items()
        if account(_at_most(monitored, [place]))[year].reduction_t < nothing[year].reduction_t
    ]
    chosen: dict[int, Collection[Place]] = dict.fromkeys(nothing, ())
    least = {year: found.reduction_t for year, found in nothing.items()}
    for places in (dear, list(years)):
        for year, found in account(_at_most(monitored, places)).items():
            if found.reduction_t < least[year]:
                least[year] = found.reduction_t
                chosen[year] = [place for place in places if years[place] == year]
    return _at_most(monitored, [place for some in chosen.values() for place in some])


def _at_most(monitored: Sequence[Monitored], places: Collection[Place]) -> list[Monitored]:
    """Count at its most what was lost of some parts, each by its device and its place in it."""
    wanted = set(places)
    held = {k for k, _ in wanted}
    return [
        one if k not in held else replace(one, parts=_marked(one.parts, k, wanted))
        for k, one in enumerate(monitored)
    ]


def _marked(parts: Sequence[YearPart], k: int, wanted: Collection[Place]) -> tuple[YearPart, ...]:
    return tuple(
        replace(part, at_most=True) if (k, j) in wanted else part for j, part in enumerate(parts)
    )
