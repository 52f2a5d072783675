"""
A RabbitMQ of one test run, configured by `tonne broker config rabbitmq`.

It runs as the test's user: unlike the other servers it cannot be given a relative folder name.
"""

import os
import signal
import subprocess
import time
from pathlib import Path

from services.identity import write
from services.local import LOOPBACK
from services.local.server import Server

HOME = Path("/usr/lib/rabbitmq")


class RabbitMQ(Server):
    """
    The broker, with its queues in its folder and its ports on loopback.

    Parameters
    ----------
    home : Path
    written : callable
        Given the port, writes configuration and definitions; returns their folder.
    """

    name = "rabbitmq"
    usual_port = 27_985
    output = "rabbitmq.out"

    def __init__(self, home, written, probe):
        super().__init__(home)
        self._written, self._probe = written, probe
        self._node = f"tonne{os.getpid()}@localhost"

    @property
    def url(self):
        """Return the address for clients."""
        return f"mqtts://{LOOPBACK}:{self.port}"

    def command(self, port):
        """Write its configuration; return its command line."""
        source = self._written(port, str(self.folder))
        for file in source.iterdir():
            if not file.name.startswith("."):
                write(self.folder / file.name, file.read_bytes())
        return ["/usr/bin/env", *self._environment(port), str(HOME / "bin/rabbitmq-server")]

    def _environment(self, port):
        here = self.folder
        return [
            f"HOME={here}",
            f"RABBITMQ_NODENAME={self._node}",
            "ERL_EPMD_ADDRESS=127.0.0.1",
            f"ERL_EPMD_PORT={port + 1}",
            f"RABBITMQ_DIST_PORT={port + 2}",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1}",
            f"RABBITMQ_MNESIA_BASE={here}/data",
            f"RABBITMQ_LOG_BASE={here}/log",
            f"RABBITMQ_CONFIG_FILE={here}/rabbitmq.conf",
            f"RABBITMQ_ENABLED_PLUGINS_FILE={here}/enabled_plugins",
        ]

    def ready(self, port):
        """Return whether it accepts its own users."""
        return self._probe(port)

    def ctl(self, *words):
        """Run rabbitmqctl on this node."""
        return subprocess.run(
            ["/usr/bin/env", *self._environment(self.port), str(HOME / "bin/rabbitmqctl"),
             "--node", self._node, *words],
            cwd=self.folder, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip

    def stop(self):
        """Stop the node and the port mapper that it started."""
        super().stop()
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                words = (entry / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if (
                f"ERL_EPMD_PORT={self.port + 1}".encode() in words
                and f"HOME={self.folder}".encode() in words
            ):
                try:
                    os.kill(int(entry.name), signal.SIGKILL)
                except ProcessLookupError:
                    continue
        time.sleep(0.1)
