"""A real broker that speaks Kafka's protocol, fresh for each test."""

import pytest

from services.local.kafka import Kafka


@pytest.fixture
def kafka_broker(tmp_path):
    """Return the running broker: `url`, `port`, `pid`, `kill()`, `start()`, `restart()`."""
    server = Kafka(tmp_path / "kafka-broker")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def kafka_url(kafka_broker):
    """URL of the running broker."""
    return kafka_broker.url
