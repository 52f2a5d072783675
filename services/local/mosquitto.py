"""
The mosquitto broker.

On loopback only, where any local client may speak for any device: for trying
things out and for tests.  Limits are set so that a pipeline which is away for a
day finds every message again, because mosquitto acknowledges to the device what
it then drops at a full queue.
"""

import socket
from pathlib import Path

from services.local.packages import MOSQUITTO
from services.local.ports import LOOPBACK
from services.local.server import Server

_CONFIG = """\
# written anew at each start of `tonne local up`
listener {port} {host}
protocol mqtt
max_qos 1
allow_anonymous true

persistence true
persistence_location ./
autosave_interval 1
persistent_client_expiration 30d

# a full queue loses acknowledged messages in silence; 0 for "unlimited" has a bug in
# 2.0.21 that disconnects publishers
max_queued_messages 5000000
max_queued_bytes 4294967296
max_inflight_messages 20000
queue_qos0_messages false
# a Sparkplug host's STATE is retained; nothing else of tonne's is, nor asked for
retain_available true
# a device that sends more is cut off, which it notices
max_packet_size 2097152
# 2.0.21 wrongly expires clients whose own value equals this one
max_keepalive 600

log_dest file mosquitto.log
log_type error
log_type warning
log_type notice
connection_messages false
log_timestamp_format %Y-%m-%dT%H:%M:%SZ
"""
_LOG_LIMIT = 8 << 20  # bytes
_CONNECT = b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x05\x00\x00"  # 3.1.1, clean, no name, keep-alive 5 s
_CONNACK = 0x20
_DISCONNECT = b"\xe0\x00"


class Mosquitto(Server):
    """The broker, with its queues in its folder."""

    name = "mosquitto"
    usual_port = 11_883
    user = "mosquitto"
    output = "mosquitto.out"

    @property
    def url(self) -> str:
        """Broker URL."""
        return f"mqtt://{LOOPBACK}:{self.port}"

    @property
    def log(self) -> Path:
        """Its own log, or what it printed before it opened one."""
        printed = self.folder / self.output
        told = printed.exists() and printed.stat().st_size
        return printed if told else self.folder / "mosquitto.log"

    def command(self, port: int) -> list[str]:
        """Write the configuration, begin a new log when the old is long, return the command."""
        config = _CONFIG.format(port=port, host=LOOPBACK)
        (self.folder / "mosquitto.conf").write_text(config, encoding="utf-8")
        log = self.folder / "mosquitto.log"
        if log.exists() and log.stat().st_size > _LOG_LIMIT:
            log.replace(log.with_suffix(".log.1"))
        return [str(MOSQUITTO), "-c", "mosquitto.conf"]

    def ready(self, port: int) -> bool:
        """Whether it takes MQTT connections."""
        try:
            with socket.create_connection((LOOPBACK, port), timeout=5) as connection:
                return greets(connection)
        except OSError:
            return False


def greets(connection: socket.socket) -> bool:
    """Whether an MQTT broker is at the other end, be it that it turns us away."""
    connection.sendall(_CONNECT)
    answer = connection.recv(4)
    if answer[:1] != bytes([_CONNACK]):
        return False
    connection.sendall(_DISCONNECT)
    return True
