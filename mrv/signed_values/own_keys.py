"""
Keys of meters and gateways that a reader brings: off the labels, or a maker's list.

A text with a line a key, `NAME KEY`: the device's id or serial number, then the public key in hex
or base64 (DER or a point).  What follows `#` is a remark.
"""

from __future__ import annotations

from collections.abc import Mapping

from mrv.errors import SignedValueError
from mrv.signed_values.meter_keys import MeterKey, parse_key

OwnKeys = Mapping[str, tuple[MeterKey, ...]]


def read_own_keys(text: str) -> dict[str, tuple[MeterKey, ...]]:
    """
    Keys by the name that stands before them; a name may stand on several lines.

    Raises
    ------
    SignedValueError
        Naming the first line that is no name with a key, or that there is none at all.
    """
    own_keys: dict[str, tuple[MeterKey, ...]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        parts = line.partition("#")[0].split(maxsplit=1)
        if not parts:
            continue
        if len(parts) == 1:
            raise SignedValueError(f"line {number}: give an id or serial number, a blank, a key")
        try:
            own_keys[parts[0]] = (*own_keys.get(parts[0], ()), parse_key(parts[1]))
        except SignedValueError as error:
            raise SignedValueError(f"line {number}: {error}") from error
    if not own_keys:
        raise SignedValueError("it holds no key; give a line `NAME KEY` for each meter")
    return own_keys
