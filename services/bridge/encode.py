"""Step 3 of `tonne bridge`: an admitted batch to Kafka records, a partition's together. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ingest.model import Fleet, Int32
from ingest.mqtt.inbox import Inbox
from ingest.mqtt.topics import device_of, principal_of
from ingest.pipeline.admit import Admitted
from ingest.wire import Parcel, partition_of, sort
from ingest.wire import encode as encode_parcel
from services.intake.producer import MAX_RECORD, Outgoing

_REMEMBERED, _LONG = 200_000, 256


class Partitions:
    """
    Partition of each topic, remembered; made anew with each registry version.

    Parameters
    ----------
    fleet : Fleet
    count : int
        How many partitions the topic in Kafka has; who speaks decides on the partition.
    """

    def __init__(self, fleet: Fleet, count: int) -> None:
        self.fleet = fleet
        self._count = count
        self._known: dict[str, int] = {}

    def of(self, topics: Sequence[str]) -> Int32:
        """Return the partition of each message, by its topic. [int32 array, n]"""
        known = self._known
        if len(known) > _REMEMBERED:
            known.clear()
        found = [known[topic] if topic in known else self._find(topic) for topic in topics]
        return np.array(found, dtype=np.int32)

    def _find(self, topic: str) -> int:
        partition = partition_of(_key(topic, self.fleet), self._count)
        if len(topic) <= _LONG:  # of topics that nobody needs so long none is kept
            self._known[topic] = partition
        return partition


def encode(inbox: Inbox, admitted: Admitted, partitions: Partitions) -> list[Outgoing]:
    """Encode a batch."""
    parcel = Parcel(
        inbox.topics, inbox.payloads, inbox.content_types, inbox.repeated, admitted.codecs,
        inbox.received_us, admitted.frames, admitted.rejected,
    )  # fmt: skip
    return [
        Outgoing(record, partition)
        for partition, part in sort(parcel, partitions.of(inbox.topics)).items()
        for record in fitting(part, partitions.fleet)
    ]


def _key(topic: str, fleet: Fleet) -> str:
    """Say what a message is sorted by: who speaks, so that a worker hears all that it says."""
    principal = principal_of(topic)
    if principal:
        return principal
    name = device_of(topic, fleet) or topic
    index = fleet.by_id.get(name)
    return name if index is None else fleet.devices[index].gateway or name


def fitting(parcel: Parcel, fleet: Fleet) -> Iterator[bytes]:
    """Encode a parcel as records that Kafka takes: one, or halves of it."""
    record = encode_parcel(parcel, fleet)
    if len(record) <= MAX_RECORD or len(parcel) == 1:
        yield record
        return
    for half in parcel.halves():
        yield from fitting(half, fleet)
