"""
Prometheus for the processes of one machine.

`targets.json` in its folder lists the processes: `run` and `api` at their configured addresses,
updated by `tonne local up`; others can be added while it runs.
"""

import json
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ingest.errors import InputError
from services.local.machine import LOOPBACK, PROMETHEUS
from services.local.server import Server
from services.settings import split_bind

_CONFIG = """\
# written anew at each start of `tonne local up`
global: {{scrape_interval: {every}, evaluation_interval: {every}}}
rule_files: [{rules}]
scrape_configs:
  - job_name: tonne
    file_sd_configs: [{{files: [targets.json], refresh_interval: 5s}}]
    # the job of a target is that of targets.json
    relabel_configs:
      - {{source_labels: [process], regex: (.+), target_label: job, replacement: tonne-$1}}
"""
# an address on which a process listens that is none to ask: all of the machine's
_ALL = {"", "0.0.0.0", "::"}  # noqa: S104 - compared, not bound
_KEPT = ["--storage.tsdb.retention.time=30d", "--storage.tsdb.retention.size=1GB"]


class Prometheus(Server):
    """
    The server, with its samples in its folder.

    Parameters
    ----------
    home : Path
        Data folder of all local servers.
    every : str
        Pause between two scrapes.
    rules : tuple of Path
        Files of rules to evaluate, readable for its account.
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

        Parameters
        ----------
        binds : mapping of str to str
            Name, such as `run`, to `host:port`; empty for none.  Other names in `targets.json`
            stay.

        Raises
        ------
        InputError
            When `targets.json` is not a list of targets.
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
            # beside its configuration: its account need not be able to read where they come from
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
