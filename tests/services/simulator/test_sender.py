"""
Field devices on a real broker.

Messages that a device keeps until there is a receipt.
"""

import json
import signal
import subprocess
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from ingest.addresses import close_sockets
from services.simulator import Outgoing, connection
from services.simulator import sender as senders
from services.simulator.connection import Outbox
from services.simulator.fleet import Group
from services.simulator.flow import Faults, fleet_sources, outgoing
from services.simulator.sender import Pace, Sender
from tests import commands
from tests.invoked import tonne
from tests.waiting import until


def message(*ids, device="d"):
    return Outgoing(device, "t", b"{}", 0, 0, ids)


def receipt(*ids, device="d"):
    return json.dumps({"device": device, "ts": 1, "id": None, "ids": ids, "times": []}).encode()


def test_keeps_until_every_reading_is_named():
    """An array of readings, of which half is stored, would be deleted by the device."""
    outbox = Outbox()
    entry = outbox.keep(message(1, 2))
    outbox.published(entry, 0.0)
    outbox.receipt(receipt(2))
    outbox.receipt(receipt(1, device="other"))
    assert len(outbox) == 1
    assert list(outbox.overdue(3.1)) == []  # receipts came meanwhile
    assert list(outbox.overdue(6.2)) == [entry]
    outbox.receipt(receipt(1))
    assert len(outbox) == 0


def test_a_slow_pipeline_is_not_sent_what_waits_in_its_queue():
    """A busy machine would be given each message twice, and need twice as long."""
    outbox = Outbox()
    entry = outbox.keep(message(1))
    outbox.published(entry, 0.0)
    for second in range(1, 30):
        outbox.keep(message(1, device=f"other-{second}"))
        outbox.receipt(receipt(1, device=f"other-{second}"))
        assert list(outbox.overdue(float(second))) == []
    assert list(outbox.overdue(30.0)) == [entry]


def test_the_wait_doubles():
    """A pipeline that comes back after an hour would be buried under repetitions."""
    outbox = Outbox()
    entry = outbox.keep(message(1))
    now, waits = 0.0, []
    for _ in range(6):
        outbox.published(entry, now)
        began = now
        while not list(outbox.overdue(now)):
            now += 0.5
        waits.append(now - began)
    assert waits == [3, 6, 12, 24, 30, 30]


def test_a_receipt_ends_the_waiting():
    """Readings that are stored durably would be sent again."""
    outbox = Outbox()
    entry = outbox.keep(message(1))
    outbox.receipt(receipt(1))
    outbox.published(entry, 0.0)
    assert list(outbox.overdue(100.0)) == []


def test_is_bounded_and_survives_nonsense():
    """A device would run out of memory, or stop at a receipt that it cannot read."""
    outbox = Outbox(limit=2)
    for number in (1, 2, 2):
        outbox.keep(message(number))
    assert outbox.full
    for bad in (b"", b"{", b"[]", b'{"device": 3}', b"\xff"):
        outbox.receipt(bad)
    assert len(outbox) == 2


def test_without_receipts_nothing_is_kept():
    """A device that relies on PUBACK would wait at the end for receipts that never come."""
    outbox = Outbox(receipts=False)
    outbox.keep(message(1))
    assert len(outbox) == 0


DEPLOY = Path(__file__).parents[3] / "deploy"
DATA = DEPLOY / "data"
DEMO_FLEET = str(DEPLOY / "catalog" / "demo-fleet.yaml")
START = 1_767_225_600_000_000
HOUR = 3_600_000_000


class Store:
    """A subscriber that stores readings and sends receipts to the devices."""

    def __init__(self, port, *, ignore_first=False, hold=False):
        self.readings = Counter()
        self.statuses = Counter()
        self.held = []
        self._ignore_first, self._hold = ignore_first, hold
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, "store", protocol=mqtt.MQTTv5, reconnect_on_failure=True
        )
        self._client.reconnect_delay_set(1, 1)
        self._subscribed = threading.Event()
        self._client.on_connect = lambda client, *_: client.subscribe("tonne/v1/#", qos=1)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._subscribed.wait(60)

    def _on_message(self, client, _data, message):
        kind = message.topic.rsplit("/", 1)[1]
        if kind == "status":
            self.statuses[json.loads(message.payload)["state"]] += 1
        if kind != "telemetry":
            return
        _, _, principal, *behind, _ = message.topic.split("/")
        device = behind[0] if behind else principal
        try:
            content = json.loads(message.payload)
            ids = [r["id"] for r in (content if isinstance(content, list) else [content])]
        except (ValueError, KeyError, TypeError):
            return
        for number in ids:
            self.readings[device, number] += 1
        known = [n for n in ids if not self._ignore_first or self.readings[device, n] > 1]
        receipt = {"device": device, "ts": 0, "id": None, "ids": known, "times": []}
        self.held.append((f"tonne/v1/{principal}/receipt", json.dumps(receipt)))
        if not self._hold:
            self.give(1)

    def give(self, count):
        """Send some of the receipts that were held back."""
        some, self.held = self.held[:count], self.held[count:]
        for topic, receipt in some:
            self._client.publish(topic, receipt, qos=1)

    def close(self):
        """Disconnect from the broker."""
        self._client.disconnect()
        self._client.loop_stop()
        close_sockets(self._client)


@pytest.fixture
def store(mqtt_broker):
    found = []

    def make(**options):
        found.append(Store(mqtt_broker.port, **options))
        return found[-1]

    yield make
    for each in found:
        each.close()


def send(
    url, fleet, *, connections=50, receipts=True, faults=None, speed=0.0, wait_s=180.0,
    watch=lambda _: None,
):  # fmt: skip
    faults = faults or Faults()
    sender = Sender(
        url, fleet, connections=connections, receipts=receipts, wait_s=wait_s, label="test"
    )
    span = START // 1_000, (START + HOUR) // 1_000
    messages = outgoing(fleet_sources(fleet, START, HOUR, 0), 0, faults, span)
    pace = Pace(speed, START, START + HOUR)
    return sender.run(messages, pace, watch=watch, stopped=lambda: False)


def gateway_fleet(count=3):
    own = list(Group("energy_meter", count=count).devices())
    return own + list(Group("vehicle", count=2, gateway="gate").devices())


@pytest.mark.parametrize("connections", [50, 2])
def test_everything_arrives_and_is_receipted(mqtt_url, store, connections, monkeypatch):
    """The demo would run on a part of its data, with one connection a device or shared."""
    for name in ("FIRST_WAIT_S", "LONGEST_WAIT_S"):  # however slow the store is
        monkeypatch.setattr(connection, name, 180.0)
    there = store()
    sent = send(mqtt_url, gateway_fleet(), connections=connections)
    assert (sent.messages, sent.unreceipted, sent.transmissions) == (300, 0, 300)
    assert len(there.readings) == 300
    assert set(there.readings.values()) == {1}
    assert bool(there.statuses["online"]) == (connections == 50)


def test_what_has_no_receipt_is_sent_again(mqtt_url, store):
    """A reading that the pipeline lost before it was durable would be lost for good."""
    there = store(ignore_first=True)
    sent = send(mqtt_url, gateway_fleet(1))
    assert sent.unreceipted == 0
    # the first time it was ignored; a third time comes where receipts are slow
    assert min(there.readings.values()) >= 2
    assert len(there.readings) == sent.messages


class Clock:
    """The sender's clock; the test sets it forward."""

    sleep = staticmethod(time.sleep)
    ahead_s = 0.0

    def monotonic(self):
        """Return seconds."""
        return time.monotonic() + self.ahead_s


def test_a_slow_pipeline_is_waited_for_as_long_as_it_gives_receipts(mqtt_url, store, monkeypatch):
    """On a slow machine the demo went on, and sealed days, while their readings still came."""
    clock = Clock()
    monkeypatch.setattr(senders, "time", clock)
    for name in ("FIRST_WAIT_S", "LONGEST_WAIT_S"):  # nothing is sent twice
        monkeypatch.setattr(connection, name, 1e6)
    there, left = store(hold=True), []
    with ThreadPoolExecutor(1) as threads:
        sending = threads.submit(
            send, mqtt_url, gateway_fleet(), wait_s=60.0,
            watch=lambda sent: left.append(sent.unreceipted),
        )  # fmt: skip
        until(lambda: len(there.held) == 300)
        for rest in (200, 100, 0):
            clock.ahead_s += 50
            there.give(100)
            until(lambda rest=rest: sending.done() or (left and left[-1] <= rest))
    assert sending.result().unreceipted == 0


def test_a_broker_that_is_killed_costs_nothing(mqtt_broker, store):
    """The fault tests would measure the simulator's losses, not the pipeline's."""
    there = store()
    kills = []

    def kill():
        # once each connection stands: one that never did is an error of whoever started it
        until(lambda: len({device for device, _ in list(there.readings)}) == len(gateway_fleet()))
        mqtt_broker.kill()
        mqtt_broker.start()
        kills.append(1)

    killer = threading.Thread(target=kill)
    killer.start()
    sent = send(mqtt_broker.url, gateway_fleet(), speed=1_000.0)
    killer.join()
    assert kills
    assert sent.connection_breaks > 0
    assert sent.unreceipted == 0
    assert len(there.readings) == 300


def test_puback_alone_is_enough_when_asked(mqtt_url):
    """
    A benchmark would wait for receipts that no process sends, or
    not notice a missing subscriber.
    """
    sent = send(mqtt_url, gateway_fleet(), receipts=False, faults=Faults(garbage=0.1))
    assert sent.messages > 300
    assert sent.without_subscriber == sent.messages == sent.transmissions


def test_command_reports_the_register(mqtt_url, store):
    """A user could not compare the pipeline's kWh with those sent."""
    store()
    ran = tonne(
        *["simulate", "--device", "inv-1", "--speed", "max", "--json"],
        *["--wait", "180s", "--mqtt-url"],
        mqtt_url,
        "--replay",
        DATA / "nrel_rsf2_inverter_15min.csv",
        code=0,
    )
    told = json.loads(ran.stdout)
    assert (told["messages"], told["unreceipted"]) == (480, 0)
    register = told["devices"]["inv-1"]["registers"]["energy_export_kwh"]
    assert (register["first"], register["last"], register["rise"]) == (0, 1_455_886, 1_455_886)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ([], 2, "--fleet FILE or --replay"),
        (["--replay", "x.csv"], 2, "--device"),
        (["--fleet", "nowhere.yaml"], 2, "nowhere.yaml"),
        (["--fleet", DEMO_FLEET, "--faults", "x"], 2, "unknown"),
        (["--fleet", DEMO_FLEET, "--start", "2026-01-01"], 2, "offset"),
        (["--fleet", DEMO_FLEET, "--duration", "5"], 2, "duration"),
        (["--fleet", DEMO_FLEET, "--speed", "-1"], 2, "speed"),
        (["--fleet", DEMO_FLEET, "--today", "--speed", "2"], 2, "needs --fleet"),
        (["--fleet", DEMO_FLEET, "--silent", "none", "2026-01-01T00:00:00Z"], 2, "not a device"),
        (["--replay", "x.csv", "--device", "a", "--today"], 2, "needs --fleet"),
        (["--fleet", DEMO_FLEET, "--mqtt-url", "mqtt://127.0.0.1:1"], 3, "1"),
    ],
)
def test_command_says_what_is_wrong(arguments, code, says):
    """A script could not tell its own mistake from a server that is down."""
    ran = tonne("simulate", *arguments, code=code)
    assert says in ran.stderr


def test_without_a_duration_it_goes_on_until_it_is_told(mqtt_url, store, tmp_path):
    """A demo fleet would stop by itself, or leave its last readings behind at Ctrl-C."""
    there = store()
    fleet = tmp_path / "fleet.yaml"
    fleet.write_text("fleet: [{class: noise_station, count: 2, cadence_s: 1}]")
    running = commands.start(
        ["simulate", "--json", "--wait", "180s", "--fleet", fleet, "--mqtt-url", mqtt_url],
        stdout=subprocess.PIPE,
        cwd=DEPLOY.parent,
    )
    until(lambda: len(there.readings) >= 6)
    running.send_signal(signal.SIGINT)
    told = json.loads(running.communicate(timeout=240)[0])
    assert running.returncode == 0
    assert told["unreceipted"] == 0
    assert told["messages"] == len(there.readings) >= 6
    assert abs(told["last_ts_us"] / 1e6 - time.time()) < 300


def test_today_comes_at_once_and_the_rest_in_time(mqtt_url, store, tmp_path):
    """A device of the demo would be silent until its next reading, an hour at worst."""
    there = store()
    fleet = tmp_path / "fleet.yaml"
    fleet.write_text("fleet: [{class: noise_station, count: 2, cadence_s: 60}]")
    began = time.time()
    ran = tonne(
        *["simulate", "--fleet", str(fleet), "--today", "--duration", "1s", "--json"],
        *["--wait", "180s", "--mqtt-url", mqtt_url],
        code=0,
    )
    told = json.loads(ran.stdout)
    assert told["unreceipted"] == 0
    assert told["messages"] == len(there.readings)
    first, last = told["first_ts_us"] / 1e6, told["last_ts_us"] / 1e6
    assert (first + 7 * 3_600) % 86_400 == 0
    assert began - 60 <= last <= time.time()
    assert told["messages"] in {2 * n for n in (round((last - first) / 60) + k for k in (0, 1))}
