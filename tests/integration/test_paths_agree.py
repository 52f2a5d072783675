"""One process or many, with Kafka between or without: the same rows to the last digit."""

from __future__ import annotations

import threading
from itertools import islice

import pytest
from prometheus_client import CollectorRegistry

from ingest.mqtt.inbox import Inbox
from services.clock import now_us
from services.embedded.committer import Committer
from services.logs import get_logger
from services.metrics import Metrics
from tests.bench.load import Publisher
from tests.fix_timescale import _fresh
from tests.integration.kafka_path import (
    Processes,
    ended_records,
    register,
    stored_records,
    tables,
    traffic,
    wait_until,
)

pytestmark = pytest.mark.integration
PARTITIONS = 3


@pytest.fixture
def other_database_url(timescale, migrated_template):
    """A second fresh database."""
    yield from _fresh(timescale, f"TEMPLATE {migrated_template}")


def embedded(database_url, sent):
    """Store traffic as `tonne run` does, in batches as they come."""
    metrics = Metrics(CollectorRegistry())
    committer = Committer(database_url, metrics, get_logger("test"), threading.Event())
    committer.open()
    todo = iter(sent)
    while batch := list(islice(todo, 700)):
        n = len(batch)
        topics, payloads = (list(column) for column in zip(*batch, strict=True))
        committer.store(
            Inbox(0, topics, payloads, [None] * n, list(range(1, n + 1)), [False] * n, now_us())
        )
    committer.close()


def test_paths_agree_though_the_worker_is_killed(
    tmp_path, database_url, other_database_url, mqtt_broker, kafka_broker
):
    """A city that moves from one process to many would find other tonnes than before."""
    sent = traffic(hours=10)
    for url in (database_url, other_database_url):
        register(url)
    embedded(database_url, sent)

    processes = Processes(tmp_path, other_database_url, mqtt_broker.url, kafka_broker.url)
    assert processes.run("topics", "apply", "--partitions", str(PARTITIONS)).returncode == 0
    with processes.running("bridge", "--batch", "60"):
        wait_until(lambda: '"receiving"' in processes.logs(), 15, processes.logs)
        publisher = Publisher(mqtt_broker.port)
        publisher.send(sent)
        publisher.close()
        for least in (5, len(sent) // 200):
            with processes.doomed("worker", "--session", "6"):
                wait_until(
                    lambda least=least: stored_records(other_database_url) >= least,
                    30,
                    processes.logs,
                )
        with processes.running("worker", "--session", "6"):
            wait_until(lambda: processes.forwarded() == len(sent), 30, processes.logs)
            end = ended_records(kafka_broker.url, "tonne-parcels", PARTITIONS)
            wait_until(lambda: stored_records(other_database_url) >= end, 40, processes.logs)
    expected = tables(database_url)
    found = tables(other_database_url)
    assert len(expected["interval_quantity"]) > 500
    assert len(expected["interval_emission"]) > 200
    assert len(expected["dead_letter"]) > 20
    for name, rows in expected.items():
        assert found[name] == rows, name
