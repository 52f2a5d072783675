"""
Show a payload that no codec could read, up to and around the place of the fault.

A technician wants to see the place: the part before it as text, the values that
were sound, and the bytes around it.
"""

from __future__ import annotations

import json
import re
from io import BytesIO
from typing import NamedTuple

import cbor2

from ingest.json_faults import describe_fault, fault

_PAIR = re.compile(r'"((?:[^"\\]|\\.)*)"\s*:\s*(-?\d[\d.eE+-]*|"(?:[^"\\]|\\.)*"|true|false|null)')
_SHOWN, _LINE, _AROUND = 20, 16, 2
_CBOR_ARRAYS, _CBOR_BREAK = range(0x80, 0xA0), b"\xff"
# how many bytes of length follow the head of a longer array
_CBOR_LENGTHS = {0x98: 1, 0x99: 2, 0x9A: 4, 0x9B: 8}
_PRINTABLE = range(0x20, 0x7F)


class Partial(NamedTuple):
    """Where reading ended (None: nothing wrong with the bytes), why, and what stood before."""

    position: int | None
    why: str
    values: list[str]


def partial(payload: bytes) -> Partial:
    """Read a payload as far as it goes."""
    if payload[:1] and payload[0] in _CBOR_ARRAYS:
        return _cbor(payload)
    try:
        text, end, why = payload.decode("utf-8"), None, ""
    except UnicodeDecodeError as error:
        text, end, why = payload[: error.start].decode("utf-8"), error.start, error.reason
    if end is None:
        try:
            json.loads(text)
        except json.JSONDecodeError as error:
            found = fault(error)
            end, why = len(text[: found.pos].encode()), found.msg
        except (ValueError, RecursionError) as error:
            end, why = 0, describe_fault(error)
    before = text if end is None else payload[:end].decode("utf-8", "replace")
    values = [f"{name}={value}" for name, value in _PAIR.findall(before)]
    return Partial(end, why, values[:_SHOWN])


def _cbor(payload: bytes) -> Partial:
    """Items of an array, one by one."""
    source = BytesIO(payload)
    source.read(_CBOR_LENGTHS.get(source.read(1)[0], 0))
    values: list[str] = []
    while source.tell() < len(payload):
        at = source.tell()
        if payload[at:] == _CBOR_BREAK:
            break
        try:
            values.append(f"{cbor2.load(source, read_size=1)!r:.200}")
        except Exception as error:  # noqa: BLE001 (whatever a decoder says of broken bytes)
            return Partial(at, str(error)[:200], values[:_SHOWN])
    return Partial(None, "", values[:_SHOWN])


def dump(payload: bytes, around: int | None) -> list[str]:
    """Hexadecimal lines about a place, or the first ones; the place's own line is marked."""
    place = 0 if around is None else around // _LINE
    first = max(place - _AROUND, 0)
    lines = []
    for line in range(first, place + _AROUND + 1):
        piece = payload[line * _LINE : (line + 1) * _LINE]
        if piece:
            text = "".join(chr(b) if b in _PRINTABLE else "." for b in piece)
            mark = ">" if around is not None and line == place else " "
            lines.append(f"{mark} {line * _LINE:06x}  {piece.hex(' '):<47}  {text}")
    return lines
