"""A partition that is read on must be the stored one, to its last record."""

import asyncio
import hashlib
import io
import json

import pytest

from ingest.errors import ServerError
from services.environment import KafkaAccess
from services.intake.topics import Topic, apply
from services.logs import get_logger
from services.stream.assembly import Continuity
from services.stream.partitions import AwayError, TopicView
from tests.integration.kafka_path import put
from tests.ports import free_port


def digest(value):
    return hashlib.sha256(value).digest()


def check(kafka_url, topic, stored, begins):
    """Compare, and return the log messages."""
    told = io.StringIO()

    async def _check():
        view = TopicView(KafkaAccess.of(kafka_url), topic)
        try:
            await Continuity(view, get_logger("test", stream=told)).check(stored, begins)
        finally:
            await view.close()

    asyncio.run(_check())
    return [json.loads(line) for line in told.getvalue().splitlines()]


def test_the_last_stored_record_is_compared(kafka_url, topic):
    """A topic made again, or a log that was cut, would be read on as if nothing had happened."""
    apply(KafkaAccess.of(kafka_url), Topic(topic, 2, 1, 24))
    put(kafka_url, topic, [(0, b"one"), (0, b"two"), (1, b"other")])
    begins = {0: 0, 1: 0}
    # as it was stored; nothing stored yet; stored by a version that kept no digest
    assert check(kafka_url, topic, {0: (2, digest(b"two")), 1: (0, None)}, begins) == []
    assert check(kafka_url, topic, {0: (1, None), 1: (1, digest(b"other"))}, begins) == []
    with pytest.raises(
        ServerError, match=r"record 1 of partition 0 of .* differs from the stored one"
    ):
        check(kafka_url, topic, {0: (2, digest(b"else"))}, begins)
    with pytest.raises(ServerError, match=r"ends at 1, but 5 records .* new --topic"):
        check(kafka_url, topic, {1: (5, digest(b"other"))}, begins)
    # retention took it
    (line,) = check(kafka_url, topic, {0: (2, digest(b"two"))}, {0: 2})
    assert (line["partition"], line["record"]) == (0, 1)


def test_a_partition_that_is_gone_is_a_topic_made_again(kafka_url, topic):
    """A topic made again with fewer partitions would be stored beside the one that was."""
    found = Continuity(TopicView(KafkaAccess.of(kafka_url), topic), get_logger("test"))
    found.check_there({0: 2, 1: 9, 2: 0}, [0, 1])  # of the third nothing was ever stored
    with pytest.raises(ServerError, match=r"has 2 partitions, but 4 records of partition 2"):
        found.check_there({0: 2, 2: 4}, [0, 1])


def test_a_kafka_that_is_away_is_no_other_topic():
    """A broker's restart would be taken for a topic that was made again."""
    url = f"kafka://127.0.0.1:{free_port()}"
    with pytest.raises(AwayError, match="no Kafka broker answers"):
        check(url, "parcels", {0: (2, digest(b"two"))}, {0: 0})
