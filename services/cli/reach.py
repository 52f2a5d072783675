"""Whether a broker answers at a URL, without a client library's retries."""

import socket
import ssl
from urllib.parse import urlsplit

from services.local.mosquitto import greets

_PORTS = {"mqtt": 1_883, "mqtts": 8_883, "kafka": 9_092}
_TIMEOUT_S = 5.0


def greet_broker(url: str) -> str | None:
    """Say what is wrong with the MQTT broker at `url`, or None when it answers."""
    parts = urlsplit(url)
    try:
        with _connect(url) as plain:
            if parts.scheme == "mqtts":
                context = ssl.create_default_context()
                with context.wrap_socket(plain, server_hostname=parts.hostname) as secure:
                    answered = greets(secure)
            else:
                answered = greets(plain)
    except OSError as error:
        return f"{_place(url)}: {error}"
    return None if answered else f"{_place(url)}: what answers is no MQTT broker"


def greet_tcp(url: str) -> str | None:
    """Say why nothing can be reached at `url`, or None when something listens."""
    try:
        _connect(url).close()
    except OSError as error:
        return f"{_place(url)}: {error}"
    return None


def _connect(url: str) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection(
        (parts.hostname or "localhost", parts.port or _PORTS[parts.scheme]), timeout=_TIMEOUT_S
    )


def _place(url: str) -> str:
    """Return host and port: a URL may hold a password."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or _PORTS[parts.scheme]}"
