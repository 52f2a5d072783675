"""
Folders in memory for the servers of tests.

A run creates a database from a template a thousand times, with a thousand files each. In memory,
that takes a sixth of the processor time that ext4 takes, and nothing waits for a disk. No test cuts
the machine's power, and files of a killed process remain, as on a disk.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

MEMORY = Path("/dev/shm")  # noqa: S108 (a folder of an unguessable name in it)
_NAME = "tonne-tests-{pid}-"
_BESIDE = 2 << 30  # bytes that are to be left on the machine
_of_run: list[pytest.TempPathFactory] = []


@contextmanager
def folder(otherwise: Path, gigabytes: int = 1) -> Iterator[Path]:
    """Yield a folder in memory; the given folder if there is no space."""
    if not _room(gigabytes << 30):
        yield otherwise
        return
    _forget_the_dead()
    home = Path(tempfile.mkdtemp(prefix=_NAME.format(pid=os.getpid()), dir=MEMORY))
    home.chmod(0o755)  # as pytest's own: a server's account walks through
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


def begin(factory: pytest.TempPathFactory) -> None:
    """Let `kept` make its folders in that of the run, which pytest removes."""
    _of_run[:] = [factory]


def kept(prefix: str) -> Path:
    """Return a new folder that remains until the run ends."""
    return Path(tempfile.mkdtemp(prefix=prefix, dir=_of_run[0].getbasetemp()))


def _room(needed: int) -> bool:
    try:
        free = shutil.disk_usage(MEMORY).free
        told = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:
        return False
    available = re.search(r"MemAvailable: +(\d+) kB", told)
    left = int(available[1] if available else 0) << 10
    return free >= needed and left >= needed + _BESIDE


@cache
def _forget_the_dead() -> None:
    """Remove the folders of runs that were killed."""
    for left in MEMORY.glob(_NAME.format(pid="*")):
        pid = left.name.split("-")[2]
        if not Path(f"/proc/{pid}").exists():
            shutil.rmtree(left, ignore_errors=True)
