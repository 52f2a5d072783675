"""
Rated powers with the time from which they count.

A rating decides how much a meter may say, so it is never changed for a time that a closed
period covers.  A file that gives another `rated_power_w` and no `ratings` gives one from
the time of its import on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from itertools import pairwise

from services.registry.entries import Device, Rating, Registry
from services.registry.fields import Row

MAX_RATED_W = 10**12


def rating(row: Row) -> Rating:
    """Read a row of `ratings`."""
    row.only("from", "rated_power_w", "document")
    watt = row.required("rated_power_w", row.whole("rated_power_w", 1, MAX_RATED_W), "whole watts")
    begins = row.required("from", row.moment("from"), "a time with its offset")
    return Rating(begins, watt or 0, row.optional("document"))


def dated(stored: Registry, merged: Registry, now: datetime) -> Registry:
    """Give each rating that a file changes without a time the time of its import."""
    entries = dict(merged.entries)
    for key, entry in merged.entries.items():
        if isinstance(entry, Device):
            before = stored.entries.get(key)
            entries[key] = _dated(before if isinstance(before, Device) else None, entry, now)
    return Registry(entries)


def _dated(before: Device | None, device: Device, now: datetime) -> Device:
    held = device.ratings or ()
    watt = device.rated_power_w
    if watt is None or (held and held[-1].rated_power_w == watt):
        return device
    begins = now if held or (before and before.ratings) else device.installed
    return replace(device, ratings=(*held, Rating(begins, watt, None)))


def problems(
    stored: Registry, merged: Registry, closed: Mapping[str, datetime]
) -> Iterator[tuple[Device, str]]:
    """
    Say which ratings are changed for a time that is past changing.

    Parameters
    ----------
    closed : mapping of device id to datetime
        Up to when closed periods cover it.
    """
    earlier = stored.devices
    for device in merged.devices.values():
        before = earlier.get(device.id)
        known = (before.ratings if before else None) or ()
        held = device.ratings or ()
        if held[: len(known)] != known:
            yield (
                device,
                (
                    "ratings: what was registered is not changed or left out; add a row with the"
                    " time from which the new one counts"
                ),
            )
            continue
        for one, other in pairwise(held):
            if other.begins <= one.begins:
                yield device, f"ratings: from {other.begins} is not after {one.begins}; order them"
        end = closed.get(device.id)
        for one in held[len(known) :] if known else ():
            if end is not None and one.begins < end:
                yield (
                    device,
                    (
                        f"ratings: from {one.begins} lies in a period that is closed, up to"
                        f" {end}, and is not changed for it: let the rating begin at {end} or later"
                    ),
                )
