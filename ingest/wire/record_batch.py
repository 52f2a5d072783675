"""
Content of a Kafka record: frames and messages of one batch for one partition.

The partition of a device is CRC-32 of its principal's id (its own or its gateway's), modulo the
number of partitions. It is the same in all processes and releases, so that one principal's messages
meet in one partition.  A rejected message without a device is assigned by its topic.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from zlib import crc32

import numpy as np

from ingest.decode import Rejected
from ingest.model import Frame, Int32


@dataclass(slots=True)
class Parcel:
    """
    Messages in order of arrival as columns, with their frames and rejections.

    `Frame.message` and `Rejected.message` are positions in the columns. `repeated` are messages
    marked as delivered before by the MQTT broker.
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
        """Return some of the messages, renumbered, with their readings and rejections."""
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
    """Return the partition of a principal, or of the topic of a message without one."""
    return crc32(key.encode()) % partitions


def sort(parcel: Parcel, partitions: Int32) -> dict[int, Parcel]:
    """
    Split a parcel by partition, keeping the order within each.

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
    """
    Yield a frame's rows by partition, as views of one copy; `place` is the new message
    number.
    """
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
    Join parcels in order.

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
