"""
Parcels: messages of one Kafka partition from bridge to worker.

A parcel has accepted readings and the messages themselves: a conflict with stored rows is found
only by the worker, and its dead letter needs the message's bytes.  Devices are named by id, as the
worker may have another registry version.

Schema 2: MessagePack with columns of raw bytes, compressed together (LZ4).

    u32 length before compression  LZ4 block of [messages, rejections, frames]

The record has the names of columns; their types follow from the device class: int64 for a register,
float64 for a gauge, little-endian.  Empty columns are omitted.  In Arrow tables of 50 rows, schema
and compression would take as much time as the rows.

Schema 1 (Arrow tables, of 0.1.0) is read only:

    { u32 length, Arrow IPC stream } ...: the messages, the rejections, then one table per class
"""

from __future__ import annotations

import struct
from functools import cache
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ingest.decode import Rejected
from ingest.model import NULL, Column, Fleet, Frame
from ingest.wire.record_batch import (
    SCHEMA,
    WRITER,
    Parcel,
    WireError,
    add_frame,
    join,
    known_class,
    partition_of,
    seal,
    sort,
    unseal,
    within,
)

__all__ = ["SCHEMA", "Parcel", "WireError", "decode", "encode", "join", "partition_of", "sort"]


_LENGTH = struct.Struct(">I")
_MAX_RATIO = 256  # maximum ratio of the data to its LZ4 block
_REGISTER, _GAUGE, _PLACE = np.dtype("<i8"), np.dtype("<f8"), np.dtype("<i4")


class _Table(msgspec.Struct, array_like=True):
    """Readings of a device class: each device id once, and columns with one value per row."""

    class_id: str
    devices: list[str]
    device: bytes
    time_us: bytes
    message: bytes
    registers: dict[str, bytes]
    gauges: dict[str, bytes]
    flags: dict[int, dict[str, str]]


class _Packed(msgspec.Struct, array_like=True):
    """Parcel as encoded; the lists have one entry per message."""

    received_us: int
    topics: list[str]
    payloads: list[bytes]
    content_types: list[str | None]
    repeated: list[bool]
    codecs: list[str]
    rejected: list[tuple[int, str, str]]
    tables: list[_Table]


_ENCODER, _DECODER = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(_Packed)


def encode(parcel: Parcel, fleet: Fleet) -> bytes:
    """Return a parcel of messages as a Kafka record, in which devices are named by id."""
    packed = _Packed(
        parcel.received_us,
        parcel.topics,
        parcel.payloads,
        parcel.content_types,
        parcel.repeated,
        parcel.codecs,
        [(r.message, r.reason, r.detail) for r in parcel.rejected],
        [_table(frame, fleet) for frame in parcel.frames],
    )
    try:
        raw = _ENCODER.encode(packed)
    except UnicodeEncodeError:
        raw = _ENCODER.encode(_printable(packed))
    return seal(_LENGTH.pack(len(raw)) + _lz4().compress(raw, asbytes=True))


def _decode_packed(content: memoryview, fleet: Fleet) -> Parcel:
    """
    Return the content of a record; rows of devices not in `fleet` become rejections.

    Raises WireError when it has classes or channels that this version does not know.
    Raises ValueError, IndexError or OSError when the content is inconsistent.
    """
    packed = _DECODER.decode(_unpacked(content))
    parcel = Parcel(
        packed.topics, packed.payloads, packed.content_types, packed.repeated, packed.codecs,
        packed.received_us, [], [Rejected(*refusal) for refusal in packed.rejected],
    )  # fmt: skip
    lists = (packed.payloads, packed.content_types, packed.repeated, packed.codecs)
    if {len(column) for column in lists} != {len(parcel)}:
        raise ValueError(f"its lists do not all have an entry for each of {len(parcel)} messages")
    places = np.array([r.message for r in parcel.rejected], dtype=np.int32)
    within(places, len(parcel), "message")
    for table in packed.tables:
        _add(table, fleet, parcel)
    return parcel


def _unpacked(content: memoryview) -> bytes:
    (length,) = _LENGTH.unpack_from(content)
    block = content[_LENGTH.size :]
    if length > _MAX_RATIO * len(block):
        raise ValueError(f"{len(block)} bytes cannot be unpacked to {length} bytes")
    raw: bytes = _lz4().decompress(block, decompressed_size=length, asbytes=True)
    return raw


@cache
def _lz4() -> Any:
    import pyarrow as pa  # noqa: PLC0415 - slow to load; only bridge and worker need it

    return pa.Codec("lz4_raw")


def _table(frame: Frame, fleet: Fleet) -> _Table:
    place: dict[int, int] = {}
    places = [place.setdefault(index, len(place)) for index in frame.device.tolist()]
    registers, gauges = {}, {}
    for name, values in frame.columns.items():
        if values.dtype == np.int64:
            if _any(values != NULL):
                registers[name] = _bytes(values, _REGISTER)
        elif _any(~np.isnan(values)):
            gauges[name] = _bytes(values, _GAUGE)
    return _Table(
        frame.class_id, fleet.ids(list(place)), np.array(places, _PLACE).tobytes(),
        _bytes(frame.time_us, _REGISTER), _bytes(frame.message, _PLACE), registers, gauges,
        frame.flags,
    )  # fmt: skip


def _any(there: NDArray[np.bool_]) -> bool:
    """Return whether any value is true; in general the first one is."""
    return bool(len(there)) and bool(there[0] or there.any())


def _bytes(values: NDArray[Any], kind: np.dtype[Any]) -> bytes:
    return values.astype(kind, copy=False).tobytes()


def _printable(packed: _Packed) -> _Packed:
    """Return the parcel with each topic in valid UTF-8; invalid bytes are replaced."""
    return msgspec.structs.replace(
        packed,
        topics=[_text(topic) for topic in packed.topics],
        content_types=[
            None if content_kind is None else _text(content_kind)
            for content_kind in packed.content_types
        ],
        rejected=[(k, reason, _text(detail)) for k, reason, detail in packed.rejected],
    )


def _text(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _add(table: _Table, fleet: Fleet, parcel: Parcel) -> None:
    known = known_class(table.class_id, [*table.registers, *table.gauges])
    columns: dict[str, Column] = {}
    for series, kind in ((table.registers, "register"), (table.gauges, "gauge")):
        for name, values in series.items():
            if (known.channels[name].kind == "register") != (kind == "register"):
                raise WireError(
                    "unknown_schema",
                    f"{known.id} channel {name!r} arrived as a {kind}; update workers to "
                    "the bridge's version",
                )
            columns[name] = _values(values, _REGISTER if kind == "register" else _GAUGE)
    times = _values(table.time_us, _REGISTER)
    add_frame(
        parcel,
        fleet,
        known,
        (table.devices, _values(table.device, _PLACE)),
        (times, _values(table.message, _PLACE)),
        columns,
        table.flags,
    )


def _values(packed: bytes, kind: np.dtype[Any]) -> Any:
    """Return a column as a writable numpy array."""
    return np.frombuffer(packed, kind).astype(kind.newbyteorder("="))


_OWN = ("device", "time_us", "message", "flags")


def _decode_arrow(content: memoryview, fleet: Fleet) -> Parcel:
    """
    Return the content of a record; rows of devices not in `fleet` become rejections.

    Raises WireError when it is truncated, or has classes or channels that this version does not
    know.
    Raises ValueError, KeyError, TypeError, IndexError or OSError when the content is inconsistent,
    including Arrow's own errors.
    """
    messages, rejected, *frames = map(_read_arrow, _arrow_parts(content))
    parcel = _parcel(messages, rejected)
    for table in frames:
        _add_arrow(table, fleet, parcel)
    return parcel


def _arrow_parts(content: memoryview) -> list[memoryview]:
    parts, at = [], 0
    while at < len(content):
        if at + _LENGTH.size > len(content):
            raise WireError("damaged_record", f"{len(content)} bytes end within a length{WRITER}")
        (length,) = _LENGTH.unpack_from(content, at)
        at += _LENGTH.size
        if at + length > len(content):
            raise WireError("damaged_record", f"it ends within a part of {length} bytes{WRITER}")
        parts.append(content[at : at + length])
        at += length
    return parts


def _read_arrow(part: memoryview) -> Any:
    import pyarrow as pa  # noqa: PLC0415 - slow to load; only a worker needs it

    options = pa.ipc.IpcReadOptions(use_threads=False)  # slower for small tables
    table = pa.ipc.open_stream(part, options=options).read_all()
    table.validate(full=True)  # invalid offsets would crash the process
    return table


def _parcel(messages: Any, rejected: Any) -> Parcel:
    column = {name: messages.column(name).to_pylist() for name in messages.column_names}
    refusals = (rejected.column(c).to_pylist() for c in ("message", "reason", "detail"))
    parcel = Parcel(
        column["topic"],
        column["payload"],
        column["content_type"],
        column["repeated"],
        column["codec"],
        int(messages.schema.metadata[b"received_us"]),
        [],
        [Rejected(*refusal) for refusal in zip(*refusals, strict=True)],
    )
    within(np.array([r.message for r in parcel.rejected], np.int32), len(parcel), "message")
    return parcel


def _add_arrow(table: Any, fleet: Fleet, parcel: Parcel) -> None:
    channels = [name for name in table.column_names if name not in _OWN]
    known = known_class(table.schema.metadata[b"class"].decode(), channels)
    device = table.column("device").combine_chunks()
    add_frame(
        parcel,
        fleet,
        known,
        (device.dictionary.to_pylist(), np.array(device.indices)),
        (_column(table, "time_us"), _column(table, "message")),
        {name: _column(table, name) for name in channels},
        _flags(table.column("flags")),
    )


def _flags(column: Any) -> dict[int, dict[str, str]]:
    if column.null_count == len(column):
        return {}
    return {
        k: msgspec.json.decode(text)
        for k, text in enumerate(column.to_pylist())
        if text is not None
    }


def _column(table: Any, name: str) -> Any:
    """Return a column as a writable numpy array."""
    return np.array(table.column(name).combine_chunks())


_READERS = {1: _decode_arrow, 2: _decode_packed}


def decode(record: bytes, fleet: Fleet) -> Parcel:
    """
    Return a parcel from a record; rows of devices not in `fleet` become rejections.

    Raises WireError when the record is not a complete parcel of a known schema.
    """
    schema, content = unseal(record)
    try:
        return _READERS[schema](content, fleet)
    except WireError:
        raise
    except (
        ValueError,
        KeyError,
        TypeError,
        IndexError,
        OSError,
        MemoryError,
        NotImplementedError,
        struct.error,
    ) as error:
        # the digest is correct, so the record is not damaged but of another program
        detail = f"no parcel: {_line(error)}{WRITER}"
        raise WireError("foreign_record", detail) from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
