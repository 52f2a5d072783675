"""A start waits for its servers, for a limited time."""

import threading
import time

import pytest
from prometheus_client import CollectorRegistry

from ingest.errors import ServerError
from ingest.sparkplug import Rules
from services.embedded import EmbeddedChain
from services.intake.retry import GaveUpError, wait_for_server
from services.intake.sparkplug import SparkplugNodes
from services.local.stack import Postgres
from services.logs import get_logger
from services.metrics import Metrics
from tests import memory
from tests.fix_timescale import Quick, copy_cluster
from tests.ports import give_ports

LOG = get_logger("test")


@pytest.fixture
def server(tmp_path, migrated_cluster):
    """Return a database server that does not run yet."""
    with memory.folder(tmp_path) as home:
        copy_cluster(migrated_cluster, home)
        made = Quick(give_ports(home, Postgres.name))
        yield made
        made.stop()


def opening(url, stopping):
    """Start as `tonne run` does."""
    chain = EmbeddedChain(url, Metrics(CollectorRegistry()), LOG, stopping, SparkplugNodes(Rules()))
    return chain, chain.open


def test_a_database_that_comes_later_is_waited_for(server):
    """After a power cut the pipeline would have to be started by hand."""
    stopping = threading.Event()
    server.start()  # so that its URL is known
    chain, begin = opening(server.url, stopping)
    server.stop()
    with pytest.raises(ServerError, match="cannot be used") as error:
        wait_for_server("database", begin, 0.3, stopping, LOG)
    assert "waited 0.3 s" in str(error.value)
    assert "\n" not in str(error.value)
    later = threading.Timer(0.7, server.start)
    later.start()
    wait_for_server("database", begin, 120, stopping, LOG)
    later.join()
    assert chain.fleet.version == 0
    chain.close()


def test_a_restart_in_the_middle_of_the_start_ends_nothing(server):
    """A database that restarts while the pipeline starts would leave the pipeline down."""
    stopping = threading.Event()
    server.start()
    chain, begin = opening(server.url, stopping)
    tried: list[float] = []
    later = threading.Timer(0.3, server.start)

    def once_killed():
        if not tried:
            chain._database.connection()
            server.kill()
            later.start()
        tried.append(time.monotonic())
        begin()

    wait_for_server("database", once_killed, 120, stopping, LOG)
    later.join()
    assert len(tried) > 1
    chain.close()


def test_what_is_refused_is_said_at_once():
    """A wrong name of a database would be waited for until someone looks."""
    began = time.monotonic()
    taken = ServerError("another `tonne run` writes to this database")

    def begin():
        raise taken

    with pytest.raises(ServerError, match="another"):
        wait_for_server("database", begin, 60, threading.Event(), LOG)
    assert time.monotonic() - began < 30


def test_a_stop_ends_the_wait():
    """A container that is stopped while it waits would be killed after its grace."""
    stopping = threading.Event()
    _, begin = opening("postgresql://tonne@127.0.0.1:1/tonne", stopping)
    later = threading.Timer(0.3, stopping.set)
    later.start()
    with pytest.raises(GaveUpError):
        wait_for_server("database", begin, 120, stopping, LOG)
    later.join()
