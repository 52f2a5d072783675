"""From real field protocols to the database, with every interruption between."""

import json
import os
import random
import re
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
import yaml
from click.testing import CliRunner

from ingest.addresses import close_sockets
from ingest.formats import sunspec as models
from services.cli.__main__ import main
from services.edge.modbus import MAX_REGISTERS, Span, joined
from services.local.brokers import Mosquitto
from tests.operations.rules import alerts, metrics_of
from tests.ports import give_ports
from tests.services.edge.plant import GATEWAY, Edge, meter, one, recorded, rows, until, waiting

pytestmark = pytest.mark.timeout(1_800)
TIMES = float(os.environ.get("FAULT_ROUNDS", "0.05"))
CHANCE = random.Random(10)  # noqa: S311 (moments to kill at)


def _sunspec(plant):
    return {
        "kind": "sunspec-tcp",
        "device": "inv-1",
        "host": "127.0.0.1",
        "port": plant.inverter,
        "every_s": 0.5,
    }


def test_every_source_arrives_under_the_gateways_own_identity(pipeline, plant, tmp_path, capsys):
    """A plant would have to change its meters, or be left out."""
    local = Mosquitto(give_ports(tmp_path / "local", "mosquitto"))
    local.start()
    drop = tmp_path / "drop"
    drop.mkdir()
    text = "Thời gian;Chỉ số\n2026-01-01 00:00;1.234,5\n"
    (drop / "bad.csv").write_text(text, encoding="utf-8")
    text = "\ufeffThời gian;Chỉ số\n2026-01-01 00:00;1234,5\n2026-01-01 00:15;1235,5\n"
    (drop / "good.csv").write_text(text, encoding="utf-8")
    sources = [
        meter(plant), _sunspec(plant),
        {"kind": "mqtt", "url": local.url, "topics": ["plant/{device}/json"]},
        {"kind": "csv", "folder": str(drop), "device": "c-1", "time_column": "Thời gian",
         "columns": {"Chỉ số": "energy_import_kwh"}, "timezone": "Asia/Ho_Chi_Minh",
         "every_s": 0.5},
    ]  # fmt: skip
    edge = Edge(tmp_path, pipeline, sources)
    edge.anew = True  # its memory is looked at
    try:
        with edge.running(), pipeline.running(tmp_path / "run.log"):
            client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
            client.connect("127.0.0.1", local.port)
            client.loop_start()
            until(lambda: "recording" in edge.log.read_text(), what=edge.log.read_text)
            end = time.monotonic() + 180
            while not rows(pipeline, "pv_inverter", "q-1"):
                for payload in (
                    b'{"ts": 1767225600000, "values": {"energy_export_kwh": 12.5}}',
                    b'{"active_power_kw": 3}',
                    b"not json",
                ):
                    client.publish("plant/q-1/json", payload, qos=1).wait_for_publish(60)
                assert time.monotonic() < end, edge.log.read_text()
                time.sleep(1)
            for class_, device in (
                ("energy_meter", "meter-1"),
                ("pv_inverter", "inv-1"),
                ("energy_meter", "c-1"),
            ):
                until(lambda c=class_, d=device: rows(pipeline, c, d), what=edge.log.read_text)
            until((drop / "refused" / "bad.csv.txt").exists)
            until(lambda: (edge.told("receipted_messages_total") or 0) > 3, what=edge.scrape)
            gauges = edge.scraped()
            memory = edge.memory_mb
            client.disconnect()
            client.loop_stop()
            close_sockets(client)
            state, firmware = one(
                pipeline,
                "SELECT state, firmware FROM v_device_health WHERE device_id = %s",
                GATEWAY,
            )
    finally:
        local.stop()
    energy = one(
        pipeline, "SELECT max(energy_export_wh) FROM reading_pv_inverter WHERE device_id = 'inv-1'"
    )
    assert energy == (123_456,)
    assert [r[1] for r in rows(pipeline, "energy_meter", "c-1")] == [
        datetime(2025, 12, 31, 17, 0, tzinfo=UTC),
        datetime(2025, 12, 31, 17, 15, tzinfo=UTC),
    ]
    assert "line 2" in (drop / "refused" / "bad.csv.txt").read_text(encoding="utf-8")
    refused = {each["reason"].split(":")[0] for each in edge.status()["refused"]}
    assert any("not JSON" in reason for reason in refused)
    assert state == "online"
    assert firmware.startswith("tonne-edge ")
    assert gauges["tonne_edge_link_up"] == 1
    assert gauges["tonne_edge_refused_messages_total"] > 1
    assert set(_documented()) | _watched() <= set(gauges)
    assert memory < 80
    with capsys.disabled():
        print(f"\n  tonne edge with all four sources: {memory:.0f} MB at most")  # noqa: T201


def test_what_a_broker_retains_is_not_of_now(pipeline, tmp_path):
    """A publisher that died last week would go on feeding power, again with each connection."""
    local = Mosquitto(give_ports(tmp_path / "local", "mosquitto"))
    local.start()
    source = {"kind": "mqtt", "url": local.url, "topics": ["plant/{device}/json"]}
    edge = Edge(tmp_path, pipeline, [source])
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    try:
        client.connect("127.0.0.1", local.port)
        client.loop_start()
        client.publish("plant/q-3/json", b'{"active_power_kw": 9}', 1, True).wait_for_publish(60)

        def speak():
            client.publish("plant/q-3/json", b'{"active_power_kw": 3}', 1).wait_for_publish(60)
            return recorded(edge) > 1

        with edge.running():
            until(speak, what=edge.log.read_text)
    finally:
        client.loop_stop()
        close_sockets(client)
        local.stop()
    with closing(sqlite3.connect(f"file:{edge.outbox}?mode=ro", uri=True)) as db:
        bodies = {body for (body,) in db.execute("SELECT body FROM message")}
    assert bodies == {b'{"values":{"active_power_kw":3}}'}


def test_two_sources_of_one_broker_both_listen(pipeline, tmp_path):
    """Two gateways with one identity would disconnect each other and lose messages."""
    local = Mosquitto(give_ports(tmp_path / "local", "mosquitto"))
    local.start()
    sources = [
        {"kind": "mqtt", "url": local.url, "topics": [topic]}
        for topic in ("plant/{device}/json", "office/{device}/json")
    ]
    edge = Edge(tmp_path, pipeline, sources)
    try:
        with edge.running():
            until(edge.scrape, what=edge.log.read_text)
            client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
            client.connect("127.0.0.1", local.port)
            client.loop_start()
            while (edge.told("recorded_messages_total") or 0) < 2:  # until both have subscribed
                for topic in ("plant/q-1/json", "office/q-2/json"):
                    client.publish(topic, b'{"energy_export_kwh": 1}', qos=1).wait_for_publish(60)
                time.sleep(0.5)
            assert edge.scraped()["tonne_edge_refused_messages_total"] == 0
            client.loop_stop()
            client.disconnect()
        assert "fault" not in edge.log.read_text()
    finally:
        local.stop()


def test_a_gateway_loads_nothing_of_the_pipeline():
    """A gateway has 80 MB of memory, of which one unneeded module took 25 MB."""
    code = "import sys, services.cli.edge, services.edge.gateway; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numpy", "pydantic", "google.protobuf", "cbor2"} & set(done.stdout.split())


def _documented():
    """Return the metrics of the table in docs/edge.md."""
    text = (Path(__file__).parents[3] / "docs/edge.md").read_text()
    return re.findall(r"^\| `(tonne_[a-z_]+)`", text, re.MULTILINE)


def _watched():
    """Return the metrics of a gateway that alerts use."""
    names = set().union(*(metrics_of(rule["expr"]) for rule in alerts()))
    return {name for name in names if name.startswith("tonne_edge_")}


def test_what_waits_can_be_watched(pipeline, plant, tmp_path):
    """An outbox fills for weeks before anyone who watches the fleet sees that it does."""
    drop = tmp_path / "drop"
    drop.mkdir()
    source = {"kind": "csv", "folder": str(drop), "device": "watched-1", "timezone": "UTC",
              "columns": {"kwh": "energy_import_kwh"}, "every_s": 0.2}  # fmt: skip
    edge = Edge(tmp_path, pipeline, [source])
    with edge.running():
        until(edge.scrape, what=edge.log.read_text)
        until(lambda: edge.told("outbox_messages") == 0, what=edge.scrape)
        (drop / "a.csv").write_text("time,kwh\n2026-02-01,5\n2026-02-02,6\n")
        (drop / "b.csv").write_text("time,kwh\n2026-02-01,5,5\n")
        until(lambda: edge.told("recorded_messages_total") == 2, what=edge.scrape)
        until(lambda: edge.told("refused_messages_total") == 1, what=edge.scrape)
        # nobody answers: that a file's rows have times of their own says nothing of the waiting
        until(lambda: (edge.told("outbox_oldest_seconds") or 0) > 1, what=edge.scrape)
        gauges = edge.scraped()
    assert gauges["tonne_edge_outbox_oldest_seconds"] < 600
    assert (gauges["tonne_edge_outbox_messages"], gauges["tonne_edge_link_up"]) == (2, 0)
    assert 0 < gauges["tonne_edge_outbox_bytes"] <= gauges["tonne_edge_outbox_limit_bytes"]
    with edge.running(), pipeline.running(tmp_path / "run.log"):
        until(lambda: edge.told("receipted_messages_total") == 2, what=edge.log.read_text)
        until(lambda: edge.told("outbox_messages") == 0, what=edge.scrape)
        until(lambda: edge.told("outbox_oldest_seconds") == 0, what=edge.scrape)


def test_a_gateway_records_though_nobody_can_scrape_it(pipeline, plant, tmp_path):
    """A port that another program took would cost a plant's readings."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        edge = Edge(tmp_path, pipeline, [meter(plant)], {"TONNE_METRICS_BIND": bind})
        with edge.running():
            until(lambda: recorded(edge) > 2, what=edge.log.read_text)
    assert bind in edge.log.read_text()


def test_nothing_recorded_is_lost_or_doubled_by_kills(pipeline, plant, tmp_path, capsys):
    """Power cuts at the plant, the broker and the office, with the network down between."""
    edge = Edge(tmp_path, pipeline, [meter(plant, 0.05)])
    began = datetime.now(UTC)
    kills = max(int(20 * TIMES), 1)
    broker = pipeline.stack.mosquitto
    edge.start()
    try:
        for k in range(kills):
            log = tmp_path / f"run-{k}.log"
            with pipeline.running(log) as running:
                pipeline.receiving_since(log)
                time.sleep(CHANCE.uniform(0.5, 2))
                edge.kill()
                edge.start()
                time.sleep(CHANCE.uniform(0.5, 2))
                broker.kill()
                time.sleep(CHANCE.uniform(0.2, 1))  # the network is down
                broker.start()
                time.sleep(CHANCE.uniform(0.5, 2))
                running.kill()
                running.wait()
        log = tmp_path / "survivor.log"
        with pipeline.running(log):
            pipeline.receiving_since(log)
            time.sleep(1)
            edge.stop()
            # with no plant to ask it only forwards
            rest = Edge(tmp_path, pipeline, [meter(plant, 86_400)])
            with rest.running():
                until(lambda: waiting(rest) == 0, 300, rest.log.read_text)
            taken = recorded(rest)
    finally:
        edge.stop()
    stored = sum(row[1] >= began for row in rows(pipeline, "energy_meter", "meter-1"))
    letters = one(pipeline, "SELECT count(*) FROM dead_letter WHERE device_id = 'meter-1'")
    assert (stored, letters) == (taken, (0,))
    with capsys.disabled():
        print(  # noqa: T201
            f"\n  edge, broker and tonne run killed {kills} times each: {taken} recorded,"
            f" {stored} stored"
        )


def test_a_device_that_is_not_its_own_holds_up_no_other(pipeline, plant, tmp_path):
    """One wrong row in the registry would stop the whole plant, or fill the dead letters."""
    stranger = {**meter(plant), "device": "of-another-gateway"}
    edge = Edge(tmp_path, pipeline, [stranger, _sunspec(plant)])
    before = len(rows(pipeline, "pv_inverter", "inv-1"))
    letters = "SELECT count(*) FROM dead_letter WHERE topic LIKE '%%of-another%%'"
    with edge.running(), pipeline.running(tmp_path / "run.log"):
        until(
            lambda: len(rows(pipeline, "pv_inverter", "inv-1")) > before + 5,
            what=edge.log.read_text,
        )
        until(lambda: waiting(edge, "of-another-gateway") > 5, what=edge.log.read_text)
        until(lambda: one(pipeline, letters)[0] > 0, what=edge.log.read_text)
    held = {each["device"]: each["messages"] for each in edge.status()["waiting"]}
    assert held["of-another-gateway"] > 5
    assert one(pipeline, letters)[0] <= 300


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"sources": []}, "sources: is empty"),
        ({"gateway": "a/b"}, "is not an id"),
        ({"broker": "http://x"}, "broker: begins with 'http'; write mqtt://host:port or mqtts://"),
        ({"broker": "mqtts://h:0"}, "broker: names no port from 1 to 65535 in 'h:0'"),
        ({"identity": None}, "identity: is missing"),
        ({"limit": 5}, "unknown field `limit`"),
        ({"sources": [{"kind": "modbus-tcp", "device": "a", "host": "h", "class": "pv_inverter",
                       "profile": "generic"}]}, "no register map"),
        ({"sources": [{"kind": "modbus-tcp", "device": "a", "host": "h", "class": "pv_inverter",
                       "profile": "x"}]}, "of 'pv_inverter'; known: "),
        ({"sources": [{"kind": "mqtt", "url": "mqtt://h", "topics": ["a/b"]}]}, "{device} once"),
        ({"sources": [{"kind": "csv", "folder": "f", "columns": {}, "timezone": "Mars"}]},
         "device or device_column"),
    ],
)  # fmt: skip
def test_a_wrong_configuration_is_told_by_its_key(tmp_path, change, told):
    """A gateway that starts with half of its sources records half a plant."""
    document = {
        "gateway": "gw",
        "broker": "mqtts://h",
        "identity": "i",
        "sources": [{"kind": "mqtt", "url": "mqtt://h", "topics": ["p/{device}"]}],
        **change,
    }
    file = tmp_path / "edge.yaml"
    file.write_text(yaml.safe_dump({k: v for k, v in document.items() if v is not None}))
    done = CliRunner().invoke(main, ["edge", str(file), "--check"])
    assert done.exit_code == 2
    assert told in done.output


def test_registers_are_asked_for_in_few_requests():
    """A meter at 9600 baud answers a few requests a second."""
    spans = [Span("input", a, 2) for a in (12, 14, 16, 42, 52, 70, 72, 74)]
    assert joined(spans, 0) == [
        Span("input", 12, 6),
        Span("input", 42, 2),
        Span("input", 52, 2),
        Span("input", 70, 6),
    ]
    assert len(joined(spans, 30)) == 1
    assert joined([Span("input", 0, 2), Span("holding", 2, 2)], 8) != joined(spans, 8)
    assert len(joined([Span("input", 0, 2), Span("input", 118, 4)], 200)) == 2


def test_a_value_and_its_scale_factor_come_in_one_request():
    """At dusk some inverters change the factor: an old value with it is ten times off."""
    for model in models.models().values():
        for point in model.points:
            last = max(point.offset + 1, 0 if point.scale is None else point.scale) + 2
            assert last < MAX_REGISTERS


def test_check_prints_what_a_configuration_means(tmp_path):
    """A technician looks before the gateway is taken to the plant."""
    file = tmp_path / "edge.yaml"
    source = {"kind": "csv", "folder": "f", "columns": {"a": "b"}, "device": "d"}
    file.write_text(yaml.safe_dump({"gateway": "gw", "broker": "mqtt://h", "sources": [source]}))
    done = CliRunner().invoke(main, ["edge", str(file), "--check"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["when_full"] == "thin"
