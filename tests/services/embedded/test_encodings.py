"""Devices that send encodings other than plain JSON, with a running pipeline."""

import threading
import time

import cbor2
import psycopg
from paho.mqtt.client import CallbackAPIVersion, Client, MQTTv5
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from prometheus_client import CollectorRegistry

from ingest.addresses import close_sockets
from services.embedded import Runner
from services.logs import get_logger
from services.metrics import Metrics
from tests.registering import register

REGISTRY = """
sites:
  - {id: roof, name: Roof, latitude: 20.9, longitude: 106.6, timezone: Asia/Ho_Chi_Minh}
devices:
  - {id: m-1, site: roof, class: energy_meter, profile: generic, installed: 2026-01-01T00:00:00Z}
  - {id: ev-1, site: roof, class: ev_charger, profile: ocpp, installed: 2026-01-01T00:00:00Z}
"""
PACK = cbor2.dumps(
    [{-2: "urn:dev:x:", -3: 1767225600, 0: "energy_import_kwh", 1: "Wh", 2: 1234567}]
)
CALL = (
    '[2,"1","MeterValues",{"connectorId":1,"meterValue":[{"timestamp":"2026-01-01T00:00:00Z",'
    '"sampledValue":[{"value":"4321"}]}]}]'
)


def _typed(content_type):
    properties = Properties(PacketTypes.PUBLISH)
    properties.ContentType = content_type
    return properties


def test_each_device_speaks_its_own_language(database_url, mqtt_broker, mqtt_url, tmp_path):
    """A technician would have to put a translator between every meter and tonne."""
    register(database_url, tmp_path, REGISTRY)
    metrics = Metrics(CollectorRegistry())
    runner = Runner(database_url, mqtt_url, "test-encodings", metrics, get_logger("test"))
    thread = threading.Thread(target=runner.run)
    thread.start()
    try:
        assert _stored(database_url, mqtt_broker) == (1_234_567, 4_321)
    finally:
        runner.stop()
        thread.join(timeout=90)
    counted = metrics.registry.get_sample_value
    for codec in ("senml_cbor", "ocpp16"):
        labels = {"codec": codec, "result": "stored"}
        assert counted("tonne_ingest_messages_total", labels) >= 1


def _stored(url, broker, patience_s=90.0):
    """Send until there is a receipt, as devices do, and look for the registers."""
    end = time.monotonic() + patience_s
    wanted = (
        "SELECT (SELECT energy_import_wh FROM reading_energy_meter), "
        "(SELECT energy_import_wh FROM reading_ev_charger)"
    )
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    try:
        with psycopg.connect(url, autocommit=True) as conn:
            while True:
                client.publish(
                    "tonne/v1/m-1/telemetry", PACK, 1, properties=_typed("application/senml+cbor")
                ).wait_for_publish(60)
                client.publish("tonne/v1/ev-1/telemetry", CALL, 1).wait_for_publish(60)
                time.sleep(0.5)
                found = conn.execute(wanted).fetchone()
                if None not in found or time.monotonic() > end:
                    return found
    finally:
        client.disconnect()
        client.loop_stop()
        close_sockets(client)
