"""Log messages of Kafka's clients: few lines, in tonne's format."""

import io
import json
import logging

from services import logs
from services.logs import LibraryLog, get_logger


def test_a_library_that_repeats_itself_is_told_now_and_then(monkeypatch):
    """A broker that is away for a night would fill a disk with plain text between JSON."""
    told = io.StringIO()
    clock = [1_000.0]
    monkeypatch.setattr(logs.time, "monotonic", lambda: clock[0])
    library = logging.getLogger("aiokafka.client")
    with LibraryLog(get_logger("worker", stream=told)):
        for k in range(500):
            library.error("cannot reach node %s", k)
            library.info("of no interest")
        clock[0] += 31
        library.error("cannot reach node %s", "last")
        try:
            int("why")
        except ValueError:
            library.exception("unexpected")
    first, again, unexpected = [json.loads(line) for line in told.getvalue().splitlines()]
    assert (first["event"], first["level"], first["count"]) == ("cannot reach node 0", "error", 1)
    assert (again["event"], again["count"]) == ("cannot reach node last", 500)
    assert unexpected["logger"] == "aiokafka.client"
    assert unexpected["error"].startswith("ValueError(")


def test_many_different_lines_are_less_than_one_a_second(monkeypatch):
    """A hundred variants of one message would hide the log line with the remedy."""
    told = io.StringIO()
    clock = [1_000.0]
    monkeypatch.setattr(logs.time, "monotonic", lambda: clock[0])
    library = logging.getLogger("aiokafka.consumer")
    with LibraryLog(get_logger("worker", stream=told)):
        for k in range(1_000):
            clock[0] += 0.1
            library.warning(f"one of many {k}")
    assert len(told.getvalue().splitlines()) < 100
