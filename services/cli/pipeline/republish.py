"""
Resending of rejected messages: Kafka records to their topic, MQTT payloads to the broker.

A Kafka record goes back to its own partition. An MQTT message has the user property `replay` with
the dead letter's number, to distinguish it from the device's own.
"""

from __future__ import annotations

import re
from threading import Event
from typing import Any, Self
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from ingest.errors import ServerError
from ingest.mqtt.tls import Tls, close_sockets
from services.cli.options.servers import load_kafka
from services.kafka_access import KafkaAccess
from services.logs import get_logger

PREFIX = "kafka:"
_PLACE = re.compile(r"partition (\d+) offset \d+:")
PORTS = {"mqtt": 1883, "mqtts": 8883}
TIMEOUT_S = 10.0
REPLAY = "replay"


class Redeliverer:
    """
    Kafka producer that writes rejected records back to their topic.

    Parameters
    ----------
    kafka : KafkaAccess
    """

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

        Parameters
        ----------
        where : str
            `kafka:TOPIC`.
        detail : str
            Detail of the dead letter, which names the partition.

        Raises
        ------
        InputError
            When the topic is no longer there.
        ServerError
            When Kafka cannot be reached, or refuses the record.
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

    Parameters
    ----------
    url : str
        `mqtt://[user:password@]host[:port]`, or `mqtts://`.
    tls : Tls, optional
        TLS identity; it must be permitted to write to the topics of devices.
    """

    def __init__(self, url: str, tls: Tls | None = None) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or "localhost"
        self._port = parts.port or PORTS[parts.scheme]
        self._answered = Event()
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

        Raises
        ------
        ServerError
            When the broker cannot be reached or refuses the connection.
        """
        try:
            self._client.connect(self._host, self._port, clean_start=True)
        except OSError as error:
            raise self._lost(str(error)) from error
        self._client.loop_start()
        if not self._answered.wait(TIMEOUT_S) or self._refused:
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

        Raises
        ------
        ServerError
            When the broker refuses it or does not answer, for example if it is too large.
        """
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.UserProperty = [(REPLAY, str(letter))]
        if content_type:
            properties.ContentType = content_type
        self._answered.clear()
        sent = self._client.publish(topic, payload, qos=1, properties=properties)
        if sent.rc != MQTTErrorCode.MQTT_ERR_SUCCESS or not self._answered.wait(TIMEOUT_S):
            raise self._lost(
                f"dead letter {letter} of {len(payload)} bytes got no answer from the broker; "
                "replay it again"
            )
        if self._refused:
            raise self._lost(f"dead letter {letter} on {topic!r} was rejected: {self._refused}")

    def _on_connect(self, _c: Any, _u: Any, _f: Any, reason: Any, _p: Any) -> None:
        self._refused = str(reason) if reason.is_failure else None
        self._answered.set()

    def _on_publish(self, _c: Any, _u: Any, _m: Any, reason: Any, _p: Any) -> None:
        self._refused = str(reason) if reason.is_failure else None
        self._answered.set()

    def _lost(self, reason: str) -> ServerError:
        return ServerError(
            f"MQTT broker {self._host}:{self._port}: {reason}; check TONNE_MQTT_URL, "
            "the permission of this login to write the topic, and the broker's "
            "largest message"
        )
