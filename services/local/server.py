"""
Common parts of local servers: folder, port, process, log; and Prometheus.

`targets.json` in its folder lists the processes: `run` and `api` at their configured addresses,
updated by `tonne local up`; others can be added while it runs.
"""

import json
import signal
import time
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from ingest.errors import InputError, ServerError
from services import local as process
from services.local import (
    LOOPBACK,
    PROMETHEUS,
    Account,
    choose,
    is_free,
    own_folder,
    service_account,
)
from services.settings import split_bind

# maximum time since the server's last log line: recovery after a crash may take long [s]
_STARTED_WITHIN_S = 120.0
_STOPPED_WITHIN_S = 90.0
_PORT_FREE_WITHIN_S = 90.0


class Server(ABC):
    """
    One server over a folder of its own below the data folder.

    `home`: data folder of all local servers.
    """

    name: ClassVar[str]
    usual_port: ClassVar[int]
    user: ClassVar[str | None] = None
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    output: ClassVar[str] = "output.log"

    def __init__(self, home: Path) -> None:
        self.home = home.resolve()
        self.folder = self.home / self.name
        self._pid_file = self.home / f"{self.name}.pid"
        self._port_file = self.home / f"{self.name}.port"

    @property
    @abstractmethod
    def url(self) -> str:
        """Return the URL of the server for clients."""

    @abstractmethod
    def command(self, port: int) -> list[str]:
        """Write the server's files, and return its command line."""

    @abstractmethod
    def ready(self, port: int) -> bool:
        """Return whether the server itself answers at its port."""

    def account(self) -> Account | None:
        """Return the account to run the server as; None for the current one."""
        return service_account(self.user) if self.user else None

    def prepare(self, account: Account | None) -> None:
        """Prepare the folder for a first start, or a start with old data."""
        own_folder(self.folder, account)

    def port_conflict(self, port: int) -> bool:
        """
        Return whether another program took the port, so that a start at another one may
        succeed.
        """
        return not is_free(port)

    @property
    def log(self) -> Path:
        """Return the path of the log."""
        return self.folder / self.output

    @property
    def port(self) -> int:
        """Return the port of the last start; before the first start, the usual port."""
        try:
            return int(self._port_file.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return self.usual_port

    @property
    def pid(self) -> int | None:
        """Return the id of the running process, or None."""
        running = self._running()
        return running.pid if running else None

    def start(self) -> None:
        """
        Start the server unless it runs; return when it answers.

        The port of the last start is used if it is free.

        Raises ServerError when it does not start; with the end of its log.
        """
        if self._running():
            return
        account = self.account()
        self.home.mkdir(parents=True, exist_ok=True)
        self.prepare(account)
        deadline = time.monotonic() + _PORT_FREE_WITHIN_S
        while not self._try_to_start(account):
            if time.monotonic() > deadline or not self.port_conflict(self.port):
                raise ServerError(
                    f"{self.name} ended immediately; {self.log} says:\n{self.last_lines()}"
                )
            time.sleep(0.2)

    def stop(self) -> None:
        """
        Stop cleanly; no effect if it does not run.

        Raises ServerError when it does not end in time.
        """
        self._end(self.stop_signal, _STOPPED_WITHIN_S)

    def kill(self) -> None:
        """Kill the process like a power failure (`kill -9`)."""
        self._end(signal.SIGKILL, _STOPPED_WITHIN_S)

    def restart(self) -> None:
        """Stop cleanly and start again on the same port."""
        self.stop()
        self.start()

    def last_lines(self, count: int = 15) -> str:
        """Return the end of the log."""
        try:
            text = self.log.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            return f"(no log: {error.strerror})"
        return "\n".join(text.splitlines()[-count:])

    def _running(self) -> process.Process | None:
        remembered = process.load(self._pid_file)
        return remembered if remembered and remembered.alive() else None

    def _try_to_start(self, account: Account | None) -> bool:
        port = choose(self.port)
        self._port_file.write_text(str(port), encoding="utf-8")
        started = process.spawn(self.command(port), self.folder, self.output, account)
        started.save(self._pid_file)
        return self._came_up(started, port)

    def _came_up(self, started: process.Process, port: int) -> bool:
        quiet = _Quiet(self)
        while started.alive():
            if self.ready(port):
                return True
            if quiet.for_s() > _STARTED_WITHIN_S:
                started.send(signal.SIGKILL)
                raise ServerError(
                    f"{self.name} does not answer on port {port}, and has written no output for "
                    f"{_STARTED_WITHIN_S:.0f} s; {self.log} says:\n{self.last_lines()}"
                )
            time.sleep(0.05)
        return False

    def _end(self, number: signal.Signals, timeout_s: float) -> None:
        running = self._running()
        if running is not None:
            running.send(number)
            quiet = _Quiet(self)
            while running.alive():
                if quiet.for_s() > timeout_s:
                    raise ServerError(
                        f"{self.name} (process {running.pid}) has not ended after {number.name}, "
                        f"and has written no output for {timeout_s:.0f} s; see {self.log}"
                    )
                time.sleep(0.02)
            if number == self.stop_signal:
                self._pid_file.unlink(missing_ok=True)


class _Quiet:
    """Timer of a log without growth."""

    def __init__(self, server: Server) -> None:
        self._server, self._seen, self._since_s = server, (server.log, -1), 0.0

    def for_s(self) -> float:
        """Check the log; return the time since it last grew. [s]"""
        now_s, log = time.monotonic(), self._server.log
        seen = log, log.stat().st_size if log.exists() else 0
        if seen != self._seen:
            self._seen, self._since_s = seen, now_s
        return now_s - self._since_s


_CONFIG = """\
# overwritten at each start of `tonne local up`
global: {{scrape_interval: {every}, evaluation_interval: {every}}}
rule_files: [{rules}]
scrape_configs:
  - job_name: tonne
    file_sd_configs: [{{files: [targets.json], refresh_interval: 5s}}]
    # the job of a target is that of targets.json
    relabel_configs:
      - {{source_labels: [process], regex: (.+), target_label: job, replacement: tonne-$1}}
"""
# listening addresses for all interfaces, to which a client cannot connect
_ALL = {"", "0.0.0.0", "::"}  # noqa: S104 - compared, not bound
_KEPT = ["--storage.tsdb.retention.time=30d", "--storage.tsdb.retention.size=1GB"]


class Prometheus(Server):
    """
    The server, with its samples in its folder.

    `home`: data folder of all local servers.
    `every`: pause between two scrapes.
    `rules`: files of rules to evaluate, readable for its account.
    """

    name = "prometheus"
    usual_port = 19_090
    user = "prometheus"
    output = "prometheus.log"

    def __init__(self, home: Path, every: str = "15s", rules: tuple[Path, ...] = ()) -> None:
        super().__init__(home)
        self._every, self._rules = every, rules

    @property
    def url(self) -> str:
        """Return the address of its page and API."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def _targets(self) -> Path:
        return self.folder / "targets.json"

    def watch(self, binds: Mapping[str, str]) -> None:
        """
        Set the addresses of processes to scrape, effective within seconds.

        `binds`: name, such as `run`, to `host:port`; empty for none.  Other names in `targets.json`
        stay.
        Raises InputError when `targets.json` is not a list of targets.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        groups = [group for group in self._kept() if group["labels"].get("process") not in binds]
        groups += [
            {"targets": [_reached(at)], "labels": {"process": name}}
            for name, at in binds.items()
            if at
        ]
        fresh = self._targets.with_suffix(".new")
        fresh.write_text(json.dumps(groups, indent=2), encoding="utf-8")
        fresh.chmod(0o644)
        fresh.replace(self._targets)

    def _kept(self) -> list[dict[str, Any]]:
        """Return the current groups of targets, including those without labels."""
        if not self._targets.exists():
            return []
        try:
            groups = json.loads(self._targets.read_text(encoding="utf-8"))
            return [{**group, "labels": dict(group.get("labels", {}))} for group in groups]
        except (ValueError, TypeError, AttributeError) as error:
            raise InputError(
                f"{self._targets} is not a list of targets ({error}); correct or delete it"
            ) from error

    def command(self, port: int) -> list[str]:
        """Write the configuration, and return the command line."""
        names = []
        for rules in self._rules:
            # a copy next to the configuration, as the account may not read the original
            (self.folder / rules.name).write_bytes(rules.read_bytes())
            names.append(rules.name)
        config = _CONFIG.format(every=self._every, rules=", ".join(names))
        (self.folder / "prometheus.yml").write_text(config, encoding="utf-8")
        listen = f"--web.listen-address={LOOPBACK}:{port}"
        where = ["--config.file=prometheus.yml", "--storage.tsdb.path=data"]
        return [str(PROMETHEUS), *where, listen, *_KEPT]

    def ready(self, port: int) -> bool:
        """Return whether Prometheus answers queries."""
        try:
            with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/-/ready", timeout=5) as page:
                return bool(page.status == 200)  # noqa: PLR2004
        except OSError:
            return False


def _reached(bind: str) -> str:
    """Return the address at which a process listening at `bind` can be reached locally."""
    host, port = split_bind(bind)
    host = LOOPBACK if host in _ALL else host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
