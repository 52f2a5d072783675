"""Servers that are not there yet when a process starts."""

from __future__ import annotations

import io
import json
import threading

import pytest

from ingest.errors import ServerError
from services.logs import get_logger
from services.pulse import Pulse
from services.waiting import Start


def away(times):
    """A server that is there after so many tries."""
    left = iter([ServerError("database is away")] * times)

    def connect():
        for error in left:
            raise error
        return "there"

    return connect


def test_a_server_that_comes_is_waited_for_and_told_once(monkeypatch):
    """A whole stack starts at once; each process would be started again until all are up."""
    monkeypatch.setattr("services.waiting._PAUSE_S", 0.0)
    told = io.StringIO()
    start = Start(30, get_logger("test", stream=told), threading.Event())
    assert start.reach(away(3)) == "there"
    (line,) = [json.loads(line) for line in told.getvalue().splitlines()]
    assert (line["event"], line["error"]) == ("waiting for a server", "database is away")


def test_one_that_does_not_come_is_told_by_its_own_words():
    """An operator must read which server is away, once the time is over or on SIGTERM."""
    log = get_logger("test", stream=io.StringIO())
    with pytest.raises(ServerError, match="database is away"):
        Start(0, log, threading.Event()).reach(away(2))
    stopping = threading.Event()
    stopping.set()
    with pytest.raises(ServerError, match="database is away"):
        Start(60, log, stopping).reach(away(2))


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
