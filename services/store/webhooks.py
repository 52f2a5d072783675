"""Webhooks: receivers, signing secrets, and results of deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import Connection, errors

from ingest.errors import InputError, RegistryError

TOPICS = ("statement", "finding", "alarm")
STATES = ("waiting", "delivered", "dead")
MAX_WEBHOOKS = 50
_EVENTS_PER_CALL = 10_000
_MAX_LISTED = 5
_COLUMNS = (
    "w.id, w.url, w.topics, w.projects, w.author, w.created, w.ended, w.reason,"
    " (SELECT count(*) FROM webhook_delivery d WHERE d.webhook_id = w.id AND d.state = 'waiting'),"
    " (SELECT count(*) FROM webhook_delivery d WHERE d.webhook_id = w.id AND d.state = 'dead'),"
    " (SELECT max(d.tried) FROM webhook_delivery d"
    "  WHERE d.webhook_id = w.id AND d.state = 'delivered')"
)


class Webhook(NamedTuple):
    """
    Webhook: a receiver of events.

    `projects`: only their events; None for all.  `ended`: nothing is sent after it; None if active.
    `waiting`, `dead`: numbers of pending deliveries, and of deliveries given up.
    `delivered`: time of the last successful delivery; None before the first.
    """

    id: str
    url: str
    topics: list[str]
    projects: list[str] | None
    author: str
    created: datetime
    ended: datetime | None
    reason: str | None
    waiting: int
    dead: int
    delivered: datetime | None


class Delivery(NamedTuple):
    """
    Event for a webhook, with the result of the last attempt.

    `tried`: time of the attempt; None before it.  `status`: HTTP status; None without an answer.
    `error`: reason of a failure; None without one.
    """

    sequence: int
    event: UUID
    type: str
    subject: str
    at: datetime
    state: str
    attempts: int
    due: datetime
    tried: datetime | None
    status: int | None
    error: str | None


class Due(NamedTuple):
    """Event due for delivery to a webhook."""

    sequence: int
    event: UUID
    type: str
    subject: str
    projects: list[str]
    at: datetime
    data: dict[str, Any]
    attempts: int


class Open(NamedTuple):
    """Webhook with due events, and its current signing secrets."""

    id: str
    url: str
    projects: list[str] | None
    secrets: list[str]


class Expired(NamedTuple):
    """Numbers of deleted events, and of their deliveries that had not succeeded."""

    events: int
    undelivered: int


class Waiting(NamedTuple):
    """Pending deliveries: number, age of the oldest [s], and number given up."""

    waiting: int
    oldest_s: float
    dead: int


def add(
    conn: Connection,
    id_: str,
    url: str,
    topics: Sequence[str],
    projects: Sequence[str] | None,
    secret: str,
    author: str,
) -> Webhook:
    """
    Register a webhook for events from now on, and return it.

    Raises InputError if the id exists or is malformed, or there are too many webhooks.
    Raises RegistryError if a project is not registered.
    """
    named = None if projects is None else sorted(set(projects))
    with conn.transaction():
        for project in named or ():
            if conn.execute("SELECT FROM project WHERE id = %s", [project]).fetchone() is None:
                raise RegistryError(
                    f"project {project!r} is not registered; see `tonne registry export`"
                )
        conn.execute("SELECT pg_advisory_xact_lock(2291, 1)")
        row = conn.execute("SELECT count(*) FROM webhook WHERE ended IS NULL").fetchone()
        if row is not None and row[0] >= MAX_WEBHOOKS:
            raise InputError(
                f"there are {row[0]} webhooks, and {MAX_WEBHOOKS} is the maximum; remove one"
            )
        try:
            conn.execute(
                "INSERT INTO webhook (id, url, topics, projects, author)"
                " VALUES (%s, %s, %s, %s, %s)",
                [id_, url, sorted(set(topics)), named, author],
            )
        except errors.UniqueViolation as error:
            raise InputError(f"webhook {id_!r} exists or existed; use another id") from error
        except errors.CheckViolation as error:
            raise InputError(
                f"webhook {id_!r}: use an id of a-z, 0-9 and -, and topics of {', '.join(TOPICS)}"
            ) from error
        conn.execute(
            "INSERT INTO webhook_secret (webhook_id, number, secret) VALUES (%s, 1, %s)",
            [id_, secret],
        )
    return by_id(conn, id_)


def webhooks(conn: Connection) -> list[Webhook]:
    """Return all webhooks, active ones first."""
    rows = conn.execute(f"SELECT {_COLUMNS} FROM webhook w ORDER BY w.ended NULLS FIRST, w.id")
    return [Webhook(*row) for row in rows]


def by_id(conn: Connection, id_: str) -> Webhook:
    """Return a webhook; RegistryError if there is none."""
    row = conn.execute(f"SELECT {_COLUMNS} FROM webhook w WHERE w.id = %s", [id_]).fetchone()
    if row is None:
        raise RegistryError(f"there is no webhook {id_!r}; see `tonne webhooks list`")
    return Webhook(*row)


def end(conn: Connection, id_: str, reason: str) -> None:
    """End a webhook permanently; pending events are not sent."""
    # one statement instead of a transaction, since threads share the connection
    conn.execute(
        "WITH over AS (UPDATE webhook SET ended = now(), reason = %(r)s"
        "  WHERE id = %(w)s AND ended IS NULL)"
        " UPDATE webhook_delivery SET state = 'dead', error = coalesce(error, left(%(r)s, 500))"
        " WHERE webhook_id = %(w)s AND state = 'waiting'",
        {"w": id_, "r": reason},
    )


def rotate(conn: Connection, id_: str, secret: str, overlap_s: int) -> None:
    """Replace the signing secret; earlier ones also sign for `overlap_s`. [s]"""
    with conn.transaction():
        conn.execute("SELECT pg_advisory_xact_lock(2291, 1)")
        if by_id(conn, id_).ended is not None:
            raise InputError(f"webhook {id_!r} was removed; add a new one")
        conn.execute(
            "UPDATE webhook_secret SET ends = least(coalesce(ends, 'infinity'),"
            " now() + make_interval(secs => %s)) WHERE webhook_id = %s",
            [overlap_s, id_],
        )
        conn.execute(
            "INSERT INTO webhook_secret (webhook_id, number, secret)"
            " SELECT %s, max(number) + 1, %s FROM webhook_secret WHERE webhook_id = %s",
            [id_, secret, id_],
        )


def deliveries(
    conn: Connection, id_: str, state: str | None, after: int | None, limit: int
) -> list[Delivery]:
    """Return a webhook's deliveries, newest event first; only events before number `after`."""
    rows = conn.execute(
        "SELECT e.sequence, e.id, e.type, e.subject, e.at, d.state, d.attempts, d.due, d.tried,"
        " d.status, d.error"
        " FROM webhook_delivery d JOIN webhook_event e ON e.sequence = d.event_sequence"
        " WHERE d.webhook_id = %(w)s AND (%(s)s::text IS NULL OR d.state = %(s)s)"
        " AND (%(a)s::bigint IS NULL OR e.sequence < %(a)s)"
        " ORDER BY e.sequence DESC LIMIT %(n)s",
        {"w": id_, "s": state, "a": after, "n": limit},
    )
    return [Delivery(*row) for row in rows]


def replay(
    conn: Connection,
    id_: str,
    *,
    events: Sequence[UUID] = (),
    since: datetime | None = None,
    dead: bool = False,
) -> int:
    """
    Schedule events for sending again; return their number.

    `events`: these events; if one cannot be sent, none is.
    `since`: all matching events from this time on, also those before the webhook was added.
    `dead`: all events whose delivery was given up.
    Raises InputError if the webhook has ended, or a named event was deleted or does not match it.
    """
    with conn.transaction():
        # the deletion of old events has an exclusive lock: no event is deleted in this transaction
        conn.execute("SELECT pg_advisory_xact_lock_shared(2291, 2)")
        if by_id(conn, id_).ended is not None:
            raise InputError(f"webhook {id_!r} was removed; add a new one and replay events to it")
        _require(conn, id_, events)
        return _again(conn, id_, events, since, dead=dead)


def oldest(conn: Connection) -> datetime | None:
    """Return the time of the oldest stored event; None if there is none."""
    row = conn.execute("SELECT min(at) FROM webhook_event").fetchone()
    return None if row is None else row[0]


def _require(conn: Connection, id_: str, events: Sequence[UUID]) -> None:
    """Reject events that cannot be sent to a webhook; InputError."""
    rows = conn.execute(
        "SELECT n.id, e.type, e.projects FROM webhook w CROSS JOIN unnest(%s::uuid[]) AS n (id)"
        " LEFT JOIN webhook_event e ON e.id = n.id WHERE w.id = %s AND (e.id IS NULL"
        "  OR split_part(e.type, '.', 2) <> ALL (w.topics) OR NOT w.projects && e.projects)"
        " ORDER BY n.id",
        [list(events), id_],
    ).fetchall()
    if not rows:
        return
    first = oldest(conn)
    kept = f"the oldest stored event is of {_utc(first)}" if first else "none is kept"
    lines = [
        f"event {event} was removed, or never existed"
        if type_ is None
        else f"event {event}, {type_} of {', '.join(projects)}, is not for webhook {id_!r}"
        for event, type_, projects in rows[:_MAX_LISTED]
    ]
    if more := len(rows) - len(lines):
        lines.append(f"and {more} more")
    raise InputError(f"{'; '.join(lines)}; {kept}; no event is sent again")


def _again(
    conn: Connection, id_: str, events: Sequence[UUID], since: datetime | None, *, dead: bool
) -> int:
    done = conn.execute(
        "INSERT INTO webhook_delivery (webhook_id, event_sequence)"
        " SELECT w.id, e.sequence FROM webhook w JOIN webhook_event e"
        "  ON split_part(e.type, '.', 2) = ANY (w.topics)"
        "  AND (w.projects IS NULL OR w.projects && e.projects)"
        " WHERE w.id = %(w)s AND (e.id = ANY (%(e)s) OR e.at >= %(s)s::timestamptz"
        "  OR (%(d)s AND EXISTS (SELECT FROM webhook_delivery o WHERE o.webhook_id = w.id"
        "   AND o.event_sequence = e.sequence AND o.state = 'dead'))) ORDER BY e.sequence"
        " ON CONFLICT (webhook_id, event_sequence) DO UPDATE"
        "  SET state = 'waiting', attempts = 0, due = now(), asked = now()",
        {"w": id_, "e": list(events), "s": since, "d": dead},
    )
    return done.rowcount


def _utc(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%FT%TZ}"


def with_due_events(conn: Connection) -> list[Open]:
    """Return webhooks with due events."""
    rows = conn.execute(
        "SELECT w.id, w.url, w.projects, (SELECT array_agg(s.secret ORDER BY s.number DESC)"
        "  FROM webhook_secret s WHERE s.webhook_id = w.id AND s.begins <= now()"
        "  AND (s.ends IS NULL OR s.ends > now()))"
        " FROM webhook w WHERE w.ended IS NULL AND EXISTS (SELECT FROM webhook_delivery d"
        "  WHERE d.webhook_id = w.id AND d.state = 'waiting' AND d.due <= now()) ORDER BY w.id"
    )
    return [Open(*row) for row in rows if row[3]]


def due(conn: Connection, id_: str, limit: int) -> list[Due]:
    """Return the due events of a webhook, in order."""
    rows = conn.execute(
        "SELECT e.sequence, e.id, e.type, e.subject, e.projects, e.at, e.data, d.attempts"
        " FROM webhook_delivery d JOIN webhook_event e ON e.sequence = d.event_sequence"
        " JOIN webhook w ON w.id = d.webhook_id AND w.ended IS NULL"
        " WHERE d.webhook_id = %s AND d.state = 'waiting' AND d.due <= now()"
        " ORDER BY d.event_sequence LIMIT %s",
        [id_, limit],
    )
    return [Due(*row) for row in rows]


def record_delivery(conn: Connection, id_: str, sequence: int, status: int) -> None:
    """Record a successful delivery."""
    conn.execute(
        "UPDATE webhook_delivery SET state = 'delivered', attempts = attempts + 1, tried = now(),"
        " status = %s, error = NULL WHERE webhook_id = %s AND event_sequence = %s",
        [status, id_, sequence],
    )


def failed(
    conn: Connection, id_: str, sequence: int, status: int | None, error: str, again_s: float | None
) -> None:
    """Record a failed attempt; `again_s`: time until the next attempt, None for no more. [s]"""
    conn.execute(
        "UPDATE webhook_delivery SET state = CASE WHEN %(a)s::float8 IS NULL THEN 'dead'"
        "  ELSE 'waiting' END, attempts = attempts + 1, tried = now(), status = %(s)s,"
        " error = %(e)s, due = now() + make_interval(secs => coalesce(%(a)s, 0))"
        " WHERE webhook_id = %(w)s AND event_sequence = %(n)s AND state = 'waiting'",
        {"a": again_s, "s": status, "e": error[:500], "w": id_, "n": sequence},
    )


def postpone_all(conn: Connection, id_: str, wait_s: float) -> None:
    """Postpone all due events of a webhook by `wait_s`. [s]"""
    conn.execute(
        "UPDATE webhook_delivery SET due = now() + make_interval(secs => %s)"
        " WHERE webhook_id = %s AND state = 'waiting' AND due < now() + make_interval(secs => %s)",
        [wait_s, id_, wait_s],
    )


def waiting(conn: Connection) -> Waiting:
    """Return number and age of the pending deliveries, and the number given up."""
    row = conn.execute(
        "SELECT count(*) FILTER (WHERE state = 'waiting'),"
        " coalesce(extract(epoch FROM now() - min(asked) FILTER (WHERE state = 'waiting')), 0),"
        " count(*) FILTER (WHERE state = 'dead') FROM webhook_delivery WHERE state <> 'delivered'"
    ).fetchone()
    return Waiting(0, 0.0, 0) if row is None else Waiting(row[0], float(row[1]), row[2])


def expire(conn: Connection, before: datetime) -> Expired:
    """
    Delete events from before a time, in several transactions; return the numbers.
    An event that was scheduled again stays for a day if not delivered.

    `conn`: connection in autocommit, with the role `tonne_watch`.
    Raises psycopg.errors.InvalidParameterValue when the time is less than 30 days ago.
    """
    events = undelivered = 0
    while row := conn.execute(
        "SELECT events, undelivered FROM tonne_expire_events(%s, %s)", [before, _EVENTS_PER_CALL]
    ).fetchone():
        if not row[0]:
            break
        events, undelivered = events + row[0], undelivered + row[1]
    return Expired(events, undelivered)
