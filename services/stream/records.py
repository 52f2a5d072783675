"""Kafka records to parcels; what is no parcel becomes a message of its own, refused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ingest.codec_detection import UNREAD
from ingest.decode import Rejected
from ingest.model import Fleet
from ingest.wire import Parcel, WireError, decode
from services.clock import now_us

MAX_BYTES = 2_000_000  # about 10,000 messages of 12 channels


@dataclass(frozen=True, slots=True)
class Record:
    """A Kafka record: its place in the partition, and its bytes."""

    offset: int
    value: bytes


@dataclass(frozen=True, slots=True)
class Spoiled:
    """A record with the reason why it cannot be stored, and its place."""

    topic: str
    partition: int
    offset: int
    value: bytes
    reason: str
    detail: str

    def refused(self) -> Parcel:
        """Return the record as one message, refused, for the table of dead letters."""
        detail = f"partition {self.partition} offset {self.offset}: {self.detail}"
        return Parcel(
            [f"kafka:{self.topic}"], [self.value], [None], [False], [UNREAD], now_us(), [],
            [Rejected(0, self.reason, detail)],
        )  # fmt: skip


def read(topic: str, partition: int, record: Record, fleet: Fleet) -> Parcel | Spoiled:
    """Read a record."""
    try:
        return decode(record.value, fleet)
    except WireError as error:
        return Spoiled(topic, partition, record.offset, record.value, error.reason, error.detail)


def in_sequence(records: Sequence[Record], first: int) -> tuple[list[Record], bool]:
    """Return the records that follow one another from `first` on, and whether later ones came."""
    found: list[Record] = []
    ahead = False
    for record in records:
        if record.offset == first + len(found):
            found.append(record)
        elif record.offset > first + len(found):
            ahead = True
    return found, ahead


def portions(records: Sequence[Record]) -> list[list[Record]]:
    """Cut records into transactions by size; a record is never cut."""
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
    """Whether all of it may go into one transaction."""
    return sum(len(record.value) for some in records for record in some) <= MAX_BYTES
