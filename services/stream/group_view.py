"""Which partitions the workers' group has given to a member, as Kafka tells it."""

from __future__ import annotations

from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import for_code

from ingest.errors import ServerError
from services.intake.kafka_client import words
from services.intake.topics import administering
from services.kafka_access import KafkaAccess


async def assigned(kafka: KafkaAccess, group: str, topic: str) -> set[int]:
    """
    Return the partitions of a topic that members of a group have.

    Raises
    ------
    ServerError
        When Kafka cannot be asked, or does not tell us.
    """
    async with administering(kafka, doing=f"look at group {group!r}") as admin:
        (answer,) = await admin.describe_consumer_groups([group])
    found: set[int] = set()
    for code, _name, _state, _type, _protocol, members, *_ in answer.groups:
        if code:
            raise ServerError(words(for_code(code)(), f"look at group {group!r}"))
        for member in members:  # id, client, host, metadata, share
            share = member[4]
            if share:
                taken = ConsumerProtocolMemberAssignment.decode(share)
                found |= {tp.partition for tp in taken.partitions() if tp.topic == topic}
    return found
