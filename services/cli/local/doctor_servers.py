"""Result of a `tonne doctor` check, and its checks of MQTT broker, Kafka and pipeline."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

import psycopg
from cryptography import x509

from ingest.errors import InputError, ServerError
from ingest.mqtt.tls import Tls
from services.cli.options.servers import load_kafka
from services.intake.receive import REFUSES, REMEDY
from services.kafka_access import KafkaAccess
from services.local.machine import LOOPBACK
from services.local.mosquitto import greets
from services.settings import split_bind
from services.store import offsets
from services.store import offsets as source
from services.store.offsets import Source
from services.store.postgres.pool import connect

_PING_PORTS = {"mqtt": 1_883, "mqtts": 8_883}
_PING_S = 5.0
_BROKER, _IDENTITY = "MQTT broker", "MQTT identity"
_ENDING = timedelta(days=30)
_FIX = "check TONNE_MQTT_URL, or run `tonne local up`"
_SECURE_FIX = (
    "check TONNE_MQTT_URL, and TONNE_MQTT_CA_FILE, TONNE_MQTT_CERT_FILE "
    "and TONNE_MQTT_KEY_FILE against docs/security.md; the broker's log "
    "states which client it rejected"
)
_PATIENCE_S = 5.0
_ANYWHERE = {"0.0.0.0", "::"}  # noqa: S104 (where a process listens that we ask)
_TOPIC = "tonne-parcels"
_GROUP = "tonne-worker"


@dataclass(frozen=True)
class Finding:
    """Result of one check: `ok`, `missing` (optional) or `wrong`, and the remedy."""

    what: str
    state: str
    found: str
    fix: str = ""


def greet_broker(url: str, tls: Tls) -> str | None:
    """
    Return why the MQTT broker at `url` does not answer; None when it answers.

    Raises
    ------
    InputError
        When a file of `tls` cannot be used.
    """
    parts = urlsplit(url)
    try:
        with _connect(url) as plain:
            if parts.scheme == "mqtts":
                with tls.context().wrap_socket(plain, server_hostname=parts.hostname) as secure:
                    try:
                        answered = greets(secure)
                    except OSError:  # by TLS 1.3 a client learns of it only now
                        return (
                            f"{_place(url)}: it closes the connection after the client certificate "
                            "is presented"
                        )
            else:
                answered = greets(plain)
    except OSError as error:
        return f"{_place(url)}: {error}"
    return None if answered else f"{_place(url)}: the server there is not an MQTT broker"


def greet_kafka(kafka: KafkaAccess) -> str | None:
    """Return the Kafka brokers that cannot be reached, with reasons; None when all answer."""
    silent = []
    for server in kafka.servers:
        try:
            socket.create_connection(server, timeout=_PING_S).close()
        except OSError as error:
            silent.append(f"{server[0]}:{server[1]}: {error}")
    return "; ".join(silent) or None


def _connect(url: str) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection(
        (parts.hostname or "localhost", parts.port or _PING_PORTS[parts.scheme]), timeout=_PING_S
    )


def _place(url: str) -> str:
    """Return host and port of a URL, without its password."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or _PING_PORTS[parts.scheme]}"


def broker(url: str | None, tls: Tls) -> Iterator[Finding]:
    """
    Yield findings on the MQTT broker, connected to with the configured identity.

    No client id is sent, so no running session is taken over; a secured broker then refuses the
    connection.
    """
    if url is None:
        fix = "set TONNE_MQTT_URL, or run `tonne local up`"
        yield Finding(_BROKER, "wrong", "no URL is set", fix)
        return
    secure = url.startswith("mqtts://")
    try:
        trouble = greet_broker(url, tls)
    except InputError as error:
        trouble = str(error)
    if trouble is None:
        yield Finding(_BROKER, "ok", "answers by TLS" if secure else "answers")
    else:
        yield Finding(_BROKER, "wrong", trouble, _SECURE_FIX if secure else _FIX)
    if secure and tls.cert is not None and tls.cert.is_file():
        yield _identity(tls.cert.read_bytes())


def _identity(certificate: bytes) -> Finding:
    try:
        own = x509.load_pem_x509_certificate(certificate)
    except ValueError as error:
        fix = "set TONNE_MQTT_CERT_FILE to the client.crt that was issued"
        return Finding(_IDENTITY, "wrong", f"is not a certificate: {error}", fix)
    left = own.not_valid_after_utc - datetime.now(UTC)
    names = own.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    name = names[0].value if names else "nobody"
    text = f"{name!s}, until {own.not_valid_after_utc:%Y-%m-%d}"
    if left > _ENDING:
        return Finding(_IDENTITY, "ok", text)
    fix = (
        "get a new one: `tonne registry issue-credentials ID --renew`; that "
        "of a service is in services/"
    )
    return Finding(_IDENTITY, "wrong", text, fix)


def pipeline(bind: str) -> Iterator[Finding]:
    """
    Yield a finding if the broker refuses topics, as the process at `TONNE_METRICS_BIND` reports.

    A test connection with the pipeline's client id would end its session.
    """
    if not bind:
        return
    host, port = split_bind(bind)
    host = LOOPBACK if host in _ANYWHERE else host
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    # past any proxy, which could not reach it; one that stands still answers 503, and tells too
    connection = HTTPConnection(host, port, timeout=_PATIENCE_S)
    try:
        connection.request("GET", "/healthz")
        answer = connection.getresponse().read(10_000).decode("utf-8", "replace").strip()
    except (OSError, HTTPException):  # no process, or one that does not move: not ours to tell
        return
    finally:
        connection.close()
    if REFUSES in answer:
        yield Finding("MQTT topics", "wrong", f"the process at {place}: {answer}", REMEDY)


def topics(kafka: KafkaAccess, database_url: str | None, group: str = _GROUP) -> Iterator[Finding]:
    """
    Yield findings on the Kafka topic of the workers and on its dead-letter topic.

    Before the first worker has run, the default topic is checked.
    """
    read, stored = _read(database_url)
    topic = read.topic if read else _TOPIC
    try:
        count, name = (load_kafka("services.intake.topics", n) for n in ("partitions", "dead"))
        partitions, dead = count(kafka, topic), name(topic)
        count(kafka, dead)
    except (InputError, ServerError) as error:
        fix = "`tonne topics apply`, if bridges and workers are to run here"
        yield Finding("Kafka topics", "wrong" if read else "missing", str(error), fix)
        return
    if read and partitions < read.partitions:
        text = f"{topic!r} has {partitions} partitions; workers recorded {read.partitions}"
        yield Finding("Kafka topics", "wrong", text, "it was created again: use a new --topic")
        return
    done = sum(stored.values())
    text = f"{topic!r} with {partitions} partitions, {done} records stored; {dead!r}"
    yield Finding("Kafka topics", "ok", text)
    if read is not None:
        yield from _workers(kafka, topic, stored, group)


def _workers(
    kafka: KafkaAccess, topic: str, stored: dict[int, int], group: str
) -> Iterator[Finding]:
    """Yield findings on the lag of each partition and on partitions without a worker."""
    try:
        state = load_kafka("services.stream.topic_view", "topic_state")(kafka, topic, stored, group)
    except ServerError as error:
        yield Finding("Kafka workers", "wrong", str(error), "check Kafka first")
        return
    if state.cut:
        text = ", ".join(f"partition {p} ends at {end}" for p, end in state.cut.items())
        fix = "the topic was created again, or its log was truncated: use a new --topic"
        yield Finding("Kafka workers", "wrong", f"{text}, which is below the stored offset", fix)
        return
    waiting = {p: lag for p, lag in state.lag.items() if lag}
    behind = f"{sum(waiting.values())} records not stored"
    if waiting:
        behind += f", the oldest for {state.oldest_s:.0f} s"
    if state.unassigned is None:
        yield Finding(
            "Kafka workers", "missing", f"{behind}; the owners of partitions: {state.no_answer}"
        )
    elif state.unassigned:
        named = ", ".join(str(p) for p in state.unassigned)
        fix = (
            f"start workers of the group {group!r}; running workers take them over within a minute"
        )
        yield Finding("Kafka workers", "wrong", f"no worker has partitions {named}; {behind}", fix)
    else:
        yield Finding("Kafka workers", "ok", f"every partition has a worker; {behind}")


def _read(database_url: str | None) -> tuple[Source | None, dict[int, int]]:
    """Return the Kafka source of the workers and the stored offsets; empty without a database."""
    if database_url is None:
        return None, {}
    try:
        with connect(database_url, autocommit=True) as connection:
            topic_read = source.read(connection)
            return topic_read, offsets.stored(connection, topic_read.topic) if topic_read else {}
    except (psycopg.Error, ServerError):
        return None, {}
