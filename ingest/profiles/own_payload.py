"""
The profile `generic` of each class: channels as they are named in tonne's own payload.

A channel goes by its own name, with the unit of the wire at its end:
`energy_import_wh` is sent as `energy_import_kwh` in kWh.  A class file says
`wire` where another unit is sent, and `moduli` where its meters have other
numbers of digits than most.
"""

from __future__ import annotations

import re
from typing import Any

from ingest.classes import Channel, DeviceClass

_WIRE = {"Wh": "kWh", "W": "kW", "g": "kg", "mL": "m3"}
_WIRE_OF_REGISTERS = {**_WIRE, "m": "km", "s": "h", "K s": "K d"}
_COUNTED_BY_TIME = ("s", "K s")  # such a counter does not wrap
_MODULI = (1_000_000, 10_000_000, 100_000_000, 1_000_000_000)


def document(device_class: DeviceClass) -> dict[str, Any]:
    """Return the class's own profile in the form of a profile file."""
    kind = re.split("[:,]", device_class.title)[0]
    return {
        "id": "generic",
        "class": device_class.id,
        "title": f"{kind}, channels named as in tonne's own payload",
        "source": "tonne interface description, 'Channels of the generic profiles'",
        "channel": {c.name: _source(c) for c in device_class.channels.values()},
    }


def _source(channel: Channel) -> dict[str, Any]:
    register = channel.kind == "register"
    units = _WIRE_OF_REGISTERS if register else _WIRE
    unit = channel.wire or units.get(channel.unit, channel.unit)
    stem, _, _ = channel.name.rpartition("_")
    path = channel.name if unit == channel.unit else f"{stem}_{unit.lower().replace(' ', '')}"
    found: dict[str, Any] = {"path": path, "unit": unit}
    if register and channel.unit not in _COUNTED_BY_TIME:
        found["moduli"] = channel.moduli or _MODULI
    return found
