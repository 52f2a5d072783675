"""Changed payloads: bytes turned, cut, doubled, crossed; numbers and texts put for others.

Sparkplug B under fuzzing: a changed payload as data after a sound birth, and as the birth.
"""

from __future__ import annotations

import math
import re
from functools import cache
from random import Random

from ingest.formats import sparkplug_b_pb2 as pb
from ingest.sparkplug import Host, Node, Outcome, Rules
from tests.fuzz.truth import NotSaidError
from tests.sparkplug_edge import DOUBLE, FLOAT, INT16, STRING, UINT64, EdgeNode, Metric, payload

NAME = "sparkplug_b"
RECEIVED_US = 1_767_225_660_000_000
_WIDTHS = (8, 16, 32, 64)


@cache
def _node() -> tuple[EdgeNode, list[tuple[str, bytes]]]:
    edge = EdgeNode("n")
    return edge, [edge.connect(), edge.birth("d")]


def seeds() -> list[bytes]:
    """Births, data by alias and by name, what is null, late or of bad quality, and deaths."""
    edge, born = _node()
    ts, seq = edge.ts + 1000, 2
    metrics = [
        [Metric(1.5, alias=1), Metric(-2.0, alias=2)],
        [Metric(1.5, "energy_export_kwh", datatype=DOUBLE, unit="Wh", quality=192)],
        [Metric(None, alias=1), Metric(7.25, alias=2, ts=ts - 5, historical=True)],
        [Metric(1.5, alias=1, quality=0), Metric(3.5, alias=2, transient=True)],
        [Metric(65_535, "x", 3, INT16, field="int_value"), Metric("text", "y", 4, STRING)],
        [Metric(2**63, "z", 5, UINT64), Metric(0.5, "w", 6, FLOAT), Metric(1.0, alias=99)],
        [],
    ]
    return [*(payload(held, ts, seq) for held in metrics), *(data for _, data in born)]


def judge(data: bytes) -> bool:
    """
    Take a payload in both places; True where anything was read of it.

    Raises
    ------
    NotSaidError
        When a number is read that does not stand in the payload.
    """
    edge, born = _node()
    read = _take(data, edge.topic("DDATA", "d"), born)
    return _take(data, edge.topic("DBIRTH", "d"), born[:1]) or read


def _take(data: bytes, topic: str, born: list[tuple[str, bytes]]) -> bool:
    nodes, out = {"n": Node("n")}, Outcome(2)
    host = Host(nodes.__getitem__, Rules(), out, nodes)
    for before, birth in born:
        host.take(0, before, birth, RECEIVED_US)
    host.take(1, topic, data, RECEIVED_US)
    values = [
        number
        for given in out.given
        if given.message == 1
        for line in given.lines
        for number in line.numbers
        if number is not None
    ]
    wrong = [v for v in values if not math.isfinite(v) or v not in _said(data)] if values else []
    if wrong:
        raise NotSaidError(f"{NAME}: {wrong[:3]} stand nowhere in the payload")
    return bool(values)


def _said(data: bytes) -> set[float]:
    """Every number of the metrics; whole ones also as two's complements."""
    found: set[float] = set()
    for metric in pb.Payload.FromString(data).metrics:
        name = metric.WhichOneof("value")
        if name in ("int_value", "long_value"):
            whole = getattr(metric, name)
            found |= {float(whole), *(float(whole - 2**width) for width in _WIDTHS)}
        elif name in ("float_value", "double_value", "boolean_value"):
            found.add(float(getattr(metric, name)))
    return found


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
    """Return the payload with one to three changes."""
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
    """Replace the first match after a place in the payload."""
    found = what.search(data, _at(data, rng)) or what.search(data)
    if found:
        data[found.start() : found.end()] = by[int(rng.random() * len(by))]


_CHANGES = (_turn, _write, _cut, _end, _double, _cross, _number, _number, _text, _text, _head)
