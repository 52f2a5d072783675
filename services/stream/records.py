"""
Kafka records and parcels; unreadable records become rejected messages.

Unreadable records are written to the dead-letter topic, for observers of Kafka, and then to the
table `dead_letter`. They may occur twice in the topic: the key has partition and offset.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from aiokafka.errors import KafkaError
from structlog.typing import FilteringBoundLogger

from ingest.codec_detection import UNREAD
from ingest.decode import Rejected
from ingest.model import Fleet
from ingest.wire import Parcel, WireError, decode
from services.clock import now_us
from services.intake.producer import MAX_RECORD, Outgoing, Producer
from services.intake.retry import ServerRetry, any_of
from services.kafka_access import KafkaAccess
from services.scraping import Pulse

MAX_BYTES = 2_000_000  # about 10,000 messages of 12 channels


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

    It waits for an unreachable broker.
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

        Raises
        ------
        GaveUpError
            When the process is stopped while Kafka is unreachable.
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
        record.value if whole else b"",  # the table has it whole
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
