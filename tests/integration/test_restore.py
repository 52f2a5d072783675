"""Disaster recovery as in docs/kafka.md: an older backup, and the later records from Kafka."""

import os
import subprocess
from contextlib import contextmanager
from itertools import islice

import pytest

from services.local import POSTGRES_BIN
from tests import commands
from tests.bench import load
from tests.fix_pipeline import on_servers
from tests.integration.kafka_path import ends
from tests.waiting import until

DEVICES, BATCH = 100, 1_000
PARTITIONS = 3


@pytest.fixture
def pipeline(tmp_path, migrated_cluster, kafka_url, topic):
    with on_servers(migrated_cluster, tmp_path) as found:
        found.environment["TONNE_KAFKA_URL"] = kafka_url
        found.register(load.registry(DEVICES))
        found.tonne("topics", "apply", "--topic", topic, "--partitions", str(PARTITIONS))
        yield found


@contextmanager
def running(pipeline, *words):
    log = pipeline.home / f"{words[0]}.log"
    with log.open("ab") as out:
        process = commands.start(
            words,
            env=os.environ | pipeline.environment | {"TONNE_METRICS_BIND": ""},
            stdout=out,
            stderr=out,
        )
        try:
            yield log
        finally:
            process.terminate()
            assert process.wait(120) == 0, log.read_text()


def stored(pipeline):
    (found,) = pipeline.ask(
        "SELECT (SELECT count(*) FROM reading_pv_inverter),"
        " (SELECT sum(value) FROM interval_quantity),"
        " (SELECT sum(reduction_ug) FROM interval_emission),"
        " (SELECT count(*) FROM dead_letter)"
    )
    return found


def wait_for_rows(pipeline, rows, log):
    until(lambda: stored(pipeline)[0] >= rows, 120, lambda: (stored(pipeline), log.read_text()))
    return stored(pipeline)


def in_kafka(kafka_url, topic):
    """Return the number of records in Kafka."""
    return sum(ends(kafka_url, topic, PARTITIONS).values())


def execute(program, *words):
    done = subprocess.run(
        [str(POSTGRES_BIN / program), *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def restore(url, dump, meanwhile):
    """Delete the database, restore the backup, and rename it once it is complete."""
    server = url.rsplit("/", 1)[0]
    admin, restored = f"{server}/postgres", f"{server}/restored"
    execute(
        "psql", admin, "-c", "DROP DATABASE tonne WITH (FORCE)", "-c", "CREATE DATABASE restored"
    )
    before = ["CREATE EXTENSION timescaledb", "SELECT timescaledb_pre_restore()"]
    execute("psql", restored, "-c", before[0], "-c", before[1])
    meanwhile()
    execute("pg_restore", "-d", restored, dump)
    execute("psql", admin, "-c", "ALTER DATABASE restored RENAME TO tonne")
    execute("psql", url, "-c", "SELECT timescaledb_post_restore()")


def test_a_restored_backup_catches_up_by_itself(pipeline, kafka_url, topic):
    """All that came after the backup would be lost, though Kafka still has every record of it."""
    url, dump = pipeline.urls.database_url, str(pipeline.home / "tonne.dump")
    messages = load.messages(DEVICES, 5 * BATCH // DEVICES)
    publisher = load.Publisher(pipeline.stack.mosquitto.port)
    group = f"worker-{topic}"
    worker = ("worker", "--topic", topic, "--group", group, "--instance", "w-0", "--session", "6")
    with running(pipeline, "bridge", "--topic", topic) as bridge:
        pipeline.receiving_since(bridge)
        with running(pipeline, *worker) as log:
            publisher.send(list(islice(messages, BATCH)))
            wait_for_rows(pipeline, BATCH, log)
            execute("pg_dump", "-Fc", "-f", dump, url)
            publisher.send(list(islice(messages, BATCH)))
            before = wait_for_rows(pipeline, 2 * BATCH, log)

        def meanwhile():
            """
            Let devices send on, and the bridge accept their messages with
            its present registry.
            """
            held = in_kafka(kafka_url, topic)
            until(lambda: "database lost" in bridge.read_text(), 120, bridge.read_text)
            publisher.send(list(islice(messages, BATCH)))
            until(lambda: in_kafka(kafka_url, topic) != held, 120, bridge.read_text)

        restore(url, dump, meanwhile)
        assert stored(pipeline)[0] == BATCH
        with running(pipeline, *worker) as log:
            after = wait_for_rows(pipeline, 3 * BATCH, log)
            assert after[-1] == before[-1]  # nothing was refused for want of a registry
            publisher.send(list(islice(messages, BATCH)))
            wait_for_rows(pipeline, 4 * BATCH, log)
    publisher.close()
    span = ("--from", "2026-01-01T00:00:00Z", "--to", "2026-01-02T00:00:00Z")
    assert "0 rows differ" in pipeline.tonne("rebuild", "--check", *span)
