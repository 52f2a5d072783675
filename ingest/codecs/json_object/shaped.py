"""
Fast decoding of plain messages with known names: their numbers in order, without a dictionary each.

The devices of a model send the same names again and again.  A decoder that expects exactly these
names takes half the time.  A message that it does not accept is read by `decode`, with the same
result.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

__all__ = ["DIFFERS", "Shape", "numbers", "shape"]

# what a decoder raises for a payload of another shape
DIFFERS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
# different sets of names, and names of one: an endless supply of them must not fill the memory
_MOST, _MOST_NAMES = 256, 64

numbers = msgspec.structs.astuple


class Shape(NamedTuple):
    """
    Names of a message's values, and the decoder for exactly these.

    `decode` returns an object with `ts`, `id` and `values`, which `numbers` turns into a tuple in
    the order of `names`.
    """

    names: tuple[str, ...]
    decode: Callable[[bytes], Any]


_shapes: dict[tuple[str, ...], Shape] = {}


def shape(names: tuple[str, ...]) -> Shape | None:
    """Return the shape of messages with these names; None where there are too many shapes."""
    result = _shapes.get(names)
    if result is None and len(_shapes) < _MOST and 0 < len(names) <= _MOST_NAMES:
        result = _shapes[names] = Shape(names, _decoder(names).decode)
    return result


def _decoder(names: tuple[str, ...]) -> msgspec.json.Decoder[Any]:
    number = float | None
    fields = [(f"v{place}", number, msgspec.field(name=name)) for place, name in enumerate(names)]
    values = msgspec.defstruct("Values", fields, gc=False, forbid_unknown_fields=True)
    message = msgspec.defstruct(
        "Message", [("ts", int | str), ("values", values), ("id", int | str | None, None)], gc=False
    )
    return msgspec.json.Decoder(message)
