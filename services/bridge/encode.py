"""Step 3 of `tonne bridge`: an admitted batch to Kafka records, a partition's together. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ingest.mqtt.topics import device_of, principal_of
from ingest.wire import Parcel, sort
from ingest.wire import encode as encode_parcel
from services.intake.producer import MAX_RECORD, Outgoing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ingest.model import Fleet
    from ingest.mqtt.inbox import Inbox
    from ingest.pipeline.admit import Admitted


def encode(fleet: Fleet, inbox: Inbox, admitted: Admitted, partitions: int) -> list[Outgoing]:
    """
    Encode a batch.

    Parameters
    ----------
    partitions : int
        How many the topic has; who speaks decides on the partition.
    """
    parcel = Parcel(
        inbox.topics, inbox.payloads, inbox.content_types, inbox.repeated, admitted.codecs,
        inbox.received_us, admitted.frames, admitted.rejected,
    )  # fmt: skip
    keys = [_key(topic, fleet) for topic in inbox.topics]
    return [
        Outgoing(record, partition)
        for partition, part in sort(parcel, keys, partitions).items()
        for record in fitting(part, fleet)
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
