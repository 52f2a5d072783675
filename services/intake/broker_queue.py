"""
Messages waiting at mosquitto, from its `$SYS` topics, for Prometheus.

A separate process reads them, as the pipeline may be down.  While the broker does not answer no
value is published.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Self
from urllib.parse import unquote, urlsplit

import paho.mqtt.client as mqtt
from cryptography import x509
from paho.mqtt.enums import CallbackAPIVersion
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from structlog.typing import FilteringBoundLogger

from ingest.addresses import PORTS, Tls, close_sockets, server_of
from ingest.errors import InputError
from services.identity.principals import QUEUE_TOPICS, WATCH, is_ours
from services.metrics import Metrics
from services.settings import Settings

# mosquitto publishes changes every ten seconds
_KEEPALIVE_S, _AGAIN_S = 30, (1, 60)
_NUMBERS = {topic: topic.rpartition("/")[2] for topic in QUEUE_TOPICS}


class Room(NamedTuple):
    """Queue limit of the broker for one disconnected client: messages, and bytes of payload."""

    messages: int
    bytes: int


class BrokerQueue(Collector):
    """
    Reads the broker's statistics in its own thread.

    `url`: `mqtt://` or `mqtts://`, with user and password where required.
    `tls`: TLS identity of the service `tonne-watch`.
    `room`: the broker's configured limits.
    Raises InputError where another process uses the same identity, which the broker would
    disconnect.
    """

    def __init__(
        self, url: str, tls: Tls, room: Room, metrics: Metrics, log: FilteringBoundLogger
    ) -> None:
        self._room, self._log = room, log
        self._values: dict[str, float] = {}
        parts = urlsplit(url)
        self._host, self._port = server_of(url, PORTS)
        secure = parts.scheme == "mqtts"
        if secure:
            _refuse_anothers(tls)
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=WATCH, protocol=mqtt.MQTTv5)
        if secure:
            client.tls_set_context(tls.context())
        if parts.username:
            password = unquote(parts.password) if parts.password else None
            client.username_pw_set(unquote(parts.username), password)
        client.reconnect_delay_set(*_AGAIN_S)
        client.on_connect, client.on_disconnect = self._connected, self._lost
        client.on_subscribe, client.on_message = self._subscribed, self._on_message
        client.on_connect_fail = self._unreached
        self._client, self._warned = client, False
        metrics.registry.register(self)

    @staticmethod
    def by(settings: Settings, metrics: Metrics, log: FilteringBoundLogger) -> BrokerQueue | None:
        """Return the collector for the settings' broker; None without broker or permission."""
        if settings.mqtt_url is None:
            return None
        room = Room(settings.broker_queue_messages, settings.broker_queue_bytes)
        try:
            return BrokerQueue(settings.mqtt_url, settings.mqtt_tls, room, metrics, log)
        except InputError as error:
            log.warning("broker not watched", reason=str(error))
            return None

    def __enter__(self) -> Self:
        """Start the thread; an unreachable broker is retried."""
        self._client.connect_async(self._host, self._port, _KEEPALIVE_S)
        self._client.loop_start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._client.disconnect()
        self._client.loop_stop()
        close_sockets(self._client)

    def _connected(self, client: mqtt.Client, _d: Any, _f: Any, reason: Any, _p: Any) -> None:
        if reason.is_failure:
            self._warn(f"the broker rejects the connection: {reason}")
            return
        client.subscribe([(topic, 0) for topic in QUEUE_TOPICS])

    def _subscribed(self, _c: Any, _d: Any, _mid: int, reasons: Any, _p: Any) -> None:
        answers = zip(QUEUE_TOPICS, reasons, strict=False)
        if refused := [f"{topic} ({why})" for topic, why in answers if why.is_failure]:
            self._warn(
                f"the broker does not permit {WATCH} to subscribe to {', '.join(refused)};"
                " `tonne broker config` writes the permissions"
            )

    def _on_message(self, _c: Any, _d: Any, message: mqtt.MQTTMessage) -> None:
        try:
            self._values[_NUMBERS[message.topic]] = float(message.payload)
        except (KeyError, ValueError):
            return
        self._warned = False

    def _lost(self, _c: Any, _d: Any, _f: Any, reason: Any, _p: Any) -> None:
        self._values.clear()
        if reason.is_failure:
            self._warn(f"the connection is lost: {reason}")

    def _unreached(self, _c: Any, _d: Any) -> None:
        self._warn(f"{self._host}:{self._port} cannot be reached")

    def _warn(self, why: str) -> None:
        """Log a warning once, until the broker answers again."""
        if not self._warned:
            self._warned = True
            self._log.warning("broker not watched", reason=why)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the current values for a scrape."""
        result = dict(self._values)
        for key, name, limit in (
            ("count", "messages", self._room.messages),
            ("bytes", "bytes", self._room.bytes),
        ):
            yield GaugeMetricFamily(
                f"tonne_broker_queued_{name}",
                f"Queue length at the broker, in {name}",
                result.get(key),
            )
            yield GaugeMetricFamily(
                f"tonne_broker_queue_limit_{name}",
                f"Limit of the queue for a disconnected client, in {name}; more are dropped",
                limit,
            )


def _refuse_anothers(tls: Tls) -> None:
    """Refuse an identity other than the watcher's."""
    if tls.cert is None or not tls.cert.is_file():
        return
    certificate = x509.load_pem_x509_certificate(tls.cert.read_bytes())
    names = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    name = str(names[0].value) if names else ""
    if is_ours(name) and name != WATCH:
        raise InputError(
            f"TONNE_MQTT_CERT_FILE is the identity of {name!r}, which another process uses; `tonne "
            f"registry issue-service {WATCH}` makes one for the watcher"
        )
