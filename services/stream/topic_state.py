"""How a topic and what is stored of it stand to each other, asked once: for `tonne doctor`.

Which partitions the workers' group has given to a member, as Kafka tells it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import for_code

from ingest.errors import ServerError
from services.intake.kafka_client import run_once, words
from services.intake.topics import administering
from services.kafka_access import KafkaAccess
from services.stream.topic_view import AwayError, TopicView


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


@dataclass(frozen=True, slots=True)
class TopicState:
    """
    What Kafka has beyond what is stored.

    Attributes
    ----------
    lag : dict of int to int
        Records of each partition that are not stored.
    oldest_s : float
        How long the oldest of them has waited; 0 where there is none. [s]
    cut : dict of int to int
        Partitions that end before what is stored of them, and where.
    unassigned : tuple of int or None
        Partitions that no worker of the group has; None where Kafka does not tell.
    untold : str
        Why it does not.
    """

    lag: dict[int, int]
    oldest_s: float
    cut: dict[int, int]
    unassigned: tuple[int, ...] | None
    untold: str = ""


def topic_state(
    kafka: KafkaAccess, topic: str, stored: Mapping[int, int], group: str
) -> TopicState:
    """
    Ask Kafka.

    Raises
    ------
    ServerError
        When it does not answer.
    """
    return run_once(_state(kafka, topic, stored, group))


async def _state(
    kafka: KafkaAccess, topic: str, stored: Mapping[int, int], group: str
) -> TopicState:
    view = TopicView(kafka, topic)
    try:
        ends = await view.ends(await view.partitions())
        lag = {p: max(0, end - stored.get(p, 0)) for p, end in ends.items()}
        waiting = [await view.record(p, stored.get(p, 0)) for p, count in lag.items() if count]
    except AwayError as error:
        raise ServerError(f"topic {topic!r}: {error}") from error
    finally:
        await view.close()
    oldest_ms = min((one.time_ms for one in waiting if one is not None), default=None)
    oldest_s = 0.0 if oldest_ms is None else max(0.0, time.time() - oldest_ms / 1_000)
    cut = {p: end for p, end in ends.items() if stored.get(p, 0) > end}
    try:
        taken = await assigned(kafka, group, topic)
    except ServerError as error:
        return TopicState(lag, oldest_s, cut, None, str(error))
    return TopicState(lag, oldest_s, cut, tuple(sorted(ends.keys() - taken)))
