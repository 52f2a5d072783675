"""From an unknown device to one whose readings a technician sees arriving."""

import json
import re
import subprocess
import time
from contextlib import contextmanager

import paho.mqtt.client as mqtt
import pytest

from ingest.addresses import close_sockets
from tests import commands
from tests.waiting import until

SITE = {"id": "s", "name": "S", "latitude": 20.9, "longitude": 106.6, "timezone": "UTC"}
SINCE = "2025-01-01T00:00:00Z"
ROW = {"site": "s", "class": "pv_inverter", "profile": "generic", "installed": SINCE}


@pytest.fixture
def client(pipeline):
    """Return an MQTT client of the open broker."""
    found = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    found.connect("127.0.0.1", pipeline.stack.mosquitto.port)
    found.loop_start()
    yield found
    found.disconnect()
    found.loop_stop()
    close_sockets(found)


def _send(client, topic, **values):
    body = {"ts": time.time_ns() // 1_000_000, "values": values}
    client.publish(topic, json.dumps(body), qos=1).wait_for_publish(60)


def _told(pipeline, *names):
    """Return the list of unknown devices, if it contains all these names."""
    told = pipeline.tonne("devices", "unknown")
    return told if all(name in told for name in names) else ""


@contextmanager
def _watching(pipeline, device, seconds):
    process = commands.start(
        ["devices", "watch", device, "--for", str(seconds), "--json"],
        env=pipeline.environment | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.stdout.close()
        process.wait()


def test_an_unknown_device_is_accepted_and_watched(pipeline, client, tmp_path):
    """A technician would read through dead letters to find the inverter that was just wired."""
    pipeline.register({"sites": [SITE], "devices": [{"id": "gw", **ROW}]})
    log = tmp_path / "run.log"
    with pipeline.running(log):
        pipeline.receiving_since(log)
        _send(client, "tonne/v1/gw/new-1/telemetry", energy_export_kwh=1.0)
        _send(client, "tonne/v1/gw/new-2/telemetry", energy_export_kwh=1.0)
        told = until(lambda: _told(pipeline, "new-1", "new-2"))
        assert re.search(r"^new-1 +gw +1 ", told, re.MULTILINE)
        assert "energy_export_kwh=1.0" in told
        pipeline.tonne("devices", "refuse", "new-2", "--reason", "bench unit")
        assert "bench unit" in pipeline.tonne("devices", "unknown", "--refused")
        done = pipeline.tonne(
            "devices", "accept", "new-1", "--site", "s", "--class", "pv_inverter", "--installed",
            SINCE, "--rated-power-w", "5000",
        )  # fmt: skip
        assert "created   device    new-1" in done
        assert not _told(pipeline, "new-1") + _told(pipeline, "new-2")
        pipeline.tonne("deadletter", "replay", "--reason", "unknown_device")
        rows = until(
            lambda: [
                r
                for r in json.loads(pipeline.tonne("devices", "list", "--json"))
                if r["device"] == "new-1" and r["last_reading"]
            ]
        )
        assert (rows[0]["gateway"], rows[0]["state"]) == ("gw", "online")
        with _watching(pipeline, "new-1", 200) as watched:
            assert json.loads(watched.stdout.readline())["watching"] == "new-1"
            _send(
                client, "tonne/v1/gw/new-1/telemetry", energy_export_kwh=1.25, active_power_kw=900
            )
            lines = (json.loads(line) for line in watched.stdout)
            # the value that is out of range may be reported before the others
            first = next(one for one in lines if "values" in one)
            assert first["values"]["energy_export_wh"] == 1_250
            assert first["units"]["energy_export_wh"] == "Wh"
            assert "active_power_w" in first["flags"]
            assert "irradiance_w_m2" in first["missing"]
            client.publish("tonne/v1/gw/new-1/telemetry", b"{", qos=1).wait_for_publish(60)
            refused = next(one for one in lines if one.get("refused") == "malformed_json")
            assert refused["detail"]


def test_accepting_badly_changes_nothing(pipeline, client, tmp_path):
    """A slip in the command would leave a device that counts without need."""
    pipeline.register({"sites": [SITE], "devices": [{"id": "gw", **ROW}]})
    log = tmp_path / "run.log"
    with pipeline.running(log):
        pipeline.receiving_since(log)
        _send(client, "tonne/v1/gw/new-3/telemetry", energy_export_kwh=1.0)
        until(lambda: "new-3" in pipeline.tonne("devices", "unknown"))
    for site, kind, since in (
        ("nowhere", "pv_inverter", SINCE),
        ("s", "toaster", SINCE),
        ("s", "pv_inverter", "today"),
    ):
        words = ("--site", site, "--class", kind, "--installed", since)
        with pytest.raises(RuntimeError):
            pipeline.tonne("devices", "accept", "new-3", *words)
    with pytest.raises(RuntimeError, match="is not among the unknown devices"):
        pipeline.tonne("devices", "refuse", "nobody", "--reason", "x")
    assert "new-3" in pipeline.tonne("devices", "unknown")
