"""Packets divided in any way by the network, and acknowledgements on their own connection."""

import socket
import time
from contextlib import contextmanager

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from ingest.addresses import close_sockets
from ingest.errors import InputError, ServerError
from ingest.mqtt.client import BufferedClient, Inbox
from ingest.mqtt.session import Session

CONNACK = b"\x20\x03\x00\x00\x00"
PINGRESP = b"\xd0\x00"


def length(n: int) -> bytes:
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes([*out, n])


def publish(topic: str, payload: bytes, mid=0, content_type=None, dup=False) -> bytes:
    """Return a PUBLISH packet as a broker writes it, according to the standard."""
    properties = b""
    if content_type is not None:
        name = content_type.encode()
        properties = b"\x03" + len(name).to_bytes(2, "big") + name
    name = topic.encode()
    body = len(name).to_bytes(2, "big") + name
    if mid:
        body += mid.to_bytes(2, "big")
    body += length(len(properties)) + properties + payload
    first = 0x30 | (0x02 if mid else 0) | (0x08 if dup else 0)
    return bytes([first]) + length(len(body)) + body


@contextmanager
def connected():
    """Return a client and the other end of its TCP connection, which transmits bytes only."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = BufferedClient("framing", Inbox(1))
        client.connect("127.0.0.1", server.getsockname()[1])
        peer, _ = server.accept()
        with peer:
            peer.recv(1_000)
            yield client, peer
            client.disconnect()


def read(client: BufferedClient, peer: socket.socket, *parts: bytes) -> None:
    """Send each part separately, and let the client read it before the next."""
    client.socket().setblocking(True)
    for part in filter(None, parts):
        peer.sendall(part)
        client.loop_read()


STREAM = b"".join(
    [
        CONNACK,
        publish("a/b", b"one", mid=1),
        PINGRESP,
        publish("a/b", b"", mid=65_535, dup=True),
        publish("tonne/v1/é/telemetry", b"x" * 130, content_type="application/json"),
        publish("c", b"\x00\xff", mid=3, content_type="application/senml+cbor; x=" + "y" * 120),
    ]
)
WANTED = Inbox(
    1,
    ["a/b", "a/b", "tonne/v1/é/telemetry", "c"],
    [b"one", b"", b"x" * 130, b"\x00\xff"],
    [None, None, "application/json", "application/senml+cbor; x=" + "y" * 120],
    [1, 65_535, 0, 3],
    [False, True, False, False],
    size=3 + 0 + 130 + 2,
)


def test_any_cut_gives_the_same_messages():
    """A network that cuts a packet in two must not garble it, nor the one behind it."""
    for at in range(len(STREAM) + 1):
        with connected() as (client, peer):
            read(client, peer, STREAM[:at], STREAM[at:])
            assert client.inbox == WANTED, at
            assert client.is_connected()


def test_byte_by_byte():
    """A packet that arrives byte by byte must be read correctly."""
    with connected() as (client, peer):
        read(client, peer, *(bytes([b]) for b in STREAM))
        assert client.inbox == WANTED


def test_a_partial_packet_is_forgotten_with_its_connection():
    """Half a packet of a broken connection must not eat the beginning of the next one."""
    with connected() as (client, peer):
        read(client, peer, CONNACK, publish("a", b"lost", mid=9)[:5])
        client.forget_partial()
        read(client, peer, publish("a", b"whole", mid=1))
        assert client.inbox.payloads == [b"whole"]


def test_acknowledgements_are_one_packet_each():
    """A broker closes on a malformed PUBACK, and all is sent again."""
    with connected() as (client, peer):
        read(client, peer, STREAM)
        client.puback([1, 0, 65_535])
        client.loop_write()
        assert peer.recv(100) == b"\x40\x02\x00\x01\x40\x02\xff\xff"


def test_many_publishes_leave_in_one_write():
    """Receipts to a whole fleet must be packets that every broker reads."""
    with connected() as (client, peer):
        read(client, peer, CONNACK)
        client.publish_many([("tonne/v1/a/receipt", b"{}"), ("tonne/v1/b/receipt", b"y" * 200)])
        client.loop_write()
        wanted = publish("tonne/v1/a/receipt", b"{}") + publish("tonne/v1/b/receipt", b"y" * 200)
        assert peer.recv(1_000) == wanted


TOPICS = ("framing/#",)


@contextmanager
def session(url, maximum=1_000):
    """Return an established persistent session."""
    found = Session(url, "framing", TOPICS, maximum)
    found.connect()
    until(found, lambda: found.subscribed)
    yield found
    found.close(0)


def until(found: Session, what, patience_s=60) -> None:
    end = time.monotonic() + patience_s
    while not what():
        assert time.monotonic() < end
        if not found.step(0.05, 0):
            time.sleep(0.05)


@contextmanager
def device(broker):
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    yield client
    client.disconnect()
    client.loop_stop()
    close_sockets(client)


def send(client, topic, payload, qos=1, content_type=None):
    properties = Properties(PacketTypes.PUBLISH)
    if content_type:
        properties.ContentType = content_type
    client.publish(topic, payload, qos=qos, properties=properties).wait_for_publish(60)


def test_a_session_is_subscribed_once_the_broker_says_so():
    """Messages sent before the broker grants the subscription would be lost."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        found = Session(f"mqtt://127.0.0.1:{server.getsockname()[1]}", "framing", TOPICS, 10)
        found.connect()
        peer, _ = server.accept()
        with peer:
            peer.recv(1_000)
            peer.sendall(CONNACK)
            until(found, lambda: found.connected)
            asked = peer.recv(1_000)
            assert (asked[0], found.subscribed) == (0x82, False)
            peer.sendall(b"\x90\x04" + asked[2:4] + b"\x00\x01")
            until(found, lambda: found.subscribed)
        until(found, lambda: not found.connected)
        assert not found.subscribed
        found.close(0)


def test_a_real_broker_is_understood(mqtt_broker):
    """Packets of each length encoding, quality of service and content type are read correctly."""
    sizes = [0, 1, 100, 127, 128, 16_383, 16_384, 300_000, 1_500_000]
    with session(mqtt_broker.url) as found, device(mqtt_broker) as client:
        for k, size in enumerate(sizes):
            kind = "application/json" if k % 2 else None
            send(client, f"framing/{k}", bytes([65 + k]) * size, qos=k % 3 and 1, content_type=kind)
        until(found, lambda: found.waiting == len(sizes))
        inbox = found.take(100, 0)
        assert inbox.topics == [f"framing/{k}" for k in range(len(sizes))]
        assert inbox.payloads == [bytes([65 + k]) * size for k, size in enumerate(sizes)]
        assert inbox.content_types == [("application/json" if k % 2 else None) for k in range(9)]
        assert [mid > 0 for mid in inbox.mids] == [bool(k % 3) for k in range(9)]
        assert found.ack(inbox) == len(sizes)


def test_large_messages_are_taken_few_at_a_time(mqtt_broker):
    """A gateway that sends its month in large messages would fill the memory of one commit."""
    sizes = [100, 100, 900, 50, 2_000, 10, 10]
    with session(mqtt_broker.url) as found, device(mqtt_broker) as client:
        for k, size in enumerate(sizes):
            send(client, "framing/x", bytes([65 + k]) * size)
        until(found, lambda: found.waiting == len(sizes))
        taken = []
        while inbox := found.take(3, 0, 1_000):
            taken.append([len(payload) for payload in inbox.payloads])
            assert inbox.size == sum(taken[-1])
            assert found.ack(inbox) == len(taken[-1])
        assert taken == [[100, 100], [900, 50], [2_000], [10, 10]]


def test_what_was_not_acknowledged_comes_again(mqtt_broker):
    """A crash before the commit must cost a repetition, never a message."""
    with session(mqtt_broker.url) as found, device(mqtt_broker) as client:
        for k in range(4):
            send(client, "framing/x", b"%d" % k)
        until(found, lambda: found.waiting == 4)
        found.ack(found.take(2, 0))
    with session(mqtt_broker.url) as again:
        assert again.resumed
        until(again, lambda: again.waiting == 2)
        inbox = again.take(10, 0)
        assert (inbox.payloads, inbox.repeated) == ([b"2", b"3"], [True, True])


def test_an_old_connection_acknowledges_nothing_on_a_new_one(mqtt_broker):
    """
    A packet id of the previous connection would acknowledge
    another message, which would be lost.
    """
    with session(mqtt_broker.url) as found, device(mqtt_broker) as client:
        for k in range(3):
            send(client, "framing/x", b"%d" % k)
        until(found, lambda: found.waiting == 3)
        old = found.take(3, 0)
        mqtt_broker.restart()
        until(found, lambda: not found.connected)
        found.connect()
        until(found, lambda: found.connected and found.waiting == 3)
        assert found.ack(old) == 0
        new = found.take(3, 0)
        assert new.epoch == old.epoch + 1
        assert new.payloads == old.payloads
        assert found.ack(new) == 3
    with session(mqtt_broker.url) as last:
        for _ in range(5):
            last.step(0.1, 0)
        assert last.waiting == 0


def test_what_arrived_before_a_break_is_taken_first(mqtt_broker):
    """Messages already here must be stored in their order, whatever became of the connection."""
    with session(mqtt_broker.url) as found, device(mqtt_broker) as client:
        send(client, "framing/x", b"before", qos=0)
        until(found, lambda: found.waiting == 1)
        found.connect()
        until(found, lambda: found.connected)
        send(client, "framing/x", b"after")
        until(found, lambda: found.waiting == 2)
        first, second = found.take(10, 0), found.take(10, 0)
        assert (first.payloads, second.payloads) == ([b"before"], [b"after"])
        assert (found.ack(first), found.ack(second)) == (0, 1)


def test_the_window_holds_the_broker_back(mqtt_broker):
    """A slow database must slow the broker's delivery, not fill our memory."""
    with session(mqtt_broker.url, maximum=5) as found, device(mqtt_broker) as client:
        for k in range(12):
            send(client, "framing/x", b"%d" % k)
        until(found, lambda: found.waiting == 5)
        for _ in range(5):
            found.step(0.05, 0)
        assert found.waiting == 5
        got = []
        while len(got) < 12:
            until(found, lambda: found.waiting)
            inbox = found.take(5, 0)
            got += inbox.payloads
            found.ack(inbox)
        assert got == [b"%d" % k for k in range(12)]


def test_a_second_process_is_told_of(mqtt_broker):
    """Two pipelines on one session would take it from each other again and again."""
    with (
        session(mqtt_broker.url) as first,
        session(mqtt_broker.url),
        pytest.raises(ServerError, match="took over"),
    ):
        until(first, lambda: False)


@pytest.mark.parametrize("url", ["http://h", "mqtt://", "127.0.0.1:1883"])
def test_a_wrong_url_is_refused(url):
    """A typing mistake must not look like a broken broker."""
    with pytest.raises(InputError, match="TONNE_MQTT_URL"):
        Session(url, "x", TOPICS, 10)


def test_an_absent_broker_is_named():
    """Anyone who reads the log must see which address did not answer."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # and does not listen
        port = held.getsockname()[1]
        with pytest.raises(ServerError, match=f"127.0.0.1:{port} cannot be reached"):
            Session(f"mqtt://127.0.0.1:{port}", "x", TOPICS, 10).connect()
