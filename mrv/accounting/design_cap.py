"""
Ex-ante design cap: what a year may be credited at most, and energy above it.

A project may state how much its baseline service came to in a year.  What its
devices of that role count beyond it, pro rata of the year's days that the period
covers, is not credited; it is taken from each device in proportion.
"""

from __future__ import annotations

from collections.abc import Iterable

from mrv.errors import PeriodError
from mrv.model import Methodology, Side
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
