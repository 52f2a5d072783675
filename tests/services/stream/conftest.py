"""Committers of a worker, on one database."""

import threading

import pytest
from prometheus_client import CollectorRegistry

from services.logs import get_logger
from services.metrics import Metrics
from services.store.offsets import Source
from services.stream.chain import StreamChain
from tests import registering
from tests.services.stream.records import DEVICE, REGISTRY, TOPIC, DeadTopic


@pytest.fixture
def register(database_url, tmp_path):
    """Import a registry of the named devices."""

    def devices(*names):
        text = REGISTRY + "".join(DEVICE % name for name in names)
        registering.register(database_url, tmp_path, text)

    devices("m-1")
    return devices


@pytest.fixture
def committer(database_url, register):
    """
    Make committers on one database; `spoiled` contains their records for
    the dead-letter topic.
    """
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
