"""
Apache Kafka if it is available, else a broker of the same protocol embedded in a wheel.

Apache Kafka is in `KAFKA_HOME`, else in `shared/kafka` next to the checkout, and needs Java.  One
broker serves all tests of a run that do not stop or pause it, in all of the run's processes: topics
and groups have unique names.
"""

import contextlib
import fcntl
import json
import os
from pathlib import Path
from secrets import token_hex

import pytest

from services.local.brokers import ApacheKafka, Kafka
from tests import apache_kafka
from tests.apache_kafka import APACHE, WHY, Quick
from tests.fix_timescale import once
from tests.ports import give_ports


def pytest_report_header():
    """State which Kafka the tests use."""
    return f"Kafka: {WHY}" if APACHE else f"Kafka: the embedded broker alone ({WHY})"


@pytest.fixture(scope="session")
def kafka_made(tmp_path_factory):
    """Return the prepared files of Apache Kafka's brokers, or None without it."""
    if APACHE is None:
        return None
    return once(tmp_path_factory, "kafka-made", apache_kafka.make) / ApacheKafka.name


def make_broker(home: Path, made: Path | None) -> ApacheKafka | Kafka:
    """Return a broker that is not started yet."""
    return Quick(home, made) if made else Kafka(give_ports(home, "kafka"))


@contextlib.contextmanager
def _shared(base: Path, made: Path | None):
    """Start the run's broker, unless another process of the run did; the last process stops it."""
    base.mkdir(exist_ok=True)
    server = _counted(base, made, 1)
    try:
        yield server
    finally:
        _counted(base, made, -1)


def _counted(base: Path, made: Path | None, step: int) -> ApacheKafka | Kafka:
    count = base / "users.json"
    with (base / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        users = (json.loads(count.read_text()) if count.exists() else 0) + step
        server = make_broker(base, made)
        if users == 0:
            server.stop()
        elif step > 0:
            server.start()  # which does nothing where it runs
        count.write_text(json.dumps(users))
    return server


@pytest.fixture(scope="session")
def run_kafka(tmp_path_factory, kafka_made):
    """Return the run's broker, which no test may stop or pause."""
    base = tmp_path_factory.getbasetemp()
    home = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "kafka"
    with _shared(home, kafka_made) as found:
        yield found


@pytest.fixture
def kafka_url(run_kafka):
    """Return the URL of the run's broker."""
    return run_kafka.url


@pytest.fixture
def topic():
    """Return the name of a topic that no other test uses."""
    return f"parcels-{token_hex(4)}"


@pytest.fixture(scope="module")
def own_kafka(tmp_path_factory, kafka_made):
    """Return a separate broker of this file: `url`, `pid`, `kill()`, `start()`, `restart()`."""
    server = make_broker(tmp_path_factory.mktemp("own-kafka"), kafka_made)
    server.start()
    yield server
    server.start()  # a test may have ended it
    server.stop()


@pytest.fixture
def embedded_kafka(tmp_path):
    """Return the broker that `tonne local up --kafka` starts without Apache Kafka."""
    server = Kafka(give_ports(tmp_path / "kafka-broker", "kafka"))
    server.start()
    yield server
    server.stop()
