"""`/healthz`: a process that answers its port and does nothing is not well."""

from __future__ import annotations

import threading
import time
import urllib.error
import urllib.request

import pytest

from ingest.errors import InputError
from services.intake import clock_check as clocks
from services.metrics import Metrics
from services.pulse import Pulse
from services.store.postgres.pool import connect
from tests.ports import free_port


def ask(bind, path):
    try:
        with urllib.request.urlopen(f"http://{bind}{path}", timeout=5) as page:
            return page.status, page.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_health_follows_what_moves():
    """An orchestrator would leave a process alone that stands still, or end one that works."""
    metrics, bind = Metrics(), f"127.0.0.1:{free_port()}"
    metrics.pulse = Pulse(still_s=0.3)
    with metrics.serve(bind):
        assert ask(bind, "/healthz") == (503, "starting\n")
        metrics.pulse.beat("receiving")
        metrics.pulse.beat("storing")
        assert ask(bind, "/healthz") == (200, "ok\n")
        time.sleep(0.4)
        metrics.pulse.beat("receiving")
        status, told = ask(bind, "/healthz")
        assert status == 503
        assert told.startswith("storing: nothing for")
        assert "tonne_build_info" in ask(bind, "/metrics")[1]


def test_a_part_that_rests_is_well():
    """A sealer that waits for the next hour would be ended every few minutes."""
    pulse, stopping = Pulse(still_s=1), threading.Event()
    pulse.pause("sealing", 1.5, stopping)
    assert pulse.trouble() is None
    stopping.set()
    began = time.monotonic()
    pulse.pause("sealing", 60, stopping)
    assert time.monotonic() - began < 30


@pytest.mark.integration
def test_a_clock_that_is_off_is_refused(database_url, monkeypatch):
    """Readings of an hour would be refused as coming from the future, or let through from there."""
    with connect(database_url, autocommit=True) as connection:
        clocks.require_same_time(connection)
        true = clocks.now_us
        monkeypatch.setattr(clocks, "now_us", lambda: true() - 3_600_000_000)
        with pytest.raises(InputError, match=r"3600 s apart.*timedatectl"):
            clocks.require_same_time(connection)


def test_a_server_that_is_waited_for_is_told_since_when():
    """Whoever looks at /healthz would see "ok" of a process that stores nothing."""
    pulse = Pulse()
    assert pulse.waiting() is None
    assert pulse.back("kafka") is None
    pulse.lost("kafka")
    pulse.lost("kafka")
    assert pulse.waiting().startswith("waiting for kafka since 20")
    assert 0 <= pulse.waiting_s("kafka") < 60
    assert pulse.back("kafka") >= 0
    assert (pulse.waiting(), pulse.waiting_s("kafka")) == (None, 0.0)
