"""Alarm messages to people: contacts, duty times and silences."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

from psycopg import Connection, errors

from ingest.errors import InputError, RegistryError
from services.store import webhooks

# status of an event that is not sent to this contact
NOT_SENT = 0
SEVERITIES = ("critical", "major", "minor")


class Contact(NamedTuple):
    """
    Person or group channel that receives alarms.

    `projects`: only their alarms; None for all.  `on_duty`: None if no duty is planned.
    `waiting`, `dead`: numbers of pending messages, and of messages given up.
    `delivered`: time of the last delivery; None before the first.
    """

    id: str
    address: str
    language: str
    severities: list[str]
    projects: list[str] | None
    on_duty: bool | None
    waiting: int
    dead: int
    delivered: datetime | None


class Silence(NamedTuple):
    """Pause of alarm messages until `ends`, for one subject or all."""

    id: int
    subject: str | None
    begins: datetime
    ends: datetime
    reason: str
    author: str


class Duty(NamedTuple):
    """Start and end of a contact's duty."""

    contact: str
    begins: datetime
    ends: datetime


def add(
    conn: Connection,
    id_: str,
    address: str,
    secret: str,
    author: str,
    *,
    language: str,
    severities: Sequence[str],
    projects: Sequence[str] | None,
) -> None:
    """Register a contact, who receives the alarms raised from now on."""
    with conn.transaction():
        webhooks.add(conn, id_, address, ["alarm"], projects, secret, author)
        conn.execute(
            "INSERT INTO alarm_contact (webhook_id, language, severities) VALUES (%s, %s, %s)",
            [id_, language, sorted(set(severities))],
        )


def contacts(conn: Connection) -> list[Contact]:
    """Return the active contacts, by id."""
    rows = conn.execute(
        "SELECT w.id, w.url, c.language, c.severities, w.projects,"
        " (SELECT bool_or(d.begins <= now() AND d.ends > now()) FROM alarm_duty d"
        "  WHERE d.webhook_id = w.id),"
        " count(*) FILTER (WHERE v.state = 'waiting'), count(*) FILTER (WHERE v.state = 'dead'),"
        " max(v.tried) FILTER (WHERE v.state = 'delivered' AND v.status <> 0)"
        " FROM alarm_contact c JOIN webhook w ON w.id = c.webhook_id"
        " LEFT JOIN webhook_delivery v ON v.webhook_id = w.id"
        " WHERE w.ended IS NULL GROUP BY w.id, c.language, c.severities ORDER BY w.id"
    )
    return [Contact(*row) for row in rows]


def language_of(conn: Connection, contact: str) -> str:
    """Return the language of a contact's messages; English for an unknown contact."""
    row = conn.execute(
        "SELECT language FROM alarm_contact WHERE webhook_id = %s", [contact]
    ).fetchone()
    return "en" if row is None else str(row[0])


def put_on_duty(
    conn: Connection, contact: str, spans: Sequence[tuple[datetime, datetime]], author: str
) -> None:
    """
    Store a contact's duty times.

    Raises RegistryError if there is no such contact.
    Raises InputError if a time span is empty.
    """
    if contact not in {contact.id for contact in contacts(conn)}:
        raise RegistryError(f"no contact {contact!r}; see `tonne alarms contacts list`")
    try:
        with conn.transaction(), conn.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO alarm_duty (webhook_id, begins, ends, author) VALUES (%s, %s, %s, %s)",
                [(contact, *span, author) for span in spans],
            )
    except errors.CheckViolation as error:
        listed = ", ".join(f"{begin.isoformat()} to {end.isoformat()}" for begin, end in spans)
        raise InputError(
            f"duty {listed}: it must end after it begins; correct --from or --to"
        ) from error


def duties(conn: Connection) -> list[Duty]:
    """Return present and future duties, by time."""
    rows = conn.execute(
        "SELECT d.webhook_id, d.begins, d.ends FROM alarm_duty d"
        " JOIN webhook w ON w.id = d.webhook_id AND w.ended IS NULL"
        " WHERE d.ends > now() ORDER BY d.begins, d.webhook_id LIMIT 200"
    )
    return [Duty(*row) for row in rows]


def silence(
    conn: Connection, subject: str | None, ends: datetime, reason: str, author: str
) -> Silence:
    """
    Suspend messages about a device, gateway, project or site (None: all), and return the silence.

    Raises InputError if `ends` is past or more than 31 days ahead, or the reason is empty.
    """
    try:
        row = conn.execute(
            "INSERT INTO alarm_silence (subject, ends, reason, author) VALUES (%s, %s, %s, %s)"
            " RETURNING id, subject, begins, ends, reason, author",
            [subject, ends, reason, author],
        ).fetchone()
    except errors.CheckViolation as error:
        raise InputError(
            f"silence until {ends.isoformat()}, reason {reason!r}: the end must be in the future"
            " and within 31 days, the reason not empty; correct --until or --reason"
        ) from error
    assert row is not None  # noqa: S101 - RETURNING
    return Silence(*row)


def end_silence(conn: Connection, number: int) -> None:
    """End a silence now; RegistryError if it has ended or there is none."""
    done = conn.execute(
        "UPDATE alarm_silence SET ends = greatest(now(), begins + INTERVAL '1 microsecond')"
        " WHERE id = %s AND ends > now()",
        [number],
    )
    if not done.rowcount:
        raise RegistryError(
            f"silence {number} has ended or is unknown; see `tonne alarms silences`"
        )


def silences(conn: Connection) -> list[Silence]:
    """Return the active silences."""
    rows = conn.execute(
        "SELECT id, subject, begins, ends, reason, author FROM alarm_silence"
        " WHERE begins <= now() AND ends > now() ORDER BY ends, id"
    )
    return [Silence(*row) for row in rows]


def verdict(
    conn: Connection, contact: str, event: webhooks.Due
) -> tuple[Literal["send", "leave", "wait"], datetime | None]:
    """
    Return whether a contact receives an event now (`send`), never (`leave`), or later (`wait`, with
    the time).

    A contact receives the start of an alarm of its severities that is not cleared yet, unless only
    other contacts are on duty, and the end of each alarm whose start it received.
    """
    data: dict[str, Any] = event.data
    step = event.type.rpartition(".")[2]
    own = next((person for person in contacts(conn) if person.id == contact), None)
    if own is None or step not in {"raised", "cleared"} or data["severity"] not in own.severities:
        return "leave", None
    if step == "cleared":
        return ("send" if _was_sent(conn, contact, data["alarm"]) else "leave"), None
    if _is_cleared(conn, data["alarm"]) or _is_off_duty(conn, own, event):
        return "leave", None
    until = _silenced(conn, event)
    return ("send", None) if until is None else ("wait", until)


def _is_cleared(conn: Connection, alarm: int) -> bool:
    row = conn.execute("SELECT FROM alarm WHERE id = %s AND cleared IS NOT NULL", [alarm])
    return row.fetchone() is not None


def _silenced(conn: Connection, event: webhooks.Due) -> datetime | None:
    """Return when the last silence for an event ends; None if there is none."""
    named = [event.data["subject"], event.data.get("site"), *event.projects]
    row = conn.execute(
        "SELECT max(ends) FROM alarm_silence WHERE begins <= now() AND ends > now()"
        " AND (subject IS NULL OR subject = ANY (%s))",
        [[person for person in named if person is not None]],
    ).fetchone()
    return None if row is None else row[0]


def _is_off_duty(conn: Connection, own: Contact, event: webhooks.Due) -> bool:
    """Return whether contact `own` is off duty, and another contact receives the event."""
    if own.on_duty is not False:
        return False
    return any(
        contact.on_duty is not False
        and event.data["severity"] in contact.severities
        and (contact.projects is None or set(contact.projects) & set(event.projects))
        for contact in contacts(conn)
    )


def _was_sent(conn: Connection, contact: str, alarm: int) -> bool:
    row = conn.execute(
        "SELECT FROM webhook_delivery d JOIN webhook_event e ON e.sequence = d.event_sequence"
        " WHERE d.webhook_id = %s AND e.type = 'tonne.alarm.raised' AND e.subject = %s"
        " AND d.state = 'delivered' AND d.status <> 0",
        [contact, str(alarm)],
    ).fetchone()
    return row is not None


def postpone(conn: Connection, contact: str, sequence: int, until: datetime) -> None:
    """Postpone a message; it does not count as an attempt."""
    conn.execute(
        "UPDATE webhook_delivery SET due = %s WHERE webhook_id = %s AND event_sequence = %s",
        [until, contact, sequence],
    )
