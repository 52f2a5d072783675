"""A Sparkplug edge node with a running `tonne run` that is stopped and started again."""

import json
import threading
import time

import psycopg
import yaml

from ingest.codecs import sparkplug_b
from tests import registering
from tests.integration.field import client
from tests.sparkplug_edge import EdgeNode
from tests.waiting import until

E, P = "energy_export_kwh", "active_power_kw"
SITE = {
    "id": "roof",
    "name": "Roof",
    "latitude": 20.9,
    "longitude": 106.6,
    "timezone": "Asia/Ho_Chi_Minh",
}


def _device(name, kind="pv_inverter", **more):
    installed = "2025-01-01T00:00:00Z"
    return {"id": name, "site": "roof", "class": kind, "installed": installed, **more}


def _registry(*nodes):
    devices = [_device(node, "energy_meter", profile="generic") for node in nodes]
    for node in nodes:
        devices += [
            _device(f"{node}-{k}", gateway=node, profile="generic", rated_power_w=100_000)
            for k in (1, 2)
        ]
    return {"sites": [SITE], "devices": devices}


def import_nodes(database_url, folder, nodes):
    """Import edge nodes, with two inverters behind each."""
    registering.register(database_url, folder, yaml.safe_dump(_registry(*nodes)))


def _rows(pipeline, device):
    with psycopg.connect(pipeline.urls.database_url, autocommit=True) as connection:
        return connection.execute(
            "SELECT energy_export_wh, active_power_w FROM reading_pv_inverter"
            " WHERE device_id = %s ORDER BY time",
            (device,),
        ).fetchall()


def _ask(pipeline, query, *values):
    with psycopg.connect(pipeline.urls.database_url, autocommit=True) as connection:
        return connection.execute(query, values).fetchall()


class Field:
    """The connection of the nodes: sends messages, receives commands and the host's state."""

    def __init__(self, device, *edges):
        self.commands, self.asked, self.states = [], [], []
        self._device = device
        ready = threading.Event()
        device.on_message = self._heard
        device.on_subscribe = lambda *_: ready.set()
        topics = [*(edge.topic("NCMD") for edge in edges), "spBv1.0/STATE/+"]
        device.subscribe([(topic, 1) for topic in topics])
        assert ready.wait(60)

    def _heard(self, _client, _data, message):
        if "/STATE/" in message.topic:
            self.states.append(json.loads(message.payload))
        else:
            self.commands.append(sparkplug_b.decode(message.payload))
            self.asked.append(message.topic.rsplit("/", 1)[1])

    def send(self, *messages):
        """Publish with QoS 1, and wait for the broker."""
        for topic, body in messages:
            self._device.publish(topic, body, qos=1).wait_for_publish(90)


def test_a_node_is_heard_over_a_restart(pipeline, tmp_path):
    """Each restart of tonne would cost a rebirth of every node, or the readings until then."""
    edge = EdgeNode("edge-a", ts=int(time.time() * 1000) - 600_000)
    pipeline.register(_registry("edge-a"))
    one, two = "edge-a-1", "edge-a-2"
    port = int(pipeline.urls.mqtt_url.rsplit(":", 1)[1])
    pipeline.environment["TONNE_SPARKPLUG_HOST_ID"] = "hai-phong"
    pipeline.environment["TONNE_SPARKPLUG_REORDER_S"] = "1"
    try:
        with client(port) as device:
            field = Field(device, edge)
            with pipeline.running(tmp_path / "first.log"):
                pipeline.receiving_since(tmp_path / "first.log")
                until(lambda: [s["online"] for s in field.states][-1:] == [True])
                field.send(edge.connect(), edge.birth(one, {E: 1000.0, P: 1.0}), edge.birth(two))
                field.send(edge.data(one, {E: 1000.5, P: 2.0}), edge.data(two, {E: 5.0}))
                until(lambda: len(_rows(pipeline, two)) == 1)
                assert _rows(pipeline, one) == [(1_000_000, 1000.0), (1_000_500, 2000.0)]
            until(lambda: field.states[-1]["online"] is False)
            # sent while tonne is away: the broker keeps it, and aliases are known from before
            field.send(edge.data(one, {E: 1001.0}), edge.data(two, {P: 3.0}))
            with pipeline.running(tmp_path / "second.log"):
                until(lambda: len(_rows(pipeline, two)) == 2)
                assert _rows(pipeline, one)[-1] == (1_001_000, None)
                assert field.commands == []
                edge.data(one, {E: 1001.5})  # lost on the way
                field.send(edge.data(one, {E: 1002.0}))
                until(lambda: field.commands)
                (command,) = field.commands
                assert command.metrics[0].name == "Node Control/Rebirth"
                assert command.metrics[0].boolean_value is True
                field.send(edge.rebirth(), edge.birth(one), edge.birth(two))
                until(lambda: _rows(pipeline, one)[-1] == (1_002_000, None))
                alive = "SELECT alive FROM v_sparkplug_device WHERE device_id = %s"
                assert _ask(pipeline, alive, one) == [(True,)]
                field.send(edge.will())
                until(lambda: _ask(pipeline, alive, one) == [(False,)])
            refused = "SELECT count(*) FROM dead_letter WHERE strpos(topic, 'edge-a') > 0"
            assert _ask(pipeline, refused) == [(0,)]
            assert _ask(pipeline, "SELECT count(*) FROM sparkplug_held") == [(0,)]
    finally:
        del pipeline.environment["TONNE_SPARKPLUG_HOST_ID"]
        del pipeline.environment["TONNE_SPARKPLUG_REORDER_S"]


def test_data_before_any_birth_is_replayed_after_it(pipeline, tmp_path):
    """What a node sent before tonne knew it would be lost for good."""
    edge = EdgeNode("edge-b", ts=int(time.time() * 1000) - 600_000)
    pipeline.register(_registry("edge-b"))
    port = int(pipeline.urls.mqtt_url.rsplit(":", 1)[1])
    edge.connect(), edge.birth("edge-b-1")  # before tonne listened
    with client(port) as device, pipeline.running(tmp_path / "run.log"):
        field = Field(device, edge)
        pipeline.receiving_since(tmp_path / "run.log")
        field.send(edge.data("edge-b-1", {E: 3.0}))
        until(lambda: field.commands)
        missing = "SELECT count(*) FROM dead_letter WHERE reason = 'birth_missing'"
        assert _ask(pipeline, missing) == [(1,)]
        ((letter,),) = _ask(pipeline, "SELECT id FROM dead_letter WHERE reason = 'birth_missing'")
        assert "alias 1=3.0" in pipeline.tonne("deadletter", "show", str(letter))
        field.send(edge.rebirth(), edge.birth("edge-b-1"), edge.data("edge-b-1", {E: 4.0}))
        until(lambda: len(_rows(pipeline, "edge-b-1")) == 1)
        pipeline.tonne("deadletter", "replay", "--reason", "birth_missing")
        until(lambda: _rows(pipeline, "edge-b-1") == [(3_000, None), (4_000, None)])
