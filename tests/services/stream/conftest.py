"""Committers of a worker, on one database."""

import threading

import pytest
from prometheus_client import CollectorRegistry

from services.logs import get_logger
from services.metrics import Metrics
from services.processing.registry_import import import_registry
from services.registry.files import read_files
from services.store.postgres.pool import connect
from services.store.stream.topic_source import Source
from services.stream.chain import StreamChain
from tests.services.stream.records import DEVICE, REGISTRY, TOPIC, DeadTopic


@pytest.fixture
def register(database_url, tmp_path):
    """Import a registry of the devices named."""

    def devices(*names):
        file = tmp_path / "registry.yaml"
        file.write_text(REGISTRY + "".join(DEVICE % name for name in names), encoding="utf-8")
        with connect(database_url) as connection:
            planned = import_registry(connection, read_files([file]), author="tester")
        assert not planned.refused, planned.results

    devices("m-1")
    return devices


@pytest.fixture
def committer(database_url, register):
    """Make committers on one database; `spoiled` is what they gave to the dead-letter topic."""
    made = []

    def another(partitions=1, topic=TOPIC):
        spoiled = DeadTopic()
        one = StreamChain(
            database_url,
            Source(topic, partitions),
            spoiled,
            Metrics(CollectorRegistry()),
            get_logger("test"),
            threading.Event(),
        )
        one.spoiled = spoiled
        made.append(one)
        return one

    yield another
    for one in made:
        one.close()
