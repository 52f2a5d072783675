"""Devices for tests of a running pipeline: what they send, and what is stored of it."""

import json
from contextlib import contextmanager
from itertools import count

import paho.mqtt.client as mqtt
import psycopg
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from ingest.addresses import close_sockets
from tests.bench.load import RATED_W, SITE
from tests.running import Pipeline

START_MS = 1_767_225_600_000
# where the sun does not set from January to March: readings of a minute each, twenty a second,
# are soon in the night, and by night nothing is metered of what the sun makes
POLAR = {**SITE, "latitude": -89.0}
_numbers = count()


def registry(names: list[str]) -> dict:
    """Return a registry document of PV inverters, each in a separate project."""
    devices = [
        {
            "id": name,
            "site": SITE["id"],
            "class": "pv_inverter",
            "profile": "generic",
            "rated_power_w": RATED_W,
            "installed": "2025-01-01T00:00:00Z",
        }
        for name in names
    ]
    projects = [
        {
            "id": f"p-{name}",
            "name": name,
            "methodology": "jcm-vn-am007",
            "version": "1.0",
            "crediting_period": {"from": "2026-01-01", "to": "2036-01-01"},
            "devices": [{"device": name, "role": "generation", "case": 1}],
            "expected": {"energy_kwh_per_year": 120_000},
        }
        for name in names
    ]
    return {"sites": [POLAR], "devices": devices, "projects": projects}


def fresh(n: int) -> list[str]:
    """Return names of devices that no other test uses."""
    prefix = next(_numbers)
    return [f"t{prefix}-{k:03d}" for k in range(n)]


def topic(name: str) -> str:
    return f"tonne/v1/{name}/telemetry"


def register_wh(k: int) -> int:
    """Return the value of a device's register at its k-th minute. [Wh]"""
    return 1_000_000 + 700 * k + (k * k) % 311


def payload(k: int) -> bytes:
    """Return a device's k-th reading."""
    values = {"energy_export_kwh": register_wh(k) / 1000, "active_power_kw": 42.0}
    return json.dumps({"ts": START_MS + 60_000 * k, "id": k, "values": values}).encode()


_STORED = (
    "SELECT (extract(epoch FROM time) * 1000)::bigint, energy_export_wh"
    " FROM reading_pv_inverter WHERE device_id = %s ORDER BY time"
)


def stored(url: str, name: str) -> list[tuple[int, int]]:
    """Return minute and register of each stored reading of a device, in the order of time."""
    with psycopg.connect(url, autocommit=True) as connection:
        return stored_by(connection, name)


def stored_by(connection: psycopg.Connection, name: str) -> list[tuple[int, int]]:
    """Return the same, read through an open connection."""
    return _minutes(connection.execute(_STORED, [name]).fetchall())


def stored_in(pipeline: Pipeline, name: str) -> list[tuple[int, int]]:
    """Return the same, read through a pipeline's connection."""
    return _minutes(pipeline.ask(_STORED, [name]))


def _minutes(rows: list[tuple]) -> list[tuple[int, int]]:
    return [((ms - START_MS) // 60_000, register) for ms, register in rows]


def expected(n: int) -> list[tuple[int, int]]:
    return [(k, register_wh(k)) for k in range(n)]


@contextmanager
def client(port: int, **callbacks):
    """Return an MQTT 5 connection of one device."""
    device = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    for name, callback in callbacks.items():
        setattr(device, name, callback)
    device.connect("127.0.0.1", port)
    device.loop_start()
    try:
        yield device
    finally:
        device.disconnect()
        device.loop_stop()
        close_sockets(device)


def publish(device, name: str, body: bytes, content_type: str | None = None) -> None:
    """Publish with QoS 1, and wait for the broker's acknowledgement."""
    properties = Properties(PacketTypes.PUBLISH)
    if content_type:
        properties.ContentType = content_type
    device.publish(name, body, qos=1, properties=properties).wait_for_publish(90)
