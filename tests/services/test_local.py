"""Local servers: start, durability, kill -9, and what they must never change."""

import json
import os
import re
import signal
import stat
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
import yaml
from click.testing import CliRunner

from ingest.errors import InputError
from services import local as machine
from services import local as process
from services.cli.__main__ import main
from services.local.brokers import Mosquitto
from services.local.grafana import Grafana
from services.local.stack import LocalStack
from services.settings import Settings
from tests.grafana.macros import BOARDS
from tests.invoked import tonne
from tests.ports import SERVERS, give_ports, taken_outside
from tests.waiting import until

pytestmark = pytest.mark.integration


# There is no Grafana to test with: this keeps how it was called, and answers as it does.
_STAND_IN = """#!{python}
import configparser, http.server, json, os, sys
ini = configparser.ConfigParser()
ini.read(sys.argv[sys.argv.index("--config") + 1])
told = {{s: dict(ini[s]) for s in ini.sections()}}
with open("called.json", "w") as file:
    seen = {{"argv": sys.argv, "cwd": os.getcwd(), "environment": dict(os.environ), "ini": told}}
    json.dump(seen, file)
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/api/health" else 404)
        self.end_headers()
    def log_message(self, *_):
        pass
at = told["server"]["http_addr"], int(told["server"]["http_port"])
http.server.HTTPServer(at, Answer).serve_forever()
"""


@pytest.fixture(scope="module")
def grafana(tmp_path_factory):
    """Return a folder in the form of Grafana's own."""
    home = tmp_path_factory.mktemp("grafana")
    (home / "conf").mkdir()
    (home / "conf/defaults.ini").touch()
    program = home / "bin/grafana"
    program.parent.mkdir()
    program.write_text(_STAND_IN.format(python=sys.executable), encoding="utf-8")
    program.chmod(0o755)
    return home


@pytest.fixture(scope="module")
def stack(tmp_path_factory, grafana):
    """Return servers in a folder that only this user can enter."""
    home = tmp_path_factory.mktemp("closed") / "home"
    home.parent.chmod(0o700)
    servers = LocalStack(give_ports(home, *SERVERS), grafana=grafana)
    yield servers
    servers.down()


def _query(url, statement):
    with psycopg.connect(url, autocommit=True) as connection:
        answer = connection.execute(statement)
        return answer.fetchone() if answer.description else None


def test_up_twice_starts_nothing_twice(stack):
    """A second `up` must not disturb a pipeline that runs on the first one's servers."""
    first = stack.up()
    before = stack.postgres.pid, stack.mosquitto.pid
    assert stack.up() == first
    assert (stack.postgres.pid, stack.mosquitto.pid) == before


def test_rows_survive_kill_9_on_the_same_port(stack):
    """A power cut must lose no committed reading, and clients must find the server again."""
    url = stack.up().database_url
    _query(url, "CREATE TABLE IF NOT EXISTS kept (value int)")
    _query(url, "INSERT INTO kept VALUES (42)")
    rows = _query(url, "SELECT count(*), min(value) FROM kept")
    stack.postgres.kill()
    stack.mosquitto.kill()
    assert stack.status().servers["postgres"].state == "down"
    assert stack.up().database_url == url
    assert _query(url, "SELECT count(*), min(value) FROM kept") == rows


def test_what_a_server_said_at_its_last_start_is_gone(tmp_path):
    """Anyone who waits for the line that says it is up would go on before it is."""
    (tmp_path / "log").write_text("up\n")
    one = process.spawn(["sleep", "60"], tmp_path, "log", None)
    try:
        assert (tmp_path / "log").read_text() == ""
    finally:
        one.send(signal.SIGKILL)
        until(lambda: not one.alive())


def test_a_lock_file_whose_process_id_another_has_now_is_no_obstacle(stack):
    """After a container restarts, low process ids are taken by others; data must still open."""
    url = stack.up().database_url
    stack.postgres.kill()
    lock = stack.postgres.folder / "postmaster.pid"
    lines = lock.read_text(encoding="utf-8").split("\n")
    lines[0] = str(os.getpid())  # alive, but started at another time than the one remembered
    lock.write_text("\n".join(lines), encoding="utf-8")
    record = process.load(stack.home / "postgres.pid")
    process.Process(os.getpid(), record.started, record.boot).save(stack.home / "postgres.pid")
    assert stack.up().database_url == url
    assert _query(url, "SELECT 1") == (1,)


def test_settings_are_durable(stack):
    """Without one of these settings, readings acknowledged to a device could be lost."""
    url = stack.up().database_url
    for name in ("fsync", "full_page_writes", "synchronous_commit", "data_checksums"):
        assert _query(url, f"SHOW {name}") == ("on",)
    assert _query(url, "SHOW TimeZone") == ("UTC",)


def test_no_password_no_entry(stack):
    """Other users of the machine must not read or forge readings."""
    url = urlsplit(stack.up().database_url)
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(host="127.0.0.1", port=url.port, user="tonne", dbname="tonne", password="")
    for name in ("local.json", "postgres.password"):
        assert stat.S_IMODE((stack.home / name).stat().st_mode) == 0o600


def test_servers_listen_on_loopback_only(stack):
    """
    Any client may publish for any device here, so the server must not be reachable from the
    network.
    """
    stack.up(kafka=True, prometheus=True, grafana=True)
    taken = {f"{server.port:04X}" for server in stack.servers}
    table = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()
    local = [line.split()[1].split(":") for line in table if ":" in line]
    listening = {port: address for address, port in local if port in taken}
    assert set(listening) == taken
    assert set(listening.values()) == {"0100007F"}
    assert 5_432 not in {server.port for server in stack.servers}


def test_grafana_reads_our_boards_from_our_database(stack, grafana):
    """Boards over another database, or none, would look like a city without trouble."""
    urls = stack.up(grafana=True)
    folder = stack.grafana.folder
    called = json.loads((folder / "called.json").read_text(encoding="utf-8"))
    assert called["argv"][1:4] == ["server", "--homepath", str(grafana)]
    assert called["cwd"] == str(folder)
    for name in ("data", "logs", "plugins", "provisioning"):
        place = called["ini"]["paths"][name]
        assert place == f"/proc/self/cwd/{name}"
    assert called["ini"]["auth.anonymous"] == {"enabled": "true", "org_role": "Viewer"}
    first = called["ini"]["dashboards"]["default_home_dashboard_path"]
    assert (folder / first.removeprefix("/proc/self/cwd/")).is_file()

    shipped_boards = {p.name: p.read_bytes() for p in BOARDS.glob("*.json")}
    assert {p.name: p.read_bytes() for p in (folder / "dashboards").iterdir()} == shipped_boards
    provider = _yaml(folder, "dashboards")["providers"][0]
    assert provider["options"] == {"path": "/proc/self/cwd/dashboards"}
    sources = {one["uid"]: one for one in _yaml(folder, "datasources")["datasources"]}
    text = json.dumps([json.loads(one) for one in shipped_boards.values()])
    assert set(re.findall(r'"uid": "(tonne-(?:timescaledb|prometheus|alertmanager))"', text)) <= {
        *sources
    }
    assert sources["tonne-prometheus"]["url"] == urls.prometheus_url or not urls.prometheus_url

    # the login that it is given reads, and no more
    source = sources["tonne-timescaledb"]
    assert source["secureJsonData"] == {"password": "$__file{/proc/self/cwd/database.password}"}
    password = (folder / "database.password").read_text(encoding="utf-8")
    host, _, port = source["url"].partition(":")
    with psycopg.connect(
        host=host, port=port, user=source["user"], password=password,
        dbname=source["jsonData"]["database"], autocommit=True,
    ) as login:  # fmt: skip
        assert login.execute("SELECT pg_has_role('tonne_grafana', 'USAGE')").fetchone() == (True,)
        assert login.execute("SHOW statement_timeout").fetchone() == ("30s",)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            login.execute("CREATE TABLE mine (a int)")
    for name in ("database.password", "admin.password"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
        secret = (folder / name).read_text(encoding="utf-8")
        assert secret not in json.dumps(called)
        written = [p for p in folder.rglob("*") if p.is_file() and p.suffix in {".yaml", ".ini"}]
        assert not [p for p in written if secret in p.read_text(encoding="utf-8")]


def test_grafana_has_boards_and_alerts_in_the_language_that_is_set(tmp_path, monkeypatch):
    """An operator in Hai Phong would get English boards, or none for a misspelt tag."""
    monkeypatch.setenv("GRAFANA_LANGUAGE", "vi")
    server = Grafana(tmp_path)
    server.provision(5432, "tonne", "http://127.0.0.1:9090")
    for kind, place in (("dashboards", "dashboards"), ("alerting", "provisioning/alerting")):
        wanted = {p.name: p.read_bytes() for p in (BOARDS.parents[1] / kind / "vi").iterdir()}
        assert {p.name: p.read_bytes() for p in (server.folder / place).iterdir()} == wanted
    monkeypatch.setenv("GRAFANA_LANGUAGE", "vn")
    with pytest.raises(
        InputError, match="GRAFANA_LANGUAGE=vn: boards are available in de, en, ja, vi"
    ):
        server.provision(5432, "tonne", "http://127.0.0.1:9090")


def _yaml(folder, kind):
    return yaml.safe_load((folder / f"provisioning/{kind}/tonne.yaml").read_text(encoding="utf-8"))


def test_commands_show_where_grafana_is_and_no_password(stack, grafana, monkeypatch):
    """The address is what an operator needs; a password in a terminal is seen by others."""
    monkeypatch.setenv("TONNE_HOME", str(stack.home))
    monkeypatch.setenv("GRAFANA_HOME", str(grafana))
    done = tonne("local", "up", "--grafana", "--no-kafka", "--no-prometheus", code=0)
    assert f"grafana_url     {stack.grafana.url}\n" in done.output
    for name in ("database.password", "admin.password"):
        assert (stack.grafana.folder / name).read_text(encoding="utf-8") not in done.output
    assert Settings().grafana_url == stack.grafana.url
    monkeypatch.setenv("GRAFANA_HOME", str(stack.home))
    done = tonne("local", "up", "--grafana", code=2)
    assert "holds no bin/grafana" in done.output
    with pytest.raises(InputError, match="GRAFANA_HOME"):
        LocalStack(stack.home).up(grafana=True)


def _scraped(url):
    found = httpx.get(f"{url}/api/v1/targets").json()["data"]["activeTargets"]
    return {(one["labels"]["job"], one["scrapeUrl"]) for one in found}


def test_prometheus_scrapes_where_the_settings_have_processes_listen(stack, monkeypatch):
    """Boards and alerts would stand empty beside a pipeline that listens on another port."""
    monkeypatch.setenv("TONNE_HOME", str(stack.home))
    monkeypatch.setenv("TONNE_METRICS_BIND", "0.0.0.0:29464")
    monkeypatch.setenv("TONNE_API_BIND", "[::1]:28080")
    up = ("local", "up", "--prometheus", "--no-kafka")
    tonne(*up, code=0)
    url = stack.urls().prometheus_url
    pipeline, api = (
        ("tonne-run", "http://127.0.0.1:29464/metrics"), ("tonne-api", "http://[::1]:28080/metrics")
    )  # fmt: skip
    until(lambda: _scraped(url) == {pipeline, api}, 60, lambda: str(_scraped(url)))
    # what was added stays; a process that serves nothing is not scraped
    targets = stack.prometheus.folder / "targets.json"
    more = [*json.loads(targets.read_text()), {"targets": ["127.0.0.1:29465"]}]
    targets.write_text(json.dumps(more))
    monkeypatch.setenv("TONNE_METRICS_BIND", "")
    tonne(*up, code=0)
    added = ("tonne", "http://127.0.0.1:29465/metrics")
    until(lambda: _scraped(url) == {api, added}, 60, lambda: str(_scraped(url)))
    targets.write_text("{")
    done = tonne(*up, code=2)
    assert "targets.json" in done.output
    targets.unlink()


def test_another_port_where_the_usual_one_is_taken(tmp_path, monkeypatch):
    """Two checkouts on one machine must both run."""
    server = Mosquitto(tmp_path)
    with taken_outside() as holder:
        monkeypatch.setattr(Mosquitto, "usual_port", holder.getsockname()[1])
        server.start()
        try:
            assert server.port != server.usual_port
            assert server.url.endswith(f":{server.port}")
        finally:
            server.stop()


def test_a_stranger_with_a_remembered_id_is_not_killed(tmp_path):
    """`down` after a reboot must not end whatever process has the old id now."""
    server = Mosquitto(give_ports(tmp_path, "mosquitto"))
    with subprocess.Popen(["sleep", "60"]) as stranger:
        process.Process(stranger.pid, "1", "another boot").save(tmp_path / "mosquitto.pid")
        assert server.pid is None
        server.stop()
        assert stranger.poll() is None
        stranger.terminate()


def test_a_server_that_cannot_start_says_why(tmp_path, monkeypatch):
    """A failed start would end in a time-out that does not name the wrong line."""
    monkeypatch.setattr("services.local.brokers._CONFIG", "no_such_option {port} {host}\n")
    with pytest.raises(Exception, match="no_such_option"):
        Mosquitto(give_ports(tmp_path, "mosquitto")).start()


def test_missing_packages_are_named_to_a_user_who_may_not_install(monkeypatch, tmp_path):
    """A user without root must see exactly which packages to request."""
    monkeypatch.setitem(machine.PACKAGES, "mosquitto", tmp_path / "absent")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(InputError, match="apt-get install mosquitto"):
        machine.require()


def test_command_line_tells_urls_and_settings_find_them(tmp_path, monkeypatch):
    """`tonne local up && tonne run` must work with no environment at all."""
    monkeypatch.setenv("TONNE_HOME", str(give_ports(tmp_path, *SERVERS)))
    runner = CliRunner()
    try:
        assert runner.invoke(main, ["local", "up", "--no-kafka"]).exit_code == 0
        told = json.loads(runner.invoke(main, ["local", "status", "--json"]).stdout)
        assert told["servers"]["postgres"]["state"] == "up"
        assert told["kafka_url"] is None
        assert Settings().database_url == told["database_url"]
        assert Settings().mqtt_url == told["mqtt_url"]
        assert _query(told["database_url"], "SELECT 1") == (1,)
        assert runner.invoke(main, ["doctor"]).exit_code == 1  # no schema yet
    finally:
        assert runner.invoke(main, ["local", "down"]).exit_code == 0
    assert Settings().database_url is None


def test_stop_signal_is_the_clean_one(timescale):
    """A fast shutdown writes a checkpoint; recovery at each start would cost minutes."""
    assert timescale.stop_signal == signal.SIGINT
    timescale.restart()
    assert "shut down" in timescale.log.read_text(encoding="utf-8")
