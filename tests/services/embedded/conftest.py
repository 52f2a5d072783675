"""`tonne run` between its two queues, on the registry of a test's module."""

import threading

import pytest
from prometheus_client import CollectorRegistry

from ingest.sparkplug import Rules
from services.embedded import EmbeddedChain
from services.intake.sparkplug import SparkplugNodes
from services.logs import get_logger
from services.metrics import Metrics
from tests.registering import register


@pytest.fixture
def metrics():
    """Return the metrics of the chain."""
    return Metrics(CollectorRegistry())


@pytest.fixture
def chain(request, database_url, tmp_path, metrics):
    """Open the chain over the module's REGISTRY."""
    register(database_url, tmp_path, request.module.REGISTRY)
    made = EmbeddedChain(
        database_url, metrics, get_logger("test"), threading.Event(), SparkplugNodes(Rules())
    )
    made.open()
    yield made
    made.close()
