"""
The address of metrics.

Names of metrics and log lines for operators, and clear errors.
"""

import io
import json
import socket
import threading
import time
from contextlib import ExitStack
from secrets import token_hex
from urllib.request import urlopen

import pytest
from prometheus_client import CollectorRegistry, Gauge

from ingest.errors import ServerError
from services import scraping
from services.cli.server_options import metrics_bind
from services.clock import now_us
from services.logs import get_logger
from services.metrics import Metrics
from services.scraping import Pulse
from services.settings import Settings
from tests.ports import free_port
from tests.services.api import plain
from tests.waiting import until

NAMES = {
    "tonne_ingest_messages_total",
    "tonne_ingest_unacked_messages",
    "tonne_ingest_event_lag_seconds",
    "tonne_dead_letters_total",
    "tonne_commit_seconds",
    "tonne_commit_rows_total",
    "tonne_counter_events_total",
    "tonne_late_readings_total",
    "tonne_quality_flags_total",
    "tonne_fleet_devices",
    "tonne_coverage_ratio",
    "tonne_statements_total",
    "tonne_rebuild_mismatch_total",
    "tonne_build_info",
}


def _log_in(secret):
    raise RuntimeError(len(secret))


def test_names_are_the_public_ones():
    """Dashboards and alerts break without a message when a series changes its name."""
    metrics = Metrics()
    metrics.messages.labels(codec="json", result="stored").inc()
    metrics.fleet_devices.labels("online", "pv_inverter").set(3)
    bind = f"127.0.0.1:{free_port()}"
    with metrics.serve(bind), urlopen(f"http://{bind}/metrics") as answer:
        text = answer.read().decode()
    assert {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")} >= NAMES
    assert 'tonne_ingest_messages_total{codec="json",result="stored"} 1.0' in text
    assert 'tonne_fleet_devices{class="pv_inverter",state="online"} 3.0' in text


def test_two_pipelines_do_not_add_up():
    """A second pipeline in a process must not count into the first one's series."""
    first, second = Metrics(), Metrics()
    first.late_readings.inc()
    assert second.registry.get_sample_value("tonne_late_readings_total") == 0


def test_a_busy_port_is_named_and_the_port_is_free_afterwards():
    """Two processes with the same setting must not end in a traceback."""
    bind = f"127.0.0.1:{free_port()}"
    with Metrics().serve(bind), pytest.raises(ServerError, match=f"{bind}.*TONNE_METRICS_BIND"):
        Metrics().serve(bind).__enter__()
    with Metrics().serve(bind):
        pass


def test_no_address_serves_nothing():
    """Metrics can be switched off."""
    with Metrics().serve(""):
        pass


def test_log_lines_are_json_and_keep_odd_values():
    """A log shipper needs one object a line; an odd field must not stop the pipeline."""
    stream = io.StringIO()
    log = get_logger("run", stream=stream, client="c1")
    log.info("stored", rows=2, payload=b"\xff")
    log.debug("never seen")
    password = token_hex()
    try:
        _log_in(password)
    except RuntimeError:
        log.exception("failed")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["event"] for line in lines] == ["stored", "failed"]
    assert lines[0]["part"] == "run"
    assert lines[0]["client"] == "c1"
    assert lines[0]["rows"] == 2
    assert "RuntimeError" in lines[1]["exception"]
    assert password not in stream.getvalue()


def test_clock_counts_microseconds():
    """A clock in other units would put every reading into the wrong interval."""
    assert 1_700_000_000_000_000 < now_us() < 4_000_000_000_000_000


def test_the_usual_port_gives_way_and_a_chosen_one_does_not(monkeypatch):
    """A second process on a machine could not start, or would serve where no one looks."""
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
    """Idle connections occupy no files and no threads."""
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
            lambda: threading.active_count() - before <= 2 * scraping.MAX_CONNECTIONS + 2,
            what=threading.active_count,
        )
        assert idle[0].recv(1) == b"", "the oldest gives way"


def test_a_caller_who_sends_a_byte_now_and_then_is_hung_up_on(metrics, monkeypatch):
    """A deadline per byte alone would never disconnect a slow client."""
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
