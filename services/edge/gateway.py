"""
The process `tonne edge`: runs sources and uplink, and logs one status line per minute; local MQTT
source.

Clients of the local broker may publish any JSON.  An object with `ts` is forwarded unchanged; one
without gets the current time, so retained messages, which may be old, are ignored.  Messages are
acknowledged once they are in the outbox, over a persistent session.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import Counter
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions
from structlog.typing import FilteringBoundLogger

from ingest.addresses import PORTS, Tls, close_sockets
from ingest.errors import ServerError
from services.edge import identity
from services.edge.config import Config, CsvFolder, LocalMqtt
from services.edge.csv_folder import Folder
from services.edge.identity import Renewal, Signer
from services.edge.metrics import GatewayMetrics, registry
from services.edge.modbus import pollers
from services.edge.outbox import Clock, Outbox, Record
from services.edge.uplink import Link, Recorder
from services.registry.fields import ID
from services.scraping import Pulse, serving

_DAY_S = 86_400
_NUMBERS = (int, float)
_RETRY_S = 5.0
# time until a rejected subscription is requested again [s]
_REFUSED_S = 60.0


def _at(result: dict[str, Any], path: str) -> Any:
    """Return the value at a path of names in a JSON object; ValueError if absent."""
    value: Any = result
    for name in path.split("."):
        if not isinstance(value, dict) or name not in value:
            raise ValueError(
                f"has no value at {path!r}, which the source names; correct the path in the "
                "configuration"
            )
        value = value[name]
    return value


class Listener(threading.Thread):
    """Thread that subscribes to one local MQTT broker."""

    def __init__(
        self, source: LocalMqtt, name: str, recorder: Recorder, stopping: threading.Event
    ) -> None:
        super().__init__(name=f"listen-{source.url}", daemon=True)
        self._source, self._recorder, self._stopping = source, recorder, stopping
        self._topics = [topic.split("/") for topic in source.topics]
        self._filters = ["/".join("+" if w == "{device}" else w for w in t) for t in self._topics]
        self._parts = urlsplit(source.url)
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, f"tonne-edge-{name}", protocol=mqtt.MQTTv5, manual_ack=True
        )
        if self._parts.scheme == "mqtts":
            self._client.tls_set_context(Tls().context())
        if self._parts.username:
            password = unquote(self._parts.password) if self._parts.password else None
            self._client.username_pw_set(unquote(self._parts.username), password)
        self._unrecorded = False
        self._subscribe_s: float | None = None
        self._client.on_connect = self._connected
        self._client.on_subscribe = self._subscribed
        self._client.on_message = self._on_message

    def run(self) -> None:
        """Receive messages until `stopping` is set."""
        while not self._stopping.is_set():
            if self._client.socket() is None and not self._connect():
                self._stopping.wait(_RETRY_S)
                continue
            if self._subscribe_s is not None and time.monotonic() >= self._subscribe_s:
                self._subscribe()
            self._client.loop(0.5)
            if self._unrecorded:
                # the broker sends unacknowledged messages again after the next connection
                self._unrecorded = False
                self._client.disconnect()
                self._stopping.wait(_RETRY_S)
        self._client.disconnect()
        close_sockets(self._client)

    def _connect(self) -> bool:
        self._subscribe_s = None
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = _DAY_S
        host = self._parts.hostname or "localhost"
        port = self._parts.port or PORTS.get(self._parts.scheme, 1_883)
        try:
            self._client.connect(host, port, 30, clean_start=False, properties=properties)
        except OSError as error:
            self._recorder.fault(self._source.url, str(error))
            return False
        return True

    def _connected(self, _client: mqtt.Client, _d: Any, _f: Any, reason: Any, _p: Any) -> None:
        if reason.is_failure:
            self._recorder.fault(self._source.url, str(reason))
            return
        self._subscribe()

    def _subscribe(self) -> None:
        self._subscribe_s = None
        options = SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND)
        self._client.subscribe([(topic, options) for topic in self._filters])

    def _subscribed(self, _c: Any, _d: Any, _mid: int, reasons: Any, _p: Any) -> None:
        answers = zip(self._filters, reasons, strict=False)
        refused = [f"{topic} ({why})" for topic, why in answers if why.is_failure]
        if not refused:
            self._recorder.well(self._source.url)
            return
        self._subscribe_s = time.monotonic() + _REFUSED_S
        self._recorder.fault(
            self._source.url,
            f"the broker does not allow a subscription to {', '.join(refused)}; "
            "give this user read access there",
        )

    def _on_message(self, client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        """Record a message, then acknowledge it; else the broker sends it again."""
        content_type = getattr(message.properties, "ContentType", None)
        try:
            records = self._records(message.topic, bytes(message.payload), content_type)
        except ValueError as error:
            self._recorder.refuse(message.topic, str(error), bytes(message.payload))
            client.ack(message.mid, message.qos)
            return
        if self._recorder.put(message.topic, records, again=True):
            client.ack(message.mid, message.qos)
        else:
            self._unrecorded = True

    def _records(self, topic: str, payload: bytes, content_type: str | None) -> list[Record]:
        device = self._device(topic)
        try:
            result = msgspec.json.decode(payload)
        except msgspec.MsgspecError as error:
            raise ValueError(
                f"is not JSON, and only JSON is forwarded: {error}; send JSON"
            ) from error
        objects = result if isinstance(result, list) else [result]
        if not objects or not all(isinstance(item, dict) for item in objects):
            raise ValueError("is neither a JSON object nor an array of objects; send one of them")
        return [self._record(device, item, content_type) for item in objects]

    def _record(self, device: str, result: dict[str, Any], content_type: str | None) -> Record:
        if self._source.values is not None or self._source.time or self._source.columns:
            return self._foreign(device, result)
        if "ts" in result:
            return Record(device, result, content_type)
        values = result.get("values", result)
        return Record(device, {"values": values}, None, self._recorder.clock.now())

    def _foreign(self, device: str, result: dict[str, Any]) -> Record:
        """Return a record from a message in another system's format, by the configured paths."""
        values = result if self._source.values is None else _at(result, self._source.values)
        if not isinstance(values, dict):
            raise ValueError(  # noqa: TRY004
                f"{self._source.values!r} does not contain an object of values; correct "
                "`values` in the configuration"
            )
        # a decoder may add texts, such as a state; a message has numbers only
        names = self._source.columns or {name: name for name in values}
        numbers = {names[k]: v for k, v in values.items() if k in names and type(v) in _NUMBERS}
        if not numbers:
            raise ValueError(
                f"has none of the values {', '.join(names)}; correct `columns` in the configuration"
            )
        if self._source.time is None:
            return Record(device, {"values": numbers}, None, self._recorder.clock.now())
        return Record(device, {"ts": _at(result, self._source.time), "values": numbers})

    def _device(self, topic: str) -> str:
        words = topic.split("/")
        for levels in self._topics:
            pairs = list(zip(levels, words, strict=False))
            fits = len(levels) == len(words) and all(w in ("+", "{device}", v) for w, v in pairs)
            if fits:
                name = words[levels.index("{device}")]
                name = self._source.devices.get(name, name)
                if ID.match(name):
                    return name
                raise ValueError(
                    f"{name!r} is not a device id, which has letters, digits, _ and - only; "
                    "assign one in `devices`"
                )
        raise ValueError("is not one of the subscribed topics; subscribe to it or stop its sender")


_STEP_S = 0.1
_WORD_S = 60.0
_JOIN_S = 10.0


class Gateway:
    """A running gateway. `adopt`: use an outbox created on another machine."""

    def __init__(self, config: Config, log: FilteringBoundLogger, *, adopt: bool = False) -> None:
        self._log, self._stopping, self._pulse = log, threading.Event(), Pulse()
        self._outbox = Outbox(
            Path(config.outbox), config.limit_mb << 20, config.when_full, adopt=adopt
        )
        clock = Clock()
        self._recorder = Recorder(self._outbox, clock, log)
        if config.identity is not None:
            identity.settle(Path(config.identity))
        tls = Tls() if config.identity is None else Tls.of(Path(config.identity))
        firmware = f"tonne-edge {version('tonne')}"
        signer = None if config.signing is None else Signer(config.gateway, config.signing)
        if signer is not None:
            log.info("signing", key=signer.public_key)
        self._link = Link(
            config.gateway, config.broker, tls, self._outbox, clock, firmware, log, signer
        )
        self._threads: list[threading.Thread] = []
        if config.identity is not None and config.enrolment is not None:
            self._threads.append(
                Renewal(
                    Path(config.identity),
                    config.enrolment,
                    config.gateway,
                    self._link.renewed,
                    self._stopping,
                    log,
                )
            )
        polled = [s for s in config.sources if not isinstance(s, LocalMqtt | CsvFolder)]
        self._threads += pollers(polled, self._recorder, self._stopping)
        self._sources = len(config.sources)
        listening: Counter[str] = Counter()
        for source in config.sources:
            if isinstance(source, LocalMqtt):
                # each client of a broker has its own number, as two clients of one name would
                # disconnect each other
                listening[source.url] += 1
                number = listening[source.url]
                name = config.gateway if number == 1 else f"{config.gateway}-{number}"
                self._threads.append(Listener(source, name, self._recorder, self._stopping))
            elif isinstance(source, CsvFolder):
                self._threads.append(Folder(source, self._recorder, self._stopping))

    def scraped(self, bind: str, stack: ExitStack) -> None:
        """
        Serve metrics at `bind` while `stack` is open; without an address, none.

        If the port is in use, the gateway runs without metrics, so that no reading is lost.
        """
        metrics = GatewayMetrics(self._outbox, self._recorder, self._link)
        try:
            stack.enter_context(serving(registry(metrics), self._pulse, bind))
        except ServerError as error:
            self._log.error("no metrics", error=str(error))
        else:
            self._log.info("metrics", bind=bind or "off")

    def stop(self) -> None:
        """Request the end of `run`; safe in a signal handler."""
        self._stopping.set()

    def run(self) -> None:
        """Record and forward until `stop` is called; waiting messages stay on disk."""
        if self._outbox.set_aside is not None:
            self._log.error(
                "the outbox file was damaged: readable messages are sent, the rest "
                "is stored separately",
                rescued=self._outbox.count(),
                file=str(self._outbox.set_aside),
            )
        self._log.info("recording", sources=self._sources, waiting=self._outbox.count())
        for thread in self._threads:
            thread.start()
        word_s = time.monotonic() + _WORD_S
        try:
            while not self._stopping.is_set():
                self._pulse.beat("forwarding")
                self._step()
                if time.monotonic() > word_s:
                    word_s += _WORD_S
                    self._word()
        finally:
            self._stopping.set()
            self._link.close()
            for thread in self._threads:
                thread.join(_JOIN_S)
            self._word()
            self._outbox.close()

    def _step(self) -> None:
        try:
            self._link.step(_STEP_S)
        except sqlite3.Error as error:
            # the disk is full: sources apply their policy, and receipts are received again later
            self._recorder.fault("outbox", str(error))
            time.sleep(1.0)

    def _word(self) -> None:
        self._log.info(
            "outbox",
            waiting=self._outbox.count(),
            recorded=self._recorder.recorded,
            sent=self._link.sent,
            receipted=self._link.freed,
            lost=self._recorder.lost,
            tonne="answers" if self._link.up else "silent",
        )
