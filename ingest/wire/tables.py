"""
Parcels as Arrow tables: the messages, the refusals, then a table a device class.

Arrow is loaded when the first parcel is made or read: a process without Kafka
never pays for it.  A column that a worker's class does not have is refused, and
one that the bridge's did not have yet is absent: bring workers up first.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from ingest import classes
from ingest.decode import Rejected
from ingest.model import NULL, Frame
from ingest.wire.envelope import WireError, seal, unseal
from ingest.wire.record_batch import Parcel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest.model import Column, Fleet

_OWN = ("device", "time_us", "message", "flags")


def encode(parcel: Parcel, fleet: Fleet) -> bytes:
    """Return a parcel as a Kafka record; devices by their ids in `fleet`."""
    pa = _arrow()
    messages = pa.table(
        {
            "topic": _words(parcel.topics),
            "payload": pa.array(parcel.payloads, pa.binary()),
            "content_type": _words(parcel.content_types),
            "repeated": pa.array(parcel.repeated, pa.bool_()),
            "codec": _words(parcel.codecs),
        }
    ).replace_schema_metadata({"received_us": str(parcel.received_us)})
    rejected = _rejected_part(parcel.rejected) if parcel.rejected else _no_rejected()
    frames = [_ipc(_frame_table(frame, fleet)) for frame in parcel.frames]
    return seal([_ipc(messages), rejected, *frames])


def decode(record: bytes, fleet: Fleet) -> Parcel:
    """
    Read a record; rows of devices that `fleet` does not hold become refusals.

    Raises
    ------
    WireError
        When the record is no whole parcel of a schema that we know.
    """
    parts = unseal(record)
    try:
        messages, rejected, *frames = parts
        parcel = _parcel(_read(messages), [] if rejected == _no_rejected() else _refusals(rejected))
        for part in frames:
            frame = _frame(_read(part), fleet, parcel)
            if len(frame):
                parcel.frames.append(frame)
    except WireError:
        raise
    except (ValueError, KeyError, TypeError, IndexError, OSError) as error:
        # Arrow's own errors are among these; the digest was right, so a foreign hand wrote it
        raise WireError("foreign_record", f"no parcel: {_line(error)}") from error
    return parcel


def _arrow() -> Any:
    import pyarrow as pa  # noqa: PLC0415 - slow to load; only bridge and worker need it

    return pa


def _words(values: list[Any]) -> Any:
    """Few different texts, many times."""
    pa = _arrow()
    try:
        texts = pa.array(values, pa.string())
    except UnicodeEncodeError:
        texts = pa.array([None if v is None else _text(v) for v in values], pa.string())
    return texts.dictionary_encode()


def _text(text: str) -> str:
    """Arrow's text is UTF-8; a topic that is not has been read with replacements."""
    return text.encode("utf-8", "replace").decode()


def _ipc(table: Any) -> bytes:
    pa = _arrow()
    sink = pa.BufferOutputStream()
    # a thread pool woken for tables this small costs ten times what it saves
    options = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def _read(part: bytes) -> Any:
    pa = _arrow()
    options = pa.ipc.IpcReadOptions(use_threads=False)  # as in writing
    return pa.ipc.open_stream(part, options=options).read_all()


def _frame_table(frame: Frame, fleet: Fleet) -> Any:
    pa = _arrow()
    found, place = np.unique(frame.device, return_inverse=True)
    columns = {
        "device": pa.DictionaryArray.from_arrays(
            pa.array(place.astype(np.int32)), pa.array(fleet.ids(found), pa.string())
        ),
        "time_us": pa.array(frame.time_us),
        "message": pa.array(frame.message),
        "flags": _flags(frame),
        **{name: pa.array(values) for name, values in frame.columns.items()},
    }
    return pa.table(columns).replace_schema_metadata({"class": frame.class_id})


def _flags(frame: Frame) -> Any:
    """Return what each row is flagged with, as JSON; most frames have no flag."""
    pa = _arrow()
    if not frame.flags:
        return pa.nulls(len(frame), pa.string())
    told = [
        msgspec.json.encode(frame.flags[k]).decode() if k in frame.flags else None
        for k in range(len(frame))
    ]
    return pa.array(told, pa.string())


def _flags_of(column: Any) -> dict[int, dict[str, str]]:
    if column.null_count == len(column):
        return {}
    return {
        k: msgspec.json.decode(text)
        for k, text in enumerate(column.to_pylist())
        if text is not None
    }


def _rejected_part(rejected: Sequence[Rejected]) -> bytes:
    pa = _arrow()
    columns = {
        "message": pa.array([r.message for r in rejected], pa.int32()),
        "reason": pa.array([r.reason for r in rejected], pa.string()),
        "detail": pa.array([_text(r.detail) for r in rejected], pa.string()),
    }
    return _ipc(pa.table(columns))


@cache
def _no_rejected() -> bytes:
    """Return the part of a parcel without a refusal, which is made and read once."""
    return _rejected_part([])


def _refusals(part: bytes) -> list[Rejected]:
    table = _read(part)
    columns = (table.column(c).to_pylist() for c in ("message", "reason", "detail"))
    return [Rejected(*refusal) for refusal in zip(*columns, strict=True)]


def _parcel(messages: Any, rejected: list[Rejected]) -> Parcel:
    column = {name: messages.column(name).to_pylist() for name in messages.column_names}
    parcel = Parcel(
        column["topic"],
        column["payload"],
        column["content_type"],
        column["repeated"],
        column["codec"],
        int(messages.schema.metadata[b"received_us"]),
        [],
        rejected,
    )
    _within(np.array([r.message for r in parcel.rejected], dtype=np.int64), len(parcel))
    return parcel


def _within(messages: Any, count: int) -> None:
    if len(messages) and (messages.min() < 0 or messages.max() >= count):
        raise ValueError(f"message {messages.max()} of {count}")


def _frame(table: Any, fleet: Fleet, parcel: Parcel) -> Frame:
    class_id = table.schema.metadata[b"class"].decode()
    known = classes.load()
    if class_id not in known:
        raise WireError(
            "unknown_schema", f"device class {class_id!r}; bring workers up to the bridge's version"
        )
    unknown = set(table.column_names) - set(known[class_id].channels) - set(_OWN)
    if unknown:
        raise WireError(
            "unknown_schema",
            f"{class_id} channel {min(unknown)!r}; bring workers up to the bridge's version",
        )
    device = table.column("device").combine_chunks()
    ids = device.dictionary.to_pylist()
    index = np.array([_index(fleet, name, class_id) for name in ids] or [-1], dtype=np.int32)
    place = index[np.asarray(device.indices)]
    frame = Frame(
        class_id, place, _column(table, "time_us"), _column(table, "message"),
        {c.name: _channel(table, c.name, c.kind) for c in known[class_id].channels.values()},
        _flags_of(table.column("flags")),
    )  # fmt: skip
    _within(frame.message, len(parcel))
    return _keep_known(frame, [ids[k] for k in np.asarray(device.indices)], parcel)


def _index(fleet: Fleet, name: str, class_id: str) -> int:
    index = fleet.by_id.get(name, -1)
    return index if index >= 0 and fleet.devices[index].class_id == class_id else -1


def _keep_known(frame: Frame, names: list[str], parcel: Parcel) -> Frame:
    lost = frame.device < 0
    if not lost.any():
        return frame
    for row in np.flatnonzero(lost).tolist():
        detail = f"{names[row]!r} is not in the registry as {frame.class_id}; import it"
        parcel.rejected.append(Rejected(int(frame.message[row]), "unknown_device", detail))
    return frame.take(~lost)


def _channel(table: Any, name: str, kind: str) -> Column:
    if name in table.column_names:
        found: Column = _column(table, name)
        return found
    if kind == "register":
        return np.full(table.num_rows, NULL, dtype=np.int64)
    return np.full(table.num_rows, np.nan)


def _column(table: Any, name: str) -> Any:
    """Return a column as numpy's own, which may be written to."""
    return np.array(table.column(name).combine_chunks())


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
