"""
Apache Kafka where it is at hand, else a broker of the same protocol that is embedded in a wheel.

Apache Kafka's own folder is what `KAFKA_HOME` names, else `shared/kafka` beside the checkout;
Java must be there to run it.  One broker serves every test of a run that does not end or pause
it, in all of the run's processes: topics and groups have names of their own.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from pathlib import Path
from secrets import token_hex

import pytest

from services.local.apache_kafka import ApacheKafka
from services.local.kafka import Kafka
from tests.apache_kafka import APACHE, WHY
from tests.ports import give_ports


def pytest_report_header():
    """Say which Kafka the tests run on: the embedded one speaks the protocol, and is another."""
    return f"Kafka: {WHY}" if APACHE else f"Kafka: the embedded broker alone ({WHY})"


def make_broker(home: Path) -> ApacheKafka | Kafka:
    """Return a broker that is not started yet."""
    give_ports(home, "kafka")
    if APACHE is None:
        return Kafka(home)
    give_ports(home, "kafka-controller")
    return ApacheKafka(home, APACHE)


@contextlib.contextmanager
def _shared(base: Path):
    """Start the run's broker, unless another process of the run did; the last one stops it."""
    base.mkdir(exist_ok=True)
    server = _counted(base, 1)
    try:
        yield server
    finally:
        _counted(base, -1)


def _counted(base: Path, step: int) -> ApacheKafka | Kafka:
    count = base / "users.json"
    with (base / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        users = (json.loads(count.read_text()) if count.exists() else 0) + step
        server = make_broker(base)
        if users == 0:
            server.stop()
        elif step > 0:
            server.start()  # which does nothing where it runs
        count.write_text(json.dumps(users))
    return server


@pytest.fixture(scope="session")
def run_kafka(tmp_path_factory):
    """Return the run's broker, which no test may end or pause."""
    base = tmp_path_factory.getbasetemp()
    with _shared((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "kafka") as found:
        yield found


@pytest.fixture
def kafka_url(run_kafka):
    """URL of the run's broker."""
    return run_kafka.url


@pytest.fixture
def topic():
    """Return the name of a topic that no other test has."""
    return f"parcels-{token_hex(4)}"


@pytest.fixture(scope="module")
def own_kafka(tmp_path_factory):
    """Return a broker of this file's own: `url`, `pid`, `kill()`, `start()`, `restart()`."""
    server = make_broker(tmp_path_factory.mktemp("own-kafka"))
    server.start()
    yield server
    server.start()  # a test may have ended it
    server.stop()


@pytest.fixture
def embedded_kafka(tmp_path):
    """Return the broker that `tonne local up --kafka` starts where there is no Apache Kafka."""
    server = Kafka(give_ports(tmp_path / "kafka-broker", "kafka"))
    server.start()
    yield server
    server.stop()
