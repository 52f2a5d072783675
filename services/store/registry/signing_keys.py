"""Enrolled signing keys: holder, role and validity."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

from psycopg import Connection
from psycopg.types.json import Jsonb

from mrv.errors import EnrolmentError
from mrv.signatures.key_bounds import KeyBounds, LogPlace
from mrv.signatures.keys import EnrolledKey, Role


class Enrolment(NamedTuple):
    """Enrolled key and its validity."""

    key: EnrolledKey
    valid_from: datetime
    valid_until: datetime | None


def enroll(conn: Connection, key: EnrolledKey) -> None:
    """
    Enrol a public key; for an enrolled key only given limits are updated.

    Raises
    ------
    EnrolmentError
        If it is enrolled differently, or its holder has another role: preparer and verifier
        must not be one person.
    """
    if key.role == "programme":
        raise EnrolmentError(
            f"{key.name!r} is a programme's key: it signs the trust root and cannot be enrolled"
        )
    with conn.transaction():
        conn.execute("SELECT pg_advisory_xact_lock(hashtextextended('enrolled_key', 0))")
        for other in load(conn):
            _refuse_other(key, other.key)
            if key.role == other.key.role == "log" and key != other.key and _lives(other):
                raise EnrolmentError(
                    f"the log has the key {other.key.name!r}, and a second key would split the "
                    f"log: `tonne keys rotate {other.key.name}` closes it and continues with a new "
                    "key"
                )
        conn.execute(
            "INSERT INTO enrolled_key (multikey, name, role, bounds) VALUES (%s, %s, %s, %s)"
            " ON CONFLICT (multikey) DO UPDATE SET bounds = excluded.bounds"
            " WHERE excluded.bounds IS NOT NULL",
            (key.multikey, key.name, key.role, _bounds(key)),
        )


def _lives(enrolment: Enrolment) -> bool:
    return enrolment.valid_until is None or enrolment.valid_until > datetime.now(UTC)


def _bounds(key: EnrolledKey) -> Jsonb | None:
    content = replace(key.bounds, ends_at=None).to_json()  # where it ended follows from the log
    return Jsonb(content) if content else None


def _refuse_other(key: EnrolledKey, other: EnrolledKey) -> None:
    if other.multikey == key.multikey and other != key:
        raise EnrolmentError(
            f"key {key.multikey} is enrolled for {other.name!r} as {other.role} already;"
            " create another key"
        )
    if other.name == key.name and other.role != key.role:
        raise EnrolmentError(
            f"{key.name!r} is enrolled as {other.role} and cannot be {key.role} too; a key of "
            "another role needs another holder"
        )


def load(conn: Connection) -> list[Enrolment]:
    """Return all enrolled keys, oldest first; an ended one with the log index of its end."""
    rows = conn.execute(
        "SELECT name, role, multikey, valid_from, valid_until, bounds,"
        " CASE WHEN valid_until <= clock_timestamp() THEN (SELECT coalesce("
        " (SELECT min(index) FROM log_entry WHERE appended >= valid_until),"
        " (SELECT count(*) FROM log_entry))) END,"
        " (SELECT split_part(note, E'\\n', 1) FROM log_checkpoint ORDER BY size DESC LIMIT 1)"
        " FROM enrolled_key ORDER BY valid_from, name, multikey"
    )
    return [_enrolment(*row) for row in rows]


def operators(conn: Connection) -> dict[str, str]:
    """Return the organisation that operates each project, by the newest key bound to it."""
    key_boundses = [e.key.bounds for e in load(conn) if e.key.role == "operator" and _lives(e)]
    return {
        project: key_bounds.organisation
        for key_bounds in key_boundses
        if key_bounds.organisation
        for project in key_bounds.projects or ()
    }


def _enrolment(
    name: str,
    role: Role,
    multikey: str,
    valid_from: datetime,
    valid_until: datetime | None,
    content: dict[str, Any] | None,
    ended_at: int | None,
    log: str | None,
) -> Enrolment:
    bounds = KeyBounds.from_json(content or {})
    if ended_at is not None and log is not None and role != "log":
        bounds = replace(bounds, ends_at=LogPlace(log, ended_at))
    times = _text(valid_from), _text(valid_until)
    return Enrolment(EnrolledKey(name, role, multikey, *times, bounds), valid_from, valid_until)


def close_log(conn: Connection, key: EnrolledKey, final_head: str) -> None:
    """Record the last head of a log whose key has ended."""
    content = replace(key.bounds, final_head=final_head).to_json()
    conn.execute(
        "UPDATE enrolled_key SET bounds = %s WHERE multikey = %s", (Jsonb(content), key.multikey)
    )


def _text(moment: datetime | None) -> str | None:
    """Return a time as in proofs, in whole seconds."""
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def revoke(conn: Connection, name: str, at: datetime) -> list[EnrolledKey]:
    """
    End the validity of a holder's keys; return the ended keys.

    Parameters
    ----------
    at : datetime
        Time of the end, possibly in the past when the secret was stolen.

    Returns
    -------
    list of EnrolledKey
        Without those that ended before.

    Raises
    ------
    EnrolmentError
        If the holder has no key that is valid at that time.
    """
    with conn.transaction():
        conn.execute("SELECT pg_advisory_xact_lock(hashtextextended('enrolled_key', 0))")
        rows = conn.execute(
            "UPDATE enrolled_key SET valid_until = %(at)s WHERE name = %(name)s"
            " AND (valid_until IS NULL OR valid_until > %(at)s) AND valid_from < %(at)s"
            " RETURNING name, role, multikey",
            {"name": name, "at": at},
        ).fetchall()
    if not rows:
        raise EnrolmentError(
            f"{name!r} has no key that is valid at {at.isoformat()}; `tonne keys list` shows all"
        )
    return [EnrolledKey(*row) for row in rows]


def require(conn: Connection, key: EnrolledKey, at: datetime) -> None:
    """
    Refuse a key not enrolled in its role, or not valid at a time.

    Raises
    ------
    EnrolmentError
        States how to enrol it.
    """
    for enrolment in load(conn):
        if enrolment.key != key:
            continue
        if enrolment.valid_from <= at and (
            enrolment.valid_until is None or at < enrolment.valid_until
        ):
            return
        raise EnrolmentError(
            f"key {key.name!r} may not sign; its enrolment has ended: sign with an enrolled key"
        )
    raise EnrolmentError(
        f"key {key.name!r} ({key.multikey}) is not enrolled as {key.role};"
        f" enrol it with `tonne keys enroll {key.name}`"
    )
