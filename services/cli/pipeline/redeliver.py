"""
Sending Kafka records that were dead letters to their topic once more.

A record that no worker could read may be readable to a newer one.  It goes to
the partition it came from; any other would do, since workers settle a device
wherever its records stand.
"""

from __future__ import annotations

import re
from typing import Any, Self

from services.cli.pipeline.kafka_options import load
from services.kafka_access import KafkaAccess
from services.logs import get_logger

PREFIX = "kafka:"
_PLACE = re.compile(r"partition (\d+) offset \d+:")


class Redeliverer:
    """
    Puts records back into the topics they came from.

    Parameters
    ----------
    kafka : KafkaAccess
    """

    def __init__(self, kafka: KafkaAccess) -> None:
        self._kafka = kafka
        self._producers: dict[str, Any] = {}
        self._partitions: dict[str, int] = {}

    def __enter__(self) -> Self:
        """Connect when the first record is sent."""
        return self

    def __exit__(self, *_: object) -> None:
        """Disconnect."""
        for producer in self._producers.values():
            producer.close()

    def send(self, letter: int, where: str, detail: str, record: bytes) -> None:
        """
        Put one record back; return once Kafka has it.

        Parameters
        ----------
        where : str
            `kafka:TOPIC`.
        detail : str
            Of the dead letter: it names the partition.

        Raises
        ------
        InputError
            When the topic is no longer there.
        ServerError
            When Kafka cannot be reached, or refuses the record.
        """
        topic = where.removeprefix(PREFIX)
        producer = self._producer(topic)
        found = _PLACE.match(detail)
        partition = int(found[1]) if found else 0
        outgoing = load("services.intake.producer", "Outgoing")(
            record, partition % self._partitions[topic], headers=(("replay", str(letter).encode()),)
        )
        try:
            producer.send([outgoing])
        except (load("aiokafka.errors", "KafkaError"), OSError) as error:
            raise load("services.intake.kafka_client", "unreachable")(self._kafka, error) from error

    def _producer(self, topic: str) -> Any:
        if topic not in self._producers:
            count = load("services.intake.topics", "partitions")
            self._partitions[topic] = count(self._kafka, topic)
            make = load("services.intake.producer", "Producer")
            self._producers[topic] = make(self._kafka, topic, get_logger("deadletter"))
        return self._producers[topic]
