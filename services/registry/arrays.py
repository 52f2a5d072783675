"""
PV modules of an inverter, with the time from which each row applies.

Performance ratios of past days depend on nameplate, tilt, azimuth and temperature coefficient, so a
row never changes; other modules are a new row.  Values in a file without `arrays` apply from its
import on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from itertools import pairwise

from services.registry.entries import ARRAY_KEYS, Device, PvArray, Registry, array_fields
from services.registry.fields import Row

CLASS = "pv_inverter"
_PER_KELVIN = 0.05


def modules(row: Row, item: Device | PvArray) -> None:
    """Record errors of a row's module data."""
    per_k = item.temperature_coefficient_percent
    if per_k is not None and -_PER_KELVIN < per_k < 0:
        row.problem(
            "temperature_coefficient_percent",
            f"{per_k} looks like a share per kelvin; write percent per kelvin, as -0.35",
        )
    if isinstance(item, Device):
        for key in filter(row.has, ARRAY_KEYS if item.class_id != CLASS else ()):
            row.problem(key, f"is of {CLASS}, and this is a {item.class_id}; leave it out")
    elif not row.problems and all(value is None for value in array_fields(item).values()):
        row.problem(None, f"has no value; enter one of {', '.join(ARRAY_KEYS)}")


def dated(stored: Registry, merged: Registry, now: datetime) -> Registry:
    """Return modules that a file changes without a time, dated at the import."""
    entries = dict(merged.entries)
    for key, entry in merged.entries.items():
        if isinstance(entry, Device):
            before = stored.entries.get(key)
            entries[key] = _dated(before if isinstance(before, Device) else None, entry, now)
    return Registry(entries)


def _dated(before: Device | None, device: Device, now: datetime) -> Device:
    pv_arrays = device.arrays or ()
    wanted = array_fields(device)
    if all(value is None for value in wanted.values()):
        return replace(device, **array_fields(pv_arrays[-1])) if pv_arrays else device
    if pv_arrays and array_fields(pv_arrays[-1]) == wanted:
        return device
    begins = now if pv_arrays or (before and before.arrays) else device.installed
    return replace(device, arrays=(*pv_arrays, PvArray(begins, **wanted, document=None)))


def problems(stored: Registry, merged: Registry) -> Iterator[tuple[Device, str]]:
    """Yield rows of modules that were changed, or are out of order."""
    earlier = stored.devices
    for device in merged.devices.values():
        before = earlier.get(device.id)
        known = (before.arrays if before else None) or ()
        pv_arrays = device.arrays or ()
        if pv_arrays[: len(known)] != known:
            yield (
                device,
                (
                    "arrays: a registered row cannot be changed or omitted; add a row with the"
                    " time from which the new modules are installed"
                ),
            )
            continue
        if pv_arrays and device.class_id != CLASS:
            yield device, f"arrays: only a {CLASS} has modules; leave them out"
        for pv_array, other in pairwise(pv_arrays):
            if other.begins <= pv_array.begins:
                yield (
                    device,
                    f"arrays: from {other.begins} is not after {pv_array.begins}; order them",
                )
