"""
Modbus registers to numbers: 16-bit words, and values of several words.

Registers are transmitted as hexadecimal or base64 text, or as integers.  A device may store the low
word first, a gateway may have swapped the bytes of each word.
"""

from __future__ import annotations

import binascii
import math
import struct
from base64 import b64decode
from typing import Literal

import msgspec

from ingest.errors import PayloadError

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

    Parameters
    ----------
    words : Words
    byte_order : {"big", "little"}
        Order of the two bytes of each register.
    where : str
        Their position, for errors.

    Raises
    ------
    PayloadError
        With reason `registers_invalid`.
    """
    spellings = [words.hex, words.base64, words.registers]
    if sum(s is not None for s in spellings) != 1:
        raise _wrong(where, "must be one of 'hex', 'base64' and 'registers'")
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

    Parameters
    ----------
    data : bytes
        Big-endian registers, long enough.
    at : int
        Register within `data`.
    kind : str
        One of `SIZES`.
    word_order : {"big", "little"}
        Order of words, if several.
    """
    size = SIZES[kind]
    raw = data[at * WORD : (at + size) * WORD]
    if word_order == "little" and size > 1:
        raw = b"".join(raw[i : i + WORD] for i in range(len(raw) - WORD, -1, -WORD))
    value: int | float = struct.unpack(_FORMATS[kind], raw)[0]
    return None if isinstance(value, float) and not math.isfinite(value) else value
