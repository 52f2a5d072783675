"""A real mosquitto, fresh for each test: sessions of one test must not greet the next."""

import pytest

from services.local import packages
from services.local.mosquitto import Mosquitto


@pytest.fixture
def mqtt_broker(tmp_path):
    """Return the running broker: `url`, `port`, `pid`, `kill()`, `start()`, `restart()`."""
    packages.require()
    server = Mosquitto(tmp_path / "broker")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def mqtt_url(mqtt_broker):
    """URL of the running broker."""
    return mqtt_broker.url
