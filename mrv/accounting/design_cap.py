"""
Ex-ante design cap: what a year may be credited at most, and energy above it.

A project may state how much its baseline service came to in a year.  What its
devices of that role count beyond it, pro rata of the year's days that the period
covers, is not credited; it is taken from each device in proportion.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction

from mrv.accounting.device_period import Monitored, YearPart
from mrv.calendar import year_us
from mrv.errors import PeriodError
from mrv.model import Methodology, Side
from mrv.parameters.inputs import Inputs
from mrv.registry.project import ProjectDevice


def energy_roles(methodology: Methodology, bound: Iterable[ProjectDevice]) -> tuple[str, ...]:
    """
    Return the roles that the design's energy is of, where a project meters other energy too.

    What it makes or saves, on the baseline's side, if the methodology meters that; what
    such a plant draws for itself is no part of it.  Empty: all that is metered is of it.
    """
    others = _energies(methodology, "project")
    return _energies(methodology, "baseline") if any(b.role in others for b in bound) else ()


def check_energy(methodology: Methodology, roles: tuple[str, ...]) -> None:
    """Refuse a plan whose design is of other roles' energy than its methodology's; PeriodError."""
    ours = _energies(methodology, "baseline")
    if roles and roles != ours:
        raise PeriodError(
            f"the plan compares the energy of {', '.join(roles)} with its design; with"
            f" {methodology.id} it is that of {', '.join(ours) or 'all meters'}"
        )


def _energies(methodology: Methodology, side: Side) -> tuple[str, ...]:
    roles = methodology.roles.items()
    return tuple(r for r, needs in roles if needs.side == side and needs.unit == "Wh")


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
