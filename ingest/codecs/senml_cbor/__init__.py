"""
Codec of SenML in CBOR, RFC 8428 section 6: an array of maps with integer labels.

Labels of later extensions may be text; those ending in "_" must be understood.

Packs of a known layout are decoded faster.  Floats have a fixed width in CBOR, so packs of a sender
differ only at the positions of numbers.  Once a layout has occurred a few times, the numbers are
unpacked at these positions if all other bytes are equal; other packs are decoded normally.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import chain
from math import isfinite
from struct import Struct
from types import NoneType
from typing import Any, NamedTuple, NoReturn

import cbor2

from ingest.errors import PayloadError
from ingest.formats.senml import MAX_S, RELATIVE_S, Number, Record, resolve, row
from ingest.reading import Codec, Names, Reading, Row, wire_time

_SENDERS, _SEEN_BEFORE, _WITHIN, _MS = 16_384, 3, 160, 1_000
# base time: label -3, then a double or a 32-bit whole number
_TIME_HEADS = (b"\x22\xfb", b"\x22\x1a")
_ARRAYS, _LONG_ARRAY = range(0x81, 0x98), 0x98
_MAPS, _TEXTS, _LONG_TEXT = range(0xA0, 0xB8), range(0x60, 0x78), 0x78
_WHOLE, _MINUS = range(0x18), range(0x20, 0x38)
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
    at = payload.find(_TIME_HEADS[0], 0, _WITHIN)
    if at < 0:
        at = payload.find(_TIME_HEADS[1], 0, _WITHIN)
    return len(payload), payload[: max(at, 0)]


def learn(payload: bytes, row: Row) -> None:
    """Store the layout of a pack that occurred several times."""
    sender = _sender(payload)
    times = _seen.get(sender, 0)
    if len(_seen) >= _SENDERS or len(_known) >= _SENDERS:
        _seen.clear()
        _known.clear()
    _seen[sender] = times + 1
    if times < _SEEN_BEFORE or times & (times - 1):  # at 4, 8, 16: rarer for irregular packs
        return
    places = _places(payload)
    if places is None or len(places) != len(row.numbers) + 1:
        return
    cut = Struct(_form(places, len(payload))).unpack
    _known[sender] = _Layout(cut, cut(payload)[::2], row.of)


def _form(places: list[tuple[int, str]], size: int) -> str:
    """Return the struct format of a pack: bytes and numbers, alternately."""
    parts, before = [">"], 0
    for at, code in places:
        parts.append(f"{at - before}s{code}")
        before = at + _SIZES[code]
    return "".join(parts) + (f"{size - before}s" if size > before else "")


def _places(data: bytes) -> list[tuple[int, str]] | None:
    """
    Return the (position, struct format) of each number of a pack, the base time first.

    None if the pack is not an array of maps with known labels, or does not begin with its base
    time.
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
    first = bool(places) and data[places[0][0] - 2] == _TIME_HEADS[0][0]
    return places if at == len(data) and first else None


def _pair(data: bytes, at: int, places: list[tuple[int, str]]) -> int | None:
    """
    Return the position after a label and its value; add the position of a number to `places`.

    None for a label or value of another kind than a number or a text.
    """
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


_LABELS = {
    -6: "bs", -5: "bv", -4: "bu", -3: "bt", -2: "bn", -1: "bver",
    0: "n", 1: "u", 2: "v", 3: "vs", 4: "vb", 5: "s", 6: "t", 7: "ut", 8: "vd",
}  # fmt: skip
_BU, _BT, _BN, _N, _U, _V = -4, -3, -2, 0, 1, 2
_UNITS, _TIMES = {str, NoneType}, (float, int)
_NUMBERS = {"bs", "bv", "bt", "bver", "v", "s", "t", "ut"}
_KINDS: dict[str, type | tuple[type, ...]] = {
    "bn": str, "bu": str, "n": str, "u": str, "vs": str, "vb": bool, "vd": bytes,
}  # fmt: skip
_MAX_NUMBER = 2**1023


def decode(payload: bytes, received_us: int) -> Sequence[Reading]:
    """
    Return the readings of one pack, one per time.

    `received_us`: time of receipt, to which relative times refer. [us UTC]
    Raises PayloadError with reason `malformed_cbor`, `wrong_shape`, `label_unknown`, or one of
    `ingest.formats.senml.resolve`.
    """
    if (known := read(payload)) is not None:
        return (known,)
    result = _loads(payload)
    if not isinstance(result, list):
        raise PayloadError(
            "wrong_shape", "senml_cbor: the message is not an array; send an array of records"
        )
    if (plain := _plain(result)) is not None:
        learn(payload, plain)
        return (plain,)
    return resolve([_record(i, item) for i, item in enumerate(result)], received_us)


def _loads(payload: bytes) -> Any:
    try:
        return cbor2.loads(payload)
    except (cbor2.CBORDecodeError, ValueError, TypeError, OverflowError, RecursionError) as error:
        detail = f"senml_cbor: {error!s:.200}; send valid CBOR"
        raise PayloadError("malformed_cbor", detail) from None


def _plain(items: list[Any]) -> Row | None:
    """
    Return the row of a pack whose records have only a name, a float and perhaps a unit.

    Only the first record has base fields, of which the base time is required.  None for another
    pack.
    """
    names, numbers, entries = [], [], 0
    try:
        for record in items:
            name, number = record[_N], record[_V]
            if type(name) is not str or type(number) is not float:
                return None
            names.append(name)
            numbers.append(number)
            entries += len(record)
        first = items[0]
        base, seconds, unit = first.get(_BN, ""), first[_BT], first.get(_BU, "")
        units: list[str | None] = [None] * len(items)
        if entries > 2 * len(items) + len(first) - 2:  # a record has more fields
            units = _units(items)
        entries -= (_BN in first) + (_BU in first) + 1 + len(items) - units.count(None)
    except (KeyError, IndexError, TypeError, AttributeError):
        return None
    if entries != 2 * len(items) or type(base) is not str or type(unit) is not str:
        return None
    if type(seconds) not in _TIMES or not isfinite(sum(numbers)) or not _whole_labels(items):
        return None
    if unit:
        units = [own or str(unit) for own in units]
    return row(seconds, base, tuple(names), numbers, units)


def _units(items: list[Any]) -> list[str | None]:
    units = [record.get(_U) for record in items]
    if {*map(type, units)} <= _UNITS:
        return units
    raise TypeError


def _whole_labels(items: list[Any]) -> bool:
    """Return whether all labels are integers: Python treats 2.0 and 2 as one key, CBOR does not."""
    return {*map(type, chain.from_iterable(items))} == {int}


def _record(i: int, item: Any) -> Record:
    if not isinstance(item, dict):
        raise PayloadError("wrong_shape", f"senml_cbor: record {i} is not a map; see RFC 8428")
    record = Record()
    for label, value in item.items():
        name = _LABELS.get(label) if type(label) is int else None
        if name is None:
            _unknown(i, label)
        elif type(value) is float:
            setattr(record, name, value if name in _NUMBERS else _wrong(i, name, value))
        elif name in _NUMBERS:
            setattr(record, name, _number(value))
        else:
            known = isinstance(value, _KINDS[name])
            setattr(record, name, value if known else _wrong(i, name, value))
    return record


def _wrong(i: int, name: str, value: Any) -> NoReturn:
    raise PayloadError(
        "wrong_shape",
        f"senml_cbor: record {i}: {name} is {value!r:.40}, which RFC 8428 does not allow; send "
        "the types of that standard",
    )


def _unknown(i: int, label: Any) -> None:
    """Ignore a label of an extension; PayloadError if it must be understood."""
    if isinstance(label, str) and label.endswith("_"):
        raise PayloadError(
            "label_unknown",
            f"senml_cbor: record {i}: label {label!r:.80} is not supported; omit the record",
        )


def _number(value: Any) -> Number:
    """Return a number as float; for another type its description, which `resolve` rejects."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return f"a {type(value).__name__}"
    if isinstance(value, int) and abs(value) >= _MAX_NUMBER:
        return "a number beyond any quantity"
    return float(value)


CODEC = Codec(
    name="senml_cbor",
    content_types=("application/senml+cbor",),
    decode=decode,
    starts=bytes(range(0x80, 0xA0)),  # a CBOR array
    recognises=lambda _payload: True,
    order=0,
)
