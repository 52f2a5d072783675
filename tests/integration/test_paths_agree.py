"""One process or many, with Kafka between or without: the same rows to the last digit."""

from __future__ import annotations

import json

import pytest

from tests.bench.load import Publisher
from tests.fix_timescale import _fresh
from tests.integration.kafka_path import (
    Processes,
    embedded,
    ended_records,
    register,
    stored_records,
    tables,
    traffic,
    wait_until,
)

pytestmark = pytest.mark.integration
PARTITIONS = 3
SOON = ("--session", "6")


@pytest.fixture
def other_database_url(timescale, migrated_template):
    """A second fresh database."""
    yield from _fresh(timescale, f"TEMPLATE {migrated_template}")


def shares(log):
    """Whether a worker has partitions, and not all of them."""
    taken = [json.loads(line) for line in log.splitlines() if '"event": "partitions"' in line]
    return bool(taken) and 0 < len(taken[-1]["offsets"]) < PARTITIONS


def test_paths_agree_though_workers_are_killed(
    tmp_path, database_url, other_database_url, mqtt_broker, kafka_broker
):
    """A city that moves from one process to many would find other tonnes than before."""
    sent = traffic(hours=10)
    half = len(sent) // 2
    for url in (database_url, other_database_url):
        register(url)
    embedded(database_url, sent)

    processes = Processes(tmp_path, other_database_url, mqtt_broker.url, kafka_broker.url)
    made = processes.run("topics", "apply", "--partitions", str(PARTITIONS))
    assert made.returncode == 0, made.stderr
    publisher = Publisher(mqtt_broker.port)

    def stored(least, patience_s=40):
        wait_until(lambda: stored_records(other_database_url) >= least, patience_s, processes.logs)

    with processes.running("bridge", "--batch", "60"):
        wait_until(lambda: '"receiving"' in processes.logs(), 15, processes.logs)
        publisher.send(sent[:half])
        with processes.doomed("worker", *SOON):
            stored(5)  # killed with most of it before it
        with processes.running("worker", *SOON), processes.doomed("worker", *SOON) as second:
            wait_until(lambda: shares(processes.log_of(second)), 40, processes.logs)
            publisher.send(sent[half:])
            stored(stored_records(other_database_url) + 10)
            second.kill()  # with its share before it
            wait_until(lambda: processes.forwarded() == len(sent), 30, processes.logs)
            stored(ended_records(kafka_broker.url, "tonne-parcels", PARTITIONS))
    publisher.close()
    expected = tables(database_url)
    found = tables(other_database_url)
    assert len(expected["interval_quantity"]) > 500
    assert len(expected["interval_emission"]) > 200
    assert len(expected["dead_letter"]) > 20
    for name, rows in expected.items():
        assert found[name] == rows, name
