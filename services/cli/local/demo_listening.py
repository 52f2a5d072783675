"""The demo's processes that listen: at the usual port where it is free, else at another."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import click

from ingest.errors import ServerError
from services.local.ports import LOOPBACK, choose

_TRIES = 5
_BUSY = "cannot listen on"


class Listens(NamedTuple):
    """The setting that says where a process listens, the usual port, and what it logs then."""

    setting: str
    port: int
    event: str


class Begun(NamedTuple):
    """A process, and where it listens."""

    process: subprocess.Popen[bytes]
    bind: str


def begin(argv: Sequence[str], environment: Mapping[str, str], at: Listens, log: Path) -> Begun:
    """
    Start a process that listens, and say where if that is not the usual port.

    A port that was free when it was chosen may be taken when the process comes to it, by
    another demo: then another one is chosen.  A process that ended for another reason is
    returned as it is; its log says why.

    Raises
    ------
    ServerError
        When no port stays free.
    """
    for _ in range(_TRIES):
        bind = f"{LOOPBACK}:{choose(at.port)}"
        process = start(argv, {**environment, at.setting: bind}, log)
        if _is_up(process, at, log) or _BUSY not in log.read_text(encoding="utf-8"):
            if bind != f"{LOOPBACK}:{at.port}":
                click.echo(f"  port {at.port} is taken: {bind} instead")
            return Begun(process, bind)
    raise ServerError(f"no port near {at.port} stays free; stop what listens there")


def start(
    argv: Sequence[str], environment: Mapping[str, str], log: Path
) -> subprocess.Popen[bytes]:
    """Start a process in the background, what it says in a file."""
    with log.open("wb") as out:
        return subprocess.Popen(  # noqa: S603 (our own interpreter and words)
            argv, env=environment, stdout=out, stderr=out
        )


def _is_up(process: subprocess.Popen[bytes], at: Listens, log: Path) -> bool:
    """Wait until it says that it listens; False once it has ended."""
    try:
        while process.poll() is None:
            if _said(log, at.event):
                return True
            time.sleep(0.1)
    except BaseException:  # Ctrl-C: nobody else knows of the process yet
        process.terminate()
        process.wait()
        raise
    return False


def _said(log: Path, event: str) -> bool:
    for line in log.read_bytes().splitlines():
        try:
            if json.loads(line)["event"] == event:
                return True
        except (ValueError, KeyError, TypeError):
            continue  # a line that is still being written, or no log line
    return False
