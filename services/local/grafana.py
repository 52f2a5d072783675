"""
Grafana on one machine, with tonne's data sources, dashboards and alert rules.

There is no Debian package: `GRAFANA_HOME` names a folder in the form of Grafana's distribution
(`bin/grafana`, `conf/defaults.ini`), else the folder of Grafana's own package is used.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from ingest.errors import InputError
from mrv.texts import ENGLISH
from services.extras import shipped
from services.local import LOOPBACK, Account, service_account
from services.local.server import Server

HOME = "GRAFANA_HOME"
LANGUAGE = "GRAFANA_LANGUAGE"
READER = "tonne_dashboards"
_USUAL = (Path("/usr/share/grafana"), Path("/opt/grafana"))
_PROGRAM, _DEFAULTS = "bin/grafana", "conf/defaults.ini"
_ACCOUNT = "grafana"
_FILE = {kind: f"{kind}/tonne.yaml" for kind in ("datasources", "dashboards")}
# relative to its working directory: its account may have no access to the parents, see
# services/local/stack.py
_HERE = "/proc/self/cwd"
_CONFIG = """\
# overwritten at each start of `tonne local up --grafana`
[paths]
data = {here}/data
logs = {here}/logs
plugins = {here}/plugins
provisioning = {here}/provisioning

[server]
http_addr = {host}
http_port = {port}

[security]
admin_password = $__file{{{here}/admin.password}}

# any local client may read: locally, it may also send as any device
[auth.anonymous]
enabled = true
org_role = Viewer

[dashboards]
default_home_dashboard_path = {here}/dashboards/tonne-overview.json

[log]
mode = console

# nothing is sent to, or fetched from, the Internet
[analytics]
reporting_enabled = false
check_for_updates = false
check_for_plugin_updates = false
feedback_links_enabled = false
[news]
news_feed_enabled = false
[plugins]
preinstall_disabled = true
plugin_admin_enabled = false
[snapshots]
external_enabled = false
"""


def grafana_home() -> Path | None:
    """
    Return Grafana's own folder; None if not installed.

    Raises InputError when `GRAFANA_HOME` names a folder without Grafana.
    """
    if named := os.environ.get(HOME):
        home = Path(named).resolve()
        for needed in (_PROGRAM, _DEFAULTS):
            if not (home / needed).exists():
                raise InputError(
                    f"{HOME}={named} holds no {needed}; name Grafana's own folder, or unset it"
                )
        return home
    return next((home for home in _USUAL if (home / _PROGRAM).exists()), None)


def boards_language() -> str:
    """
    Return the language of dashboards and alerts in `GRAFANA_LANGUAGE`; English by default.

    Raises InputError when that language is not available.
    """
    language = os.environ.get(LANGUAGE) or ENGLISH
    known = sorted(folder.name for folder in (shipped("grafana") / "dashboards").iterdir())
    if language not in known:
        raise InputError(
            f"{LANGUAGE}={language}: boards are available in {', '.join(known)}; choose one"
        )
    return language


class Grafana(Server):
    """
    Grafana server with its own database in its folder.

    `home`: data folder of all local servers.
    `program`: Grafana's own folder, see `grafana_home`; required for a start.
    """

    name = "grafana"
    usual_port = 13_000
    output = "grafana.log"

    def __init__(self, home: Path, program: Path | None = None) -> None:
        super().__init__(home)
        self._program = program

    @property
    def url(self) -> str:
        """Return the address of its pages."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def reader_password(self) -> str:
        """Return the password of the dashboards' database login, created if missing."""
        return self._secret("database.password")

    def require(self) -> Path:
        """
        Return Grafana's own folder.

        Raises InputError when there is no Grafana on this machine.
        """
        if self._program is None:
            raise InputError(
                f"Grafana is not installed; install it (grafana.com/docs/grafana), or set {HOME} "
                f"to its folder, which contains {_PROGRAM}"
            )
        return self._program

    def provision(self, database_port: int, database: str, prometheus: str) -> None:
        """Write Grafana's configuration: data sources, boards, alert rules."""
        self._secret("admin.password")
        self._secret("database.password")
        ours = shipped("grafana")
        language = boards_language()
        places = {
            "dashboards": ours / "dashboards" / language,
            "provisioning": ours / "provisioning",
            "provisioning/alerting": ours / "alerting" / language,
        }
        for name, place in places.items():
            # removed first, so that files of an older version do not remain
            shutil.rmtree(self.folder / name, ignore_errors=True)
            shutil.copytree(place, self.folder / name)
        self._write("datasources", _sources(database_port, database, prometheus))
        boards = yaml.safe_load((ours / "provisioning" / _FILE["dashboards"]).read_text("utf-8"))
        boards["providers"][0]["options"]["path"] = f"{_HERE}/dashboards"
        self._write("dashboards", boards)

    def account(self) -> Account | None:
        """Return the account created by its package; None for the current one."""
        try:
            pwd.getpwnam(_ACCOUNT)
        except KeyError:
            return None
        return service_account(_ACCOUNT)

    def command(self, port: int) -> list[str]:
        """Write the configuration, and return the command line."""
        program = self.require()
        config = _CONFIG.format(here=_HERE, host=LOOPBACK, port=port)
        (self.folder / "grafana.ini").write_text(config, encoding="utf-8")
        options = ["--homepath", str(program), "--config", f"{_HERE}/grafana.ini"]
        return [str(program / _PROGRAM), "server", *options]

    def ready(self, port: int) -> bool:
        """Return whether Grafana answers and its own database is usable."""
        try:
            with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/api/health", timeout=5) as page:
                return bool(page.status == 200)  # noqa: PLR2004
        except OSError:
            return False

    def _write(self, kind: str, document: Any) -> None:
        path = self.folder / "provisioning" / _FILE[kind]
        path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")

    def _secret(self, name: str) -> str:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / name
        if not path.exists():
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(secrets.token_urlsafe(24))
        return path.read_text(encoding="utf-8").strip()


def _sources(port: int, database: str, prometheus: str) -> dict[str, Any]:
    """Return the shipped data sources with the addresses of this machine."""
    path = shipped("grafana") / "provisioning" / _FILE["datasources"]
    document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    kept = {
        datasource["type"]: datasource
        for datasource in document["datasources"]
        if datasource["type"] != "alertmanager"
    }
    stored = kept["grafana-postgresql-datasource"]
    stored |= {"url": f"{LOOPBACK}:{port}", "user": READER}
    stored["jsonData"] |= {"database": database, "sslmode": "disable"}
    stored["secureJsonData"] = {"password": f"$__file{{{_HERE}/database.password}}"}
    kept["prometheus"]["url"] = prometheus
    document["datasources"] = list(kept.values())
    return document
