"""Text form of a rejected message, up to the position where decoding fails."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from io import BytesIO
from typing import NamedTuple

import cbor2

from ingest import codec_detection as encodings
from ingest.codecs import sparkplug_b
from ingest.errors import PayloadError, describe_fault, fault
from ingest.reading import Reading, Registers, Row, Stated

_PAIR = re.compile(r'"((?:[^"\\]|\\.)*)"\s*:\s*(-?\d[\d.eE+-]*|"(?:[^"\\]|\\.)*"|true|false|null)')
_BYTES_SHOWN, _LINE, _AROUND = 20, 16, 2
_CBOR_ARRAYS, _CBOR_BREAK = range(0x80, 0xA0), b"\xff"
# how many bytes of length follow the head of a longer array
_CBOR_LENGTHS = {0x98: 1, 0x99: 2, 0x9A: 4, 0x9B: 8}
_PRINTABLE = range(0x20, 0x7F)
_SHOWN = 20


class Partial(NamedTuple):
    """Readings decoded before a fault, the fault's position (None: no fault), and its reason."""

    position: int | None
    why: str
    values: list[str]


def partial(payload: bytes) -> Partial:
    """Return the decodable part of a payload."""
    if payload[:1] and payload[0] in _CBOR_ARRAYS:
        return _cbor(payload)
    try:
        text, end, why = payload.decode("utf-8"), None, ""
    except UnicodeDecodeError as error:
        text, end, why = payload[: error.start].decode("utf-8"), error.start, error.reason
    if end is None:
        try:
            json.loads(text)
        except json.JSONDecodeError as error:
            problem = fault(error)
            end, why = len(text[: problem.pos].encode()), problem.msg
        except (ValueError, RecursionError) as error:
            end, why = 0, describe_fault(error)
    before = text if end is None else payload[:end].decode("utf-8", "replace")
    values = [f"{name}={value}" for name, value in _PAIR.findall(before)]
    return Partial(end, why, values[:_BYTES_SHOWN])


def _cbor(payload: bytes) -> Partial:
    """Return the decodable items of a CBOR array."""
    source = BytesIO(payload)
    source.read(_CBOR_LENGTHS.get(source.read(1)[0], 0))
    values: list[str] = []
    while source.tell() < len(payload):
        at = source.tell()
        if payload[at:] == _CBOR_BREAK:
            break
        try:
            values.append(f"{cbor2.load(source, read_size=1)!r:.200}")
        except Exception as error:  # noqa: BLE001 (whatever a decoder says of broken bytes)
            return Partial(at, str(error)[:200], values[:_BYTES_SHOWN])
    return Partial(None, "", values[:_BYTES_SHOWN])


def dump(payload: bytes, around: int | None) -> list[str]:
    """Return hexadecimal lines around a position, which is marked; the first lines if None."""
    place = 0 if around is None else around // _LINE
    first = max(place - _AROUND, 0)
    lines = []
    for line in range(first, place + _AROUND + 1):
        piece = payload[line * _LINE : (line + 1) * _LINE]
        if piece:
            text = "".join(chr(b) if b in _PRINTABLE else "." for b in piece)
            mark = ">" if around is not None and line == place else " "
            lines.append(f"{mark} {line * _LINE:06x}  {piece.hex(' '):<47}  {text}")
    return lines


def legible(payload: bytes, content_type: str | None, received_us: int) -> list[str]:
    """
    Return a payload's contents, one line per reading, up to the first fault.

    Parameters
    ----------
    payload : bytes
    content_type : str, optional
        MQTT 5 property of the message.
    received_us : int
        Time of receipt, to which relative times refer. [us UTC]
    """
    codec = encodings.UNREAD
    try:
        encoding = encodings.find(payload, content_type)
        codec = encoding.name
        readings = encoding.decode(payload, received_us)
    except PayloadError as error:
        return [_gave_up(codec, error)]
    lines = [f"{codec}: {line}" for reading in readings[:_SHOWN] for line in _lines(reading)]
    more = len(readings) - _SHOWN
    return [*lines, f"{codec}: and {more} more readings"] if more > 0 else lines


def _gave_up(codec: str, error: PayloadError) -> str:
    """Return the decoding error's text with the codec's name once."""
    return f"{codec}: {error.reason}: {error.detail.removeprefix(f'{codec}: ')}"


def _lines(reading: Reading) -> Iterator[str]:
    reading = reading.stated() if isinstance(reading, Row) else reading
    units = reading.units if isinstance(reading, Stated) else ()
    named = zip(reading.values.items(), units or (None,) * len(reading.values), strict=True)
    values = [f"{name}={value}{f' {unit}' if unit else ''}" for (name, value), unit in named]
    if isinstance(reading, Registers):
        values = [f"{b.table} {b.address}={b.data.hex()}" for b in reading.blocks]
    yield f"ts={reading.ts} " + ", ".join(values)
    if isinstance(reading, Stated):
        yield from (f"ts={reading.ts} {reason}: {detail}" for reason, detail in reading.refused)


def metrics(payload: bytes) -> list[str]:
    """Return the metrics of a Sparkplug payload, one line each; births include aliases."""
    try:
        message = sparkplug_b.decode(payload)
    except PayloadError as error:
        return [_gave_up(sparkplug_b.NAME, error)]
    lines = [f"timestamp={message.timestamp} seq={message.seq} metrics={len(message.metrics)}"]
    for metric in message.metrics[:_SHOWN]:
        field = metric.WhichOneof("value")
        name = metric.name if metric.HasField("name") else f"alias {metric.alias}"
        value = "null" if metric.is_null or field is None else repr(getattr(metric, field))
        at = f" ts={metric.timestamp}" if metric.HasField("timestamp") else ""
        lines.append(f"{name}={value[:80]}{at}")
    return [f"{sparkplug_b.NAME}: {line}" for line in lines]
