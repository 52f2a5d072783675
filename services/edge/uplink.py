"""
Uplink to tonne's MQTT broker: sends messages and handles receipts, under the gateway's own name.

Nothing is sent before the server's time is known.  Each device has its own window; a device without
receipts is tried with a single message at growing intervals and does not delay others.

`Recorder` is the common entry of all sources. A source's fault is logged when it begins and when it
ends.
"""

from __future__ import annotations

import sqlite3
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from structlog.typing import FilteringBoundLogger

from ingest.addresses import PORTS, PREFIX, Tls, close_sockets, receipt_topic, status_topic
from services.edge.identity import CONTENT_TYPE, Batches, Signed, Signer
from services.edge.outbox import TRUSTED_MS, Clock, FullError, Outbox, Record, Waiting


class Recorder:
    """Thread-safe writer of readings into the outbox."""

    def __init__(self, outbox: Outbox, clock: Clock, log: FilteringBoundLogger) -> None:
        self._outbox, self._log = outbox, log
        self.clock = clock
        self._faults: dict[str, str] = {}
        self._mutex = threading.Lock()
        self.recorded = self.refused = self.dropped = self.lost = 0
        self._unnoted = 0

    @property
    def faults(self) -> int:
        """Return the number of sources with a fault."""
        with self._mutex:
            return len(self._faults)

    def put(self, source: str, records: Sequence[Record], *, again: bool = False) -> bool:
        """
        Store records; return whether they are on disk.

        `again`: the source repeats records that could not be stored.
        """
        try:
            dropped = self._outbox.put(records)
        except (FullError, sqlite3.Error) as error:
            if not again:
                self._count_lost(len(records))
            self.fault("outbox", f"cannot record: {error}")
            return False
        self.recorded += len(records)
        self.well("outbox")
        self._note_lost()
        if dropped:
            self.dropped += dropped
            self._log.warning(
                "the outbox is full: the oldest messages were deleted", messages=dropped
            )
        self.well(source)
        return True

    def _count_lost(self, count: int) -> None:
        with self._mutex:
            self.lost += count
            self._unnoted += count

    def _note_lost(self) -> None:
        """Record the number of lost readings, once there is room for it."""
        with self._mutex:
            count, self._unnoted = self._unnoted, 0
        if not count:
            return
        try:
            self._outbox.note_lost(count)
        except sqlite3.Error:
            with self._mutex:
                self._unnoted += count

    def refuse(self, source: str, reason: str, body: bytes) -> None:
        """Store data that cannot be forwarded, with the reason."""
        self.refused += 1
        self._outbox.refuse(source, reason, body, self.clock.now().wall_ms)
        self.fault(source, reason)

    def fault(self, source: str, reason: str) -> None:
        """Log a source's fault, once while it lasts."""
        with self._mutex:
            if self._faults.get(source) == reason:
                return
            self._faults[source] = reason
        self._log.warning("fault", source=source, reason=reason)

    def well(self, source: str) -> None:
        """Log the end of a source's fault."""
        with self._mutex:
            if self._faults.pop(source, None) is None:
                return
        self._log.info("well again", source=source)


# receipts of a hundred messages fit into the window, so that sending never waits for one
WINDOW = 500
_ALL = 1_000
FIRST_S, LONGEST_S = 3.0, 300.0
# time between requests for the server's time [s]; number without an answer before a warning
_ASK_S, _UNANSWERED = 10.0, 4
_KEEPALIVE_S = 30
# reason of a rejection for exceeding the quota; pause of that device, in which a sixth of the quota
# per minute is refilled [s]
OVER_QUOTA, _REST_S = "rate", 10.0
_RECONNECT_S = (1.0, 60.0)
# time until a rejected subscription to receipts is requested again [s]
_REFUSED_S = 60.0
_TAKEN_OVER = 142


class _Refusal(msgspec.Struct):
    reason: str = ""


class _Receipt(msgspec.Struct):
    device: str = ""
    ids: tuple[int | str, ...] = ()
    now: int | None = None
    refused: tuple[_Refusal, ...] = ()


_decoder = msgspec.json.Decoder(_Receipt)


@dataclass(slots=True)
class _Window:
    """Messages of one device in transit: id and time of sending."""

    sent: dict[str, tuple[int, float]] = field(default_factory=dict)
    last_seq: int = 0
    wait_s: float = FIRST_S
    silent: int = 0
    reported: bool = False

    def again(self) -> None:
        """Send again from the oldest message on."""
        self.sent.clear()
        self.last_seq = 0


class Link:
    """
    Connection of the gateway to tonne's broker.

    `gateway`: its MQTT principal.
    `url`: `mqtts://host[:port]`; user and password where the broker requires them.
    `firmware`: firmware version in its birth message.
    `signer`: signs the messages.
    """

    def __init__(
        self,
        gateway: str,
        url: str,
        tls: Tls,
        outbox: Outbox,
        clock: Clock,
        firmware: str,
        log: FilteringBoundLogger,
        signer: Signer | None = None,
    ) -> None:
        self._batches = None if signer is None else Batches(signer, outbox)
        self._gateway, self._outbox, self._clock, self._log = gateway, outbox, clock, log
        self._firmware = firmware
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "localhost", parts.port or PORTS[parts.scheme]
        self._windows: dict[str, _Window] = {}
        self._ready = self._timed = self._time_known = False
        self._ask_s = self._connect_s = self._rest_until_s = 0.0
        self._subscribe_s: float | None = None
        self._kept_from = False
        self._requests = 0
        self._logged_s = -LONGEST_S
        self._ahead_ms = 0
        self._back_off_s = _RECONNECT_S[0]
        self._receipt_s = time.monotonic()
        self.sent = self.freed = 0
        self._tls: Tls | None = None
        self._context: ssl.SSLContext | None = None
        self._client = self._new_client(tls if parts.scheme == "mqtts" else None)
        if parts.username:
            password = unquote(parts.password) if parts.password else None
            self._client.username_pw_set(unquote(parts.username), password)

    def _new_client(self, tls: Tls | None) -> mqtt.Client:
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=self._gateway, protocol=mqtt.MQTTv5
        )
        if tls is not None:
            self._tls, self._context = tls, tls.context()
            client.tls_set_context(self._context)
        client.max_inflight_messages_set(0)
        client.will_set(self._status, b'{"state":"offline"}', qos=1)
        client.on_connect = self._connected
        client.on_subscribe = self._subscribed
        client.on_message = self._on_message
        client.on_disconnect = self._disconnected
        return client

    def renewed(self) -> None:
        """Use the new certificate from the next connection on; safe from any thread."""
        if self._tls is not None and self._context is not None and self._tls.cert is not None:
            self._context.load_cert_chain(self._tls.cert, self._tls.key)

    @property
    def _status(self) -> str:
        return status_topic(self._gateway)

    @property
    def up(self) -> bool:
        """Return whether the server answers."""
        return self._ready and self._timed

    @property
    def clock_ahead_s(self) -> float | None:
        """Return how far this machine's clock is ahead of the server's, if known. [s]"""
        return self._ahead_ms / 1000 if self._time_known else None

    def step(self, wait_s: float) -> None:
        """Do the due work, and wait briefly for the network."""
        now_s = time.monotonic()
        if self._client.socket() is None:
            self._ready = self._timed = False
            self._reconnect(now_s)
            if self._client.socket() is None:
                time.sleep(wait_s)
                return
        if self._subscribe_s is not None and now_s >= self._subscribe_s:
            self._subscribe()
        if self._ready and now_s >= self._ask_s and not self._timed:
            self._ask_s = now_s + _ASK_S
            self._publish_online()
            self._requests += 1
            if self._requests == _UNANSWERED:
                self._log.warning(
                    "tonne does not answer; nothing is sent, readings are stored here",
                    gateway=self._gateway,
                    remedy="start `tonne run`; import this gateway into the registry",
                )
        if self.up and now_s >= self._rest_until_s:
            self._send(now_s)
        self._client.loop(wait_s)

    def close(self) -> None:
        """Disconnect; waiting messages stay in the outbox."""
        if self._client.socket() is not None:
            if self._ready:
                self._client.publish(self._status, b'{"state":"offline"}', qos=1)
                self._client.loop(0.2)
            self._client.disconnect()
            self._client.loop(0.1)
        close_sockets(self._client)

    def _reconnect(self, now_s: float) -> None:
        if now_s < self._connect_s:
            return
        self._connect_s = now_s + self._back_off_s
        self._back_off_s = min(2 * self._back_off_s, _RECONNECT_S[1])
        for window in self._windows.values():
            window.again()
        self._client.drop_out_messages()  # the outbox still has these messages
        try:
            self._client.connect(self._host, self._port, _KEEPALIVE_S, clean_start=True)
        except (OSError, ValueError) as error:
            self._log.warning("connection to the broker lost, trying again", error=str(error))

    def _connected(self, _client: mqtt.Client, _d: Any, _f: Any, reason: Any, _p: Any) -> None:
        if reason.is_failure:
            self._log.warning(
                "the broker rejects the connection", reason=str(reason), gateway=self._gateway
            )
            return
        self._back_off_s = _RECONNECT_S[0]
        self._subscribe()

    def _subscribe(self) -> None:
        self._subscribe_s = None
        self._client.subscribe(receipt_topic(self._gateway), qos=1)

    def _subscribed(self, _c: Any, _d: Any, _mid: int, reasons: Any, _p: Any) -> None:
        refused = [str(reason) for reason in reasons if reason.is_failure]
        if refused:
            # a broker may end the connection because of a rejected subscription
            self._subscribe_s = self._connect_s = time.monotonic() + _REFUSED_S
            if not self._kept_from:
                self._kept_from = True
                self._log.error(
                    "the broker does not deliver receipts to this gateway; nothing is sent, "
                    "readings are stored here",
                    topic=receipt_topic(self._gateway),
                    reason=refused[0],
                    remedy=f"`tonne broker apply` gives its topics to {self._gateway}",
                )
            return
        self._kept_from = False
        self._ready, self._ask_s = True, 0.0

    def _publish_online(self) -> None:
        status: dict[str, object] = {"state": "online", "firmware": self._firmware}
        if self._timed:
            status["clock_ahead_s"] = self._ahead_ms / 1000
        self._client.publish(self._status, msgspec.json.encode(status), qos=1)

    def _disconnected(self, _c: Any, _d: Any, _f: Any, reason: Any, _p: Any) -> None:
        self._ready = self._timed = False
        self._subscribe_s = None
        if getattr(reason, "value", 0) == _TAKEN_OVER:
            self._log.error(
                "another client uses the name of this gateway at the broker: check "
                "whether its identity is in use on a second machine",
                gateway=self._gateway,
            )
            self._connect_s = time.monotonic() + _RECONNECT_S[1]

    def _on_message(self, _client: Any, _data: Any, message: mqtt.MQTTMessage) -> None:
        try:
            receipt = _decoder.decode(message.payload)
        except msgspec.MsgspecError:
            self._log.warning("a receipt cannot be read", bytes=len(message.payload))
            return
        if receipt.now is not None:
            self._take_time(receipt.now)
        if any(refusal.reason == OVER_QUOTA for refusal in receipt.refused):
            self._slow_down(receipt.device)
        ids = [id_ for id_ in receipt.ids if isinstance(id_, str)]
        if ids:
            self._take_receipt(receipt.device, ids)

    def _take_time(self, now_ms: int) -> None:
        self._ahead_ms, self._time_known = self._clock.correct(now_ms), True
        if self._timed:
            return
        wrong = abs(self._ahead_ms) > TRUSTED_MS
        write = self._log.warning if wrong else self._log.info
        write("tonne answers", waiting=self._outbox.count(), clock_ahead_s=self._ahead_ms / 1000)
        self._timed, self._requests = True, 0
        # published again, so that tonne's operator sees the corrected difference of the clock
        self._publish_online()

    def _take_receipt(self, device: str, ids: list[str]) -> None:
        now_s = time.monotonic()
        if now_s - self._receipt_s > FIRST_S * 10:
            # the server answers again: all devices send without further waiting
            for window in self._windows.values():
                window.wait_s = FIRST_S
        self._receipt_s = now_s
        self.freed += self._outbox.free(device, ids)
        if self._batches is not None:
            self._batches.free(device, ids)
        window = self._windows.setdefault(device, _Window())
        for value in ids:
            window.sent.pop(value, None)
        window.wait_s, window.silent, window.reported = FIRST_S, 0, False

    def _slow_down(self, device: str) -> None:
        """Pause sending for a device that exceeded its message quota."""
        now_s = time.monotonic()
        if now_s >= self._logged_s + LONGEST_S:
            self._logged_s = now_s
            self._log.warning(
                "tonne accepts no more messages from this gateway for now, as it exceeds "
                "its quota per minute; no data is lost, and sending continues later",
                gateway=self._gateway,
                device=device,
            )
        self._rest_until_s = now_s + _REST_S

    def _send(self, now_s: float) -> None:
        """Send the due messages of each device, within its window and the total window."""
        budget = _ALL - sum(len(window.sent) for window in self._windows.values())
        for device in self._outbox.devices():
            window = self._windows.setdefault(device, _Window())
            self._look_for_silence(device, window, now_s)
            room = (1 if window.silent else WINDOW) - len(window.sent)
            waitings = self._outbox.after(window.last_seq, device, max(min(room, budget), 0))
            if self._batches is not None and self._batches.gathers(waitings, now_s):
                continue
            for part in self._parts(waitings):
                self._publish(part)
                for waiting in part.messages:
                    window.sent[waiting.id] = (waiting.seq, now_s)
                    window.last_seq = max(window.last_seq, waiting.seq)
                    budget -= 1

    def _parts(self, waitings: Sequence[Waiting]) -> Iterator[Signed]:
        """Yield the units to send, each as one MQTT message: a signed batch or a single message."""
        if self._batches is None:
            yield from (Signed((waiting,), self._payload(waiting)) for waiting in waitings)
            return
        now_ms = self._clock.true_ms(self._clock.now())
        yield from self._batches.of(
            [(waiting, self._payload(waiting)) for waiting in waitings], now_ms
        )

    def _look_for_silence(self, device: str, window: _Window, now_s: float) -> None:
        """Send messages without receipt again: at first all, later a single one."""
        if not window.sent:
            return
        oldest_s = min(at for _, at in window.sent.values())
        if now_s - oldest_s < window.wait_s:
            return
        window.silent += 1
        window.wait_s = min(window.wait_s * 2, LONGEST_S)
        window.again()
        if window.silent > 3 and not window.reported:  # noqa: PLR2004
            window.reported = True
            self._log.warning(
                "no receipts for a device; check its id, and that the registry names this gateway "
                "as its `gateway`",
                device=device,
                gateway=self._gateway,
            )

    def _publish(self, part: Signed) -> None:
        gateway, waiting = self._gateway, part.messages[0]
        own = waiting.device == gateway
        topic = (
            f"{PREFIX}{gateway}/telemetry"
            if own
            else f"{PREFIX}{gateway}/{waiting.device}/telemetry"
        )
        properties = None
        kind = waiting.content_type if self._batches is None else CONTENT_TYPE
        if kind:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.ContentType = kind
        self._client.publish(topic, part.data, qos=1, properties=properties)
        self.sent += len(part.messages)

    def _payload(self, waiting: Waiting) -> bytes:
        """Return a message's payload with id and time, added at sending by the corrected clock."""
        body: dict[str, Any] = msgspec.json.decode(waiting.body)
        body["id"] = waiting.id
        if waiting.moment is not None:
            body["ts"] = self._clock.true_ms(waiting.moment)
        return msgspec.json.encode(body)
