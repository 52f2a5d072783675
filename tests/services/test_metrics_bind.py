"""Where metrics are served."""

import socket
import threading
import time
from contextlib import ExitStack

import pytest
from prometheus_client import CollectorRegistry, Gauge

from services import scraping
from services.cli.options.servers import metrics_bind
from services.scraping import Pulse
from services.settings import Settings
from tests.ports import free_port
from tests.services.api import plain
from tests.waiting import until


def test_the_usual_port_gives_way_and_a_chosen_one_does_not(monkeypatch):
    """A second process on a machine could not start, or would serve where nobody looks."""
    monkeypatch.setenv("TONNE_HOME", "nowhere")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        port = taken.getsockname()[1]
        chosen = Settings(metrics_bind=f"127.0.0.1:{port}")
        assert metrics_bind(chosen) == f"127.0.0.1:{port}"
    usual = metrics_bind(Settings())
    assert 9464 <= int(usual.rpartition(":")[2]) < 10_464
    assert metrics_bind(Settings(metrics_bind="")) == ""


@pytest.fixture
def metrics():
    """Serve metrics; return the address and the pulse."""
    registry, pulse = CollectorRegistry(), Pulse()
    Gauge("told", "a gauge", registry=registry).set(7)
    bind = f"127.0.0.1:{free_port()}"
    with scraping.serving(registry, pulse, bind):
        yield bind


def get(bind, path):
    return plain.get(f"http://{bind}{path}", timeout=60)


def test_sockets_that_say_nothing_take_no_files_and_no_threads(metrics):
    """Whoever reaches the port would keep a pipeline from its broker and its database."""
    before = threading.active_count()
    where = metrics.rsplit(":", 1)
    with ExitStack() as held:
        idle = [held.enter_context(socket.create_connection(where, 60)) for _ in range(200)]
        for one in idle[::2]:
            one.sendall(b"GET /metrics HTTP/1.1\r\nX: " + b"a" * 1000)
        assert get(metrics, "/healthz").text == "starting\n"
        assert "told 7.0" in get(metrics, "/metrics").text
        # a thread and a clock each, once the others have ended
        until(
            lambda: threading.active_count() - before <= 2 * scraping.MOST + 2,
            what=threading.active_count,
        )
        assert idle[0].recv(1) == b"", "the oldest gives way"


def test_a_caller_who_sends_a_byte_now_and_then_is_hung_up_on(metrics, monkeypatch):
    """A deadline for each byte alone would never end."""
    monkeypatch.setattr(scraping, "ANSWER_S", 0.3)
    with (
        socket.create_connection(metrics.rsplit(":", 1), 60) as one,
        pytest.raises(ConnectionError),
    ):
        drip(one)


def drip(one):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        one.sendall(b"a")
        time.sleep(0.01)
