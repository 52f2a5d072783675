"""
Persistent MQTT 5 session that acknowledges a message only when `ack` is called.

With a stable client id and no clean start the broker keeps messages while disconnected.  The
receive maximum limits unacknowledged messages.  The caller runs the loop: `step` waits for the
network once.

Each topic filter has its own SUBSCRIBE packet: a broker (RabbitMQ) may close the connection at the
first filter that it refuses, without an answer for the others.  The next connection omits that
filter.
"""

from __future__ import annotations

import select
import time
from collections import deque
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from ingest.addresses import PORTS, Tls, server_of
from ingest.errors import InputError, ServerError
from ingest.mqtt import STATUS
from ingest.mqtt.client import BufferedClient, Inbox
from ingest.sparkplug import host_state, state_topic

KEEPALIVE_S = 60
SESSION_EXPIRY_S = 30 * 86_400
# the receive maximum counts messages; this limits the bytes of large ones
WAITING_BYTES = 33_554_432
_TAKEN_OVER = 142
# time until a refused topic is requested again; increases if the request ends the connection
AGAIN_S, _LONGEST_AGAIN_S = 60.0, 3600.0
# a connection that ends within this time after a refused topic filter ended because of it
_BECAUSE_S = 5.0
# maximum wait for the broker's disconnection: while it saves its state it may not respond
_GOODBYE_S = 30.0


class HostState:
    """
    Status of a Sparkplug host application: an online message, and an offline message as its will.

    Both state the time of the connection, by which edge nodes recognise an outdated will.
    """

    def __init__(self, host_id: str) -> None:
        self.topic = state_topic(host_id)
        self._connected_ms = 0

    def connecting(self) -> None:
        """Record the time of a new connection."""
        self._connected_ms = time.time_ns() // 1_000_000

    def payload(self, *, online: bool) -> bytes:
        """Return the payload of the status message, which is retained."""
        return host_state(online=online, timestamp_ms=self._connected_ms)


class Session:
    """
    Messages of subscriptions, each acknowledged after it is stored.

    `url`: `mqtt://[user:password@]host[:port]`, or `mqtts://`.
    `client_id`: stable, and unique at the broker: it names the persistent session.
    `topics`: topic filters, QoS 1; those of births and wills QoS 0.
    `receive_maximum`: maximum number of unacknowledged messages.
    `state`: status of a Sparkplug host, published at each connection.
    `tls`: trusted authorities and own certificate, for `mqtts://`; else the system's authorities.
    `refused`: topic filters that the broker refused, with its reason.
    """

    def __init__(
        self,
        url: str,
        client_id: str,
        topics: Sequence[str],
        receive_maximum: int,
        state: HostState | None = None,
        tls: Tls | None = None,
    ) -> None:
        try:
            self._address = server_of(url, PORTS)
        except ValueError as error:
            raise InputError(f"TONNE_MQTT_URL {error}") from None
        parts = urlsplit(url)
        self._topics = list(topics)
        self._dropped: list[str] = []
        self._receive_maximum = receive_maximum
        self._state = state
        self.client_id = client_id
        self.connected = False
        self.resumed = False
        self.refused: dict[str, str] = {}
        self._unconfirmed: dict[int, str] = {}
        self._again_s, self._again_at_s = AGAIN_S, 0.0
        self._refused_s = -_BECAUSE_S
        self._refused_by, self._without_refused = -1, False
        self._turned_away: str | None = None
        self._inbox = Inbox(0)
        self._sealed: deque[Inbox] = deque()
        secure = (tls or Tls()) if parts.scheme == "mqtts" else None
        self._client = self._new_client(secure, parts.username, parts.password)

    def _new_client(
        self, tls: Tls | None, user: str | None, password: str | None
    ) -> BufferedClient:
        client = BufferedClient(self.client_id, self._inbox)
        if tls is not None:
            client.tls_set_context(tls.context())
        if user:
            client.username_pw_set(unquote(user), unquote(password) if password else None)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        return client

    def connect(self) -> None:
        """
        Open a connection and resume the session.

        `connected` is True once the connection is open, `subscribed` once the broker has answered
        every topic filter; from then on the broker queues messages of the granted filters.

        Raises ServerError when the broker cannot be reached.
        """
        self._seal()
        self._client.forget_partial()
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = SESSION_EXPIRY_S
        properties.ReceiveMaximum = self._receive_maximum
        host, port = self._address
        if self._state is not None:
            self._state.connecting()
            will = self._state.payload(online=False)
            self._client.will_set(self._state.topic, will, qos=1, retain=True)
        try:
            self._client.connect(host, port, KEEPALIVE_S, clean_start=False, properties=properties)
        except OSError as error:
            raise ServerError(
                f"MQTT broker {host}:{port} cannot be reached: {error};"
                " check TONNE_MQTT_URL or start one with `tonne local up`"
            ) from error

    def _seal(self) -> None:
        """Keep messages of the last connection separately: they can be stored, not acknowledged."""
        if len(self._inbox):
            self._sealed.append(self._inbox)
        self._inbox = Inbox(self._inbox.epoch + 1)
        self._client.inbox = self._inbox

    def _on_connect(self, _c: Any, _u: Any, flags: Any, reason: Any, _p: Any) -> None:
        if reason.is_failure:
            self._turned_away = f"the broker rejected the connection: {reason}"
            return
        self.connected, self.resumed = True, bool(flags.session_present)
        self._unconfirmed.clear()
        left_out = self.refused if self._without_refused else {}
        self._subscribe([topic for topic in self._topics if topic not in left_out])
        self._unsubscribe()
        self._publish_state(online=True)

    @property
    def topics(self) -> Sequence[str]:
        """Return the topic filters subscribed or requested."""
        return self._topics

    @property
    def subscribed(self) -> bool:
        """Return whether the broker has answered for each topic filter on this connection."""
        return self.connected and not self._unconfirmed

    def _on_subscribe(self, _c: Any, _u: Any, mid: int, reasons: Any, _p: Any) -> None:
        topic = self._unconfirmed.pop(mid, None)
        failed = next((str(reason) for reason in reasons if reason.is_failure), None)
        if topic is None or topic not in self._topics:
            return
        if failed is None:
            self.refused.pop(topic, None)
            return
        self._refused_s = time.monotonic()
        if topic not in self.refused:
            self._again_s = AGAIN_S
            self._again_at_s = self._refused_s + AGAIN_S
        self.refused[topic], self._refused_by = failed, self.epoch

    def _ask_again(self) -> None:
        """Subscribe again to refused topics, as access rights may have changed."""
        now_s = time.monotonic()
        if not self.refused or not self.subscribed or now_s < self._again_at_s:
            return
        ended = self._refused_by != self.epoch
        self._again_s = min(2 * self._again_s, _LONGEST_AGAIN_S) if ended else AGAIN_S
        self._again_at_s = now_s + self._again_s
        self._subscribe(list(self.refused))

    def _publish_state(self, *, online: bool) -> None:
        if self._state is not None:
            payload = self._state.payload(online=online)
            self._client.publish(self._state.topic, payload, qos=1, retain=True)

    def _subscribe(self, topics: Sequence[str]) -> None:
        for topic in topics:
            number = self._client.subscribe(topic, options=_options(topic))[1]
            if number is not None:
                self._unconfirmed[number] = topic

    def _unsubscribe(self) -> None:
        if self._dropped:
            self._client.unsubscribe(self._dropped)
        self._dropped = []

    def listen(self, topics: Sequence[str]) -> None:
        """
        Subscribe to these topic filters from now on.

        Filters no longer needed are unsubscribed, as the session is persistent.
        """
        fresh = [topic for topic in topics if topic not in self._topics]
        stale = [topic for topic in self._topics if topic not in topics]
        self._topics = list(topics)
        self.refused = {t: why for t, why in self.refused.items() if t in topics}
        self._dropped = [t for t in (*self._dropped, *stale) if t not in topics]
        if self.connected:
            self._subscribe(fresh)
            self._unsubscribe()

    def _on_disconnect(self, _c: Any, _u: Any, _f: Any, reason: Any, _p: Any) -> None:
        self.connected = False
        self._unconfirmed.clear()
        soon = time.monotonic() < self._refused_s + _BECAUSE_S
        self._without_refused = soon and self._refused_by == self.epoch
        if reason is not None and getattr(reason, "value", 0) == _TAKEN_OVER:
            self._turned_away = (
                f"another process took over the session {self.client_id!r} at the broker; "
                "run only one process with this --client-id"
            )

    @property
    def epoch(self) -> int:
        """Return the number of the current connection."""
        return self._inbox.epoch

    @property
    def waiting(self) -> int:
        """Return the number of messages received and not yet taken."""
        return len(self._inbox) + sum(len(sealed) for sealed in self._sealed)

    def step(self, timeout_s: float, wake_fd: int, *, read: bool = True) -> bool:
        """
        Wait once for the network or for `wake_fd`, then read and write.

        `wake_fd`: file descriptor that ends the wait once it is readable.
        `read`: whether to read, or only to write; with too many bytes waiting nothing is read.
        Raises ServerError when the broker refuses the connection or another process took the
        session.

        Returns: False if the connection is lost.
        """
        self._ask_again()  # writes at once, and may find the connection broken
        sock = self._client.socket()
        if sock is None:
            return self._gone()
        poll = select.poll()
        read = read and self.waiting_bytes < WAITING_BYTES
        wanted = select.POLLIN if read else 0
        poll.register(sock, wanted | (select.POLLOUT if self._client.want_write() else 0))
        poll.register(wake_fd, select.POLLIN)
        ready = dict(poll.poll(timeout_s * 1000))
        rc = MQTTErrorCode.MQTT_ERR_SUCCESS
        events = ready.get(sock.fileno(), 0)
        if events & ~select.POLLOUT:
            rc = self._client.loop_read()  # also detects a broken connection
        if self._client.want_write():
            self._client.loop_write()
        self._client.loop_misc()
        if rc not in {MQTTErrorCode.MQTT_ERR_SUCCESS, MQTTErrorCode.MQTT_ERR_AGAIN}:
            return self._gone()
        return self._client.socket() is not None or self._gone()

    def _gone(self) -> bool:
        self.connected = False
        self._unconfirmed.clear()
        if self._turned_away is not None:
            raise ServerError(self._turned_away)
        return False

    @property
    def waiting_bytes(self) -> int:
        """Return the bytes of messages not taken, including those of lost connections."""
        return self._inbox.size + sum(sealed.size for sealed in self._sealed)

    def take(self, count: int, received_us: int, size: int = WAITING_BYTES) -> Inbox | None:
        """
        Return the oldest messages of one connection, removed from the queue; None without any.

        `count`: maximum number of messages.
        `size`: maximum bytes of their payloads; a larger message is returned alone.
        """
        source = self._sealed[0] if self._sealed else self._inbox
        if not len(source):
            return None
        taken = source.cut(source.first(count, size))
        taken.received_us = received_us
        if self._sealed and not len(source):
            self._sealed.popleft()
        return taken

    def ack(self, inbox: Inbox) -> int:
        """
        Acknowledge stored messages on the connection that delivered them; return their number.

        Returns: 0 after a reconnection; the broker then delivers the messages again.
        """
        if inbox.epoch != self.epoch or not self.connected or not len(inbox):
            return 0
        self._client.puback(inbox.mids)
        return len(inbox)

    def publish(self, messages: list[tuple[str, bytes]]) -> None:
        """Publish at QoS 0, if connected."""
        if self.connected and messages:
            self._client.publish_many(messages)

    def close(self, wake_fd: int) -> bool:
        """
        Send queued packets and disconnect; the broker keeps the session.

        Returns: False if it is not certain that the broker read the last acknowledgements.
        """
        stood = self.connected
        if stood:
            self._publish_state(online=False)
        for _ in range(100):
            if not self.connected or not self._client.want_write():
                break
            self.step(0.05, wake_fd, read=False)
        delivered = self._client.leave(_GOODBYE_S)
        self.connected = False
        return delivered or not stood


def _options(topic: str) -> SubscribeOptions:
    qos = 0 if topic.endswith(STATUS) else 1
    return SubscribeOptions(qos=qos, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND)
