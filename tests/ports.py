"""
Ports that no other test process gets.

Tests run in several processes at the same time, and several checkouts may be tested on one machine.
Each process holds a block of a hundred ports during its life, and assigns them in turn. The process
that listens on the first port of a block holds the block; the system permits only one, and releases
the port when the process ends in any way.

A secured mosquitto also listens a thousand ports above its own, so every second thousand is left
free. All blocks are below the range from which the system assigns client ports, and away from the
usual ports of local servers.
"""

import atexit
import socket
from functools import cache
from itertools import cycle
from pathlib import Path

from services.local import LOOPBACK, is_free

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
        """Release the block."""
        self._guard.close()


@cache
def own() -> Block:
    """Return the block of this process."""
    block = Block()
    atexit.register(block.close)
    return block


def free_port(count: int = 1) -> int:
    """Return a port for this process only; with `count`, the first of several adjacent ports."""
    return own().free(count)


def taken_outside() -> socket.socket:
    """
    Return a server on a port outside all blocks; close it.

    A program that finds the port taken looks for another one in the thousand above it, where no
    test is.
    """
    for port in range(OUTSIDE, OUTSIDE + 10 * SIZE):
        try:
            return socket.create_server((LOOPBACK, port))
        except OSError:
            continue
    raise RuntimeError(f"no free port from {OUTSIDE} on; stop what listens there")


def give_ports(home: Path, *names: str, count: int = 1) -> Path:
    """
    Assign ports of this process to local servers that will start in `home`; return `home`.

    A server keeps the port of its last start while it is free, so existing ports are kept. On the
    usual port, another process could start a server just after a test has killed its own.
    """
    home.mkdir(parents=True, exist_ok=True)
    for file in (home / f"{name}.port" for name in names):
        if not file.exists():
            file.write_text(str(free_port(count)), encoding="utf-8")
    return home
