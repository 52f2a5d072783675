"""Records of schema 1, as bridges of 0.1.0 wrote them; a worker must still read them."""

import hashlib
import struct

import msgspec
import numpy as np
import pyarrow as pa

from ingest.model import Fleet, Frame
from ingest.wire import Parcel


def encode(parcel: Parcel, fleet: Fleet) -> bytes:
    """Return a record of Arrow tables, each with a schema and a separate compression."""
    messages = pa.table(
        {
            "topic": pa.array(parcel.topics, pa.string()).dictionary_encode(),
            "payload": pa.array(parcel.payloads, pa.binary()),
            "content_type": pa.array(parcel.content_types, pa.string()).dictionary_encode(),
            "repeated": pa.array(parcel.repeated, pa.bool_()),
            "codec": pa.array(parcel.codecs, pa.string()).dictionary_encode(),
        }
    ).replace_schema_metadata({"received_us": str(parcel.received_us)})
    rejected = pa.table(
        {
            "message": pa.array([r.message for r in parcel.rejected], pa.int32()),
            "reason": pa.array([r.reason for r in parcel.rejected], pa.string()),
            "detail": pa.array([r.detail for r in parcel.rejected], pa.string()),
        }
    )
    frames = [_frame(frame, fleet) for frame in parcel.frames]
    parts = [_ipc(table) for table in (messages, rejected, *frames)]
    body = b"".join(struct.pack(">I", len(part)) + part for part in parts)
    return struct.pack(">4sH32s", b"TONW", 1, hashlib.sha256(body).digest()) + body


def _frame(frame: Frame, fleet: Fleet) -> pa.Table:
    found, place = np.unique(frame.device, return_inverse=True)
    flags = [
        msgspec.json.encode(frame.flags[k]).decode() if k in frame.flags else None
        for k in range(len(frame))
    ]
    columns = {
        "device": pa.DictionaryArray.from_arrays(
            pa.array(place.astype(np.int32)), pa.array(fleet.ids(found), pa.string())
        ),
        "time_us": pa.array(frame.time_us),
        "message": pa.array(frame.message),
        "flags": pa.array(flags, pa.string()),
        **{name: pa.array(values) for name, values in frame.columns.items()},
    }
    return pa.table(columns).replace_schema_metadata({"class": frame.class_id})


def _ipc(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(
        sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")
    ) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())
