"""The demo's stage: a folder with servers, and the commands that are run against them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from ingest.errors import InputError
from services.cli.local.demo_listening import Listens, begin, start
from services.local.prometheus import Prometheus

LISTENS = {
    "run": Listens("TONNE_METRICS_BIND", 9464, "metrics"),
    "api": Listens("TONNE_API_BIND", 8080, "serving"),
}


class Stage:
    """A folder with servers, and commands run against them."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.packs = home / "demo"
        self.quiet = False  # commands run without being shown
        self.listening: dict[str, str] = {}
        self._environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("TONNE_")},
            "TONNE_HOME": str(home),
        }

    @property
    def metrics(self) -> str:
        """Where the pipeline answers Prometheus; `host:port`."""
        return self.listening["run"]

    @property
    def api(self) -> str:
        """Where the API is; `host:port`."""
        return self.listening["api"]

    def tonne(self, *words: str, shown: bool = True, code: int = 0) -> str:
        """
        Run a command to its end.

        Raises
        ------
        InputError
            With the command's own words, if it does not end with `code`.
        """
        process = self.start(*words, shown=shown)
        out, err = process.communicate()
        if process.returncode != code:
            said = f"{out}{err}".strip()
            raise InputError(f"`tonne {' '.join(words)}` ended with {process.returncode}: {said}")
        return out

    def start(self, *words: str, shown: bool = True) -> subprocess.Popen[str]:
        """Start a command."""
        if shown and not self.quiet:
            click.secho(f"$ tonne {' '.join(words)}", bold=True)
        return subprocess.Popen(  # noqa: S603 (our own interpreter and words)
            [sys.executable, "-m", "services.cli", *words],
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def json(self, *words: str, shown: bool = True) -> Any:
        """Run a command with --json and read what it prints."""
        return json.loads(self.tonne(*words, "--json", shown=shown))

    @contextmanager
    def running(self, *words: str) -> Iterator[subprocess.Popen[bytes]]:
        """Command in the background, its log in the demo's folder, stopped cleanly at the end."""
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
    """Print what matters of a command: its last lines."""
    for line in [one for one in text.splitlines() if one.strip()][-lines:]:
        click.echo(f"  {line.strip()}")
