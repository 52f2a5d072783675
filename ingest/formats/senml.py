"""
SenML packs to readings: RFC 8428, in any encoding.

Base fields apply from their record on.  A time below 2**28 s is relative to the time of receipt; a
record without a time has that of the receipt.  A name with two units at one time becomes `name` and
`name#unit`.  `s` is the sum over time, in unit times seconds: a register.  It has the record's name
if the record has no value, else `name#sum`.

A device's JSON packs differ only in numbers.  Once a pack has occurred a few times, a decoder is
created that accepts exactly its names and units; other packs are decoded normally, with the same
result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import isfinite
from typing import Any, Literal

import msgspec

from ingest.errors import PayloadError
from ingest.reading import Names, Row, Stated, wire_time

VERSION = 10
RELATIVE_S = 2**28
MAX_S = 10**11
_TIMES_SECONDS = {"W": "J", "kW": "kJ", "L/s": "L", "l/s": "L", "m3/s": "m3", "m/s": "m", "A": "C"}
Number = float | str | bool | None


class Record(msgspec.Struct, gc=False):
    """One record, with the labels of the JSON encoding."""

    bn: str | None = None
    bt: Number = None
    bu: str | None = None
    bv: Number = None
    bs: Number = None
    bver: Number = None
    n: str = ""
    u: str | None = None
    v: Number = None
    vs: str | None = None
    vb: bool | None = None
    vd: Any = None
    s: Number = None
    t: Number = None
    ut: Number = None


class _Pack:
    """State while resolving a pack: current base fields, and readings by time."""

    def __init__(self, received_us: int) -> None:
        self.received_us = received_us
        self.name, self.unit = "", None  # type: str, str | None
        self.time = self.value = self.sum = 0.0
        self.times: dict[float, _Draft] = {}

    def at(self, seconds: float) -> _Draft:
        draft = self.times.get(seconds)
        if draft is None:
            draft = self.times[seconds] = _Draft(_time_us(seconds, self.received_us))
        return draft


class _Draft:
    """Values of one time, while a pack is resolved."""

    __slots__ = ("refused", "time_us", "units", "values")

    def __init__(self, time_us: int) -> None:
        self.time_us = time_us
        self.values: dict[str, float | None] = {}
        self.units: dict[str, str | None] = {}
        self.refused: list[tuple[str, str]] = []

    def add(self, name: str, unit: str | None, value: float) -> None:
        if name in self.values and unit != self.units[name]:
            name = f"{name}#{unit}"  # a quantity may be sent in several units: RFC 8428, 5.1.3
        if name in self.values:
            if self.values[name] != value:
                self.values[name] = None  # two values are ambiguous
                self.refuse(
                    "channel_twice", f"{name!r:.80} appears twice at one time; send it once"
                )
        elif not isfinite(value):
            self.refuse("not_finite", f"{name!r:.80} is {value}; omit the record")
        else:
            self.values[name] = value
            self.units[name] = unit

    def refuse(self, reason: str, detail: str) -> None:
        self.refused.append((reason, detail))


def resolve(records: Sequence[Record], received_us: int) -> list[Stated]:
    """
    Return the readings of a pack, one per time, in order of first occurrence.

    `received_us`: time of receipt, to which relative times refer. [us UTC]
    Raises PayloadError: `version_unknown`, `time_invalid` or `not_a_number` in a base field.
    """
    pack = _Pack(received_us)
    here: _Draft | None = None
    prefix, unit, offset = pack.name, pack.unit, pack.value
    for i, record in enumerate(records):
        based = (
            record.bn is not None
            or record.bt is not None
            or record.bu is not None
            or record.bv is not None
            or record.bs is not None
            or record.bver is not None
        )
        if based:
            here = None
            _base(pack, record, i)
            prefix, unit, offset = pack.name, pack.unit, pack.value
            if record.n == "" and _is_bare(record):
                continue
        value = record.v
        if type(value) is float and record.t is None and record.s is None:
            # most records: a value at the base time
            here = here or pack.at(pack.time)
            name, value = prefix + record.n, offset + value
            if name in here.values or not isfinite(value):
                here.add(name, record.u or unit, value)
            else:
                here.values[name] = value
                here.units[name] = record.u or unit
        else:
            _add(pack, record, i)
    return [
        Stated(wire_time(d.time_us), d.values, None, tuple(d.units.values()), tuple(d.refused))
        for d in pack.times.values()
    ]


def _base(pack: _Pack, record: Record, i: int) -> None:
    if record.bn is not None:
        pack.name = record.bn
    if record.bu is not None:
        pack.unit = record.bu
    if record.bt is not None:
        pack.time = _number(record.bt, "bt", i)
    if record.bv is not None:
        pack.value = _number(record.bv, "bv", i)
    if record.bs is not None:
        pack.sum = _number(record.bs, "bs", i)
    if record.bver is not None and _number(record.bver, "bver", i) > VERSION:
        raise PayloadError(
            "version_unknown", f"record {i}: bver is {record.bver}; send SenML version {VERSION}"
        )


def _is_bare(record: Record) -> bool:
    return (
        record.v is None
        and record.s is None
        and record.vs is None
        and record.vb is None
        and record.vd is None
    )


def _add(pack: _Pack, record: Record, i: int) -> None:
    t = record.t
    draft = pack.at(pack.time if t is None else pack.time + _number(t, "t", i))
    name, unit = pack.name + record.n, record.u or pack.unit
    value, total = record.v, record.s
    if type(value) is float:
        draft.add(name, unit, pack.value + value)
    elif value is not None:
        draft.refuse("not_a_number", f"record {i}: v of {name!r:.80} is {value!r:.40}")
    elif record.vb is not None:
        draft.add(name, unit, float(record.vb))
    elif record.vs is not None or record.vd is not None:
        draft.refuse("not_a_number", f"record {i}: {name!r:.80} is text or data, not a quantity")
    elif total is None:
        draft.refuse("value_missing", f"record {i}: {name!r:.80} has no value and no sum")
    if total is not None:
        own = name if _is_bare_value(record) else f"{name}#sum"
        draft.add(own, _integrated(unit), pack.sum + _number(total, "s", i))


def _is_bare_value(record: Record) -> bool:
    return record.v is None and record.vb is None and record.vs is None and record.vd is None


def _integrated(unit: str | None) -> str | None:
    return None if unit is None else _TIMES_SECONDS.get(unit, f"{unit}.s")


def _number(value: Number, label: str, i: int) -> float:
    if type(value) is float and isfinite(value):
        return value
    raise PayloadError("not_a_number", f"record {i}: {label} is {value!r:.40}; send a number")


def _time_us(seconds: float, received_us: int) -> int:
    if not -RELATIVE_S < seconds < MAX_S:
        raise PayloadError(
            "time_invalid", f"t {seconds!r} s is not a time; send seconds since 1970"
        )
    us = round(seconds * 1e6)
    return received_us + us if seconds < RELATIVE_S else us


MAX_RECORDS = 64
_SENDERS, _SHAPES, _RECORDS = 16_384, 1_024, 4_096
_SEEN_BEFORE = 3
_MS = 1_000
_NO_VALUES: dict[str, float | None] = {}
# bytes before the base time: in most packs the sender's name
_TIME, _WITHIN, _NAMED = b'"bt":', 160, 8

Units = tuple[str | None, ...]


class _First(msgspec.Struct, gc=False, forbid_unknown_fields=True, kw_only=True):
    """First record of a pack, with only name, unit, value and base fields."""

    bn: str = ""
    bt: float
    bu: str | None = None
    bver: float = VERSION
    n: str = ""
    u: str | None = None
    v: float


class _Next(msgspec.Struct, gc=False, forbid_unknown_fields=True, kw_only=True):
    """Further record of a pack, with only name, unit and value."""

    n: str
    u: str | None = None
    v: float


# decoder of a sender's packs, function for their numbers, and their common names
_Learned = tuple[Callable[[bytes], Any], Callable[[Any], Sequence[float]], Names]
_learned: dict[bytes, _Learned] = {}
_seen: dict[bytes, tuple[Names, int]] = {}
_BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def read(payload: bytes) -> Row | None:
    """Return the reading of a pack with a known layout; None where the full reader is needed."""
    at = payload.find(_TIME, 0, _WITHIN)
    sender = payload[:at] if at >= _NAMED else _first_name(payload, at)
    known = _learned.get(sender)
    if known is None:
        return _plain(payload, sender)
    decode, numbers, of = known
    try:
        pack = decode(payload)
    except _BROKEN:
        return _plain(payload, sender)
    first = pack[0]
    seconds = first.bt
    if first.bn != of.base or first.bver > VERSION or not RELATIVE_S <= seconds < MAX_S:
        return _plain(payload, sender)
    us = round(seconds * 1e6)
    ts = wire_time(us) if us % _MS else us // _MS
    return Row(ts, _NO_VALUES, None, of, numbers(pack))


def _first_name(payload: bytes, at: int) -> bytes:
    """Return a guess of the sender of a pack without base name, checked later by a decoder."""
    name = payload.find(b'"n"', at, _WITHIN) if at > 0 else -1
    return payload[name : payload.find(b'"v"', name, name + _WITHIN)] if name > 0 else b""


def _plain(payload: bytes, sender: bytes) -> Row | None:
    records = payload.count(b"{")
    if not 0 < records <= MAX_RECORDS:
        return None
    try:
        pack = _decoder(records).decode(payload)
    except _BROKEN:
        return None
    first = pack[0]
    if first.bver > VERSION:
        return None
    own = tuple([record.u for record in pack])
    names, numbers = tuple([record.n for record in pack]), [record.v for record in pack]
    result = row(first.bt, first.bn, names, numbers, [unit or first.bu or None for unit in own])
    if sender and result is not None:
        _learn(sender, first, result.of, own)
    return result


def row(
    seconds: float,
    base: str,
    names: tuple[str, ...],
    numbers: Sequence[float],
    units: Sequence[str | None],
) -> Row | None:
    """
    Return the only reading of a pack; None if the pack has a relative time or repeated names.

    Parameters
    ----------
    seconds : float
        Base time; must be absolute. [s UTC]
    base : str
    names, numbers, units : sequences, n
    """
    if not RELATIVE_S <= seconds < MAX_S or len(set(names)) != len(names):
        return None
    of = _names(base, names, tuple(units) if any(units) else ())
    return Row(wire_time(round(seconds * 1e6)), _NO_VALUES, None, of, numbers)


@lru_cache(maxsize=MAX_RECORDS)
def _decoder(records: int) -> msgspec.json.Decoder[Any]:
    return _pack_of([_First, *[_Next] * (records - 1)])


def _pack_of(records: list[Any]) -> msgspec.json.Decoder[Any]:
    kind: Any = tuple.__class_getitem__(tuple(records))
    return msgspec.json.Decoder(kind)


@lru_cache(maxsize=_SENDERS)
def _names(base: str, names: tuple[str, ...], units: Units) -> Names:
    return Names(base, names, units)


def _learn(sender: bytes, first: _First, of: Names, own: Units) -> None:
    """Create a decoder for a pack that was received several times."""
    before, times = _seen.get(sender, (of, 0))
    if before is not of or times < _SEEN_BEFORE:
        _remember(_seen, sender, (of, times + 1 if before is of else 1))
        return
    decoder = _exact(first.bu, of.names, own)
    _remember(_learned, sender, (decoder.decode, _numbers(len(of.names)), of))


def _remember(cache: dict[bytes, Any], sender: bytes, what: object) -> None:
    if len(cache) >= _SENDERS:
        cache.clear()
    cache[sender] = what


@lru_cache(maxsize=_SHAPES)
def _exact(unit: str | None, names: tuple[str, ...], own: Units) -> msgspec.json.Decoder[Any]:
    base = (("bn", str, ""), ("bt", float), *_only("bu", unit), ("bver", float, VERSION))
    first = _struct((*base, *_name_and_unit(names[0], own[0])))
    further = [_further(name, unit) for name, unit in zip(names[1:], own[1:], strict=True)]
    return _pack_of([first, *further])


@lru_cache(maxsize=MAX_RECORDS)
def _numbers(records: int) -> Callable[[Any], Sequence[float]]:
    """
    Return a function that extracts the numbers of a pack, record by record.

    It is generated without a loop and is therefore four times as fast; each record has its own
    type.
    """
    places = "".join(f"pack[{i}].v," for i in range(records))
    numbers: Callable[[Any], Sequence[float]] = eval(f"lambda pack: ({places})")  # noqa: S307 (whole numbers alone stand in it)
    return numbers


@lru_cache(maxsize=_RECORDS)
def _further(name: str, unit: str | None) -> type[msgspec.Struct]:
    return _struct(_name_and_unit(name, unit))


def _name_and_unit(name: str, unit: str | None) -> tuple[Any, ...]:
    return (("n", Literal[name]), *_only("u", unit), ("v", float))


def _only(label: str, text: str | None) -> tuple[Any, ...]:
    return () if text is None else ((label, Literal[text]),)


def _struct(fields: tuple[Any, ...]) -> type[msgspec.Struct]:
    return msgspec.defstruct("Record", fields, gc=False, forbid_unknown_fields=True, kw_only=True)
