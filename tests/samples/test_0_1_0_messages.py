"""Messages in transit when 0.1.0 was stopped: in Kafka, and in a gateway's outbox."""

import json
import os
import shutil

import psycopg
import pytest

from tests import commands
from tests.derived import derived
from tests.integration.kafka_path import Processes, put, wait_stored
from tests.samples import sample
from tests.samples.sample import SAMPLE, must, tonne
from tests.waiting import until

pytestmark = pytest.mark.integration
RECORDS = SAMPLE / "kafka" / "records"
ROWS = SAMPLE / "kafka" / "rows.copy.xz"
PARTITIONS = 2
# rows that follow from readings by the rules of metering, which have versions of their own
BY_RULES = {"interval_quantity", "interval_emission"}
# when a row was made, and what its row number is, is not in the record
BY_CLOCK = {"dead_letter": {"id", "received"}, "sparkplug_node": {"changed", "rebirth_sent"}}
EDGE = SAMPLE / "edge"
WAITING = {"flow-1": 3, "flow-2": 3}
METER = {
    "site": "works", "class": "energy_meter", "profile": "generic", "rated_power_w": 100_000,
    "installed": "2025-12-15T00:00:00+07:00",
}  # fmt: skip
REGISTRY = {
    "sites": [
        {"id": "works", "name": "Works", "latitude": 20.9, "longitude": 106.6,
         "timezone": "Asia/Ho_Chi_Minh"},
    ],
    "devices": [{"id": "gw-1", **METER},
                *({"id": name, "gateway": "gw-1", **METER} for name in WAITING)],
}  # fmt: skip


def _records():
    """Return partition and bytes of each record, in the order of their offsets."""
    for file in sorted(RECORDS.glob("*.record")):
        yield int(file.name.split("-")[0]), file.read_bytes()


def test_records_of_0_1_0_are_stored_as_by_0_1_0(tmp_path, database_url, kafka_url, topic):
    """What a bridge had put into Kafka before the update would be lost, or another value."""
    registry = SAMPLE / "registry" / "haiphong"
    must({"TONNE_DATABASE_URL": database_url}, "registry", "import", registry)
    processes = Processes(tmp_path, database_url, "", kafka_url, topic)
    made = processes.run("topics", "apply", "--partitions", str(PARTITIONS))
    assert made.returncode == 0, made.stderr
    records = list(_records())
    put(kafka_url, topic, records)
    with processes.running("worker", "--instance", "worker-0", "--session", "6"):
        wait_stored(database_url, len(records), 120, processes.logs)
        derived(database_url)
    differ = {}
    with psycopg.connect(database_url) as conn:
        for table, columns, then in _expected():
            now = sample.rows_of(conn, table, columns)
            if now != then:
                differ[table] = sorted(set(then) ^ set(now))[:4] or (len(then), len(now))
    assert differ == {}


def _expected():
    """Return tables with the columns that follow from the records, and their sorted rows."""
    for table, columns, text in sample.blocks(ROWS):
        if table in BY_RULES:
            continue
        kept = [k for k, name in enumerate(columns) if name not in BY_CLOCK.get(table, ())]
        cells = [row.split("\t") for row in text.splitlines()]
        rows = sorted("\t".join(row[k] for k in kept) for row in cells)
        yield table, [columns[k] for k in kept], rows


@pytest.fixture
def config(tmp_path):
    """Return the configuration of a gateway whose outbox 0.1.0 wrote."""
    shutil.copy(EDGE / "outbox.db", tmp_path)
    text = (EDGE / "edge.yaml").read_text()
    (tmp_path / "exports").mkdir()
    text = text.replace("/var/lib/tonne-edge", str(tmp_path))
    text = text.replace("/srv/exports", str(tmp_path / "exports"))
    file = tmp_path / "edge.yaml"
    file.write_text(text)
    return file


def test_an_outbox_of_0_1_0_opens(config):
    """A gateway that was updated during a break of its line would lose what it had recorded."""
    told = json.loads(must({}, "edge", config, "--status"))
    assert {one["device"]: one["messages"] for one in told["waiting"]} == WAITING
    assert len(told["refused"]) == 2


def test_an_outbox_of_another_machine_waits_for_a_word(config):
    """Two gateways with one outbox would free each other's messages."""
    done = tonne({"TONNE_METRICS_BIND": ""}, "edge", config)
    assert done.exit_code == 2
    assert "--adopt" in done.output


def test_an_outbox_of_0_1_0_is_forwarded(pipeline, config):
    """Readings of days without network would stay on the gateway for good."""
    pipeline.register(REGISTRY)
    broker = pipeline.urls.mqtt_url
    text = config.read_text().replace("mqtt://127.0.0.1:29999", broker)
    config.write_text(text.replace("mqtt://127.0.0.1:21999", broker))
    log = config.parent / "edge.log"
    with pipeline.running(config.parent / "run.log"), log.open("wb") as out:
        edge = commands.start(
            ["edge", str(config), "--adopt"],
            env={**os.environ, **pipeline.environment, "TONNE_METRICS_BIND": ""},
            stdout=out,
            stderr=out,
        )
        try:
            # a message leaves the outbox with its receipt, which follows the commit
            until(lambda: _waiting(config) == [], 180, log.read_text, 0.5)
        finally:
            edge.terminate()
            edge.wait(60)
    assert _stored(pipeline) == [
        ("flow-1", 12_500), ("flow-1", 13_250), ("flow-1", 14_000),
        ("flow-2", 5_250), ("flow-2", 5_500), ("flow-2", 5_750),
    ]  # fmt: skip


def _waiting(config):
    return json.loads(must({}, "edge", config, "--status"))["waiting"]


def _stored(pipeline):
    with psycopg.connect(pipeline.urls.database_url) as conn:
        return conn.execute(
            "SELECT device_id, energy_import_wh FROM reading_energy_meter"
            " ORDER BY device_id, energy_import_wh"
        ).fetchall()
