"""Processor time of this process and of a server per message; memory of a process."""

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


@dataclass
class Meter:
    """Sums the processor time of this process and of a server over blocks."""

    server: Callable[[], float] = lambda: 0.0
    ours_s: float = 0.0
    servers_s: float = 0.0

    def __enter__(self) -> None:
        self._began = time.process_time(), self.server()

    def __exit__(self, *_: object) -> None:
        self.ours_s += time.process_time() - self._began[0]
        self.servers_s += self.server() - self._began[1]

    def ours_us(self, messages: int) -> float:
        """Return the microseconds of this process per message."""
        return self.ours_s / messages * 1e6

    def servers_us(self, messages: int) -> float:
        """Return the microseconds of the server per message."""
        return self.servers_s / messages * 1e6


def alone_s(pid: int) -> float:
    """Return processor seconds of a single-threaded process, without its child processes."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def cpu_s(pid: int) -> float:
    """Return processor seconds of a process and of its child processes."""
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        rest = text.rsplit(")", 1)[1].split()
        if int(stat.parent.name) == pid or int(rest[1]) == pid:
            total += sum(map(int, rest[11:15]))
    return total * _TICK_S


def rss_mb(pid: int) -> float:
    """Return the resident memory of a process. [MB]"""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)
    if found is None:
        raise RuntimeError(f"process {pid} has ended")
    return int(found[1]) / 1000
