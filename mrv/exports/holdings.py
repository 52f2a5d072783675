"""
Holdings of ITMOs by range, after a sequence of actions.

A range is split where an action concerns part of it.  Used or cancelled units have no holder and
permit no further action.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from mrv.errors import ExportError
from mrv.exports.entered import Action, Authorization, Itmos

TYPES = ("Authorization", "First Transfer", "Transfer", "Acquisition", "Use", "Cancellation")
_MOVING, _ENDING = ("First Transfer", "Transfer", "Acquisition"), ("Use", "Cancellation")


@dataclass(frozen=True, slots=True)
class Holding:
    """
    Range of units with one history.

    Attributes
    ----------
    first, last : int
        First and last serial number, both included.
    holder : str or None
        Party; None once used or cancelled.
    units : Itmos
        The range from which it was split.
    """

    authorization: Authorization
    units: Itmos
    first: int
    last: int
    holder: str | None

    @property
    def quantity(self) -> int:
        """Return the number of tonnes. [t]"""
        return self.last - self.first + 1


def range_of(authorization: Authorization, action: Action) -> Itmos:
    """
    Return the entered range that contains an action.

    Raises
    ------
    ExportError
        If there is none.
    """
    for units in authorization.units:
        inside = units.first <= action.first <= action.last <= units.last
        if inside and units.registry == action.registry:
            return units
    raise ExportError(
        f"{_named(authorization, action)}: {action.first} to {action.last} is not in any range of "
        f"units of registry {action.registry}; enter the units, or one action per range"
    )


def holdings(
    authorizations: Iterable[Authorization], actions: Iterable[tuple[Authorization, Action]]
) -> list[Holding]:
    """
    Return the holdings after some actions, by authorization and number.

    Parameters
    ----------
    authorizations : iterable of Authorization
        Authorizations in force.
    actions : iterable of (Authorization, Action)

    Raises
    ------
    ExportError
        For an action before the authorization, of units that were used or cancelled, or
        by a Party that does not hold them.
    """
    ranges = [
        Holding(authorization, units, units.first, units.last, authorization.party)
        for authorization in authorizations
        for units in authorization.units
    ]
    for authorization, action in sorted(actions, key=lambda pair: pair[1].date):
        _check(authorization, action)
        units = range_of(authorization, action)
        ranges = [
            part for range_ in ranges for part in _after(range_, authorization, units, action)
        ]
    return sorted(
        ranges,
        key=lambda holding: (holding.authorization.id, holding.units.registry, holding.first),
    )


def _check(authorization: Authorization, action: Action) -> None:
    if action.type not in TYPES:
        raise ExportError(
            f"{_named(authorization, action)}: {action.type!r} is not a type of action; one of "
            f"{', '.join(TYPES)}"
        )
    if action.date < authorization.date:
        raise ExportError(
            f"{_named(authorization, action)}: its date is before the authorization of "
            f"{authorization.date}; correct the date"
        )


def _after(
    item: Holding, authorization: Authorization, units: Itmos, action: Action
) -> Iterable[Holding]:
    """Yield the parts of a holding after an action on part of it."""
    apart = item.last < action.first or action.last < item.first
    if item.authorization is not authorization or item.units is not units or apart:
        yield item
        return
    if item.first < action.first:
        yield replace(item, last=action.first - 1)
    yield replace(
        item,
        first=max(item.first, action.first),
        last=min(item.last, action.last),
        holder=_holder(item, action),
    )
    if action.last < item.last:
        yield replace(item, first=action.last + 1)


def _holder(item: Holding, action: Action) -> str | None:
    where = _named(item.authorization, action)
    if item.holder is None:
        raise ExportError(
            f"{where}: units from {max(item.first, action.first)} on were used or cancelled "
            "earlier; correct the range"
        )
    giver = action.from_party
    # an acquisition is the other side of a transfer that may stand here as well
    received = action.type == "Acquisition" and item.holder == action.to_party
    if giver is not None and giver != item.holder and not received:
        raise ExportError(
            f"{where}: the units are held by {item.holder}, not by {giver}; correct the "
            "holder or the range"
        )
    if action.type in _ENDING:
        return None
    return action.to_party or item.holder if action.type in _MOVING else item.holder


def _named(authorization: Authorization, action: Action) -> str:
    return f"authorizations[{authorization.id}], {action.type} of {action.date}"
