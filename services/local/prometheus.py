"""
Prometheus over the processes of one machine.

Which processes those are stands in `targets.json` in its folder: the usual ports of
`tonne run` and `tonne api` at first, yours to change while it runs.
"""

import json
import urllib.request
from pathlib import Path

from services.local.packages import PROMETHEUS
from services.local.ports import LOOPBACK
from services.local.server import Server

_CONFIG = """\
# written anew at each start of `tonne local up`
global: {{scrape_interval: {every}, evaluation_interval: {every}}}
rule_files: [{rules}]
scrape_configs:
  - job_name: tonne
    file_sd_configs: [{{files: [targets.json], refresh_interval: 5s}}]
    # the job of a target is what stands beside it in targets.json
    relabel_configs: [{{source_labels: [process], target_label: job, replacement: tonne-$1}}]
"""
_USUAL = {"run": f"{LOOPBACK}:9464", "api": f"{LOOPBACK}:8080"}
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
        """Where its page and its API are."""
        return f"http://{LOOPBACK}:{self.port}"

    def watch(self, targets: dict[str, str]) -> None:
        """Scrape processes: name, such as `run`, to `host:port`; taken up within seconds."""
        self.folder.mkdir(parents=True, exist_ok=True)
        groups = [{"targets": [at], "labels": {"process": name}} for name, at in targets.items()]
        path = self.folder / "targets.json"
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(groups, indent=2), encoding="utf-8")
        fresh.chmod(0o644)
        fresh.replace(path)

    def command(self, port: int) -> list[str]:
        """Write the configuration, and return the command line."""
        if not (self.folder / "targets.json").exists():
            self.watch(_USUAL)
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
        """Whether it answers queries."""
        try:
            with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/-/ready", timeout=5) as page:
                return bool(page.status == 200)  # noqa: PLR2004
        except OSError:
            return False
