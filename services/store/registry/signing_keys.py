"""Enrolled keys: whose signature counts, in which role, since when."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from mrv.errors import EnrolmentError
from mrv.signatures.keys import EnrolledKey

if TYPE_CHECKING:
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
    return [Enrolment(EnrolledKey(*row[:3], *map(_text, row[3:])), *row[3:]) for row in rows]


def _text(moment: datetime | None) -> str | None:
    """Write a moment as proofs do, in whole seconds."""
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def revoke(conn: Connection[TupleRow], name: str, at: datetime) -> list[EnrolledKey]:
    """
    End the validity of a holder's keys: what they sign from then on does not count.

    Parameters
    ----------
    at : datetime
        From when; it may be in the past, since when a secret was in other hands.

    Returns
    -------
    list of EnrolledKey
        The keys that ended; those that ended before are left as they are.

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
