"""Devices that publish on their own topics, with a running pipeline."""

import threading
import time

import paho.mqtt.publish
import psycopg
import pytest
from prometheus_client import CollectorRegistry

from services.embedded import Runner
from services.logs import get_logger
from services.metrics import Metrics
from tests.registering import register

REGISTRY = """
sites:
  - {id: roof, name: Roof, latitude: 20.9, longitude: 106.6, timezone: Asia/Ho_Chi_Minh}
devices:
  - {id: inv-1, site: roof, class: pv_inverter, profile: generic, installed: 2026-01-01T00:00:00Z}
"""
TOPICS = """
topics:
  - {id: plants, template: "plants/{site}/inv/{device}/data", active: %s}
"""
TOPIC = "plants/roof/inv/inv-1/data"


@pytest.fixture
def pipeline(database_url, mqtt_url):
    """Yield a runner in a thread, on a real broker and database."""
    metrics = Metrics(CollectorRegistry())
    runner = Runner(database_url, mqtt_url, "test-own-topics", metrics, get_logger("test"))
    thread = threading.Thread(target=runner.run)
    thread.start()
    yield
    runner.stop()
    thread.join(timeout=90)
    assert not thread.is_alive()


def _publish(mqtt_broker, payload, topic=TOPIC):
    paho.mqtt.publish.single(topic, payload, qos=1, hostname="127.0.0.1", port=mqtt_broker.port)


def _count(url, table, least, patience_s=60.0):
    """Return the rows of a table, once there are enough or the time is over."""
    end = time.monotonic() + patience_s
    with psycopg.connect(url, autocommit=True) as conn:
        while True:
            (found,) = conn.execute(f"SELECT count(*) FROM {table}").fetchone()
            if found >= least or time.monotonic() > end:
                return found
            time.sleep(0.1)


def _send_until_stored(url, mqtt_broker):
    """Publish a stored reading again until it is in the database, as a device does."""
    for _ in range(90):
        _publish(mqtt_broker, '{"ts": 1767225600000, "values": {"active_power_kw": 1}}')
        if _count(url, "reading_pv_inverter", 1, patience_s=1):
            return True
    return False


def _unheard(url, mqtt_broker):
    """Publish on the fleet's own topic until the next message is received and this one is not."""
    heard = 1
    for tries in range(1, 91):
        for topic in (TOPIC, "tonne/v1/inv-1/telemetry"):
            _publish(mqtt_broker, "{", topic)
        assert _count(url, "dead_letter WHERE topic LIKE 'tonne/%'", tries) == tries
        before, heard = heard, _count(url, "dead_letter WHERE topic LIKE 'plants/%'", 0)
        if heard == before:
            return True
        time.sleep(0.5)
    return False


def test_a_template_is_heard_while_running_and_left_when_withdrawn(
    database_url, mqtt_broker, tmp_path, request
):
    """A fleet's own topics would need a restart, and then stay subscribed permanently."""
    register(database_url, tmp_path, REGISTRY)
    request.getfixturevalue("pipeline")
    register(database_url, tmp_path, TOPICS % "true")
    assert _send_until_stored(database_url, mqtt_broker)
    _publish(mqtt_broker, "{")
    assert _count(database_url, "dead_letter WHERE device_id = 'inv-1'", 1) == 1
    register(database_url, tmp_path, TOPICS % "false")
    assert _unheard(database_url, mqtt_broker)
