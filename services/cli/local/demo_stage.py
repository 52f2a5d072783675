"""
Servers and processes of the demo, and the commands run against them.

A process listens at its usual port, or at a free one if that is in use.
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, NamedTuple, NoReturn

import click

from ingest.errors import InputError, ServerError
from services.cli.commands import COMMANDS
from services.local.machine import LOOPBACK, choose
from services.local.prometheus import Prometheus
from services.shipped import shipped

_TRIES = 5
_BUSY = "cannot listen on"


class Listens(NamedTuple):
    """Address setting of a listening process, its usual port, and its log line when ready."""

    setting: str
    port: int
    event: str


class Begun(NamedTuple):
    """A started process and its address."""

    process: subprocess.Popen[bytes]
    bind: str


def begin(argv: Sequence[str], environment: Mapping[str, str], at: Listens, log: Path) -> Begun:
    """
    Start a listening process; print its address if the usual port is in use.

    If another program takes the chosen port first, another port is tried. A process that ended for
    another reason is returned as it is; its log has the cause.

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
                click.echo(f"port {at.port} is in use: {bind} instead")
            return Begun(process, bind)
    raise ServerError(f"no port near {at.port} is free; stop the program that uses it")


def start(
    argv: Sequence[str], environment: Mapping[str, str], log: Path
) -> subprocess.Popen[bytes]:
    """Start a process in the background, with its output in a file."""
    with log.open("wb") as out:
        return subprocess.Popen(  # noqa: S603 (our own interpreter and words)
            argv, env=environment, stdout=out, stderr=out
        )


def forked(words: Sequence[str], environment: Mapping[str, str]) -> tuple[int, str, str]:
    """
    Return exit code, output and errors of a command run in a fork of this process.

    A fork saves the start of Python and the loading of modules, most of a second.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    with TemporaryFile() as out, TemporaryFile() as err:
        child = os.fork()
        if not child:
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            _as_tonne(words, environment)
        _, status = os.waitpid(child, 0)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode())
    return os.waitstatus_to_exitcode(status), texts[0], texts[1]


def _as_tonne(words: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
    """Run `python -m services.cli` with these arguments, then exit."""
    code: object = 1
    sys.stdout, sys.stderr = (os.fdopen(descriptor, "w", encoding="utf-8") for descriptor in (1, 2))
    try:
        os.environ.clear()
        os.environ.update(environment)
        sys.argv[1:] = words
        runpy.run_module("services.cli", run_name="__main__")
    except SystemExit as ended:
        code = ended.code or 0
    finally:
        if sys.exc_info()[0] is not None:  # the end below would hide it
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


def warm(*commands: str) -> None:
    """Import the modules of commands once, before forking."""
    for name in commands:
        import_module(f"services.cli.{COMMANDS[name].where.partition(':')[0]}")


def _is_up(process: subprocess.Popen[bytes], at: Listens, log: Path) -> bool:
    """Return True once the log has the process's ready line, False if the process has ended."""
    try:
        while process.poll() is None:
            if _has_logged(log, at.event):
                return True
            time.sleep(0.1)
    except BaseException:  # Ctrl-C: no other code knows of the process yet
        process.terminate()
        process.wait()
        raise
    return False


def _has_logged(log: Path, event: str) -> bool:
    for line in log.read_bytes().splitlines():
        try:
            if json.loads(line)["event"] == event:
                return True
        except (ValueError, KeyError, TypeError):
            continue  # a line that is still being written, or no log line
    return False


LISTENS = {
    "run": Listens("TONNE_METRICS_BIND", 9464, "metrics"),
    "api": Listens("TONNE_API_BIND", 8080, "serving"),
}


class Stage:
    """The demo's folder, its servers, and the commands run against them."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.packs = home / "demo"
        self.quiet = False  # commands run without being shown
        self.listening: dict[str, str] = {}
        self._environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("TONNE_")},
            "TONNE_HOME": str(home),
            "TONNE_CONSOLE_MAP": str(shipped("catalog/haiphong/base.geojson")),
            "TONNE_CONSOLE_SIMULATED": "true",
        }

    @property
    def metrics(self) -> str:
        """Return the address of the pipeline's metrics; `host:port`."""
        return self.listening["run"]

    @property
    def api(self) -> str:
        """Return the address of the API; `host:port`."""
        return self.listening["api"]

    def tonne(self, *words: str, shown: bool = True, code: int = 0) -> str:
        """
        Return the output of a command that was run to its end.

        Raises
        ------
        InputError
            With the command's error text, if it does not end with `code`.
        """
        self._show(words, shown=shown)
        ended, out, err = forked(words, self._environment)
        if ended != code:
            output = f"{out}{err}".strip()
            raise InputError(f"`tonne {' '.join(words)}` ended with {ended}: {output}")
        return out

    def _show(self, words: Sequence[str], *, shown: bool = True) -> None:
        if shown and not self.quiet:
            click.secho(f"$ tonne {' '.join(words)}", bold=True)

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a command."""
        self._show(words)
        return subprocess.Popen(  # noqa: S603 (our own interpreter and words)
            [sys.executable, "-m", "services.cli", *words],
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def json(self, *words: str, shown: bool = True) -> Any:
        """Return the parsed output of a command run with --json."""
        return json.loads(self.tonne(*words, "--json", shown=shown))

    @contextmanager
    def running(self, *words: str) -> Iterator[subprocess.Popen[bytes]]:
        """
        Yield a command running in the background, its log in the demo's folder; stop it at
        the end.
        """
        click.secho(f"$ tonne {' '.join(words)} &", bold=True)
        argv, log = [sys.executable, "-m", "services.cli", *words], self.packs / f"{words[0]}.log"
        if words[0] in LISTENS:
            process, bind = begin(argv, self._environment, LISTENS[words[0]], log)
            self.listening[words[0]] = bind
            scraper = Prometheus(self.home)
            if scraper.pid is not None:
                scraper.watch({words[0]: bind})
        else:
            process = start(argv, self._environment, log)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()  # what it has begun to store it stores, however slow the machine is


def brief(text: str, lines: int = 1) -> None:
    """Print the last lines of a command's output."""
    for line in [text_line for text_line in text.splitlines() if text_line.strip()][-lines:]:
        click.echo(f"  {line.strip()}")
