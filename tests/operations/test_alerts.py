"""
Real faults: each raises its alert and no other, and the alert resolves.

Servers, processes and rules are real; only the clock of the rules is faster, a second for each of
their minutes.
"""

import json
import os
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import paho.mqtt.client as mqtt
import psycopg
import pytest

from ingest.addresses import close_sockets
from services.local.server import Prometheus
from tests import commands
from tests.every import every
from tests.fix_pipeline import on_servers
from tests.grafana.macros import targets
from tests.operations.rules import every as every_rule
from tests.operations.rules import faster, metrics_of
from tests.ports import free_port
from tests.running import Pipeline

pytestmark = [pytest.mark.integration, pytest.mark.faults, pytest.mark.timeout(1_800)]
TIMES = float(os.environ.get("FAULT_ROUNDS", "1"))
PATIENCE_S = 240
ALONE, BEHIND = [f"inv-{k}" for k in range(8)], ["far-1", "far-2"]


def registry(valid_days: int) -> dict[str, Any]:
    """Return a registry of eight separate inverters, two behind a gateway, one project."""
    today = datetime.now(UTC).date()
    calibration = {
        "performed": str(today - timedelta(days=700)),
        "certificate": f"VMI-{valid_days}",
        "valid_until": str(today + timedelta(days=valid_days)),
        "accuracy_class": "0.5S",
    }
    common = {"site": "estate", "profile": "generic", "installed": "2025-01-01T00:00:00Z",
              "commissioned": str(today - timedelta(days=2))}  # fmt: skip
    inverters = [
        {"id": name, "class": "pv_inverter", "rated_power_w": 100_000, **common,
         "calibrations": [calibration], **({"gateway": "gw"} if name in BEHIND else {})}
        for name in ALONE + BEHIND
    ]  # fmt: skip
    return {
        "sites": [{"id": "estate", "name": "<b>Estate</b>", "latitude": 20.9, "longitude": 106.7,
                   "timezone": "Asia/Ho_Chi_Minh"}],
        "devices": [{"id": "gw", "class": "energy_meter", **common}, *inverters],
        "projects": [{
            "id": "roof", "name": "Roof", "methodology": "jcm-vn-am007", "version": "1.0",
            "crediting_period": {"from": "2025-01-01", "to": "2035-01-01"},
            "devices": [{"device": d, "role": "generation", "case": 1} for d in ALONE + BEHIND],
            "expected": {"energy_kwh_per_year": 1_200_000},
        }],
    }  # fmt: skip


class Field:
    """
    Devices that send a reading each second while `sending`, those behind
    the gateway if `near`.
    """

    def __init__(self, url: str) -> None:
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        parts = urllib.parse.urlsplit(url)
        self._client.connect(parts.hostname, parts.port)
        self._client.loop_start()
        self._done = threading.Event()
        self.near = False
        self._thread = threading.Thread(target=self._send, daemon=True)

    def say(self, device: str, at: datetime, kwh: float) -> None:
        """Send one reading."""
        way = f"gw/{device}" if device in BEHIND else device
        values = {"energy_export_kwh": kwh, "active_power_kw": 12.0, "irradiance_w_m2": 600}
        body = {"ts": round(at.timestamp() * 1000), "values": values}
        self._client.publish(f"tonne/v1/{way}/telemetry", json.dumps(body), qos=1)

    def start(self) -> None:
        """Start to send continuously."""
        self._thread.start()

    def stop(self) -> None:
        """Stop sending."""
        self._done.set()
        self._thread.join()
        self._client.loop_stop()
        close_sockets(self._client)

    def _send(self) -> None:
        begin = time.time()
        while not self._done.wait(1):
            kwh = 1000 + (time.time() - begin) / 100
            for device in ALONE + (BEHIND if self.near else []):
                self.say(device, datetime.now(UTC), kwh)


class City:
    """The whole installation, and the data of its Prometheus."""

    def __init__(self, pipeline: Pipeline, prometheus: Prometheus, field: Field) -> None:
        self.pipeline, self.prometheus, self.field = pipeline, prometheus, field

    def ask(self, path: str, **query: str) -> Any:
        """Ask the API of Prometheus."""
        url = f"{self.prometheus.url}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 - our own server
            return json.load(answer)["data"]

    def firing(self) -> set[str]:
        """Return the names of the firing alerts."""
        return {
            a["labels"]["alertname"] for a in self.ask("alerts")["alerts"] if a["state"] == "firing"
        }

    def wait(self, wanted: set[str], held_s: float = 1.5) -> None:
        """
        Wait until exactly these alerts fire, and continue to for a while.

        A scrape that is a second late is a minute to these rules. An additional alert that fires
        once, not permanently, is caused by the machine.
        """
        end, since = time.monotonic() + PATIENCE_S, None
        seen: list[set[str]] = []
        while time.monotonic() < end:
            now = self.firing()
            if not seen or seen[-1] != now:
                seen.append(now)
            since = (since or time.monotonic()) if now == wanted else None
            if since is not None and time.monotonic() - since > held_s:
                return
            time.sleep(0.3)
        values = {r: self.ask("query", query=r)["result"] for r in ("tonne_database_up", "up")}
        raise AssertionError(f"wanted {wanted}, saw {seen}; {values}")

    def something(self, query: str) -> None:
        """Wait until an expression gives a value: rates need a few samples."""
        end = time.monotonic() + PATIENCE_S
        while not self.ask("query", query=query)["result"]:
            assert time.monotonic() < end, query
            time.sleep(0.5)

    def unknown(self, wanted: set[str]) -> set[str]:
        """Return those names that nothing exports and no rule records, so far."""
        told = {m["metric"] for m in self.ask("targets/metadata")}
        # a family without a sample is told of, its series are not kept
        left = wanted - told - set(self.ask("label/__name__/values"))
        return {name for name in left if name.removesuffix("_total") not in told}

    def sql(self, statement: str) -> None:
        """Change the database as its owner can, with triggers off."""
        with psycopg.connect(self.pipeline.urls.database_url, autocommit=True) as conn:
            conn.execute("SET session_replication_role = replica")
            conn.execute(statement)


@contextmanager
def _process(pipeline: Pipeline, *words: str, **environment: str) -> Iterator[None]:
    log = pipeline.home / f"{words[0]}.log"
    with log.open("wb") as out:
        process = commands.start(
            words, env=pipeline.environment | environment, stdout=out, stderr=out
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(120)


@pytest.fixture(scope="module")
def city(tmp_path_factory, migrated_cluster) -> Iterator[City]:
    """Yield servers, the pipeline, a watcher, the API and a Prometheus that scrapes them."""
    watch, api = (f"127.0.0.1:{free_port()}" for _ in range(2))
    with ExitStack() as stack:
        servers = on_servers(migrated_cluster, tmp_path_factory.mktemp("city"), disk=True)
        pipeline = stack.enter_context(servers)
        prometheus = Prometheus(pipeline.home, "1s", faster(tmp_path_factory.mktemp("rules")))
        pipeline.register(registry(400))
        pipeline.open_session()
        pipeline.tonne("log", "seal")
        stack.enter_context(pipeline.running(pipeline.home / "run.log", "--no-watch", "--no-seal"))
        stack.enter_context(
            _process(pipeline, "watch", "--every", "1", "--audit", "2", TONNE_METRICS_BIND=watch)
        )
        stack.enter_context(_process(pipeline, "api", TONNE_API_BIND=api))
        field = Field(pipeline.urls.mqtt_url)
        stack.callback(field.stop)
        # what is behind the gateway was heard three hours ago, and not since
        for device in BEHIND:
            field.say(device, datetime.now(UTC) - timedelta(hours=3), 900)
        field.start()
        pipeline.wait_for("tonne_commit_rows_total", 10)
        prometheus.watch({"run": pipeline.metrics, "watch": watch, "api": api})
        prometheus.start()
        stack.callback(prometheus.stop)
        yield City(pipeline, prometheus, field)


def test_each_trouble_raises_its_own_alert_and_resolves(city: City) -> None:
    """An operator would be woken by a storm, by the wrong name, or not at all."""
    city.wait({"GatewayDark"})  # the devices behind it raise none of their own
    city.field.near = True
    city.wait(set())

    with psycopg.connect(city.pipeline.urls.database_url) as conn:
        # who reads may, who writes waits
        conn.execute("LOCK TABLE reading_pv_inverter IN SHARE MODE")
        city.wait({"PipelineStalled"})
    city.wait(set())

    city.sql("UPDATE log_entry SET body = body || '\\x20' WHERE index = 0")
    city.wait({"AuditChainBroken"})
    city.sql("UPDATE log_entry SET body = substr(body, 1, length(body) - 1) WHERE index = 0")
    city.wait(set())

    city.pipeline.register(registry(30))
    city.sql("DELETE FROM calibration WHERE certificate = 'VMI-400'")
    city.wait({"CalibrationExpiring"})
    city.pipeline.register(registry(730))  # the meters came back from the laboratory
    city.wait(set())


@pytest.mark.skipif(TIMES <= 1, reason="FAULT_ROUNDS above 1 kills the database too")
def test_a_database_that_is_away_is_one_alert(city: City) -> None:
    """All consequences of a fault would raise alerts too, before and after its own alert."""
    before: set[str] = set() if city.field.near else {"GatewayDark"}
    city.wait(before)
    city.pipeline.stack.postgres.kill()
    city.wait({"DatabaseDown"}, held_s=5)
    city.pipeline.stack.postgres.start()
    city.wait(before)


def test_every_name_in_rules_and_dashboards_exists(city: City) -> None:
    """A panel or an alert over a name that no one exports is empty permanently, and looks well."""
    city.something("sum(rate(tonne_commit_rows_total[5m]))")
    city.something("tonne_log_audit_breaks")
    exprs = [rule["expr"] for rule in every_rule()] + [t.query for t in targets("prometheus")]
    # a name that a rule records has its rule; what that reads is among the rest
    recorded = {rule["record"] for rule in every_rule() if "record" in rule}
    wanted = set().union(*map(metrics_of, exprs)) - {"ALERTS"} - recorded
    # a gateway is not of the city; its own test holds rules against what it tells
    wanted = {name for name in wanted if not name.startswith("tonne_edge_")}
    assert len(wanted) > 20
    # what the first answer of the API counts comes a round later
    end = time.monotonic() + PATIENCE_S
    while unknown := city.unknown(wanted):
        assert time.monotonic() < end, unknown
        time.sleep(0.5)


def test_a_panel_s_expression_gives_something(city: City) -> None:
    """An operator would look at an empty panel during an outage."""

    @every(targets("prometheus"))
    def _(target) -> None:
        quiet = {
            "Dead letters",
            "Hours until the broker's queue is full",
            "Kafka records not stored",
            "What registers did",
            "Statements by state",
            "Unusual readings",
        }
        if target.panel in quiet:
            city.ask("query", query=target.query)
        else:
            city.something(target.query)
