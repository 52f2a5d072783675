"""
Fast decoding of SenML JSON packs with decoders created for earlier packs.

A device's packs differ only in numbers.  Once one has occurred a few times, a decoder is created
that accepts exactly its names and units; other packs are decoded normally, with the same result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Literal

import msgspec

from ingest.formats.senml import MAX_S, RELATIVE_S, VERSION
from ingest.reading import Names, Row, wire_time

MAX_RECORDS = 64
_SENDERS, _SHAPES, _RECORDS = 16_384, 1_024, 4_096
_SEEN_BEFORE = 3
_MS = 1_000
_NO_VALUES: dict[str, float | None] = {}
# what stands before the base time: the sender's name, in most packs
_TIME, _WITHIN, _NAMED = b'"bt":', 160, 8

Units = tuple[str | None, ...]


class _First(msgspec.Struct, gc=False, forbid_unknown_fields=True, kw_only=True):
    """First record of a plain pack."""

    bn: str = ""
    bt: float
    bu: str | None = None
    bver: float = VERSION
    n: str = ""
    u: str | None = None
    v: float


class _Next(msgspec.Struct, gc=False, forbid_unknown_fields=True, kw_only=True):
    """Further record of a plain pack."""

    n: str
    u: str | None = None
    v: float


# how the packs of a sender are read, and what all of them say
_Learned = tuple[Callable[[bytes], Any], Callable[[Any], Sequence[float]], Names]
_learned: dict[bytes, _Learned] = {}
_seen: dict[bytes, tuple[Names, int]] = {}
_BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def read(payload: bytes) -> Row | None:
    """Return the reading of a simple pack; None where the full reader is needed."""
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
    Return the only reading of a pack of numbers at its base time; None if it has more.

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

    It is generated without a loop, which is four times as fast, as each record has its own type.
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
