"""A client that tests permissions at a broker over TLS and returns the results."""

import contextlib
import ssl
import time
from dataclasses import dataclass, field
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from ingest.addresses import close_sockets
from services.local import LOOPBACK

PATIENCE_S = 60.0


@dataclass
class Probe:
    """One client; every method returns whether the broker permitted the action."""

    port: int
    tls: ssl.SSLContext
    client_id: str
    version: Any = mqtt.MQTTv5
    username: str | None = None
    password: str | None = None
    will: tuple[str, bytes] | None = None
    keep_session: bool = False
    heard: list[tuple[str, bytes]] = field(default_factory=list)
    puback: int | None = None
    granted: bool | None = None
    connack: Any = None
    offers: Any = None
    gone: bool = False

    def open(self) -> bool:
        """Connect; return False where TLS or the broker refuses."""
        if hasattr(self, "client"):
            close_sockets(self.client)  # of the connection before this one
        self.client = self._client()
        properties = None
        if self.version == mqtt.MQTTv5 and self.keep_session:
            properties = Properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = 3_600
        words = {"clean_start": not self.keep_session} if self.version == mqtt.MQTTv5 else {}
        self.gone, self.connack = False, None
        try:
            self.client.connect(LOOPBACK, self.port, 30, properties=properties, **words)
        except (OSError, ssl.SSLError, ValueError):
            return False
        self._until(lambda: self.connack is not None or self.gone)
        return self.connack is not None and not self.connack.is_failure and not self.gone

    def _client(self) -> mqtt.Client:
        words = {} if self.version == mqtt.MQTTv5 else {"clean_session": not self.keep_session}
        client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, self.client_id, protocol=self.version, **words
        )
        client.tls_set_context(self.tls)
        if self.username is not None:
            client.username_pw_set(self.username, self.password)
        if self.will is not None:
            client.will_set(*self.will, qos=1)
        client.on_connect = self._connected
        client.on_disconnect = lambda *_: setattr(self, "gone", True)
        client.on_publish = lambda _c, _u, _m, reason, _p: setattr(self, "puback", reason.value)
        client.on_subscribe = self._subscribed
        client.on_message = lambda _c, _u, m: self.heard.append((m.topic, bytes(m.payload)))
        return client

    def _connected(self, _c: Any, _u: Any, _f: Any, reason: Any, offers: Any) -> None:
        self.connack, self.offers = reason, offers

    def _subscribed(self, _c: Any, _u: Any, _mid: int, reasons: Any, _p: Any) -> None:
        self.granted = not any(reason.is_failure for reason in reasons)

    def publish(self, topic: str, payload: bytes = b"{}", qos: int = 1, **words: Any) -> bool:
        """Publish; return whether the broker acknowledged it."""
        self.puback = None
        with contextlib.suppress(ValueError):
            if self.client.publish(topic, payload, qos=qos, **words).rc:
                return False
        self._until(lambda: self.puback is not None or self.gone)
        return self.puback is not None and self.puback < 0x80 and not self.gone

    def subscribe(self, topic: str) -> bool:
        """Subscribe; return whether it was granted."""
        self.granted = None
        self.client.subscribe(topic, qos=1)
        self._until(lambda: self.granted is not None or self.gone)
        return bool(self.granted) and not self.gone

    def listen(self, seconds: float) -> list[tuple[str, bytes]]:
        """Return all messages received so far, after a further wait."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.gone:
            self.step()
        return self.heard

    def wait_for(self, count: int, seconds: float = PATIENCE_S) -> list[tuple[str, bytes]]:
        """Wait until a number of messages was received."""
        self._until(lambda: len(self.heard) >= count or self.gone, seconds)
        return self.heard

    def cut_off(self, seconds: float = PATIENCE_S) -> bool:
        """Return whether the broker ends the connection."""
        self._until(lambda: self.gone, seconds)
        return self.gone

    def step(self) -> None:
        """Give the network a moment."""
        if self.client.loop(0.02) and not self.gone:
            self.gone = True

    def drop(self) -> None:
        """Drop the connection without a message, as when a cable is cut."""
        sock = self.client.socket()
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(2)
            sock.close()

    def close(self) -> None:
        """Disconnect."""
        with contextlib.suppress(Exception):
            self.client.disconnect()
            self.client.loop(0.05)
            self.drop()
        close_sockets(self.client)

    def _until(self, done: Any, seconds: float = PATIENCE_S) -> None:
        end = time.monotonic() + seconds
        while not done() and time.monotonic() < end:
            self.step()
