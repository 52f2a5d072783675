"""
Modbus registers to numbers, and SunSpec information models: registers to scaled points.

A map begins with "SunS", followed by models: id, length, points. The scale factor of an integer
point is in a register of the same model and may change between readings (often at dusk), so value
and factor are always taken from the same block.  A point that is not implemented has a reserved
value.

Registers are transmitted as hexadecimal or base64 text, or as integers.  A device may store the
low word first, a gateway may have swapped the bytes of each word.
"""

from __future__ import annotations

import binascii
import math
import struct
import tomllib
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal

import msgspec

from ingest.errors import PayloadError

MARK = b"SunS"
_END = 0xFFFF
_HEAD = 2
_ABSENT = {
    "int16": -0x8000,
    "sunssf": -0x8000,
    "uint16": 0xFFFF,
    "enum16": 0xFFFF,
    "uint32": 0xFFFFFFFF,
    "uint64": 0xFFFFFFFFFFFFFFFF,
}
# "not implemented" of an accumulator is 0; some devices send that of a uint32
_ABSENT_ACC = (0, 0xFFFFFFFF)
_MAX_SCALE = 10


@dataclass(frozen=True, slots=True)
class Point:
    """
    Point of a model: its position and its scale factor.

    `offset` and `scale` are register offsets after the model's length; `scale` None is a factor of
    1.
    """

    name: str
    kind: str
    offset: int
    scale: int | None
    unit: str | None


@dataclass(frozen=True, slots=True)
class Model:
    """Points of a model; models with the same layout share it."""

    length: int
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Value:
    """A point's value in its unit."""

    name: str
    value: float
    unit: str | None


@cache
def models() -> dict[int, Model]:
    """Return the supported models, by id."""
    text = resources.files(__package__).joinpath("sunspec_models.toml").read_text("utf-8")
    result: dict[int, Model] = {}
    for family in tomllib.loads(text).values():
        scales = family["scale"]
        points = tuple(_point(line, scales) for line in family["points"])
        result |= dict.fromkeys(family["models"], Model(family["length"], points))
    return result


def _point(line: str, scales: dict[str, int]) -> Point:
    name, kind, offset, scale, unit = line.split()
    return Point(name, kind, int(offset), scales.get(scale), None if unit == "-" else unit)


def read(data: bytes, word_order: Order, where: str) -> Iterator[Value | PayloadError]:
    """
    Yield the points of known models in a block; a point without its scale is an error.

    A point that an earlier model of the block also has is named with its model, `701.W`.

    `data`: big-endian registers from "SunS" or from a model's id on.
    `word_order`: {"big", "little"}.
    `where`: position of the block, for errors.
    Raises PayloadError: `registers_invalid` if the block ends within a model, or has none.
    """
    values: set[str] = set()
    known = 0
    for model_id, at, length in _chain(data, where):
        model = models().get(model_id)
        if model is None:
            continue
        if length < model.length:
            raise PayloadError(
                "registers_invalid",
                f"{where}: model {model_id} has {length} registers, expected {model.length}; "
                "read the whole model",
            )
        known += 1
        for point in _points(data, at, model, word_order, f"{where}: model {model_id}"):
            if isinstance(point, PayloadError):
                yield point
            elif point.name in values:
                yield Value(f"{model_id}.{point.name}", point.value, point.unit)
            else:
                values.add(point.name)
                yield point
    if not known:
        raise PayloadError(
            "registers_invalid",
            f"{where}: it contains no model of {', '.join(map(str, sorted(models())))}; "
            "send registers from 'SunS' on, or from a model's id on",
        )


def _chain(data: bytes, where: str) -> Iterator[tuple[int, int, int]]:
    """Yield id, first register after the length, and length of each model."""
    at = _HEAD if data.startswith(MARK) else 0
    end = len(data) // WORD
    while at < end:
        model_id = number(data, at, "uint16")
        if model_id == _END:
            return
        length = number(data, at + 1, "uint16") if at + 1 < end else None
        if length is None or at + _HEAD + int(length) > end:
            raise PayloadError(
                "registers_invalid",
                f"{where}: the block ends within model {model_id}; read value and scale "
                "in one block",
            )
        yield int(model_id or 0), at + _HEAD, int(length)
        at += _HEAD + int(length)


def _points(
    data: bytes, at: int, model: Model, word_order: Order, where: str
) -> Iterator[Value | PayloadError]:
    for point in model.points:
        raw = number(data, at + point.offset, point.kind, word_order)
        if raw is None or raw == _ABSENT.get(point.kind):
            continue
        if point.kind == "acc32" and raw in _ABSENT_ACC:
            continue
        if point.scale is None:
            yield Value(point.name, float(raw), point.unit)
            continue
        scale = number(data, at + point.scale, "sunssf")
        if scale is None or not -_MAX_SCALE <= scale <= _MAX_SCALE:
            yield PayloadError(
                "scale_missing", f"{where}: {point.name} {raw} has the scale factor {scale}"
            )
        else:
            yield Value(point.name, _scaled(raw, int(scale)), point.unit)


def _scaled(raw: float, scale: int) -> float:
    """Return raw * 10**scale; dividing by a power of ten rounds once, multiplying by 0.1 twice."""
    return float(raw * 10**scale) if scale >= 0 else raw / 10**-scale


Order = Literal["big", "little"]
WORD = 2
MAX_WORDS = 4_096
_FORMATS = {
    "int16": ">h", "uint16": ">H", "enum16": ">H", "sunssf": ">h",
    "int32": ">i", "uint32": ">I", "acc32": ">I", "float32": ">f",
    "int64": ">q", "uint64": ">Q", "float64": ">d",
}  # fmt: skip
SIZES = {kind: struct.calcsize(form) // WORD for kind, form in _FORMATS.items()}


class Words(msgspec.Struct, forbid_unknown_fields=True):
    """Registers of a payload, in one of three notations."""

    hex: str | None = None
    base64: str | None = None
    registers: list[int] | None = None


def unpack(words: Words, byte_order: Order, where: str) -> bytes:
    """
    Return the big-endian bytes of registers.

    `byte_order` ({"big", "little"}): order of the two bytes of each register.
    `where`: their position, for errors.
    Raises PayloadError with reason `registers_invalid`.
    """
    spellings = [words.hex, words.base64, words.registers]
    if sum(s is not None for s in spellings) != 1:
        raise _wrong(where, "has none or several of 'hex', 'base64' and 'registers'; send one")
    data = _bytes(words, where)
    if len(data) % WORD or not 0 < len(data) <= MAX_WORDS * WORD:
        raise _wrong(
            where,
            f"{len(data)} bytes are not 1 to {MAX_WORDS} whole registers; send 2 bytes a register",
        )
    return data if byte_order == "big" else _swap_bytes(data)


def _bytes(words: Words, where: str) -> bytes:
    try:
        if words.hex is not None:
            return bytes.fromhex(words.hex)
        if words.base64 is not None:
            return b64decode(words.base64, validate=True)
        values = words.registers or []
        return struct.pack(f">{len(values)}H", *values)
    except (ValueError, binascii.Error, struct.error) as error:
        raise _wrong(where, str(error)) from None


def _swap_bytes(data: bytes) -> bytes:
    swapped = bytearray(len(data))
    swapped[0::2], swapped[1::2] = data[1::2], data[0::2]
    return bytes(swapped)


def _wrong(where: str, text: str) -> PayloadError:
    return PayloadError("registers_invalid", f"{where}: {text}")


def number(data: bytes, at: int, kind: str, word_order: Order = "big") -> int | float | None:
    """
    Return the number at register `at`; None for a float that is not a number.

    `data`: big-endian registers, long enough.
    `at`: register within `data`.
    `kind`: one of `SIZES`.
    `word_order` ({"big", "little"}): order of words, if several.
    """
    size = SIZES[kind]
    raw = data[at * WORD : (at + size) * WORD]
    if word_order == "little" and size > 1:
        raw = b"".join(raw[i : i + WORD] for i in range(len(raw) - WORD, -1, -WORD))
    value: int | float = struct.unpack(_FORMATS[kind], raw)[0]
    return None if isinstance(value, float) and not math.isfinite(value) else value
