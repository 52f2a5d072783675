"""Topics that a broker refuses are named, and the others are used; on a real mosquitto."""

import io
import json
import threading
import time
from contextlib import closing, contextmanager

import paho.mqtt.client as mqtt
import pytest
from prometheus_client import CollectorRegistry

from ingest import sparkplug
from ingest.addresses import Tls, close_sockets
from ingest.errors import ServerError
from ingest.mqtt import STATUS, SUBSCRIPTIONS
from ingest.mqtt import session as sessions
from ingest.mqtt.session import Session
from services.edge import gateway, uplink
from services.edge.config import LocalMqtt
from services.edge.gateway import Listener
from services.edge.outbox import Clock, Outbox
from services.edge.uplink import Link, Recorder
from services.intake.broker_queue import BrokerQueue, Room
from services.intake.receive import RefusedTopics
from services.logs import get_logger
from services.metrics import Metrics
from services.simulator.connection import Connection
from tests.ports import give_ports
from tests.refusing import Refusing

pytestmark = pytest.mark.integration
PATIENCE_S = 120
OWN, GATEWAYS = SUBSCRIPTIONS[:2]


@contextmanager
def refusing(folder, *topics):
    """Return a running broker that refuses these filters."""
    server = Refusing(give_ports(folder / "broker", "mosquitto"))
    server.topics = topics
    server.start()
    try:
        yield server
    finally:
        server.stop()


def until(done, step=lambda: time.sleep(0.02), what=lambda: ""):
    """Repeat a call until a condition holds."""
    end = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < end, what()
        step()


def going(session):
    """Return a function that drives a session, and reconnects it if the broker disconnected."""

    def step():
        if not session.step(0.05, 0):
            time.sleep(0.05)
            session.connect()

    return step


def heard(session):
    """Return the topics of waiting messages, and remove them."""
    found = session.take(100, 0)
    return [] if found is None else found.topics


@contextmanager
def device(port):
    """Return a function that publishes at QoS 1 and waits for the broker's answer."""
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        yield lambda topic, data: client.publish(topic, data, qos=1).wait_for_publish(60)
    finally:
        client.disconnect()
        client.loop_stop()
        close_sockets(client)


def outbox(folder):
    """Yield an outbox that is closed at the end of the block."""
    return closing(Outbox(folder / "outbox.db", 1 << 22, "thin"))


def events(stream):
    """Return lines of a log, by event."""
    return {line["event"]: line for line in map(json.loads, stream.getvalue().splitlines())}


def test_the_rest_is_heard_and_the_refused_is_asked_for_again(tmp_path, monkeypatch):
    """One missing access right would stop all messages, or stay unnoticed until a restart."""
    monkeypatch.setattr(sessions, "AGAIN_S", 0.1)
    late = "late/+/up"
    with refusing(tmp_path, GATEWAYS, late) as broker:
        session = Session(broker.url, "some", [GATEWAYS, OWN], 100)
        session.connect()
        until(lambda: session.subscribed, going(session))
        assert list(session.refused) == [GATEWAYS]
        assert "Not authorized" in session.refused[GATEWAYS]
        session.listen([GATEWAYS, OWN, late])
        until(lambda: late in session.refused, going(session))
        with device(broker.port) as publish:
            publish("tonne/v1/inv-1/telemetry", b"1")
        until(lambda: "tonne/v1/inv-1/telemetry" in heard(session), going(session))
        broker.allow(GATEWAYS)
        until(lambda: GATEWAYS not in session.refused, going(session))
        with device(broker.port) as publish:
            publish("tonne/v1/gw/inv-2/telemetry", b"2")
        until(lambda: "tonne/v1/gw/inv-2/telemetry" in heard(session), going(session))
        session.listen([GATEWAYS, OWN])
        assert session.refused == {}
        session.close(0)


def test_what_is_needed_and_refused_counts_until_it_is_granted():
    """The alert would never come, or would report Sparkplug topics that no device uses."""
    metrics, stream = Metrics(CollectorRegistry()), io.StringIO()
    told = RefusedTopics("me", "", metrics, get_logger("t", stream=stream), is_host=False)
    off = dict.fromkeys(sparkplug.SUBSCRIPTIONS, "Not authorized")

    def state():
        value = metrics.registry.get_sample_value("tonne_broker_topics_refused")
        return value, metrics.pulse.waiting()

    told.look(SUBSCRIPTIONS, off)
    assert state() == (0, None)
    assert (
        "--sparkplug"
        in events(stream)["the broker does not permit a subscription to Sparkplug topics"]["remedy"]
    )
    told.look(SUBSCRIPTIONS, off | {STATUS: "Quota exceeded"})
    assert state() == (1, f"the broker rejects {STATUS} (Quota exceeded)")
    error = events(stream)["topics rejected by the broker; messages published there are not stored"]
    assert (error["level"], error["topics"]) == ("error", {STATUS: "Quota exceeded"})
    assert "tonne broker config" in error["remedy"]
    lines = stream.getvalue()
    told.look(SUBSCRIPTIONS, off | {STATUS: "Quota exceeded"})
    assert stream.getvalue() == lines  # told once
    some = dict(list(off.items())[1:])
    told.look(SUBSCRIPTIONS, some)  # some of Sparkplug is no choice of anybody's
    assert state()[0] == len(some)
    told.look(SUBSCRIPTIONS, {})
    assert state() == (0, None)
    assert set(events(stream)["topics granted"]["topics"]) == set(some)
    told.look(SUBSCRIPTIONS, dict.fromkeys(SUBSCRIPTIONS, "no"))  # once heard, it stays
    assert state()[0] == len(SUBSCRIPTIONS) - len(off)
    host = RefusedTopics("me", "", metrics, get_logger("t", stream=stream), is_host=True)
    host.look(SUBSCRIPTIONS, off)
    assert state()[0] == len(off)
    alone = RefusedTopics("me", "", metrics, get_logger("t", stream=stream), is_host=False)
    with pytest.raises(ServerError, match=r"rejects every topic of 'me'.*tonne broker config"):
        alone.look([OWN, STATUS], {OWN: "no", STATUS: "no"})


def test_a_gateway_whose_receipts_are_refused_says_so_and_asks_again(tmp_path, monkeypatch):
    """
    A gateway without receipts would fill its disk without a message, even after the right was
    granted.
    """
    monkeypatch.setattr(uplink, "_REFUSED_S", 0.1)
    topic, stream = "tonne/v1/gw/receipt", io.StringIO()
    with refusing(tmp_path, topic) as broker, outbox(tmp_path) as box:
        log = get_logger("edge", stream=stream)
        link = Link("gw", broker.url, Tls(), box, Clock(), "test", log)
        until(
            lambda: "broker does not deliver receipts" in stream.getvalue(), lambda: link.step(0.02)
        )
        line = next(iter(events(stream).values()))
        assert (line["level"], line["topic"]) == ("error", topic)
        assert "tonne broker apply" in line["remedy"]
        assert not link._ready
        broker.allow(topic)
        until(lambda: link._ready, lambda: link.step(0.02), stream.getvalue)
        link.close()


def test_a_gateway_that_tonne_does_not_answer_says_so_once(tmp_path, monkeypatch):
    """An unregistered gateway would store readings without a message until its disk is full."""
    monkeypatch.setattr(uplink, "_ASK_S", 0.05)
    stream = io.StringIO()
    with refusing(tmp_path) as broker, outbox(tmp_path) as box:
        log = get_logger("edge", stream=stream)
        link = Link("gw", broker.url, Tls(), box, Clock(), "test", log)
        until(lambda: link._requests > 2 * uplink._UNANSWERED, lambda: link.step(0.02))
        link.close()
    assert stream.getvalue().count("tonne does not answer") == 1
    line = events(stream)["tonne does not answer; nothing is sent, readings are stored here"]
    assert (line["level"], line["gateway"]) == ("warning", "gw")
    assert "import this gateway into the registry" in line["remedy"]


def test_a_plants_broker_that_refuses_a_topic_is_a_fault(tmp_path, monkeypatch):
    """A gateway would appear to receive a meter whose topic the plant's broker refuses."""
    monkeypatch.setattr(gateway, "_REFUSED_S", 0.1)
    stream, stopping = io.StringIO(), threading.Event()
    with refusing(tmp_path, "b/+/json") as broker, outbox(tmp_path) as box:
        recorder = Recorder(box, Clock(), get_logger("edge", stream=stream))
        source = LocalMqtt(broker.url, ["a/{device}/json", "b/{device}/json"])
        listener = Listener(source, "gw", recorder, stopping)
        listener.start()
        try:
            until(lambda: recorder.faults)
            assert "b/+/json (Not authorized)" in events(stream)["fault"]["reason"]
            with device(broker.port) as publish:
                publish("a/m-1/json", b'{"active_power_kw": 1}')
            until(lambda: recorder.recorded == 1)
            broker.allow("b/+/json")
            until(lambda: not recorder.faults)
            with device(broker.port) as publish:
                publish("b/m-1/json", b'{"active_power_kw": 1}')
            until(lambda: recorder.recorded == 2)
        finally:
            stopping.set()
            listener.join(60)
        assert not listener.is_alive()


def test_a_simulated_device_names_the_topic_that_is_refused(tmp_path):
    """A user of the simulator would look for the fault in the connection, which works."""
    topic = "tonne/v1/inv-1/receipt"
    with refusing(tmp_path, topic) as broker:
        link = Connection(
            broker.url, "inv-1", principal="inv-1", receipt_topic=topic,
            on_receipt=lambda _: None, on_published=lambda *_: None,
        )  # fmt: skip

        def step():
            link.open(time.monotonic())
            link.write()
            link.read()

        with pytest.raises(ServerError, match=rf"{topic}: Not authorized.*tonne broker apply"):
            until(lambda: False, step)
        link.close()
        close_sockets(link._client)


def test_the_watch_of_the_broker_names_what_it_may_not_hear(tmp_path):
    """The broker's queue would fill unseen, and no log line would name the missing right."""
    stream, topic = io.StringIO(), "$SYS/broker/store/messages/bytes"
    with refusing(tmp_path, topic) as broker:
        log, metrics = get_logger("watch", stream=stream), Metrics(CollectorRegistry())
        with BrokerQueue(broker.url, Tls(), Room(1, 1), metrics, log):
            until(lambda: "broker not watched" in stream.getvalue())
        found = events(stream)["broker not watched"]["reason"]
    assert f"{topic} (Not authorized)" in found
    assert "messages/count" not in found
