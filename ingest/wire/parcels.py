"""
Kafka records of any supported schema to parcels; schema 1 (Arrow tables, of 0.1.0) is read only.

    { u32 length, Arrow IPC stream } ...: the messages, the refusals, then one table per class
"""

from __future__ import annotations

import struct
from typing import Any

import msgspec
import numpy as np

from ingest.decode import Rejected
from ingest.model import Fleet
from ingest.wire import packed_columns
from ingest.wire.record_batch import Parcel, WireError, add_frame, known_class, unseal, within

_OWN = ("device", "time_us", "message", "flags")
_LENGTH = struct.Struct(">I")


def _decode_arrow(content: memoryview, fleet: Fleet) -> Parcel:
    """
    Return the content of a record; rows of devices not in `fleet` become rejections.

    Raises
    ------
    WireError
        When it is truncated, or has classes or channels that this version does not know.
    ValueError, KeyError, TypeError, IndexError, OSError
        When the content contradicts itself, including Arrow's own errors.
    """
    messages, rejected, *frames = map(_read_arrow, _arrow_parts(content))
    parcel = _parcel(messages, rejected)
    for table in frames:
        _add(table, fleet, parcel)
    return parcel


def _arrow_parts(content: memoryview) -> list[memoryview]:
    parts, at = [], 0
    while at < len(content):
        if at + _LENGTH.size > len(content):
            raise WireError("damaged_record", "ends inside a length")
        (length,) = _LENGTH.unpack_from(content, at)
        at += _LENGTH.size
        if at + length > len(content):
            raise WireError("damaged_record", f"ends inside a part of {length} bytes")
        parts.append(content[at : at + length])
        at += length
    return parts


def _read_arrow(part: memoryview) -> Any:
    import pyarrow as pa  # noqa: PLC0415 - slow to load; only a worker needs it

    options = pa.ipc.IpcReadOptions(use_threads=False)  # threads cost more than such tables
    table = pa.ipc.open_stream(part, options=options).read_all()
    table.validate(full=True)  # offsets of a foreign hand would end the whole process
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


def _add(table: Any, fleet: Fleet, parcel: Parcel) -> None:
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


_READERS = {1: _decode_arrow, 2: packed_columns.decode}


def decode(record: bytes, fleet: Fleet) -> Parcel:
    """
    Return a parcel from a record; rows of devices not in `fleet` become rejections.

    Raises
    ------
    WireError
        When the record is not a complete parcel of a known schema.
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
        # the digest was right, so a foreign hand wrote it
        raise WireError("foreign_record", f"no parcel: {_line(error)}") from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
