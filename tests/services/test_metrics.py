"""Metrics and log lines: the names operators build on, and clear refusals."""

import io
import json
from secrets import token_hex
from urllib.request import urlopen

import pytest

from ingest.errors import ServerError
from services.clock import now_us
from services.logs import get_logger
from services.metrics import Metrics
from tests.ports import free_port

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
    """Dashboards and alerts break in silence when a series changes its name."""
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
