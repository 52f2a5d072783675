"""Prometheus as deployed, on all processes of the Kafka path: the metrics of each process."""

import json
import os
import re
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import psycopg
import pytest
import yaml

from ingest.addresses import close_sockets
from services import local
from services.local.server import Prometheus
from services.store.postgres import columnstore
from services.store.postgres.pool import connect
from tests import commands
from tests.operations.rules import ROOT, RULES
from tests.ports import free_port
from tests.running import Pipeline
from tests.services.issuer import plant
from tests.services.issuer.sealed import close_period
from tests.waiting import until

CONFIG = ROOT / "deploy/prometheus/prometheus.kafka.yml"
DEVICE, PATIENCE_S = "zebra-1", 120
# what others may rely on, and the labels they rely on
PUBLIC = {
    "tonne_ingest_messages_total": {"codec", "result"},
    "tonne_ingest_unacked_messages": set(),
    "tonne_ingest_event_lag_seconds": set(),
    "tonne_dead_letters_total": {"reason"},
    "tonne_commit_seconds": set(),
    "tonne_commit_rows_total": {"table"},
    "tonne_stream_offset_lag": {"partition"},
    "tonne_counter_events_total": {"kind"},
    "tonne_late_readings_total": set(),
    "tonne_fleet_devices": {"state", "class"},
    "tonne_coverage_ratio": {"project"},
    "tonne_statements_total": {"state"},
    "tonne_rebuild_mismatch_total": set(),
    "tonne_build_info": {"version", "python"},
}
COMMANDS = {
    "bridge": ("bridge", "--batch", "500"),
    "worker": ("worker", "--session", "6"),
    "signer": ("signer",),
    "watch": ("watch", "--every", "1", "--audit", "2"),
    "api": ("api",),
}
BINDS = {"api": "TONNE_API_BIND"}


class Deployed(Prometheus):
    """Prometheus with the deployed configuration; only addresses and intervals differ."""

    def __init__(self, home: Path, at: dict[str, str]) -> None:
        super().__init__(home)
        self.at = at
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.environment: dict[str, str] = {}

    def command(self, port: int) -> list[str]:
        """Write the configuration."""
        words = super().command(port)
        document = yaml.safe_load(CONFIG.read_text())
        document["global"] |= {"scrape_interval": "1s", "evaluation_interval": "1s"}
        del document["alerting"]
        document["scrape_configs"] = [
            job | {"static_configs": [{"targets": [self.at[job["job_name"]]]}]}
            for job in document["scrape_configs"]
            if job["job_name"].startswith("tonne-")
        ]
        (self.folder / "rules").mkdir(exist_ok=True)
        for rules in RULES:
            (self.folder / "rules" / rules.name).write_bytes(rules.read_bytes())
        (self.folder / "prometheus.yml").write_text(yaml.safe_dump(document))
        return words

    def ask(self, path: str, **query: str) -> Any:
        """Ask its API."""
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 - our own server
            return json.load(answer)["data"]

    def stop_worker(self) -> None:
        """End the worker, as a crash would."""
        self.processes["worker"].kill()

    def up(self) -> dict[str, str]:
        """Return the value of `up` by job."""
        found = self.ask("query", query='up{job=~"tonne-.*"}')["result"]
        return {one["metric"]["job"]: one["value"][1] for one in found}

    def series(self) -> dict[str, set[str]]:
        """Return the names of series, without histogram suffixes, and their own labels."""
        found: dict[str, set[str]] = {}
        for one in self.ask("series", **{"match[]": '{job=~"tonne-.*"}'}):
            name = re.sub(r"_(bucket|sum|count)$", "", one.pop("__name__"))
            labels = set(one) - {"job", "instance", "le"}
            assert found.setdefault(name, labels) == labels, name
        return found


def _publish(mqtt_url: str) -> None:
    """
    Publish two days of an inverter with a reset register, one late
    reading, one broken payload.
    """
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    parts = urllib.parse.urlsplit(mqtt_url)
    client.connect(parts.hostname, parts.port)
    client.loop_start()
    begin = plant.us("2026-03-01") // 1000
    rows = [
        {"ts": begin + k * 900_000, "values": {
            "energy_export_kwh": (k if k < 150 else k - 150) * 10.0, "active_power_kw": 40.0}}
        for k in range(192)
    ]  # fmt: skip
    late = {"ts": begin + 450_000, "values": {"energy_export_kwh": 4.0, "active_power_kw": 40.0}}
    for payload in (json.dumps(rows), json.dumps(late), '{"ts": '):
        client.publish(f"tonne/v1/{DEVICE}/telemetry", payload, qos=1).wait_for_publish(60)
    client.loop_stop()
    close_sockets(client)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Return a folder for this module."""
    return tmp_path_factory.mktemp("scraped")


@pytest.fixture
def scraped(database_url, mqtt_url, kafka_url, topic, folder) -> Iterator[Deployed]:
    """Yield a bridge, a worker, a watcher and the API, and a Prometheus that scrapes them."""
    local.require()
    plant.register(database_url, folder, plant.REGISTRY.replace("inv-1", DEVICE))
    at = {f"tonne-{name}": f"127.0.0.1:{free_port()}" for name in COMMANDS}
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TONNE_")} | {
        "TONNE_HOME": str(folder / "home"),
        "TONNE_DATABASE_URL": database_url,
        "TONNE_MQTT_URL": mqtt_url,
        "TONNE_KAFKA_URL": kafka_url,
        "TONNE_DATABASE_DISK": str(folder),
    }
    commands.run(
        ["topics", "apply", "--partitions", "2", "--topic", topic], env=environment, check=True
    )
    own = {"bridge": ("--topic", topic), "worker": ("--topic", topic, "--group", topic)}
    prometheus = Deployed(folder, at)
    prometheus.environment = environment
    with ExitStack() as stack:
        for name, words in COMMANDS.items():
            log = stack.enter_context((folder / f"{name}.log").open("wb"))
            process = commands.start(
                [*words, *own.get(name, ())],
                stdout=log,
                stderr=log,
                env=environment | {BINDS.get(name, "TONNE_METRICS_BIND"): at[f"tonne-{name}"]},
            )
            stack.callback(process.wait, 120)
            prometheus.processes[name] = process
        stack.callback(lambda: [one.terminate() for one in prometheus.processes.values()])
        prometheus.start()
        stack.callback(prometheus.stop)
        yield prometheus


def test_every_process_tells_what_is_promised_and_names_no_device(
    scraped: Deployed, database_url: str, mqtt_url: str, folder: Path
) -> None:
    """
    After a renamed metric or label, alerts of others fail silently; an id as a label grows without
    limit.
    """

    def logs() -> str:
        texts = [f"--- {f.name}\n{f.read_text()[-1500:]}" for f in folder.glob("*.log")]
        return "\n".join([str(scraped.up()), *texts])

    until(lambda: scraped.up() == {f"tonne-{name}": "1" for name in COMMANDS}, PATIENCE_S, logs)
    until(lambda: '"receiving"' in (folder / "bridge.log").read_text(), PATIENCE_S, logs)
    _publish(mqtt_url)
    stored = 'tonne_commit_rows_total{job="tonne-worker", table="interval_quantity"}'
    until(lambda: scraped.ask("query", query=stored)["result"], PATIENCE_S, logs)
    with connect(database_url, role="tonne_mrv", autocommit=True) as conn:
        close_period(
            conn, "pv", plant.us("2026-03-01"), plant.us("2026-03-03"), "test", home=folder / "home"
        )

    for name in (
        "bridge",
        "worker",
        "signer",
        "watch",
    ):  # who starts two on a machine has to find both
        assert _told_at(scraped, name) in (folder / f"{name}.log").read_text(), name

    wanted = _documented()
    with connect(database_url, role="tonne_mrv") as conn:
        if not columnstore.available(conn):  # nothing can be late to it then
            wanted.pop("tonne_columnstore_overdue_chunks")
    assert {name: wanted[name] for name in PUBLIC} == PUBLIC
    until(
        lambda: wanted.keys() <= scraped.series().keys(),
        PATIENCE_S,
        lambda: f"{wanted.keys() - scraped.series().keys()}\n{logs()}",
    )
    found = scraped.series()
    assert {name: found[name] for name in wanted} == wanted
    # what is told without being documented is Prometheus' own, or a process's
    others = {n for n in found.keys() - wanted.keys() if n.startswith("tonne_")}
    assert {name for name in others if not name.startswith("tonne_log_seal")} == set()
    for one in scraped.ask("series", **{"match[]": '{job=~"tonne-.*"}'}):
        assert not [v for v in one.values() if DEVICE in v or v in {"inv-2", "ch-1", "bus-1"}], one

    # a worker that waits for the database says how far behind it is, meanwhile too
    behind = "sum(max by (partition) (tonne_stream_offset_lag)) > 0"
    with psycopg.connect(database_url) as conn:
        conn.execute("LOCK TABLE reading_pv_inverter, dead_letter IN SHARE MODE")
        _publish(mqtt_url)
        until(lambda: scraped.ask("query", query=behind)["result"], PATIENCE_S, logs)
    until(lambda: not scraped.ask("query", query=behind)["result"], PATIENCE_S, logs)
    # a partition that nobody stores must be told as well
    until(lambda: _partitions(scraped) == 2, PATIENCE_S, logs)

    scraped.stop_worker()
    until(lambda: scraped.up().get("tonne-worker") == "0", PATIENCE_S, logs)
    # its partitions' lag is gone with it, not kept at its last value
    lag = 'tonne_stream_offset_lag{job="tonne-worker"}'
    until(lambda: not scraped.ask("query", query=lag)["result"], PATIENCE_S, logs)


def _told_at(scraped: Deployed, name: str) -> str:
    """Return the address of a process's metrics, from its log."""
    return f'"bind": "{scraped.at[f"tonne-{name}"]}"'


def _partitions(scraped: Deployed) -> int:
    """Return the number of partitions that the first worker reports."""
    found = scraped.ask("query", query='count(tonne_stream_offset_lag{job="tonne-worker"})')
    return int(found["result"][0]["value"][1]) if found["result"] else 0


def _documented() -> dict[str, set[str]]:
    """Return names and labels of the table in docs/monitoring.md."""
    table = (ROOT / "docs/monitoring.md").read_text().split("| metric | meaning |")[1]
    rows = re.match(r"(\n\|.*)+", table)
    assert rows is not None
    found = re.findall(r"`(tonne_[a-z_]+)(?:\{([a-z,]+)\})?`", rows[0])
    return {name: set(labels.split(",")) - {""} for name, labels in found}


def test_run_counts_the_fleet(pipeline: Pipeline) -> None:
    """Without a second process no one would see that a device is silent."""
    site = {
        "id": "s",
        "name": "S",
        "latitude": 20.9,
        "longitude": 106.7,
        "timezone": "Asia/Ho_Chi_Minh",
    }
    device = {
        "id": "m",
        "site": "s",
        "class": "energy_meter",
        "profile": "generic",
        "installed": "2025-01-01T00:00:00Z",
    }
    pipeline.register({"sites": [site], "devices": [device]})
    with pipeline.running(pipeline.home / "run.log"):
        pipeline.wait_for("tonne_fleet_devices", 1)
        assert pipeline.counted("tonne_fleet_devices") == 1
