"""
Output above the design: what the baseline could not have produced or driven.

A project may state how much its baseline service came to in a year.  What its
devices of that role count beyond it, pro rata of the year's days that the period
covers, is not credited; it is taken from each device in proportion.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

from mrv.calendar import year_us

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mrv.inputs import Inputs
    from mrv.monitored import Monitored, YearPart


def capped(
    monitored: Sequence[Monitored],
    parameters: Inputs,
    edges: Iterable[tuple[int, int, int]],
    timezone: str,
) -> list[Monitored]:
    """
    Take off what lies above the design.

    Parameters
    ----------
    monitored : sequence of Monitored
    parameters : mapping
        Of the project; a role whose cap is not among them has none.
    edges : iterable of (year, begin, end)
        Local calendar years of the period. [us UTC]
    """
    # the period's part of each year
    parts = {y: Fraction(end - begin, year_us(y, timezone)) for y, begin, end in edges}
    found = list(monitored)
    caps = {m.bound.role: m.needs.cap for m in monitored if m.needs.cap is not None}
    for role, cap in caps.items():
        if cap[0] not in parameters:
            continue
        of_role = [i for i, m in enumerate(found) if m.bound.role == role]
        for year, part in parts.items():
            share = _excess([found[i] for i in of_role], cap, parameters, year, part)
            for i in of_role if share else ():
                found[i] = _less(found[i], year, share)
    return found


def _excess(
    devices: Sequence[Monitored],
    cap: tuple[str, int],
    parameters: Inputs,
    year: int,
    part: Fraction,
) -> Fraction:
    """Part of a role's quantity in a year that is above its cap."""
    name, base_units = cap
    most = parameters[name] * base_units * part
    total = sum(
        (m.counted(p) for m in devices for p in m.parts if p.year == year), start=Fraction(0)
    )
    return Fraction(0) if total <= most else 1 - most / total


def _less(one: Monitored, year: int, share: Fraction) -> Monitored:
    def cut(part: YearPart) -> YearPart:
        return replace(part, above=one.counted(part) * share) if part.year == year else part

    return replace(one, parts=tuple(cut(part) for part in one.parts))
