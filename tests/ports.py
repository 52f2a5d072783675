"""
Ports that no other process of tests is given.

Tests run in several processes side by side, and more than one checkout may be tested on
a machine.  Each process holds a block of a hundred ports for as long as it lives, and
hands them out in turn.  Anyone who listens on a block's first port holds the block: the
system lets one process do so, and forgets it when the process ends, however it ends.

A secured mosquitto listens a thousand above its port too, so every second thousand is
left to them.  All lie below the range from which the system lends ports to clients, and
away from the usual ports of local servers.
"""

import atexit
import socket
from functools import cache
from itertools import cycle
from pathlib import Path

from services.local.machine import LOOPBACK, is_free

SIZE = 100
BLOCKS = [
    thousand + hundred
    for thousand in range(21_000, 31_000, 2_000)
    for hundred in range(0, 1_000, SIZE)
]
OUTSIDE = 31_000  # to the range of clients' ports, which begins at 32768
SERVERS = ("postgres", "mosquitto", "kafka", "prometheus", "grafana")


class Block:
    """
    A block of ports, held until it is closed.

    Raises
    ------
    RuntimeError
        When every block is held.
    """

    def __init__(self) -> None:
        self._guard = socket.socket()
        self.first = next((first for first in BLOCKS if self._held(first)), 0)
        if not self.first:
            raise RuntimeError(f"all {len(BLOCKS)} blocks of test ports are held; end other runs")
        self._next = cycle(range(self.first + 1, self.first + SIZE))

    def _held(self, first: int) -> bool:
        try:
            self._guard.bind((LOOPBACK, first))
            self._guard.listen(1)
        except OSError:
            return False
        return True

    def free(self, count: int = 1) -> int:
        """Return the first of `count` adjacent ports on which no one listens."""
        for port in (next(self._next) for _ in range(SIZE)):
            wanted = range(port, port + count)
            if wanted.stop <= self.first + SIZE and all(map(is_free, wanted)):
                for _ in wanted[1:]:
                    next(self._next)
                return port
        raise RuntimeError(f"no free port from {self.first} on; stop what listens there")

    def close(self) -> None:
        """Let another process have the block."""
        self._guard.close()


@cache
def own() -> Block:
    """Return the block of this process."""
    block = Block()
    atexit.register(block.close)
    return block


def free_port(count: int = 1) -> int:
    """Return a port for this process alone; with `count`, the first of so many in a row."""
    return own().free(count)


def taken_outside() -> socket.socket:
    """
    Return a server on a port outside of all blocks; close it.

    Who finds it taken looks for another one in the thousand above it, where no test is.
    """
    for port in range(OUTSIDE, OUTSIDE + 10 * SIZE):
        try:
            return socket.create_server((LOOPBACK, port))
        except OSError:
            continue
    raise RuntimeError(f"no free port from {OUTSIDE} on; stop what listens there")


def give_ports(home: Path, *names: str, count: int = 1) -> Path:
    """
    Give local servers that will start in `home` ports of this process; return `home`.

    A server keeps the port of its last start while it is free, so what has a port already
    is left as it is.  On the usual port another process could start a server in the moment
    in which a test has killed ours.
    """
    home.mkdir(parents=True, exist_ok=True)
    for file in (home / f"{name}.port" for name in names):
        if not file.exists():
            file.write_text(str(free_port(count)), encoding="utf-8")
    return home
