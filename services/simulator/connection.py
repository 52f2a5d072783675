"""
MQTT connection of one or several simulated devices, their outbox and credentials.

No thread: the sender's loop calls `read`, `write` and `tend`.  After a broken connection
unacknowledged messages are sent again in a clean session.

PUBACK does not guarantee durable storage: a message stays in the outbox until a receipt names its
readings. Without a receipt it is sent again after a waiting time that doubles; while receipts
arrive, the longest waiting time applies.
"""

from __future__ import annotations

import contextlib
import heapq
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from ingest.addresses import CA, CERTIFICATE, Tls
from ingest.errors import ServerError
from services.identity.principals import PASSWORD
from services.simulator import EdgeNode, Outgoing, SimulatorError

MAX_CONNECTIONS = 500  # maximum number of connections, of which each principal needs one
_READ_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Identity:
    """Credentials of one connection: certificate, or user name and password."""

    tls: Tls
    username: str | None = None
    password: str | None = None


class Identities:
    """
    Credentials written by `tonne registry issue-credentials`.

    `folder`: folder with one folder per principal, or the identity folder that contains `devices`.
    """

    def __init__(self, folder: Path) -> None:
        inner = folder / "devices"
        self._folder = inner if inner.is_dir() else folder

    def of(self, principal: str) -> Identity:
        """Return the credentials of a principal. Raises SimulatorError when it has none."""
        own = self._folder / principal
        if (own / CERTIFICATE).exists():
            return Identity(Tls.of(own))
        if (own / PASSWORD).exists():
            word = (own / PASSWORD).read_text(encoding="utf-8").strip()
            return Identity(Tls(own / CA), principal, word)
        raise SimulatorError(
            f"{own}: {principal!r} has no credential: `tonne registry issue-credentials "
            f"{principal}`, or omit it with --without {principal}"
        )


class Client(mqtt.Client):
    """
    MQTT 5 client (paho) with large reads and writes of many packets.

    paho reads a PUBACK in three small pieces and sends each packet separately. Here one read fills
    a buffer for all of them, and packets published while corked are sent in one write.
    """

    _unread = b""
    _corked = False

    def __init__(self, client_id: str) -> None:
        super().__init__(CallbackAPIVersion.VERSION2, client_id, protocol=mqtt.MQTTv5)
        self._unsent = bytearray()

    @property
    def wants_write(self) -> bool:
        """Return whether bytes wait to be written to the socket."""
        return bool(self._unsent) or self.want_write()

    def cork(self) -> None:
        """Collect packets until `uncork` instead of sending them."""
        self._corked = True

    def uncork(self) -> None:
        """Send the collected packets, as far as the socket accepts them."""
        self._corked = False
        with contextlib.suppress(OSError):  # the next read detects a broken socket
            self._flush()

    def _flush(self) -> None:
        with contextlib.suppress(BlockingIOError):
            if self._unsent:
                del self._unsent[: super()._sock_send(self._unsent)]

    def _sock_send(self, buf: bytes | bytearray) -> int:
        self._unsent += buf
        if not self._corked:
            self._flush()
        return len(buf)

    @property
    def holds_input(self) -> bool:
        """Return whether the buffer has bytes of an incomplete packet."""
        return bool(self._unread)

    def forget(self) -> None:
        """Discard data of an earlier connection."""
        self._unread = b""
        self._unsent.clear()

    def _sock_recv(self, bufsize: int) -> bytes:
        if not self._unread:
            self._unread = super()._sock_recv(_READ_BYTES)
        taken, self._unread = self._unread[:bufsize], self._unread[bufsize:]
        return taken


FIRST_WAIT_S, LONGEST_WAIT_S = 3.0, 30.0
LIMIT = 10_000


class Receipt(msgspec.Struct):
    """Receipt of the pipeline: numbers of one device's durably stored messages."""

    device: str
    ids: tuple[int, ...] = ()


class Entry:
    """Sent message, its readings without receipt, and the number of attempts."""

    __slots__ = ("attempts", "message", "missing")

    def __init__(self, message: Outgoing) -> None:
        self.message = message
        self.missing = set(message.ids)
        self.attempts = 0


class Outbox:
    """
    Messages without receipt, at most `limit`; times are monotonic seconds.

    Without `receipts` PUBACK is sufficient, and nothing is kept.
    """

    def __init__(self, *, receipts: bool = True, limit: int = LIMIT) -> None:
        self._receipts = receipts
        self._limit = limit
        self._waiting: dict[tuple[str, int], Entry] = {}
        self._kept: set[Entry] = set()
        self._clock: list[tuple[float, int, Entry, int, float]] = []
        self._tie = count()
        self.received = 0

    def __len__(self) -> int:
        """Return the number of messages without receipt."""
        return len(self._kept)

    @property
    def readings(self) -> int:
        """Return the number of readings without receipt."""
        return len(self._waiting)

    @property
    def full(self) -> bool:
        """Return whether the outbox is full, so that new readings must wait."""
        return len(self._kept) >= self._limit

    def keep(self, message: Outgoing) -> Entry:
        """Add a message and return its entry; one whose readings already wait needs no receipt."""
        entry = Entry(message)
        if not self._receipts:
            entry.missing.clear()
        entry.missing = {
            number
            for number in entry.missing
            if self._waiting.setdefault((message.device_id, number), entry) is entry
        }
        if entry.missing:
            self._kept.add(entry)
        return entry

    def published(self, entry: Entry, now_s: float) -> None:
        """Start the receipt timer of a message accepted by the broker."""
        if entry.missing:
            wait = min(FIRST_WAIT_S * 2**entry.attempts, LONGEST_WAIT_S)
            entry.attempts += 1
            self._await(entry, now_s + wait, now_s + LONGEST_WAIT_S)

    def _await(self, entry: Entry, due_s: float, latest_s: float) -> None:
        heapq.heappush(self._clock, (due_s, next(self._tie), entry, self.received, latest_s))

    def receipt(self, payload: bytes) -> None:
        """Delete the messages in a receipt; ignore an unreadable one."""
        try:
            receipt = msgspec.json.decode(payload, type=Receipt)
        except msgspec.DecodeError:
            return
        self.received += 1
        for number in receipt.ids:
            entry = self._waiting.pop((receipt.device, number), None)
            if entry is not None:
                entry.missing.discard(number)
                if not entry.missing:
                    self._kept.discard(entry)

    def overdue(self, now_s: float) -> Iterator[Entry]:
        """Yield messages whose receipt is overdue, to be sent again."""
        while self._clock and self._clock[0][0] <= now_s:
            _, _, entry, received, latest_s = heapq.heappop(self._clock)
            if entry.missing and self.received > received and now_s < latest_s:
                self._await(entry, min(now_s + FIRST_WAIT_S, latest_s), latest_s)
            elif entry.missing:
                yield entry


_PORTS = {"mqtt": 1_883, "mqtts": 8_883}
_KEEPALIVE_S = 60
_CONNECT_TIMEOUT_S = 5.0
_BACK_OFF_S = (0.2, 10.0)
_IN_FLIGHT = 1_000
_NO_SUBSCRIBER, _FAILURE = 0x10, 0x80
_WITH_WILL = 0x04
QUEUE_LIMIT = 2_000


class Connection:
    """
    MQTT connection that is restored automatically.

    `url`: `mqtt://` or `mqtts://`, with user and password where the broker requires them.
    `client_id`: a device's principal, or a name for a shared connection.
    `principal`: principal whose status is published; none for a shared connection.
    `receipt_topic`: topic of receipts; none when another connection subscribes to it.
    `identity`: its credentials at the broker.
    `edge`: publishes Sparkplug B in place of tonne's own topics.
    """

    def __init__(
        self,
        url: str,
        client_id: str,
        *,
        principal: str | None,
        receipt_topic: str | None,
        on_receipt: Callable[[bytes], None],
        on_published: Callable[[Entry, float], None],
        identity: Identity | None = None,
        edge: EdgeNode | None = None,
    ) -> None:
        self._edge, self._identity = edge, identity or Identity(Tls())
        self._url, self._principal, self._receipt_topic = urlsplit(url), principal, receipt_topic
        self._on_receipt, self._on_published = on_receipt, on_published
        self._queue: deque[Entry] = deque()
        self._in_flight: dict[int, Entry] = {}
        self._window = _IN_FLIGHT
        self._retry_at, self._back_off_s = 0.0, _BACK_OFF_S[0]
        self._subscriptions: dict[int, str] = {}
        self._ready = False
        self._ever = False
        self._refused: str | None = None
        self.sent = self.without_subscriber = self.refused = self.breaks = 0
        self._client = self._make_client(client_id)

    def _make_client(self, client_id: str) -> Client:
        client = Client(client_id)
        # `Connection` has its own window, which follows the broker's
        client.max_inflight_messages_set(0)
        client.connect_timeout = _CONNECT_TIMEOUT_S
        if self._identity.username:
            client.username_pw_set(self._identity.username, self._identity.password)
        elif self._url.username:
            password = unquote(self._url.password) if self._url.password else None
            client.username_pw_set(unquote(self._url.username), password)
        if self._url.scheme == "mqtts":
            client.tls_set_context(self._identity.tls.context())
        if self._principal:
            client.will_set(self._status_topic, b'{"state":"offline"}', qos=1)
        client.on_connect = self._connected
        client.on_subscribe = self._subscribed
        client.on_publish = self._acknowledged
        client.on_message = self._on_message
        client.on_disconnect = self._disconnected
        return client

    @property
    def _status_topic(self) -> str:
        return f"tonne/v1/{self._principal}/status"

    @property
    def pending(self) -> int:
        """Return the number of messages not yet acknowledged by the broker."""
        return len(self._queue) + len(self._in_flight)

    @property
    def idle(self) -> bool:
        """Return whether the broker has acknowledged all messages."""
        return not self.pending

    @property
    def has_room(self) -> bool:
        """Return whether more messages may be queued."""
        return len(self._queue) < QUEUE_LIMIT

    @property
    def descriptor(self) -> int | None:
        """Return the file descriptor of the socket, if any."""
        connected = self._client.socket()
        return None if connected is None else connected.fileno()

    @property
    def wants_write(self) -> bool:
        """Return whether bytes wait to be written to the socket."""
        return self._client.wants_write

    def queue(self, entry: Entry) -> None:
        """Queue a message for publication."""
        self._queue.append(entry)

    def open(self, now_s: float) -> None:
        """
        Connect, or reconnect after the waiting time.

        Raises ServerError when the first attempt fails, or the broker refuses the connection.
        """
        if self._refused:
            raise ServerError(f"{self._place} rejects the connection: {self._refused}")
        if self._client.socket() is not None or now_s < self._retry_at:
            return
        self._retry_at = now_s + self._back_off_s
        self._back_off_s = min(2 * self._back_off_s, _BACK_OFF_S[1])
        self._client.forget()
        if self._edge is not None:
            topic, will = self._edge.connecting()
            self._client.will_set(topic, will, qos=1)
        try:
            self._client.connect(
                self._url.hostname or "localhost",
                self._url.port or _PORTS[self._url.scheme],
                _KEEPALIVE_S,
                clean_start=True,
            )
        except OSError as error:
            if not self._ever:
                raise ServerError(
                    f"the broker at {self._place} cannot be reached: {error}; "
                    "check --mqtt-url or TONNE_MQTT_URL, or run `tonne local up`"
                ) from error

    @property
    def _place(self) -> str:
        """Return host and port of the URL, without its password."""
        return f"{self._url.hostname}:{self._url.port or _PORTS[self._url.scheme]}"

    def read(self) -> None:
        """Read the available bytes of the socket."""
        self._client.loop_read()
        while self._client.holds_input and self._client.socket() is not None:
            self._client.loop_read()

    def write(self) -> None:
        """Write pending bytes to the socket, then publish queued messages as the window allows."""
        if self._client.want_write():
            self._client.loop_write()
        self._client.cork()
        self._publish()
        self._client.uncork()

    def _publish(self) -> None:
        while self._ready and self._queue and len(self._in_flight) < self._window:
            entry = self._queue.popleft()
            if entry.attempts and not entry.missing:
                continue  # the receipt arrived while the message waited to be sent again
            topic, payload = entry.message.topic, entry.message.payload
            if self._edge is not None:
                topic, payload = self._edge.data(entry.message)
            info = self._client.publish(topic, payload, qos=1)
            if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
                self._queue.appendleft(entry)
                return
            self._in_flight[info.mid] = entry
            self.sent += 1

    def tend(self) -> None:
        """Send keep-alives, and detect a broker that no longer answers."""
        self._client.loop_misc()

    def close(self) -> None:
        """Disconnect cleanly; the broker publishes the offline status."""
        if self._ready and self._principal:
            self._client.publish(self._status_topic, b'{"state":"offline"}', qos=1)
        if self._edge is not None:
            self._client.disconnect(ReasonCode(PacketTypes.DISCONNECT, identifier=_WITH_WILL))
            return
        self._client.disconnect()

    def _connected(
        self, client: mqtt.Client, _data: Any, _flags: Any, reason: ReasonCode, properties: Any
    ) -> None:
        if reason.is_failure:
            self._refused = str(reason)
            return
        self._ever, self._back_off_s = True, _BACK_OFF_S[0]
        self._window = min(getattr(properties, "ReceiveMaximum", _IN_FLIGHT), _IN_FLIGHT)
        if self._principal:
            client.publish(self._status_topic, b'{"state":"online"}', qos=1)
        if self._edge is not None:
            self._subscribe(self._edge.command_topic)
            self._bear()
        if self._receipt_topic is None:
            self._ready = True
        else:
            self._subscribe(self._receipt_topic)

    def _subscribe(self, topic: str) -> None:
        number = self._client.subscribe(topic, qos=1)[1]
        if number is not None:
            self._subscriptions[number] = topic

    def _bear(self) -> None:
        if self._edge is not None:
            for topic, payload in self._edge.births():
                self._client.publish(topic, payload, qos=1)

    def _subscribed(self, _client: Any, _data: Any, mid: int, reasons: Any, _props: Any) -> None:
        topic = self._subscriptions.pop(mid, "")
        if refused := [str(reason) for reason in reasons if reason.is_failure]:
            self._refused = (
                f"subscribing to {topic}: {refused[0]}; `tonne broker apply` gives a principal"
                " its topics"
            )
        self._ready = True  # ready only after the subscription to receipts

    def _acknowledged(
        self, _client: Any, _data: Any, mid: int, reason: ReasonCode, _props: Any
    ) -> None:
        entry = self._in_flight.pop(mid, None)
        if entry is not None:
            self.without_subscriber += reason.value == _NO_SUBSCRIBER
            self.refused += reason.value >= _FAILURE
            self._on_published(entry, time.monotonic())

    def _on_message(self, _client: Any, _data: Any, message: mqtt.MQTTMessage) -> None:
        if self._edge is not None:
            if self._edge.is_rebirth(bytes(message.payload)):
                self._bear()
            return
        self._on_receipt(bytes(message.payload))

    def _disconnected(self, client: mqtt.Client, *_rest: Any) -> None:
        if not self._ever and self._refused is None:
            self._refused = (
                "it closed without an answer; check that its authority issued this certificate"
            )
        self.breaks += self._ready
        self._ready = False
        self._queue.extendleft(reversed(self._in_flight.values()))
        self._in_flight.clear()
        client.drop_out_messages()
