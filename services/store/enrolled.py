"""Enrolled keys: whose signature counts, in which role, since when."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mrv.errors import EnrolmentError
from mrv.keys import EnrolledKey

if TYPE_CHECKING:
    from datetime import datetime

    from psycopg import Connection
    from psycopg.rows import TupleRow


class Enrolment(NamedTuple):
    """A key and the time in which it may sign."""

    key: EnrolledKey
    valid_from: datetime
    valid_until: datetime | None


def enroll(conn: Connection[TupleRow], key: EnrolledKey) -> None:
    """
    Enrol a public key; the same key again changes nothing.

    Raises
    ------
    EnrolmentError
        If it is enrolled otherwise, or its holder holds another role: then
        preparer and verifier could be one person.
    """
    with conn.transaction():
        conn.execute("SELECT pg_advisory_xact_lock(hashtextextended('enrolled_key', 0))")
        for other in load(conn):
            _refuse_other(key, other.key)
        conn.execute(
            "INSERT INTO enrolled_key (multikey, name, role) VALUES (%s, %s, %s)"
            " ON CONFLICT DO NOTHING",
            (key.multikey, key.name, key.role),
        )


def _refuse_other(key: EnrolledKey, other: EnrolledKey) -> None:
    if other.multikey == key.multikey and other != key:
        raise EnrolmentError(
            f"key {key.multikey} is enrolled for {other.name!r} as {other.role} already;"
            " make another key"
        )
    if other.name == key.name and other.role != key.role:
        raise EnrolmentError(
            f"{key.name!r} is enrolled as {other.role} and cannot be {key.role} too;"
            " the key of another role needs another holder's name"
        )


def load(conn: Connection[TupleRow]) -> list[Enrolment]:
    """Load all enrolled keys, oldest first."""
    rows = conn.execute(
        "SELECT name, role, multikey, valid_from, valid_until FROM enrolled_key"
        " ORDER BY valid_from, name, multikey"
    )
    return [Enrolment(EnrolledKey(*row[:3]), *row[3:]) for row in rows.fetchall()]


def require(conn: Connection[TupleRow], key: EnrolledKey, at: datetime) -> None:
    """
    Refuse a key that is not enrolled in its role, or not at this time.

    Raises
    ------
    EnrolmentError
        Says how to enrol it.
    """
    for one in load(conn):
        if one.key != key:
            continue
        if one.valid_from <= at and (one.valid_until is None or at < one.valid_until):
            return
        raise EnrolmentError(f"key {key.name!r} may not sign now; its enrolment has ended")
    raise EnrolmentError(
        f"key {key.name!r} ({key.multikey}) is not enrolled as {key.role};"
        f" enrol it with `tonne keys enroll {key.name}`"
    )
