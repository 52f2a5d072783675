"""Memory of processes and their children: each has its share of the pages that several have."""

from __future__ import annotations

import re
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Self

_EVERY_S = 0.5
_ROW = re.compile(r"^Pss_(Anon|File|Shmem):\s+(\d+) kB$", re.MULTILINE)


class Held(NamedTuple):
    """Memory by its kind. [MiB]"""

    anonymous: float = 0.0
    file: float = 0.0
    shared: float = 0.0

    @property
    def total(self) -> float:
        """All of it. [MiB]"""
        return sum(self)


def held(pid: int) -> Held:
    """Return what a process and its children hold now; nothing of those that are gone."""
    found = {"Anon": 0, "File": 0, "Shmem": 0}
    for one in tree(pid):
        with suppress(OSError):
            for kind, kib in _ROW.findall(Path(f"/proc/{one}/smaps_rollup").read_text()):
                found[kind] += int(kib)
    return Held(*(kib / 1024 for kib in found.values()))


def tree(pid: int) -> list[int]:
    """Return a process and all that it and its children started."""
    found, waiting = [], [pid]
    while waiting:
        one = waiting.pop()
        found.append(one)
        for task in Path(f"/proc/{one}/task").glob("[0-9]*/children"):
            with suppress(OSError):
                waiting += map(int, task.read_text().split())
    return found


class Watch(threading.Thread):
    """
    Looks at processes every half second, and keeps the most of each.

    Attributes
    ----------
    parts : dict of str to Held
        What it was made of at its most, by the process's name.
    """

    def __init__(self) -> None:
        super().__init__(name="pss", daemon=True)
        self._roots: dict[str, int] = {}
        self._ended = threading.Event()
        self.parts: dict[str, Held] = {}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join(60)

    def look(self, name: str, pid: int) -> None:
        """Look at a process from now on."""
        self._roots[name] = pid

    def run(self) -> None:
        """Look until the end of the block."""
        while not self._ended.wait(_EVERY_S):
            began = time.monotonic()
            for name, pid in list(self._roots.items()):
                now = held(pid)
                if now.total > self.parts.get(name, Held()).total:
                    self.parts[name] = now
            # where that takes long it is done more rarely: looking is work for the machine too
            self._ended.wait(time.monotonic() - began)

    def most(self) -> dict[str, float]:
        """Return the most of each. [MiB]"""
        return {name: one.total for name, one in self.parts.items()}

    def told(self) -> str:
        """Return a line a process."""
        return "\n".join(
            f"{name:<16} {one.total:7.1f} MiB: own {one.anonymous:.1f}, of files {one.file:.1f},"
            f" shared {one.shared:.1f}"
            for name, one in self.parts.items()
        )
