"""Which device had the place of one that was bound later: its meter's id before."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import date, timedelta
from typing import Any

# between the end of a service and the beginning of the one that takes its place
_AROUND = timedelta(days=31)


def replaced(
    was: Mapping[str, Any], now: Mapping[str, Any], known: Collection[str | None]
) -> dict[str, frozenset[str]]:
    """
    Return the known devices whose place each other device of a project has.

    That is a role in which one's service ends up to a month before or after the other's begins,
    or in which one is not bound any more.  A device that takes the place of another new one has
    the place of that one's.

    Parameters
    ----------
    was, now : mapping
        Entry of the project with the keys of registry files, before and now.
    known : collection of str
        Devices that were bound before.
    """
    before: dict[str, set[str]] = {}
    for bound in now.get("devices", ()):
        if bound["device"] not in known:
            found = before.setdefault(bound["device"], set())
            found.update(_ending(bound, now))
            found.update(_gone(bound, was, now))
    return {
        device: frozenset(one for one in _back(device, before) if one in known) for device in before
    }


def _gone(new: Mapping[str, Any], was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Devices of the same role that served the project when one begins and are bound no more."""
    if was["id"] != now["id"]:  # devices that stay in another project
        return
    left = {bound["device"] for bound in now["devices"]}
    begin = _edges(new, now)[0]
    for one in was.get("devices", ()):
        first, end = _edges(one, was)
        serves = first - _AROUND <= begin <= end + _AROUND
        if serves and one["role"] == new["role"] and one["device"] not in left:
            yield one["device"]


def _ending(new: Mapping[str, Any], entry: Mapping[str, Any]) -> Iterator[str]:
    """Devices of the same role whose service ends around the time when that of one begins."""
    begin = _edges(new, entry)[0]
    for one in entry["devices"]:
        same = one["role"] == new["role"] and one["device"] != new["device"]
        if same and abs(_edges(one, entry)[1] - begin) <= _AROUND:
            yield one["device"]


def _edges(bound: Mapping[str, Any], entry: Mapping[str, Any]) -> tuple[date, date]:
    whole = entry["crediting_period"]
    first, last = (str(bound.get(edge, whole[edge])) for edge in ("from", "to"))
    return date.fromisoformat(first), date.fromisoformat(last)


def _back(device: str, before: Mapping[str, Collection[str]]) -> set[str]:
    """All that a device stands in the place of, however often it was replaced."""
    found, left = set[str](), [device]
    while left:
        for one in before.get(left.pop(), ()):
            if one not in found:
                found.add(one)
                left.append(one)
    return found
