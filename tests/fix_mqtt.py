"""A real mosquitto, new for each test, so that no sessions of another test remain."""

import pytest

from services import local
from services.local.brokers import Mosquitto
from tests.ports import give_ports


@pytest.fixture
def mqtt_broker(tmp_path):
    """Return the running broker: `url`, `port`, `pid`, `kill()`, `start()`, `restart()`."""
    local.require()
    server = Mosquitto(give_ports(tmp_path / "broker", "mosquitto"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def mqtt_url(mqtt_broker):
    """URL of the running broker."""
    return mqtt_broker.url
