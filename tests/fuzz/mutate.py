"""Modified payloads: bytes changed, removed, doubled, combined; numbers and texts replaced."""

from __future__ import annotations

import re
from random import Random

_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_TEXT = re.compile(rb'"[^"\\]*"')
NUMBERS = [
    b"0", b"-0", b"-0.0", b"1e400", b"-1e400", b"1e-400", b"NaN", b"Infinity", b"-Infinity", b"00",
    b"1.", b".5", b"+1", b"1e", b"0x10", b"9007199254740993", b"18446744073709551616", b"null",
    b"true", b"false", b"[]", b"{}", b'"5"', b'""', b"-1", b"65535", b"65536", b"2147483648",
    b"1767225600", b"1767225600000", b"1e11", b"9" * 400, b"1_000", b"1e22", b"0.1",
]  # fmt: skip
TEXTS = [
    b'""', b'"_"', b'"x_"', b'"n"', b'"v"', b'"bn"', b'"bt"', b'"bver"', b'"\\u0000"',
    b'"\\ud800"', b'"\\ud83d\\ude00"', b'"values"', b'"ts"', b'"meterValue"', b'"hex"',
    b'"base64"', b'"registers"', b'"Wh"', b'"kWh"', b'"SignedData"', b'"Sample.Clock"',
    b'"2026-01-01T00:00:00Z"', b'"2026-01-01T00:00:00"', b'"0001-01-01T00:00:00+23:59"',
    b'"9999-12-31T23:59:60Z"', b'"nan"', b'"1e400"', b'"\xff"', b"1", b"null", b"[]", b"{}",
]  # fmt: skip
HEADS = [
    b"\x9f", b"\xbf", b"\xff", b"\xf6", b"\xf5", b"\xf9\x7e\x00",
    b"\xfb\x7f\xf0\x00\x00\x00\x00\x00\x00", b"\xfa\x7f\xc0\x00\x00",
    b"\x1b\xff\xff\xff\xff\xff\xff\xff\xff", b"\x5b\x7f\xff\xff\xff\xff\xff\xff\xff",
    b"\x9b\x00\x00\x00\x00\xff\xff\xff\xff", b"\xc2\x49\x01" + b"\0" * 8, b"\xc4\x82\x20\x01",
    b"\xc5\x82\x03\x01", b"\xd8\x1e\x82\x01\x00", b"\xd8\x1c", b"\xd8\x1d\x00", b"\xd8\x23\x61(",
    b"\xc0\x60", b"\xc1\xf9\x7e\x00", b"\x20", b"\x21", b"\x22", b"\x25", b"\x00", b"\x02",
    b"\x05", b"\x06", b"\xa1", b"\x80", b"\x62x_",
]  # fmt: skip
_BYTES = b'"[]{},:\\0123456789eE+-. \t\n\x00\x1f\x7f\x80\xc3\xff_'
MAX_SIZE = 4_096


def mutate(payload: bytes, pool: list[bytes], rng: Random) -> bytes:
    """Return the payload with one to three modifications."""
    changed = bytearray(payload)
    for _ in range(1 + (rng.random() < 0.4) + (rng.random() < 0.2)):
        _CHANGES[int(rng.random() * len(_CHANGES))](changed, pool, rng)
    return bytes(changed[:MAX_SIZE])


def _at(data: bytearray, rng: Random) -> int:
    return int(rng.random() * len(data))


def _turn(data: bytearray, _pool: list[bytes], rng: Random) -> None:
    if data:
        data[_at(data, rng)] ^= 1 << int(rng.random() * 8)


def _write(data: bytearray, _pool: list[bytes], rng: Random) -> None:
    if data:
        data[_at(data, rng)] = _BYTES[int(rng.random() * len(_BYTES))]


def _cut(data: bytearray, _pool: list[bytes], rng: Random) -> None:
    at = _at(data, rng)
    del data[at : at + 1 + int(rng.random() * 12)]


def _end(data: bytearray, _pool: list[bytes], rng: Random) -> None:
    del data[_at(data, rng) :]


def _double(data: bytearray, _pool: list[bytes], rng: Random) -> None:
    at = _at(data, rng)
    data[at:at] = data[at : at + 1 + int(rng.random() * 60)]


def _cross(data: bytearray, pool: list[bytes], rng: Random) -> None:
    other = pool[int(rng.random() * len(pool))]
    at = int(rng.random() * len(other))
    to = _at(data, rng)
    data[to : to + 1 + int(rng.random() * 40)] = other[at : at + 1 + int(rng.random() * 40)]


def _number(data: bytearray, _pool: list[bytes], rng: Random) -> None:
    _replace(data, _NUMBER, NUMBERS, rng)


def _text(data: bytearray, _pool: list[bytes], rng: Random) -> None:
    _replace(data, _TEXT, TEXTS, rng)


def _head(data: bytearray, _pool: list[bytes], rng: Random) -> None:
    at = _at(data, rng)
    data[at : at + int(rng.random() * 9)] = HEADS[int(rng.random() * len(HEADS))]


def _replace(data: bytearray, what: re.Pattern[bytes], by: list[bytes], rng: Random) -> None:
    """Replace the first match after a position in the payload."""
    found = what.search(data, _at(data, rng)) or what.search(data)
    if found:
        data[found.start() : found.end()] = by[int(rng.random() * len(by))]


_CHANGES = (_turn, _write, _cut, _end, _double, _cross, _number, _number, _text, _text, _head)
