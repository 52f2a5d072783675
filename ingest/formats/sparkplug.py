"""
Sparkplug B independent of its bytes: metrics declared by a birth, and their numbers.

The encoding has no signed field.  An Int8, Int16 or Int32 is sent in an unsigned field as two's
complement, extended to 8, 16, 32 or 64 bits; a value outside its datatype is rejected.

An edge node repeats its metrics: only times, sequence number and values change, usually with equal
width.  A form is the layout of a payload that the protobuf runtime has decoded: if all other bytes
are equal, the variable parts are unpacked in place.  Other payloads are decoded by the runtime,
with the same result (tested).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import isfinite
from operator import itemgetter
from struct import Struct
from typing import Any, NamedTuple

import msgspec

from ingest.errors import PayloadError
from ingest.reading import Line, Names

_SETS = 256


@dataclass(frozen=True, slots=True)
class Tag:
    """Metric declared by a birth certificate."""

    name: str
    alias: int | None
    datatype: int
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class Birth:
    """
    Metrics declared by one birth certificate of an edge node or device.

    `born_ms` is the birth's time; `certain_ms` the time up to which later messages certainly belong
    to it, None while it is valid; `requested` whether it answered a rebirth request.  `forms` are
    known layouts of its messages.
    """

    born_ms: int
    tags: tuple[Tag, ...]
    requested: bool = False
    certain_ms: int | None = None
    by_alias: dict[int, Tag] = field(default_factory=dict, compare=False, repr=False)
    by_name: dict[str, Tag] = field(default_factory=dict, compare=False, repr=False)
    forms: dict[int, Any] = field(default_factory=dict, compare=False, repr=False)
    sets: dict[Any, Names] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not self.by_name:
            self.by_name.update((tag.name, tag) for tag in self.tags)
            self.by_alias.update((tag.alias, tag) for tag in self.tags if tag.alias is not None)

    def called(self, names: tuple[str, ...], units: tuple[str | None, ...]) -> Names:
        """Return `Names` for names and units; equal ones are one shared object."""
        result = self.sets.get((names, units))
        if result is None:
            result = Names("", names, units)
            if len(self.sets) < _SETS:
                self.sets[names, units] = result
        return result

    def agrees(self, other: Birth, used: Iterable[int | str]) -> bool:
        """Return whether both births give these aliases and names the same meaning."""
        return all(self._meaning(key) == other._meaning(key) for key in used)

    def _meaning(self, key: int | str) -> Tag | None:
        return self.by_alias.get(key) if isinstance(key, int) else self.by_name.get(key)


INT8, INT16, INT32, INT64, UINT8, UINT16, UINT32, UINT64 = range(1, 9)
FLOAT, DOUBLE, BOOLEAN, STRING = 9, 10, 11, 12
NAMES = (
    "Unknown", "Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float",
    "Double", "Boolean", "String", "DateTime", "Text", "UUID", "DataSet", "Bytes", "File",
    "Template",
)  # fmt: skip
_BITS = {INT8: 8, INT16: 16, INT32: 32, INT64: 64, UINT8: 8, UINT16: 16, UINT32: 32, UINT64: 64}
_WIDTHS = (8, 16, 32, 64)
_WHOLE = ("int_value", "long_value")
_BROKEN = ("float_value", "double_value")


def is_number(datatype: int) -> bool:
    """Return whether values of a datatype can be measurements."""
    return INT8 <= datatype <= BOOLEAN


def name_of(datatype: int) -> str:
    """Return the name of a datatype in the specification of Sparkplug B."""
    return NAMES[datatype] if datatype < len(NAMES) else f"datatype {datatype}"


def number(datatype: int, field: str, value: float) -> float:
    """
    Return the number of a metric.

    `datatype`: datatype declared by the birth.
    `field`: the field of the metric's `value` that is set.
    Raises PayloadError: `datatype_mismatch` or `not_finite`.
    """
    if datatype in _BITS and field in _WHOLE:
        return float(whole(datatype, int(value)))
    if datatype in (FLOAT, DOUBLE) and field in _BROKEN:
        if not isfinite(value):
            raise PayloadError("not_finite", f"{value} is not a measurement; send it as null")
        return value
    if datatype == BOOLEAN and field == "boolean_value":
        return float(value)
    raise PayloadError("datatype_mismatch", mismatch(datatype, field))


def mismatch(datatype: int, field: str) -> str:
    """Return the error of a value whose field does not belong to its datatype."""
    return f"the value is sent as {field}, which is not a {name_of(datatype)}; send that datatype"


def whole(datatype: int, value: int) -> int:
    """
    Return the signed integer in an unsigned field.

    Raises PayloadError: `datatype_mismatch` if the value is outside the datatype.
    """
    bits = _BITS[datatype]
    if datatype >= UINT8:
        if value < 1 << bits:
            return value
    elif value < 1 << (bits - 1):
        return value
    else:
        for width in _WIDTHS:
            # two's complement in `width` bits of a number that `bits` bits hold
            if bits <= width and (1 << width) - (1 << (bits - 1)) <= value < 1 << width:
                return value - (1 << width)
    raise PayloadError(
        "datatype_mismatch",
        f"{value} is not a {name_of(datatype)}; send a number that its datatype can hold",
    )


_AT_LENGTH, _PER_BIRTH = 4, 64
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_TIMESTAMP, _METRICS, _SEQ = 1, 2, 3
_METRIC_TIME, _INT, _LONG, _FLOAT, _DOUBLE, _BOOL = 3, 10, 11, 12, 13, 14
_VALUES = {_INT: "s", _LONG: "s", _FLOAT: "f", _DOUBLE: "d", _BOOL: "B"}
_FORMATS = "sfdB"
_SENT, _MEASURED, _NUMBER = "sent", "measured", "seq"
# a varint of epoch milliseconds from 2004 to 2109 has six bytes, each with seven bits of the number
_TIME_BYTES, _MORE, _ALL = 6, 0x8080808080, 0x808080808080
_whole_of = int.from_bytes


class Seen(msgspec.Struct, gc=False):
    """Decoded payload: time of sending [ms UTC], sequence number, and reading."""

    sent_ms: int
    seq: int
    line: Line


class Span(NamedTuple):
    """A variable part of a payload: its role or struct format, and its position."""

    role: str
    begin: int
    end: int


class Field(NamedTuple):
    """A field of a protobuf message: number, wire type and position of its content."""

    number: int
    wire: int
    begin: int
    end: int


class Form:
    """
    Layout of a payload: positions of times, sequence number and values.

    A payload is compared as one large integer: with its variable parts masked it must equal the
    learned payload.

    `payload`: the message from which it was learned.
    `spans`: variable parts, in order.
    `line`: the message's decoded row.
    `datatypes`: datatype of each value.
    """

    __slots__ = (
        "_bools", "_converts", "_fixed", "_mask", "_measured_at", "_measured_places", "_of",
        "_sent_at", "_sent_places", "_seq_at", "_unpack", "_values_of", "_wholes",
    )  # fmt: skip

    def __init__(
        self, payload: bytes, spans: Sequence[Span], line: Line, datatypes: Sequence[int]
    ) -> None:
        sent = next(payload[span.begin : span.end] for span in spans if span.role == _SENT)
        times = [span for span in spans if span.role in (_SENT, _MEASURED)]
        alike = [span for span in times if payload[span.begin : span.end] == sent]
        others = [span for span in times if span not in alike]
        self._sent_places = sum(1 << 8 * span.begin for span in alike)
        self._measured_places = sum(1 << 8 * span.begin for span in others)
        self._mask = (1 << 8 * len(payload)) - 1
        for span in spans:
            if span.role not in (_SENT, _MEASURED):
                self._mask &= ~(((1 << 8 * (span.end - span.begin)) - 1) << 8 * span.begin)
        self._fixed = int.from_bytes(payload, "little") & self._mask
        for span in times:
            self._fixed -= int.from_bytes(payload[span.begin : span.end], "little") << (
                8 * span.begin
            )
        repeated = [*(span for span in alike if span.role == _MEASURED), *others[1:]]
        read = [span for span in spans if span not in repeated]
        self._unpack = Struct(_pattern(read, len(payload))).unpack
        self._sent_at = next(k for k, span in enumerate(read) if span.role == _SENT)
        self._seq_at = next(k for k, span in enumerate(read) if span.role == _NUMBER)
        self._measured_at = read.index(others[0]) if others else self._sent_at
        values = [k for k, span in enumerate(read) if span.role in _FORMATS]
        self._values_of = _getter(values)
        self._wholes = tuple((i, datatypes[i]) for i, k in enumerate(values) if read[k].role == "s")
        self._bools = tuple(i for i, k in enumerate(values) if read[k].role == "B")
        self._converts = bool(self._wholes or self._bools)
        self._of = line.of

    def read(self, payload: bytes) -> Seen | None:
        """Return the content of a payload with this layout's length; None for another layout."""
        parts = self._unpack(payload)
        sent = _whole_of(parts[self._sent_at], "little")
        wanted = self._fixed + sent * self._sent_places
        measured = sent
        if self._measured_places:
            measured = _whole_of(parts[self._measured_at], "little")
            wanted += measured * self._measured_places
        if _whole_of(payload, "little") & self._mask != wanted:
            return None
        packed, numbers = parts[self._seq_at], self._values_of(parts)
        seq = packed[0] if len(packed) == 1 and packed < b"\x80" else _varint(packed)
        if self._converts:
            numbers = self._converted(list(numbers))
        if sent & _ALL != _MORE or seq is None or numbers is None or not isfinite(sum(numbers)):
            return None
        ts = sent_ms = _time(sent)
        if self._measured_places:
            if measured & _ALL != _MORE:
                return None
            ts = _time(measured)
        return Seen(sent_ms, seq, Line(ts, self._of, numbers))

    def _converted(self, numbers: list[Any]) -> list[float] | None:
        for i in self._bools:
            if numbers[i] > 1:
                return None
            numbers[i] = float(numbers[i])
        for i, datatype in self._wholes:
            value = _varint(numbers[i])
            if value is None:
                return None
            try:
                numbers[i] = float(whole(datatype, value))
            except PayloadError:
                return None
        return numbers


def read(payload: bytes, birth: Birth) -> Seen | None:
    """Return the content of a payload whose layout its birth knows; None if no layout matches."""
    for form in birth.forms.get(len(payload), ()):
        content: Seen | None = form.read(payload)
        if content is not None:
            return content
    return None


def learn(payload: bytes, line: Line, birth: Birth) -> None:
    """Store the layout of a payload that gave this one row, if the layout is simple."""
    forms = birth.forms.setdefault(len(payload), [])
    if len(forms) >= _AT_LENGTH or sum(map(len, birth.forms.values())) >= _PER_BIRTH:
        return
    spans = _spans(payload)
    if spans is None or None in line.numbers:
        return
    if sum(span.role in _FORMATS for span in spans) == len(line.of.names):
        datatypes = [birth.by_name[name].datatype for name in line.of.names]
        forms.append(Form(payload, spans, line, datatypes))


def _spans(payload: bytes) -> list[Span] | None:
    """
    Return the variable parts of a payload, in order.

    None if the payload has an unknown or repeated field, a metric without exactly one number, or a
    time whose varint is not six bytes long.
    """
    spans: list[Span] = []
    roles = {(_TIMESTAMP, _VARINT): _SENT, (_SEQ, _VARINT): _NUMBER}
    for item in fields(payload, 0, len(payload)):
        if item is None:
            return None
        if item.number == _METRICS and item.wire == _BYTES:
            within = _metric_spans(payload, item)
            if within is None:
                return None
            spans.extend(within)
        elif role := roles.pop((item.number, item.wire), ""):
            spans.append(Span(role, item.begin, item.end))
        else:
            return None
    times = {span.end - span.begin for span in spans if span.role in (_SENT, _MEASURED)}
    return spans if not roles and times == {_TIME_BYTES} else None


def _metric_spans(payload: bytes, metric: Field) -> list[Span] | None:
    spans = []
    seen = set()
    for item in fields(payload, metric.begin, metric.end):
        if item is None or item.number in seen:
            return None
        seen.add(item.number)
        if item.number == _METRIC_TIME and item.wire == _VARINT:
            spans.append(Span(_MEASURED, item.begin, item.end))
        elif item.number in _VALUES:
            role = _VALUES[item.number]
            if role == "B" and item.end - item.begin != 1:
                return None
            spans.append(Span(role, item.begin, item.end))
    return spans if len(seen & set(_VALUES)) == 1 else None


def _pattern(spans: Sequence[Span], length: int) -> str:
    """Return the struct format that unpacks these parts of a payload and skips the others."""
    pattern, at = "<", 0
    for role, begin, end in spans:
        pattern += f"{begin - at}x" + (role if role in "fdB" else f"{end - begin}s")
        at = end
    return pattern + f"{length - at}x"


def fields(payload: bytes, at: int, end: int) -> Iterator[Field | None]:
    """Yield the fields of a message in order; None at an unknown field, then end."""
    while at < end:
        tag, at = _read_varint(payload, at, end)
        number, wire = tag >> 3, tag & 7
        if wire == _BYTES:
            size, at = _read_varint(payload, at, end)
        elif wire == _VARINT:
            size = _read_varint(payload, at, end)[1] - at
        else:
            size = {_FIXED64: 8, _FIXED32: 4}.get(wire, -1)
        if number < 1 or size < 0 or at + size > end:
            yield None
            return
        yield Field(number, wire, at, at + size)
        at += size


def _read_varint(payload: bytes, at: int, end: int) -> tuple[int, int]:
    """Return an integer and the position after it; beyond the data if the integer is truncated."""
    value = shift = 0
    for k in range(at, min(at + 10, end)):
        value |= (payload[k] & 0x7F) << shift
        if payload[k] < 0x80:  # noqa: PLR2004 (the continuation bit)
            return value, k + 1
        shift += 7
    return 0, end + 1


def _time(x: int) -> int:
    """Return the value of a varint of six bytes, given as one little-endian integer."""
    x = x & 0x007F007F007F | (x & 0x7F007F007F00) >> 1
    return x & 0x3FFF | (x & 0x3FFF0000) >> 2 | x >> 32 << 28


def _varint(packed: bytes) -> int | None:
    """Return the value of a varint, modulo 2**64; None if it ends before the last byte or later."""
    value, last = 0, len(packed) - 1
    for k, byte in enumerate(packed):
        if (byte < 0x80) != (k == last):  # noqa: PLR2004 (the continuation bit)
            return None
        value |= (byte & 0x7F) << 7 * k
    return value & 0xFFFFFFFFFFFFFFFF


def _getter(wanted: Sequence[int]) -> Any:
    """Return a function that selects these positions of a tuple, always as a tuple."""
    if len(wanted) > 1:
        return itemgetter(*wanted)
    return (lambda parts: (parts[wanted[0]],)) if wanted else (lambda _parts: ())
