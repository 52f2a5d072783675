"""
Envelope and frames shared by all record schemas.

    "TONW"  u16 schema  sha256 of the content  content of that schema

The digest covers the stored content, so that a truncated or foreign record is recognised before it
is decoded.

A column unknown to the worker's class is refused, and one missing in the bridge's is absent:
upgrade workers first.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ingest import classes
from ingest.classes import DeviceClass
from ingest.decode import Rejected
from ingest.errors import PayloadError
from ingest.model import NULL, Column, Fleet, Frame, Int32, Int64
from ingest.wire.record_batch import Parcel

SCHEMA = 2  # what is written
OLDEST = 1  # what is read: Arrow tables, as 0.1.0 wrote them
_MAGIC = b"TONW"
_HEAD = struct.Struct(">4sH32s")


class WireError(PayloadError):
    """Record that is not a parcel: `foreign_record`, `damaged_record`, `unknown_schema`."""


def seal(content: bytes) -> bytes:
    """Return content of the current schema as a record."""
    return _HEAD.pack(_MAGIC, SCHEMA, hashlib.sha256(content).digest()) + content


def unseal(record: bytes) -> tuple[int, memoryview]:
    """
    Return a record's schema number and content.

    Raises
    ------
    WireError
        When it is foreign, damaged, or of an unknown schema.
    """
    if record[:4] != _MAGIC:
        raise WireError(
            "foreign_record",
            f"{len(record)} bytes begin with {record[:4]!r}, not {_MAGIC!r}; only `tonne bridge` "
            "may write to this topic",
        )
    if len(record) < _HEAD.size:
        raise WireError("damaged_record", f"{len(record)} bytes are shorter than a header")
    _, schema, digest = _HEAD.unpack_from(record)
    if not OLDEST <= schema <= SCHEMA:
        raise WireError(
            "unknown_schema",
            f"schema {schema}; this version reads {OLDEST} to {SCHEMA}: update workers before "
            "bridges",
        )
    content = memoryview(record)[_HEAD.size :]
    if hashlib.sha256(content).digest() != digest:
        raise WireError("damaged_record", f"{len(content)} bytes do not match their digest")
    return schema, content


_UPDATE = "; update workers to the bridge's version"


def known_class(class_id: str, channels: Iterable[str]) -> DeviceClass:
    """
    Return a known device class.

    Raises
    ------
    WireError
        When the class, or one of its channels, is unknown.
    """
    known = classes.load()
    if class_id not in known:
        raise WireError("unknown_schema", f"device class {class_id!r}{_UPDATE}")
    unknown = set(channels) - set(known[class_id].channels)
    if unknown:
        raise WireError("unknown_schema", f"{class_id} channel {min(unknown)!r}{_UPDATE}")
    return known[class_id]


def add_frame(
    parcel: Parcel,
    fleet: Fleet,
    known: DeviceClass,
    devices: tuple[Sequence[str], Int32],
    times: tuple[Int64, Int32],
    columns: Mapping[str, Column],
    flags: dict[int, dict[str, str]],
) -> None:
    """
    Add a frame to its parcel; rows of devices not in `fleet` become rejections.

    Parameters
    ----------
    devices : (sequence of str, int32 array of n)
        Ids, and the index of each row's device in them.
    times : (int64 array of n, int32 array of n)
        Time [us UTC] and message of each row.
    columns : mapping
        Columns in the record, n values each.

    Raises
    ------
    ValueError, IndexError
        When the record contradicts itself.
    """
    ids, place = devices
    time_us, message = times
    count = len(time_us)
    within(message, len(parcel), "message")
    within(place, len(ids), "device")
    if {len(place), len(message), *map(len, columns.values())} - {count}:
        raise ValueError(f"columns of {known.id} differ in length")
    index = np.array([_index(fleet, name, known.id) for name in ids] or [-1], dtype=np.int32)
    device = index[place]
    filled = {
        channel.name: columns.get(channel.name, _absent(channel.kind, count))
        for channel in known.channels.values()
    }
    frame = Frame(known.id, device, time_us, message, filled, flags)
    lost = device < 0
    if lost.any():
        _refuse(parcel, frame, lost, [ids[k] for k in place.tolist()])
        frame = frame.take(~lost)
    if len(frame):
        parcel.frames.append(frame)


def within(places: Int32, count: int, what: str) -> None:
    """
    Refuse an index outside a count.

    Raises
    ------
    ValueError
        Naming the indexed thing, and the largest index.
    """
    if len(places) and (places.min() < 0 or places.max() >= count):
        raise ValueError(f"{what} {places.max()} of {count}")


def _index(fleet: Fleet, name: str, class_id: str) -> int:
    index = fleet.by_id.get(name, -1)
    return index if index >= 0 and fleet.devices[index].class_id == class_id else -1


def _refuse(parcel: Parcel, frame: Frame, lost: np.ndarray, names: Sequence[str]) -> None:
    for row in np.flatnonzero(lost).tolist():
        detail = f"{names[row]!r} is not in the registry as {frame.class_id}; import it"
        parcel.rejected.append(Rejected(int(frame.message[row]), "unknown_device", detail))


def _absent(kind: str, count: int) -> Column:
    if kind == "register":
        return np.full(count, NULL, dtype=np.int64)
    return np.full(count, np.nan)
