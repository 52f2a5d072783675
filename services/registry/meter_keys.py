"""
Public keys with which meters and gateways sign, each with the time from which it is theirs.

A signed value is compared with the key that stands here, never against one that it brings
along.  A key is not changed once it is registered: what it verified would change with it.  A
row whose key is the word `ended` says from when on there is none: it was lost, stolen, or its
meter was taken away.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from mrv.errors import SignedValueError
from mrv.signed_values.meter_keys import parse_key
from mrv.signed_values.verification import DatedKey
from services.registry.entries import Device, MeterKey, Registry
from services.registry.fields import Row

ENDED = "ended"


def meter_key(row: Row) -> MeterKey:
    """Read a row of `meter_keys`."""
    row.only("from", "key", "document")
    begins = row.required("from", row.moment("from"), "a time with its offset")
    text = row.text("key")
    try:
        key = text if text in ("", ENDED) else parse_key(text).hex
    except SignedValueError as error:
        row.problem("key", str(error))
        key = ""
    return MeterKey(begins, key, row.optional("document"))


def problems(stored: Registry, merged: Registry) -> Iterator[tuple[Device, str]]:
    """Say which keys were changed, stand out of order, or can be found by no serial number."""
    gateways = {device.gateway for device in merged.devices.values()}
    earlier = stored.devices
    for device in merged.devices.values():
        before = earlier.get(device.id)
        known = (before.meter_keys if before else None) or ()
        held = device.meter_keys or ()
        if held[: len(known)] != known:
            yield (
                device,
                (
                    "meter_keys: what was registered is not changed or left out; add a row with"
                    " the time from which the new key counts"
                ),
            )
        for one, other in pairwise(held):
            if other.begins <= one.begins:
                yield (
                    device,
                    f"meter_keys: from {other.begins} is not after {one.begins}; order them",
                )
        if held and held[0].key == ENDED:
            yield device, "meter_keys: the first row ends a key, and there is none before it"
        if held and device.serial is None and device.id not in gateways:
            yield device, "meter_keys: signed values name their meter by serial; give `serial` too"


def by_name(registry: Registry) -> dict[str, list[DatedKey]]:
    """
    Sort the keys of all devices by serial number and by id, each device's in order of time.

    A key speaks for its own device, and for those that are behind it.
    """
    behind: dict[str, dict[str, str]] = {}
    for device in registry.devices.values():
        own = {name: device.id for name in (device.id, device.serial) if name}
        for speaker in {device.id, device.gateway or device.id}:
            behind.setdefault(speaker, {}).update(own)
    found: dict[str, list[DatedKey]] = {}
    for device in registry.devices.values():
        for one in device.meter_keys or ():
            key = None if one.key == ENDED else parse_key(one.key)
            dated = DatedKey(key, one.begins, device.id, behind[device.id])
            for name in {device.id, device.serial} - {None, ""}:
                found.setdefault(str(name), []).append(dated)
    return found
