"""A real broker that speaks Kafka's protocol, fresh for each test."""

import pytest

from services.local.kafka import Kafka
from tests.ports import give_ports


@pytest.fixture
def kafka_broker(tmp_path):
    """Return the running broker: `url`, `port`, `pid`, `kill()`, `start()`, `restart()`."""
    server = Kafka(give_ports(tmp_path / "kafka-broker", "kafka"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def kafka_url(kafka_broker):
    """URL of the running broker."""
    return kafka_broker.url
