"""
Actions of people on an alarm; its history is append-only.

Instructions for an alarm, and lists of many.
"""

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
from services.store.views.alarms import TO_DO
from tests.invoked import printed, tonne
from tests.services.store.alarms.rounds import HOUR, heard, watch


def test_what_to_do_goes_by_the_cause_of_now(conn, database_url, monkeypatch):
    """A technician would drive at night to a meter whose messages arrive and are rejected."""
    monkeypatch.setenv("TONNE_DATABASE_URL", database_url)
    heard(conn, 2 * HOUR, "alone", "inv")
    conn.execute("UPDATE device SET class = 'energy_meter' WHERE id = 'inv'")
    watch(conn)

    def told(subject):
        (found,) = alarms.listed(conn, None, 100, subject=subject)
        assert alarms.by_id(conn, None, found["id"])["what_to_do"] == found["what_to_do"]
        return found["cause"], found["cause_now"], found["what_to_do"]

    assert told("alone")[:2] == ("silence", None)
    conn.execute(
        "INSERT INTO dead_letter (received, topic, principal, reason, detail, payload, sha256)"
        " VALUES (now(), 'tonne/v1/alone/telemetry', 'alone', 'malformed_json', 'x', 'x',"
        " sha256('x'))"
    )
    conn.execute(
        "INSERT INTO credential (principal, kind, revoked, revoked_by, reason)"
        " VALUES ('inv', 'password', now(), 'test', 'lost')"
    )
    assert told("alone") == ("silence", "refused", TO_DO["refused"][1])
    assert told("inv") == ("silence", "credential", TO_DO["credential"][1])
    (number,) = [one["id"] for one in alarms.listed(conn, None, 100, subject="alone")]
    said = tonne("alarms", "show", number).output
    assert "its messages are rejected" in said
    assert "its power" not in said
    # what is stored after it was refused was good: it is silent by itself again
    heard(conn, 0, "alone")
    assert told("alone")[:2] == ("silence", None)


def test_many_alarms_at_once_are_counted_for_plans(conn):
    """A list of alarms would take seconds on the night on which there are many."""
    with conn.transaction(), conn.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO device (id, site, class, profile, installed, commissioned)"
            " VALUES (%s, 's', 'energy_meter', 'generic', '2026-01-01Z', '2026-01-01')",
            [[f"m{k}"] for k in range(200)],
        )
    assert watch(conn).raised >= 200
    known = conn.execute(
        "SELECT reltuples FROM pg_class WHERE oid IN ('alarm'::regclass, 'alarm_event'::regclass)"
    ).fetchall()
    assert min(known) >= (200,)


def test_people_take_up_and_comment(conn, database_url, monkeypatch):
    """Two technicians would drive to the same meter, and no one know what the first one found."""
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
    """An overlooked alarm could be deleted."""
    heard(conn, 2 * HOUR, "alone")
    watch(conn)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        conn.execute(statement)


def test_the_watcher_tells_prometheus(conn, database_url):
    """Alertmanager would get alerts on the pipeline only, and none on devices."""
    heard(conn, 2 * HOUR, "alone")
    metrics = Metrics()
    Watcher(database_url, metrics, get_logger("watch")).update_alarms()
    labels = {"kind": "device_silent", "severity": "major", "state": "open"}
    assert metrics.registry.get_sample_value("tonne_alarms", labels) == 1
