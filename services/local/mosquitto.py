"""
Local mosquitto broker.

Open: on loopback only, where any local client may publish for any device, for trials and tests.
Secure: TLS only, with credentials for the pipeline and devices, as in the field; their access rules
are kept between starts.
"""

import os
import signal
import socket
from pathlib import Path
from typing import ClassVar

from ingest.errors import InputError
from ingest.mqtt.tls import Tls
from services.identity.authority import write
from services.identity.mosquitto import AUTOSAVE_S, SECURITY, Listening, security
from services.identity.mosquitto import config as secure_config
from services.identity.principals import ADMIN, PIPELINE, IdentityFolder, service
from services.local.machine import LOOPBACK, MOSQUITTO, own_folder, service_account
from services.local.server import Server
from services.settings import QUEUE_BYTES, QUEUE_MESSAGES

_CONFIG = """\
# overwritten at each start of `tonne local up`
listener {port} {host}
protocol mqtt
max_qos 1
allow_anonymous true

persistence true
persistence_location ./
# as `tonne broker config` has it: all that waits is written each time, and nothing acknowledged
autosave_interval {autosave}
autosave_on_changes false
persistent_client_expiration 30d

# a full queue loses acknowledged messages in silence; 0 for "unlimited" has a bug in
# 2.0.21 that disconnects publishers
max_queued_messages {messages}
max_queued_bytes {bytes}
max_inflight_messages 60000
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
# the port for those that log in by password lies this far above
PASSWORDS = 1_000
_LOG_LIMIT = 8 << 20  # bytes
_CONNECT = b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x05\x00\x00"  # 3.1.1, clean, no name, keep-alive 5 s
_CONNACK = 0x20
_DISCONNECT = b"\xe0\x00"


class Mosquitto(Server):
    """The broker, with its queues in its folder."""

    name = "mosquitto"
    usual_port = 11_883
    user: ClassVar[str] = "mosquitto"
    output = "mosquitto.out"

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.identities = IdentityFolder(self.home / "identity")

    @property
    def secure(self) -> bool:
        """Return whether mosquitto was last started with authentication."""
        return (self.folder / SECURITY).exists()

    @property
    def tls(self) -> Tls:
        """Return the pipeline's TLS identity for the broker."""
        return Tls.of(self.identities.service(PIPELINE))

    @property
    def url(self) -> str:
        """Return the broker's URL."""
        return f"{'mqtts' if self.secure else 'mqtt'}://{LOOPBACK}:{self.port}"

    def become(self, *, secure: bool) -> None:
        """
        Enable or disable authentication from the next start on.

        Raises
        ------
        InputError
            When it runs in the other mode.
        """
        if secure == self.secure:
            return
        if self.pid is not None:
            raise InputError(
                f"the broker runs {'without' if secure else 'with'} --secure; "
                "`tonne local down` first"
            )
        if not secure:
            (self.folder / SECURITY).unlink()
            return
        self.identities.ensure_service(PIPELINE)
        self.identities.ensure_service(ADMIN)
        principals = [service(name, sparkplug=True) for name in (PIPELINE, ADMIN)]
        write(self.folder / SECURITY, security(principals))

    def take_up_revocations(self) -> None:
        """Reload the list of revoked certificates, for new connections."""
        running = self._running()
        if self.secure and running is not None:
            self._copy_identity()
            running.send(signal.SIGHUP)

    def _copy_identity(self) -> None:
        """Copy the broker's certificate into its own folder, which its account can read."""
        source = self.identities.ensure_server([LOOPBACK, "localhost"])
        for name in ("ca.crt", "ca.crl", "server.crt", "server.key"):
            write(self.folder / name, (source / name).read_bytes())
        own_folder(self.folder, service_account(self.user))

    @property
    def log(self) -> Path:
        """Return its own log, or its output before the log was opened."""
        printed = self.folder / self.output
        size = printed.exists() and printed.stat().st_size
        return printed if size else self.folder / "mosquitto.log"

    def command(self, port: int) -> list[str]:
        """Write the configuration, rotate a long log, return the command."""
        if self.secure:
            self._copy_identity()
            config = secure_config(self._listening(port))
        else:
            config = _CONFIG.format(
                port=port,
                host=LOOPBACK,
                messages=QUEUE_MESSAGES,
                bytes=QUEUE_BYTES,
                autosave=AUTOSAVE_S,
            )
        (self.folder / "mosquitto.conf").write_text(config, encoding="utf-8")
        log = self.folder / "mosquitto.log"
        if log.exists() and log.stat().st_size > _LOG_LIMIT:
            log.replace(log.with_suffix(".log.1"))
        return [str(MOSQUITTO), "-c", "mosquitto.conf"]

    @staticmethod
    def _listening(port: int) -> Listening:
        return Listening(LOOPBACK, port, port + PASSWORDS, sparkplug=True, arch=os.uname().machine)

    def ready(self, port: int) -> bool:
        """Return whether mosquitto accepts MQTT connections."""
        try:
            with socket.create_connection((LOOPBACK, port), timeout=5) as connection:
                if not self.secure:
                    return greets(connection)
                context = self.tls.context()
                with context.wrap_socket(connection, server_hostname=LOOPBACK) as safe:
                    return greets(safe)
        except OSError:
            return False


def greets(connection: socket.socket) -> bool:
    """Return whether an MQTT broker answers, even with a rejection."""
    connection.sendall(_CONNECT)
    answer = connection.recv(4)
    if answer[:1] != bytes([_CONNACK]):
        return False
    connection.sendall(_DISCONNECT)
    return True
