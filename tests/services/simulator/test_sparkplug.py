"""The simulator as Sparkplug edge nodes, received by tonne's host rules over a real broker."""

import json
import threading

import pytest

from ingest.sparkplug import rebirth
from services.simulator import EdgeNode, SimulatorError
from services.simulator.fleet import Group
from services.simulator.flow import NO_FAULTS, fleet_sources, outgoing
from services.simulator.sender import Pace, Sender
from tests.ingest.sparkplug_host import NOW_US, Memory
from tests.integration.field import client
from tests.waiting import until

START_US, MINUTE_US = 1_772_323_200_000_000, 60_000_000


def _fleet():
    return [
        *Group("pv_inverter", ids=("inv-1", "inv-2"), gateway="node-1").devices(),
        *Group("energy_meter", ids=("meter-1",)).devices(),
    ]


def _sender(url, fleet, connections=10):
    return Sender(
        url, fleet, connections=connections, receipts=True, wait_s=180, label="t", sparkplug="G"
    )


def test_a_fleet_speaks_sparkplug(mqtt_broker, mqtt_url):
    """Anyone who tries tonne with Sparkplug would see refusals of the simulator's own making."""
    fleet, heard, ready = _fleet(), [], threading.Event()
    told = list(outgoing(fleet_sources(fleet, START_US, 30 * MINUTE_US, 0), 0, NO_FAULTS, _span()))
    with client(
        mqtt_broker.port,
        on_message=lambda _c, _d, m: heard.append((m.topic, bytes(m.payload))),
        on_subscribe=lambda *_: ready.set(),
    ) as listener:
        listener.subscribe("spBv1.0/#", qos=1)
        assert ready.wait(60)
        sent = _sender(mqtt_url, fleet).run(
            iter(told), Pace(0, START_US, None), watch=lambda _: None, stopped=lambda: False
        )
        assert (sent.messages, sent.unreceipted) == (len(told), 0)
        # births, readings, and the wills of both nodes
        until(lambda: len(heard) == 2 + 2 + len(told) + 2)
    host = Memory("node-1", "meter-1")
    host.now_us = 4 * NOW_US
    found, refused = host.take(*heard)
    assert refused == []
    assert not any(node.online for node in host.nodes.values())
    expected = {}
    for message in told:
        body = json.loads(message.payload)
        key = message.topic.split("/", 2)[2].removesuffix("/telemetry"), body["ts"]
        expected[key] = body["values"]
    assert {(device, ts): values for device, ts, values in found} == expected


def _span():
    return START_US // 1000, (START_US + 30 * MINUTE_US) // 1000


def test_a_node_needs_a_connection_of_its_own(mqtt_url):
    """Nodes that share a connection would share a will, and all die with one."""
    with pytest.raises(SimulatorError, match="--connections is 1"):
        _sender(mqtt_url, _fleet(), connections=1)


def test_births_come_again_by_command():
    """A simulated node that ignores the host would lose all that follows a gap."""
    node = EdgeNode("G", "node-1", _fleet()[:2])
    node.connecting()
    first = [topic for topic, _ in node.births()]
    assert first[0] == "spBv1.0/G/NBIRTH/node-1"
    assert first[1:] == [f"spBv1.0/G/DBIRTH/node-1/inv-{k}" for k in (1, 2)]
    assert node.is_rebirth(rebirth())
    assert not node.is_rebirth(b"\xff")
    host = Memory("node-1")
    host.now_us = 4 * NOW_US
    assert host.take(*node.births()) == ([], [])
