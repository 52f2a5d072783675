"""A `tonne run` with separate servers, and what is read from it."""

import json
import os
import re
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from http.client import HTTPException
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import yaml

from ingest.mqtt import SUBSCRIPTIONS
from ingest.mqtt.session import Session
from services.local.stack import LocalStack
from tests import commands
from tests.apache_kafka import APACHE
from tests.ports import SERVERS, free_port, give_ports
from tests.waiting import until


def open_session(mqtt_url: str, client_id: str, share: str = "") -> None:
    """Let a broker store messages for a client that is not connected yet, or its share of them."""
    prefix = f"$share/{share}/" if share else ""
    session = Session(mqtt_url, client_id, [prefix + topic for topic in SUBSCRIPTIONS], 100)
    session.connect()
    end = time.monotonic() + 60
    while not session.subscribed:
        if time.monotonic() > end:
            raise TimeoutError(f"no answer from {mqtt_url}")
        session.step(0.1, 0)
    session.close(0)


class Pipeline:
    """Servers in a folder, a registry, and commands run on them."""

    secure: bool | None = None
    # commands by a Python of their own, as an operator's are, and no forks of one that has read all
    anew = False
    # whether the database has the schema: a copy of one that has needs no command for it
    migrated = False
    _asking: psycopg.Connection | None = None

    def __init__(self, home: Path) -> None:
        self.home = home
        self.stack = LocalStack(give_ports(home, *SERVERS), APACHE)
        self.urls = self.stack.up(kafka=False, secure=self.secure)
        self.metrics = f"127.0.0.1:{free_port()}"
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("TONNE_")},
            "TONNE_HOME": str(home),
            "TONNE_METRICS_BIND": self.metrics,
        }

    def tonne(self, *words: str) -> str:
        """Run a command until it ends; return its output, or raise an error with it."""
        done = commands.run(
            words, anew=self.anew, env=self.environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"tonne {' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout

    def ask(self, query: LiteralString, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return rows of the database; the connection is kept, since opening one takes 20 ms."""
        if self._asking is not None:
            with suppress(psycopg.OperationalError):  # the server was ended meanwhile
                return self._asking.execute(query, values).fetchall()
            self._asking.close()
        self._asking = psycopg.connect(
            self.urls.database_url, autocommit=True, prepare_threshold=None
        )
        return self._asking.execute(query, values).fetchall()

    def register(self, document: dict) -> None:
        """Import a registry; migrate first if that was not done."""
        file = self.home / "registry.yaml"
        file.write_text(yaml.safe_dump(document, sort_keys=False))
        if not self.migrated:
            self.tonne("migrate")
            self.migrated = True
        self.tonne("registry", "import", str(file))

    def open_session(self, client_id: str = "tonne-run") -> None:
        """Let the broker store messages for `tonne run`, as it does after a first start."""
        open_session(self.urls.mqtt_url, client_id)

    @contextmanager
    def running(self, log: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
        """Yield a `tonne run`, stopped by SIGTERM at the end of the block."""
        with log.open("wb") as out:
            process = commands.start(
                ["run", *words], anew=self.anew, env=self.environment, stdout=out, stderr=out
            )
            try:
                yield process
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(120)

    def receiving_since(self, log: Path, patience_s: float = 120) -> float:
        """Return the wall-clock time at which the pipeline reported that it receives."""
        end = time.monotonic() + patience_s
        while time.monotonic() < end:
            for line in log.read_text().splitlines():
                with suppress(ValueError):
                    entry = json.loads(line)
                    if entry.get("event") == "receiving":
                        return datetime.fromisoformat(entry["timestamp"]).timestamp()
            time.sleep(0.05)
        raise TimeoutError(log.read_text())

    def counted(self, name: str) -> float:
        """Return the sum of a metric's series; 0 while the exporter is not up."""
        with suppress(OSError, HTTPException):  # nor one that is ended while it answers
            with urllib.request.urlopen(f"http://{self.metrics}/metrics", timeout=30) as page:
                text = page.read().decode()
            found = re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE)
            return sum(float(value) for value in found)
        return 0.0

    def wait_for(
        self, name: str, least: float, patience_s: float = 120, *, pause_s: float = 0.1
    ) -> float:
        """
        Return the wall-clock time at which a metric reached a value,
        asked for every `pause_s`.
        """
        until(
            lambda: self.counted(name) >= least,
            patience_s,
            lambda: f"{name} is {self.counted(name)}, not {least}",
            pause_s,
        )
        return time.time()

    def derived(self, patience_s: float = 120) -> None:
        """Wait until no device waits for derived rows."""
        until(
            lambda: self.ask("SELECT count(*) FROM v_underived") == [(0,)],
            patience_s,
            lambda: self.ask("SELECT * FROM v_underived LIMIT 5"),
        )

    def close(self) -> None:
        """Stop the servers."""
        if self._asking is not None:
            self._asking.close()
        self.stack.down()
