"""What to do about an alarm, and lists of many."""

from services.store.views import alarms
from services.store.views.alarms import TO_DO
from tests.invoked import tonne
from tests.services.store.alarms.rounds import HOUR, heard, watch


def test_what_to_do_goes_by_the_cause_of_now(conn, database_url, monkeypatch):
    """A technician would drive at night to a meter that speaks, and is refused."""
    monkeypatch.setenv("TONNE_DATABASE_URL", database_url)
    heard(conn, 2 * HOUR, "alone", "inv")
    conn.execute("UPDATE device SET class = 'energy_meter' WHERE id = 'inv'")
    watch(conn)

    def told(subject):
        (found,) = alarms.listed(conn, None, 100, subject=subject)
        assert alarms.one(conn, None, found["id"])["what_to_do"] == found["what_to_do"]
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
