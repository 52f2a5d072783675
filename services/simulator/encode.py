"""Readings as the JSON payload of the public interface."""

from functools import cache

import msgspec
import numpy as np

from ingest import classes, profiles, units
from services.simulator.model import Block, Device, Ints, base_per_unit

_encode = msgspec.json.Encoder().encode

# What broken firmware, a wrong topic or a stranger sends; each for another reason unusable.
GARBAGE = (
    b"",
    b"{",
    b"\xff\xfe\x00\x01",
    b'{"ts": "yesterday", "values": {"active_power_kw": 1.0}}',
    b'{"values": {"active_power_kw": "many"}}',
    b'{"ts": 0, "values": {"active_power_kw": NaN}}',
    b'{"ts": 2082758400000, "values": {"active_power_kw": 1.0}}',
    b'[{"ts": 1}, 2, null]',
)


@cache
def words(device_class: str, profile: str) -> dict[str, tuple[str, float]]:
    """
    How a device model says what the generic payload calls by our names.

    Returns
    -------
    dict of str to (str, float)
        Generic channel to the model's own name and its units in one generic
        unit; channels that the model does not have are left out.
    """
    canonical = classes.load()[device_class].channels
    spoken = {s.channel: s for s in profiles.load()[device_class, profile].channels.values()}
    found = {}
    for path, source in profiles.load()[device_class, "generic"].channels.items():
        if source.channel in spoken:
            own, base = spoken[source.channel], canonical[source.channel].unit
            up, down, _ = units.factor(source.unit, base)
            own_up, own_down, _ = units.factor(own.unit, base)
            found[path] = (own.path, up * own_down / (down * own_up))
    return found


def encode_rows(block: Block, rows: Ints, device: Device) -> list[bytes]:
    """
    JSON objects of some readings of a block, in the words of the device's model.

    A register in whole Wh divided by 1000 is the nearest double to the decimal
    fraction, and JSON carries its shortest form: no Wh is lost on the way.
    """
    spoken = words(device.device_class, device.profile)
    columns = {
        spoken[name][0]: (values[rows] / (base_per_unit(name) / spoken[name][1])).tolist()
        for name, values in block.registers.items()
        if name in spoken
    }
    columns |= {
        spoken[name][0]: (values[rows] * spoken[name][1]).tolist()
        for name, values in block.gauges.items()
        if name in spoken
    }
    names = tuple(columns)
    return [
        _encode({"ts": ts, "id": number, "values": dict(zip(names, values, strict=True))})
        for ts, number, *values in zip(
            block.time_ms[rows].tolist(),
            block.number[rows].tolist(),
            *columns.values(),
            strict=True,
        )
    ]


def expand(first: Ints, count: Ints) -> Ints:
    """Rows of all sends one after the other, `first .. first + count` each."""
    ends = np.cumsum(count)
    within = np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - count, count)
    return np.repeat(first, count) + within
