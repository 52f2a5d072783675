"""Whether a broker answers at a URL, without a client library's retries."""

import socket
from urllib.parse import urlsplit

from ingest.mqtt.tls import Tls
from services.kafka_access import KafkaAccess
from services.local.mosquitto import greets

_PORTS = {"mqtt": 1_883, "mqtts": 8_883}
_TIMEOUT_S = 5.0


def greet_broker(url: str, tls: Tls) -> str | None:
    """
    Say what is wrong with the MQTT broker at `url`, or None when it answers.

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
                        return f"{_place(url)}: it hangs up once we have shown who we are"
            else:
                answered = greets(plain)
    except OSError as error:
        return f"{_place(url)}: {error}"
    return None if answered else f"{_place(url)}: what answers is no MQTT broker"


def greet_kafka(kafka: KafkaAccess) -> str | None:
    """Say which brokers cannot be reached, and why, or None when all listen."""
    silent = []
    for server in kafka.servers:
        try:
            socket.create_connection(server, timeout=_TIMEOUT_S).close()
        except OSError as error:
            silent.append(f"{server[0]}:{server[1]}: {error}")
    return "; ".join(silent) or None


def _connect(url: str) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection(
        (parts.hostname or "localhost", parts.port or _PORTS[parts.scheme]), timeout=_TIMEOUT_S
    )


def _place(url: str) -> str:
    """Return host and port: a URL may hold a password."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or _PORTS[parts.scheme]}"
