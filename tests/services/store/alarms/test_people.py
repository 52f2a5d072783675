"""What people do with an alarm, and that its history is only added to."""

import json
from functools import partial

import psycopg
import pytest

from ingest.errors import InputError
from mrv.errors import StatementStateError
from services.issuer.watcher import Watcher
from services.logs import get_logger
from services.metrics import Metrics
from services.store.views import alarms
from tests.invoked import printed
from tests.services.store.alarms.rounds import HOUR, heard, watch


def test_people_take_up_and_comment(conn, database_url, monkeypatch):
    """Two technicians would drive to the same meter, and nobody know what the first one found."""
    monkeypatch.setenv("TONNE_DATABASE_URL", database_url)
    heard(conn, 2 * HOUR, "alone")
    watch(conn)
    tonne = partial(printed, "alarms")
    assert "device_silent" in tonne("list")
    # by the clock of its site, as devices are shown
    assert all("+07:00" in text and "Z" not in text for text in (tonne("list"), tonne("show", "1")))
    tonne("acknowledge", "1", "--text", "on the way", "--author", "Mai")
    tonne("comment", "1", "--text", "fuse", "--author", "Mai")
    tonne("comment", "1", "--text", " ", code=2)
    tonne("comment", "99", "--text", "x", code=2)
    found = json.loads(tonne("show", "1", "--json"))
    assert (found["state"], found["acknowledged_by"]) == ("acknowledged", "Mai")
    assert [e["event"] for e in found["history"]] == ["raised", "acknowledged", "commented"]
    assert "Check its power supply" in tonne("show", "1")
    assert json.loads(tonne("list", "--state", "cleared", "--json")) == []
    with pytest.raises(StatementStateError, match="by Mai"):
        alarms.acknowledge(conn, 1, "Nam")
    with pytest.raises(InputError):
        alarms.comment(conn, 1, "Nam", "x" * 3000)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM alarm",
        "UPDATE alarm SET since = now()",
        "UPDATE alarm_event SET text = 'x'",
        "DELETE FROM alarm_event",
        "TRUNCATE alarm_event, alarm",
    ],
)
def test_history_is_only_added_to(conn, statement):
    """Whoever overlooked an alarm could make it not have been."""
    heard(conn, 2 * HOUR, "alone")
    watch(conn)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        conn.execute(statement)


def test_the_watcher_tells_prometheus(conn, database_url):
    """Alertmanager would know of the pipeline alone."""
    heard(conn, 2 * HOUR, "alone")
    metrics = Metrics()
    Watcher(database_url, metrics, get_logger("watch")).see_alarms()
    labels = {"kind": "device_silent", "severity": "major", "state": "open"}
    assert metrics.registry.get_sample_value("tonne_alarms", labels) == 1
