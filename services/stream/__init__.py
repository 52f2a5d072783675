"""
`tonne worker`: from Kafka to TimescaleDB with Faust; conversion of Kafka records to frames.

Bridges that share a subscription each get only part of a node's messages, so they pass Sparkplug
messages on undecoded.  All records of a node are in one partition, whose worker decodes them with
the session state from the database.

Unreadable records are written to the dead-letter topic, for observers of Kafka, and then to the
table `dead_letter`.  They may occur twice in the topic: the key has partition and offset.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from aiokafka.errors import KafkaError
from structlog.typing import FilteringBoundLogger

from ingest.decode import SPARKPLUG, UNREAD, Rejected
from ingest.model import Device, Fleet, Frame, Int32
from ingest.mqtt import Router
from ingest.pipeline.admit import admit
from ingest.wire import Parcel, WireError, decode, join, partition_of
from services.clock import now_us
from services.environment import KafkaAccess
from services.intake.producer import MAX_RECORD, Outgoing, Producer
from services.intake.retry import ServerRetry, any_of
from services.intake.sparkplug import Turn
from services.scraping import Pulse
from services.store.dead_letter_write import Letters
from services.store.offsets import Position


class Homes:
    """
    Partition of each device, by fleet index: that of the device's principal.

    A record has devices of its own partition only, unless it is older than a change of the number
    of partitions.
    """

    def __init__(self, homes: Int32, partitions: int) -> None:
        self._of, self._partitions = homes, partitions

    @property
    def by_device(self) -> Int32:
        """Return the partition of each device, by fleet index. [int32 array, n]"""
        return self._of

    @classmethod
    def of_fleet(cls, fleet: Fleet, partitions: int) -> Homes:
        """Return the partitions of a fleet's devices."""
        return cls(_homes(fleet.devices, partitions), partitions)

    def moved(self, fleet: Fleet, here: Int32, there: Int32) -> Homes:
        """
        Return the partitions of a later version's devices.

        Parameters
        ----------
        here, there : int32 array
            Indices of unchanged devices in the later and in this version.
        """
        new = np.ones(len(fleet), dtype=np.bool_)
        new[here] = False
        homes = np.empty(len(fleet), dtype=np.int32)
        homes[here] = self._of[there]
        changed = np.flatnonzero(new)
        homes[changed] = _homes([fleet.devices[k] for k in changed.tolist()], self._partitions)
        return Homes(homes, self._partitions)

    def all(self, frames: Iterable[Frame]) -> list[int]:
        """Return the partitions of the devices in these frames, ascending."""
        return sorted({int(p) for f in frames for p in np.unique(self._of[f.device])})

    def strangers(self, frames: Iterable[Frame], partitions: Collection[int]) -> Int32:
        """Return the devices in these frames that belong to none of these partitions."""
        known = np.array(sorted(partitions), dtype=np.int32)
        result = [np.unique(f.device[~np.isin(self._of[f.device], known)]) for f in frames]
        empty: Int32 = np.empty(0, dtype=np.int32)
        return np.unique(np.concatenate([empty, *result]))

    def of(self, devices: Int32) -> list[int]:
        """Return the partitions of devices, each once, ascending."""
        return [int(p) for p in np.unique(self._of[devices])]


def _homes(devices: Sequence[Device], partitions: int) -> Int32:
    return np.array(
        [partition_of(device.gateway or device.id, partitions) for device in devices],
        dtype=np.int32,
    )


MISSING = ("birth_missing", "sequence_gap")


def read_nodes(
    turn: Turn, result: Sequence[Parcel | Spoiled], fleet: Fleet
) -> list[Parcel | Spoiled]:
    """Return parcels with the readings of Sparkplug messages; each call decodes them again."""
    turn.begin()
    out: list[Parcel | Spoiled] = []
    for item in result:
        if isinstance(item, Parcel) and SPARKPLUG in item.codecs:
            theirs = np.array([codec == SPARKPLUG for codec in item.codecs])
            rest = item.take(np.flatnonzero(~theirs).astype(np.int32))
            out += [rest] if len(rest) else []
            out.append(_read(turn, item.take(np.flatnonzero(theirs).astype(np.int32)), fleet))
        else:
            out.append(item)
    return out


def _read(turn: Turn, parcel: Parcel, fleet: Fleet) -> Parcel:
    refused = {refusal.message for refusal in parcel.rejected}
    remaining = [k for k in range(len(parcel)) if k not in refused]
    values = turn.read(fleet, parcel, remaining)
    admitted = admit(
        fleet,
        Router(fleet).route,
        parcel.topics,
        parcel.payloads,
        parcel.content_types,
        parcel.received_us,
        values,
    )
    parcel.frames = admitted.frames
    parcel.rejected += admitted.rejected + turn.outcome.rejected
    _append(parcel, turn)
    return parcel


def swept(turn: Turn, fleet: Fleet, names: Iterable[str], now_us: int) -> Parcel:
    """Return the decisions on messages that waited too long at these nodes."""
    turn.sweep(list(names), now_us)
    admitted = turn.admit_released(Router(fleet), now_us)
    parcel = Parcel([], [], [], [], [], now_us, admitted.frames, admitted.rejected)
    _append(parcel, turn)
    return parcel


def _append(parcel: Parcel, turn: Turn) -> None:
    """Append messages of earlier records that are now decided to a parcel."""
    for waiting_message in turn.outcome.released:
        parcel.topics.append(waiting_message.topic)
        parcel.payloads.append(waiting_message.payload)
        parcel.content_types.append(None)
        parcel.repeated.append(False)
        parcel.codecs.append(SPARKPLUG)


def read_records(
    fleet: Fleet, topic: str, partition: int, records: Sequence[Record], turn: Turn
) -> list[Parcel | Spoiled]:
    """
    Return records decoded under a registry version; `turn` collects changes of Sparkplug nodes.

    The same records can be decoded again by a newer version.
    """
    return read_nodes(turn, [read(topic, partition, record, fleet) for record in records], fleet)


def together(
    fleet: Fleet, homes: Homes, topic: str, records: Mapping[Position, Sequence[Record]]
) -> list[Parcel] | None:
    """
    Return records of partitions that can share a transaction; None if one needs its own.

    An unreadable record needs its own, as does one with Sparkplug messages, whose order matters, or
    with devices of another partition.
    """
    parcels = []
    for position, subset in records.items():
        for record in subset:
            content = read(topic, position.partition, record, fleet)
            if isinstance(content, Spoiled) or SPARKPLUG in content.codecs:
                return None
            if len(homes.strangers(content.frames, [position.partition])):
                return None
            parcels.append(content)
    return parcels


def refusals(parcels: Sequence[Parcel | Spoiled]) -> Iterator[Rejected]:
    """Yield messages rejected by the bridge in these records, and by the worker."""
    for item in parcels:
        if isinstance(item, Parcel):
            yield from item.rejected


def joined(
    parcels: Sequence[Parcel | Spoiled], *, repeated: bool = False
) -> tuple[Parcel, Letters]:
    """
    Return records as one parcel, and its messages for dead letters.

    `repeated`: whether it may have been stored before, so that rejections are not stored twice.
    """
    parcel, received = join([p.refused() if isinstance(p, Spoiled) else p for p in parcels])
    again = [True] * len(parcel) if repeated else parcel.repeated
    return parcel, Letters(parcel.topics, parcel.payloads, parcel.content_types, again, received)


# maximum size of the records in a transaction: about 10,000 messages of 12 channels
MAX_BYTES = 2_000_000


@dataclass(frozen=True, slots=True)
class Record:
    """Kafka record: its offset and its bytes."""

    offset: int
    value: bytes


@dataclass(frozen=True, slots=True)
class Spoiled:
    """Record that cannot be stored, with reason and offset."""

    topic: str
    partition: int
    offset: int
    value: bytes
    reason: str
    detail: str

    def refused(self) -> Parcel:
        """Return the record as one rejected message, for the table of dead letters."""
        detail = f"partition {self.partition} offset {self.offset}: {self.detail}"
        return Parcel(
            [f"kafka:{self.topic}"], [self.value], [None], [False], [UNREAD], now_us(), [],
            [Rejected(0, self.reason, detail)],
        )  # fmt: skip


def read(topic: str, partition: int, record: Record, fleet: Fleet) -> Parcel | Spoiled:
    """Return the parcel of a record."""
    try:
        return decode(record.value, fleet)
    except WireError as error:
        return Spoiled(topic, partition, record.offset, record.value, error.reason, error.detail)


def in_sequence(records: Sequence[Record], first: int) -> tuple[list[Record], bool]:
    """Return the consecutive records from `first` on, and whether later ones arrived."""
    result: list[Record] = []
    ahead = False
    for record in records:
        if record.offset == first + len(result):
            result.append(record)
        elif record.offset > first + len(result):
            ahead = True
    return result, ahead


def portions(records: Sequence[Record]) -> list[list[Record]]:
    """Return records in transactions of limited size; a record is not divided."""
    out: list[list[Record]] = []
    size = MAX_BYTES
    for record in records:
        if size + len(record.value) > MAX_BYTES:
            out.append([])
            size = 0
        out[-1].append(record)
        size += len(record.value)
    return out


def small(records: Iterable[Sequence[Record]]) -> bool:
    """Return whether all records fit into one transaction."""
    return sum(len(record.value) for records in records for record in records) <= MAX_BYTES


class DeadTopic:
    """
    Writer of unreadable records into the dead-letter topic `name`.

    Writing waits while the broker is unreachable.
    """

    def __init__(
        self,
        kafka: KafkaAccess,
        name: str,
        log: FilteringBoundLogger,
        stopping: threading.Event,
        pulse: Pulse | None = None,
    ) -> None:
        self._producer = Producer(kafka, name, log, stopping)
        self._retry = ServerRetry("kafka", any_of(KafkaError, OSError), log, stopping, pulse)

    def keep(self, records: Sequence[Spoiled]) -> None:
        """
        Store records in the dead-letter topic, waiting for Kafka if necessary.

        Raises GaveUpError when the process is stopped while Kafka is unreachable.
        """
        outgoing = [_outgoing(record) for record in records]
        while True:
            with self._retry:
                return self._producer.send(outgoing)

    def close(self) -> None:
        """Disconnect."""
        self._producer.close()


def _outgoing(record: Spoiled) -> Outgoing:
    whole = len(record.value) <= MAX_RECORD
    return Outgoing(
        # a record too large for the topic is stored in the table `dead_letter` only
        record.value if whole else b"",
        key=f"{record.topic}:{record.partition}:{record.offset}".encode(),
        headers=(
            ("topic", record.topic.encode()),
            ("partition", str(record.partition).encode()),
            ("offset", str(record.offset).encode()),
            ("bytes", str(len(record.value)).encode()),
            ("reason", record.reason.encode()),
            ("detail", record.detail.encode()),
        ),
    )
