"""
Content of a Kafka record: frames and messages of one batch, and their envelope.

The partition of a device is CRC-32 of its principal's id (its own or its gateway's), modulo the
number of partitions.  All processes and releases calculate the same partition, so that one
principal's messages meet in one partition.  A rejected message without a device is assigned by its
topic.

    "TONW"  u16 schema  sha256 of the content  content of that schema

The digest covers the stored content, so that a truncated or foreign record is recognised before it
is decoded.

A channel that the worker's version does not know is rejected; one that the bridge's version does
not know is absent.  So workers are upgraded first.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from zlib import crc32

import numpy as np

from ingest import classes
from ingest.classes import DeviceClass
from ingest.decode import Rejected
from ingest.errors import PayloadError
from ingest.model import NULL, Column, Fleet, Frame, Int32, Int64


@dataclass(slots=True)
class Parcel:
    """
    Messages in order of arrival as columns, with their frames and rejections.

    `Frame.message` and `Rejected.message` are positions in the columns.  `repeated`: whether the
    MQTT broker marked the message as delivered before.
    """

    topics: list[str]
    payloads: list[bytes]
    content_types: list[str | None]
    repeated: list[bool]
    codecs: list[str]
    received_us: int
    frames: list[Frame] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.topics)

    def take(self, messages: Int32) -> Parcel:
        """Return a parcel of these messages, renumbered, with their readings and rejections."""
        place = np.full(len(self), -1, dtype=np.int32)
        place[messages] = np.arange(len(messages), dtype=np.int32)
        frames = []
        for frame in self.frames:
            moved = frame.take(place[frame.message] >= 0)
            moved.message = place[moved.message]
            if len(moved):
                frames.append(moved)
        index = messages.tolist()
        return Parcel(
            [self.topics[k] for k in index],
            [self.payloads[k] for k in index],
            [self.content_types[k] for k in index],
            [self.repeated[k] for k in index],
            [self.codecs[k] for k in index],
            self.received_us,
            frames,
            [
                Rejected(int(place[r.message]), r.reason, r.detail)
                for r in self.rejected
                if place[r.message] >= 0
            ],
        )

    def halves(self) -> tuple[Parcel, Parcel]:
        """Return the earlier and the later half of the messages."""
        everything = np.arange(len(self), dtype=np.int32)
        middle = len(self) // 2
        return self.take(everything[:middle]), self.take(everything[middle:])


def partition_of(key: str, partitions: int) -> int:
    """Return the partition of a principal's id, or of the topic of a message without principal."""
    return crc32(key.encode()) % partitions


def sort(parcel: Parcel, partitions: Int32) -> dict[int, Parcel]:
    """
    Return the parcel split by partition, in the same order within each.

    Parameters
    ----------
    partitions : int32 array, n
        Partition of each message.
    """
    order = np.argsort(partitions, kind="stable")
    result, begins = np.unique(partitions[order], return_index=True)
    place = np.empty(len(parcel), dtype=np.int32)
    place[order] = np.arange(len(parcel), dtype=np.int32)
    ends = [*begins[1:].tolist(), len(parcel)]
    index = order.tolist()
    parts = {}
    for partition, begin, end in zip(result.tolist(), begins.tolist(), ends, strict=True):
        here = index[begin:end]
        parts[partition] = Parcel(
            [parcel.topics[k] for k in here],
            [parcel.payloads[k] for k in here],
            [parcel.content_types[k] for k in here],
            [parcel.repeated[k] for k in here],
            [parcel.codecs[k] for k in here],
            parcel.received_us,
        )
        place[order[begin:end]] -= np.int32(begin)
    for frame in parcel.frames:
        for partition, part in _split(frame, partitions, place):
            parts[partition].frames.append(part)
    for rejected in parcel.rejected:
        at = int(place[rejected.message])
        parts[int(partitions[rejected.message])].rejected.append(
            Rejected(at, rejected.reason, rejected.detail)
        )
    return parts


def _split(frame: Frame, partitions: Int32, place: Int32) -> Iterator[tuple[int, Frame]]:
    """Yield a frame's rows by partition; `place`: new index of each message."""
    where = partitions[frame.message]
    order = np.argsort(where, kind="stable")
    whole = frame.take(order)
    result, begins = np.unique(where[order], return_index=True)
    ends = [*begins[1:].tolist(), len(frame)]
    message = place[whole.message]
    for partition, begin, end in zip(result.tolist(), begins.tolist(), ends, strict=True):
        yield (
            partition,
            Frame(
                frame.class_id,
                whole.device[begin:end],
                whole.time_us[begin:end],
                message[begin:end],
                {name: values[begin:end] for name, values in whole.columns.items()},
                {k - begin: flag for k, flag in whole.flags.items() if begin <= k < end},
            ),
        )


def join(parcels: Sequence[Parcel]) -> tuple[Parcel, list[int]]:
    """
    Return parcels joined in order.

    Returns
    -------
    Parcel
        One frame per device class, as for a single batch; messages are renumbered.
    list of int, n
        Time of receipt of each message. [us UTC]
    """
    whole = Parcel([], [], [], [], [], 0)
    received: list[int] = []
    of_class: dict[str, list[Frame]] = {}
    for parcel in parcels:
        base = len(whole)
        for frame in parcel.frames:
            frame.message = frame.message + np.int32(base)
        for frame in parcel.frames:
            of_class.setdefault(frame.class_id, []).append(frame)
        whole.rejected += [Rejected(r.message + base, r.reason, r.detail) for r in parcel.rejected]
        for name in ("topics", "payloads", "content_types", "repeated", "codecs"):
            getattr(whole, name).extend(getattr(parcel, name))
        received += [parcel.received_us] * len(parcel)
    whole.frames = [Frame.concat(frames) for frames in of_class.values()]
    return whole, received


SCHEMA = 2  # version written
OLDEST = 1  # oldest version read: Arrow tables of 0.1.0
_MAGIC = b"TONW"
# remedy for a record that no bridge wrote
WRITER = "; find its writer, only `tonne bridge` may write to this topic"
_HEAD = struct.Struct(">4sH32s")


class WireError(PayloadError):
    """Record that is not a parcel: `foreign_record`, `damaged_record`, `unknown_schema`."""


def seal(content: bytes) -> bytes:
    """Return content of the current schema as a record."""
    return _HEAD.pack(_MAGIC, SCHEMA, hashlib.sha256(content).digest()) + content


def unseal(record: bytes) -> tuple[int, memoryview]:
    """
    Return a record's schema number and content.

    Raises WireError when it is foreign, damaged, or of an unknown schema.
    """
    if record[:4] != _MAGIC:
        raise WireError(
            "foreign_record",
            f"{len(record)} bytes begin with {record[:4]!r}, not {_MAGIC!r}{WRITER}",
        )
    if len(record) < _HEAD.size:
        raise WireError("damaged_record", f"{len(record)} bytes are less than a header{WRITER}")
    _, schema, digest = _HEAD.unpack_from(record)
    if not OLDEST <= schema <= SCHEMA:
        raise WireError(
            "unknown_schema",
            f"the record has schema {schema}, and this version reads {OLDEST} to {SCHEMA}: update"
            " the workers before the bridges",
        )
    content = memoryview(record)[_HEAD.size :]
    if hashlib.sha256(content).digest() != digest:
        raise WireError("damaged_record", f"{len(content)} bytes do not match their digest{WRITER}")
    return schema, content


_UPDATE = "; update the workers to the bridge's version"


def known_class(class_id: str, channels: Iterable[str]) -> DeviceClass:
    """
    Return a known device class.

    Raises WireError when the class, or one of its channels, is unknown.
    """
    known = classes.load()
    if class_id not in known:
        raise WireError(
            "unknown_schema", f"device class {class_id!r} is not known to this worker{_UPDATE}"
        )
    unknown = set(channels) - set(known[class_id].channels)
    if unknown:
        raise WireError(
            "unknown_schema",
            f"channel {min(unknown)!r} of device class {class_id!r} is not known to this worker"
            f"{_UPDATE}",
        )
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
        When the record is inconsistent.
    """
    ids, place = devices
    time_us, message = times
    count = len(time_us)
    within(message, len(parcel), "message")
    within(place, len(ids), "device")
    if {len(place), len(message), *map(len, columns.values())} - {count}:
        raise ValueError(f"a column of {known.id} does not have {count} values")
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
    Check that all indices are below a count.

    `what`: name of the indexed object, such as `device`.
    Raises ValueError, naming the object, the largest index and the count.
    """
    if len(places) and (places.min() < 0 or places.max() >= count):
        raise ValueError(f"index {places.max()} of a {what} is not within 0 to {count - 1}")


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
