"""
Records that cannot be stored, for the dead-letter topic.

The table `dead_letter` keeps them as well, with their bytes; the topic is for
those who watch Kafka.  It is written before the table, so a record may come
twice: its key names partition and offset.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from aiokafka.errors import KafkaError
from structlog.typing import FilteringBoundLogger

from services.intake.producer import MAX_RECORD, Outgoing, Producer
from services.intake.retry import ServerRetry, any_of
from services.kafka_access import KafkaAccess
from services.pulse import Pulse
from services.stream.records import Spoiled


class DeadTopic:
    """
    Writes spoiled records into the dead-letter topic `name`.

    Its broker is waited for like any server.
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
        Store records in the dead-letter topic, however long Kafka takes.

        Raises
        ------
        GaveUpError
            When the process is asked to stop while Kafka is away.
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
