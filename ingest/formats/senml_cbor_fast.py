"""
Fast decoding of SenML CBOR packs by a layout learned from earlier packs of the same sender.

Floats have a fixed width in CBOR, so packs of a sender differ only at the positions of numbers.
Once a layout has occurred a few times, numbers are unpacked at these positions if all other bytes
are equal; anything else is decoded normally.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from struct import Struct
from typing import NamedTuple

from ingest.formats.senml import MAX_S, RELATIVE_S
from ingest.reading import Names, Row, wire_time

_SENDERS, _SEEN_BEFORE, _WITHIN, _MS = 16_384, 3, 160, 1_000
# base time: label -3, then a double or a 32-bit whole number
_TIMES = (b"\x22\xfb", b"\x22\x1a")
_ARRAYS, _LONG_ARRAY = range(0x81, 0x98), 0x98
_MAPS, _TEXTS, _LONG_TEXT = range(0xA0, 0xB8), range(0x60, 0x78), 0x78
_WHOLE, _MINUS = range(0x18), range(0x20, 0x38)
_V, _BT = 2, -3
_WIDTHS = {0xFB: "d", 0xFA: "f"}
_TIME_WIDTHS = {0xFB: "d", 0x1A: "I"}
_SIZES = {"d": 8, "f": 4, "I": 4}


class _Layout(NamedTuple):
    """Layout of a sender's packs: positions of numbers, bytes between them, names."""

    cut: Callable[[bytes], tuple[float | bytes, ...]]
    between: tuple[float | bytes, ...]
    of: Names


_known: dict[tuple[int, bytes], _Layout] = {}
_seen: dict[tuple[int, bytes], int] = {}


def read(payload: bytes) -> Row | None:
    """Return the reading of a pack with a known layout; None where the full reader is needed."""
    layout = _known.get(_sender(payload))
    if layout is None:
        return None
    pieces = layout.cut(payload)
    if pieces[::2] != layout.between:
        return None
    seconds, numbers = pieces[1], pieces[3::2]
    if not RELATIVE_S <= seconds < MAX_S or not isfinite(sum(numbers)):  # type: ignore[operator,arg-type]
        return None
    us = round(seconds * 1e6)  # type: ignore[operator]
    ts = us // _MS if us % _MS == 0 else wire_time(us)
    return Row(ts, {}, None, layout.of, numbers)  # type: ignore[arg-type]


def _sender(payload: bytes) -> tuple[int, bytes]:
    """Return the probable sender of a pack: its length, and the bytes before the base time."""
    at = payload.find(_TIMES[0], 0, _WITHIN)
    if at < 0:
        at = payload.find(_TIMES[1], 0, _WITHIN)
    return len(payload), payload[: max(at, 0)]


def learn(payload: bytes, row: Row) -> None:
    """Store the layout of a pack that occurred several times."""
    sender = _sender(payload)
    times = _seen.get(sender, 0)
    if len(_seen) >= _SENDERS or len(_known) >= _SENDERS:
        _seen.clear()
        _known.clear()
    _seen[sender] = times + 1
    if times < _SEEN_BEFORE or times & (times - 1):  # at 4, 8, 16: an odd pack costs ever less
        return
    places = _places(payload)
    if places is None or len(places) != len(row.numbers) + 1:
        return
    cut = Struct(_form(places, len(payload))).unpack
    _known[sender] = _Layout(cut, cut(payload)[::2], row.of)


def _form(places: list[tuple[int, str]], size: int) -> str:
    """Return the struct format of bytes and numbers in turn."""
    parts, before = [">"], 0
    for at, code in places:
        parts.append(f"{at - before}s{code}")
        before = at + _SIZES[code]
    return "".join(parts) + (f"{size - before}s" if size > before else "")


def _places(data: bytes) -> list[tuple[int, str]] | None:
    """
    Return the positions of a plain pack's numbers, the base time first; None for another
    pack.
    """
    try:
        records, at = (data[0] - 0x80, 1) if data[0] in _ARRAYS else (data[1], 2)
        if data[0] not in _ARRAYS and data[0] != _LONG_ARRAY:
            return None
        places: list[tuple[int, str]] = []
        for _ in range(records):
            if data[at] not in _MAPS:
                return None
            pairs, at = data[at] - _MAPS[0], at + 1
            for _ in range(pairs):
                end = _pair(data, at, places)
                if end is None:
                    return None
                at = end
    except IndexError:
        return None
    first = bool(places) and data[places[0][0] - 2] == _TIMES[0][0]
    return places if at == len(data) and first else None


def _pair(data: bytes, at: int, places: list[tuple[int, str]]) -> int | None:
    """Return the end of a label and its value; record the place of a number."""
    label = data[at] if data[at] in _WHOLE else 0x1F - data[at]
    if data[at] not in _WHOLE and data[at] not in _MINUS:
        return None
    head = data[at + 1]
    if label in (_V, _BT):
        code = (_WIDTHS if label == _V else _TIME_WIDTHS).get(head)
        if code is None:
            return None
        places.append((at + 2, code))
        return at + 2 + _SIZES[code]
    if head in _TEXTS:
        return at + 2 + head - _TEXTS[0]
    return at + 3 + data[at + 2] if head == _LONG_TEXT else None
