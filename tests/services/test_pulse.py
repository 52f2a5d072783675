"""`/healthz`: a process that answers its port and does no work is not healthy."""

import threading
import urllib.error
import urllib.request
from types import SimpleNamespace

import pytest

from ingest.errors import InputError
from services import scraping as pulses
from services.intake import retry as clocks
from services.metrics import Metrics
from services.scraping import Pulse
from services.store.postgres.pool import connect
from tests.ports import free_port


def ask(bind, path):
    try:
        with urllib.request.urlopen(f"http://{bind}{path}", timeout=60) as page:
            return page.status, page.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.fixture
def clock(monkeypatch):
    """Return the clock of a pulse, which the test sets forward."""
    found = SimpleNamespace(now_s=1_000.0, time=pulses.time.time)
    found.monotonic = lambda: found.now_s
    monkeypatch.setattr(pulses, "time", found)
    return found


def test_health_follows_what_moves(clock):
    """An orchestrator would leave a process alone that hangs, or end one that works."""
    metrics, bind = Metrics(), f"127.0.0.1:{free_port()}"
    metrics.pulse = Pulse(still_s=30)
    with metrics.serve(bind):
        assert ask(bind, "/healthz") == (503, "starting\n")
        metrics.pulse.beat("receiving")
        metrics.pulse.beat("storing")
        assert ask(bind, "/healthz") == (200, "ok\n")
        clock.now_s += 31
        metrics.pulse.beat("receiving")
        status, told = ask(bind, "/healthz")
        assert status == 503
        assert told.startswith("storing: nothing for")
        assert "tonne_build_info" in ask(bind, "/metrics")[1]


def test_a_part_that_rests_is_well(clock):
    """A sealer that waits for the next hour would be ended every few minutes."""
    pulse, troubles = Pulse(still_s=30), []

    def passed(seconds):
        clock.now_s += seconds
        troubles.append(pulse.trouble())

    resting = SimpleNamespace(is_set=lambda: False, wait=passed)
    pulse.pause("sealing", 3_600, resting)
    assert clock.now_s == pytest.approx(4_600)
    assert set(troubles) == {None}
    stopping = threading.Event()
    stopping.set()
    pulse.pause("sealing", 3_600, stopping)
    assert clock.now_s == pytest.approx(4_600)


def test_a_clock_that_is_off_is_refused(database_url, monkeypatch):
    """Readings of an hour would be refused as coming from the future, or let through from there."""
    with connect(database_url, autocommit=True) as connection:
        clocks.require_same_time(connection)
        true = clocks.now_us
        monkeypatch.setattr(clocks, "now_us", lambda: true() - 3_600_000_000)
        with pytest.raises(InputError, match=r"3600 s apart.*timedatectl"):
            clocks.require_same_time(connection)


def test_a_server_that_is_waited_for_is_told_since_when():
    """Anyone who looks at /healthz would see "ok" of a process that stores nothing."""
    pulse = Pulse()
    assert pulse.waiting() is None
    assert pulse.back("kafka") is None
    pulse.lost("kafka")
    pulse.lost("kafka")
    assert pulse.waiting().startswith("waiting for kafka since 20")
    assert 0 <= pulse.waiting_s("kafka") < 60
    assert pulse.back("kafka") >= 0
    assert (pulse.waiting(), pulse.waiting_s("kafka")) == (None, 0.0)
