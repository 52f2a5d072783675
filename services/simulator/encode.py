"""Readings as the JSON payload of the public interface."""

import msgspec
import numpy as np

from services.simulator.model import Block, Ints, base_per_unit

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


def encode_rows(block: Block, rows: Ints) -> list[bytes]:
    """
    JSON objects of some readings of a block.

    A register in whole Wh divided by 1000 is the nearest double to the decimal
    fraction, and JSON carries its shortest form: no Wh is lost on the way.
    """
    columns = {
        name: (values[rows] / base_per_unit(name)).tolist()
        for name, values in block.registers.items()
    }
    columns |= {name: values[rows].tolist() for name, values in block.gauges.items()}
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
