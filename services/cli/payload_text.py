"""Rejected messages: their text up to the fault, and resending to the topic or the broker."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from io import BytesIO
from threading import Event
from typing import Any, NamedTuple, Self
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import cbor2
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from ingest import decode as encodings
from ingest.addresses import Tls, close_sockets
from ingest.codecs import sparkplug_b
from ingest.errors import PayloadError, ServerError, describe_fault, fault
from ingest.reading import Reading, Registers, Row, Stated
from services.cli.server_options import load_kafka
from services.environment import KafkaAccess
from services.logs import get_logger

_PAIR = re.compile(r'"((?:[^"\\]|\\.)*)"\s*:\s*(-?\d[\d.eE+-]*|"(?:[^"\\]|\\.)*"|true|false|null)')
_MAX_VALUES, _LINE, _AROUND = 20, 16, 2
_CBOR_ARRAYS, _CBOR_BREAK = range(0x80, 0xA0), b"\xff"
# first byte of a CBOR array of 24 items or more -> number of bytes that state its length
_CBOR_LENGTHS = {0x98: 1, 0x99: 2, 0x9A: 4, 0x9B: 8}
_PRINTABLE = range(0x20, 0x7F)
_MAX_LISTED = 20


class Partial(NamedTuple):
    """Readings decoded before a fault, the fault's position (None: no fault), and its reason."""

    position: int | None
    why: str
    values: list[str]


def partial(payload: bytes) -> Partial:
    """Return the decodable part of a payload."""
    if payload[:1] and payload[0] in _CBOR_ARRAYS:
        return _cbor(payload)
    try:
        text, end, why = payload.decode("utf-8"), None, ""
    except UnicodeDecodeError as error:
        text, end, why = payload[: error.start].decode("utf-8"), error.start, error.reason
    if end is None:
        try:
            json.loads(text)
        except json.JSONDecodeError as error:
            problem = fault(error)
            end, why = len(text[: problem.pos].encode()), problem.msg
        except (ValueError, RecursionError) as error:
            end, why = 0, describe_fault(error)
    before = text if end is None else payload[:end].decode("utf-8", "replace")
    values = [f"{name}={value}" for name, value in _PAIR.findall(before)]
    return Partial(end, why, values[:_MAX_VALUES])


def _cbor(payload: bytes) -> Partial:
    """Return the decodable items of a CBOR array."""
    source = BytesIO(payload)
    source.read(_CBOR_LENGTHS.get(source.read(1)[0], 0))
    values: list[str] = []
    while source.tell() < len(payload):
        at = source.tell()
        if payload[at:] == _CBOR_BREAK:
            break
        try:
            values.append(f"{cbor2.load(source, read_size=1)!r:.200}")
        except Exception as error:  # noqa: BLE001 (whatever a decoder says of broken bytes)
            return Partial(at, str(error)[:200], values[:_MAX_VALUES])
    return Partial(None, "", values[:_MAX_VALUES])


def dump(payload: bytes, around: int | None) -> list[str]:
    """Return hexadecimal lines around a position, which is marked; the first lines if None."""
    place = 0 if around is None else around // _LINE
    first = max(place - _AROUND, 0)
    lines = []
    for line in range(first, place + _AROUND + 1):
        piece = payload[line * _LINE : (line + 1) * _LINE]
        if piece:
            text = "".join(chr(b) if b in _PRINTABLE else "." for b in piece)
            mark = ">" if around is not None and line == place else " "
            lines.append(f"{mark} {line * _LINE:06x}  {piece.hex(' '):<47}  {text}")
    return lines


def legible(payload: bytes, content_type: str | None, received_us: int) -> list[str]:
    """
    Return a payload's contents, one line per reading, up to the first fault.

    `content_type`: MQTT 5 property of the message.
    `received_us`: time of receipt, to which relative times refer. [us UTC]
    """
    codec = encodings.UNREAD
    try:
        encoding = encodings.find(payload, content_type)
        codec = encoding.name
        readings = encoding.decode(payload, received_us)
    except PayloadError as error:
        return [_gave_up(codec, error)]
    lines = [f"{codec}: {line}" for reading in readings[:_MAX_LISTED] for line in _lines(reading)]
    more = len(readings) - _MAX_LISTED
    return [*lines, f"{codec}: and {more} more readings"] if more > 0 else lines


def _gave_up(codec: str, error: PayloadError) -> str:
    """Return a decoding error's text, in which the codec's name occurs once."""
    return f"{codec}: {error.reason}: {error.detail.removeprefix(f'{codec}: ')}"


def _lines(reading: Reading) -> Iterator[str]:
    reading = reading.stated() if isinstance(reading, Row) else reading
    units = reading.units if isinstance(reading, Stated) else ()
    named = zip(reading.values.items(), units or (None,) * len(reading.values), strict=True)
    values = [f"{name}={value}{f' {unit}' if unit else ''}" for (name, value), unit in named]
    if isinstance(reading, Registers):
        values = [f"{b.table} {b.address}={b.data.hex()}" for b in reading.blocks]
    yield f"ts={reading.ts} " + ", ".join(values)
    if isinstance(reading, Stated):
        yield from (f"ts={reading.ts} {reason}: {detail}" for reason, detail in reading.refused)


def metrics(payload: bytes) -> list[str]:
    """Return the metrics of a Sparkplug payload, one line each; births include aliases."""
    try:
        message = sparkplug_b.decode(payload)
    except PayloadError as error:
        return [_gave_up(sparkplug_b.NAME, error)]
    lines = [f"timestamp={message.timestamp} seq={message.seq} metrics={len(message.metrics)}"]
    for metric in message.metrics[:_MAX_LISTED]:
        field = metric.WhichOneof("value")
        name = metric.name if metric.HasField("name") else f"alias {metric.alias}"
        value = "null" if metric.is_null or field is None else repr(getattr(metric, field))
        at = f" ts={metric.timestamp}" if metric.HasField("timestamp") else ""
        lines.append(f"{name}={value[:80]}{at}")
    return [f"{sparkplug_b.NAME}: {line}" for line in lines]


PREFIX = "kafka:"
_PLACE = re.compile(r"partition (\d+) offset \d+:")
PORTS = {"mqtt": 1883, "mqtts": 8883}
TIMEOUT_S = 10.0
REPLAY = "replay"


class Redeliverer:
    """Kafka producer that writes rejected records back to their topic."""

    def __init__(self, kafka: KafkaAccess) -> None:
        self._kafka = kafka
        self._producers: dict[str, Any] = {}
        self._partitions: dict[str, int] = {}

    def __enter__(self) -> Self:
        """Return itself; the connection is made with the first record."""
        return self

    def __exit__(self, *_: object) -> None:
        """Disconnect."""
        for producer in self._producers.values():
            producer.close()

    def send(self, letter: int, where: str, detail: str, record: bytes) -> None:
        """
        Write one record back, and return once Kafka has stored it.

        `where`: `kafka:TOPIC`.
        `detail`: detail of the dead letter, which names the partition.
        Raises InputError when the topic is no longer there.
        Raises ServerError when Kafka cannot be reached, or refuses the record.
        """
        topic = where.removeprefix(PREFIX)
        producer = self._producer(topic)
        match = _PLACE.match(detail)
        partition = int(match[1]) if match else 0
        outgoing = load_kafka("services.intake.producer", "Outgoing")(
            record, partition % self._partitions[topic], headers=(("replay", str(letter).encode()),)
        )
        try:
            producer.send([outgoing])
        except (load_kafka("aiokafka.errors", "KafkaError"), OSError) as error:
            raise load_kafka("services.intake.kafka_client", "unreachable")(
                self._kafka, error
            ) from error

    def _producer(self, topic: str) -> Any:
        if topic not in self._producers:
            count = load_kafka("services.intake.topics", "partitions")
            self._partitions[topic] = count(self._kafka, topic)
            make = load_kafka("services.intake.producer", "Producer")
            self._producers[topic] = make(self._kafka, topic, get_logger("deadletter"))
        return self._producers[topic]


class Republisher:
    """
    MQTT connection that publishes one message at a time and waits for its PUBACK.

    `url`: `mqtt://[user:password@]host[:port]`, or `mqtts://`.
    `tls`: TLS identity; it must be permitted to write to the topics of devices.
    """

    def __init__(self, url: str, tls: Tls | None = None) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or "localhost"
        self._port = parts.port or PORTS[parts.scheme]
        self._acknowledged = Event()
        self._refused: str | None = None
        self._client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"tonne-replay-{uuid4().hex[:12]}",
            protocol=MQTTProtocolVersion.MQTTv5,
        )
        self._client.on_connect = self._on_connect
        self._client.on_publish = self._on_publish
        if parts.scheme == "mqtts":
            self._client.tls_set_context((tls or Tls()).context())
        if parts.username:
            password = unquote(parts.password) if parts.password else None
            self._client.username_pw_set(unquote(parts.username), password)

    def __enter__(self) -> Self:
        """
        Connect to the broker.

        Raises ServerError when the broker cannot be reached or refuses the connection.
        """
        try:
            self._client.connect(self._host, self._port, clean_start=True)
        except OSError as error:
            raise self._lost(str(error)) from error
        self._client.loop_start()
        if not self._acknowledged.wait(TIMEOUT_S) or self._refused:
            self.__exit__()
            raise self._lost(self._refused or "no answer")
        return self

    def __exit__(self, *_: object) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()
        close_sockets(self._client)

    def send(self, letter: int, topic: str, payload: bytes, content_type: str | None) -> None:
        """
        Publish a message at QoS 1, and return once the broker has acknowledged it.

        Raises ServerError when the broker refuses it or does not answer, for example if it is too
        large.
        """
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.UserProperty = [(REPLAY, str(letter))]
        if content_type:
            properties.ContentType = content_type
        self._acknowledged.clear()
        sent = self._client.publish(topic, payload, qos=1, properties=properties)
        if sent.rc != MQTTErrorCode.MQTT_ERR_SUCCESS or not self._acknowledged.wait(TIMEOUT_S):
            raise self._lost(
                f"dead letter {letter} of {len(payload)} bytes got no answer from the broker; "
                "replay it again"
            )
        if self._refused:
            raise self._lost(f"dead letter {letter} on {topic!r} was rejected: {self._refused}")

    def _on_connect(self, _c: Any, _u: Any, _f: Any, reason: Any, _p: Any) -> None:
        self._refused = str(reason) if reason.is_failure else None
        self._acknowledged.set()

    def _on_publish(self, _c: Any, _u: Any, _m: Any, reason: Any, _p: Any) -> None:
        self._refused = str(reason) if reason.is_failure else None
        self._acknowledged.set()

    def _lost(self, reason: str) -> ServerError:
        return ServerError(
            f"MQTT broker {self._host}:{self._port}: {reason}; check TONNE_MQTT_URL, "
            "the permission of this login to write the topic, and the broker's "
            "largest message"
        )
