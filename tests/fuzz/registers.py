"""Every number that a block of registers can represent, determined without the codecs."""

from __future__ import annotations

import struct
from base64 import b64decode
from collections.abc import Iterator
from typing import Any

_KINDS = ("h", "H", "i", "I", "q", "Q", "f", "d")
_SCALES = range(-10, 11)


def modbus(document: Any) -> set[float]:
    """Numbers of each block of each message, from any register on."""
    return {
        n for one in _each(document) for block in one["blocks"] for n in _plain(_data(block, one))
    }


def sunspec(document: Any) -> set[float]:
    """Return the same, with any scale factor that SunSpec has."""
    plain = {n for one in _each(document) for n in _plain(_data(one["sunspec"], one))}
    whole = {n for n in plain if isinstance(n, int)}
    return {float(n) for n in plain} | {_scaled(n, power) for n in whole for power in _SCALES}


def _each(document: Any) -> list[Any]:
    return document if isinstance(document, list) else [document]


def _data(words: dict[str, Any], message: dict[str, Any]) -> bytes:
    """Return registers as big-endian bytes; the later of two equal keys is used."""
    if words.get("hex") is not None:
        data = bytes.fromhex(words["hex"])
    elif words.get("base64") is not None:
        data = b64decode(words["base64"], validate=True)
    else:
        data = b"".join(value.to_bytes(2, "big") for value in words["registers"])
    if message.get("byte_order", "big") == "big":
        return data
    return b"".join(data[i : i + 2][::-1] for i in range(0, len(data), 2))


def _plain(data: bytes) -> Iterator[int | float]:
    """Return numbers of each type at each register, with either word first."""
    words = [data[i : i + 2] for i in range(0, len(data), 2)]
    for kind in _KINDS:
        size = struct.calcsize(f">{kind}") // 2
        for at in range(len(words) - size + 1):
            held = words[at : at + size]
            for ordered in (held, held[::-1]):
                yield struct.unpack(f">{kind}", b"".join(ordered))[0]


def _scaled(n: int, power: int) -> float:
    return float(n * 10**power) if power >= 0 else n / 10**-power
