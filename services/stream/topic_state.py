"""How a topic and what is stored of it stand to each other, asked once: for `tonne doctor`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from ingest.errors import ServerError
from services.intake.kafka_client import run_once
from services.kafka_access import KafkaAccess
from services.stream.group_view import assigned
from services.stream.topic_view import AwayError, TopicView


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
