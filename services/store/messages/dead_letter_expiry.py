"""Dead letters that policy no longer keeps, and the record of what went."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.errors import InvalidParameterValue

from ingest.errors import InputError

LEAST_DAYS = 30


@dataclass(frozen=True, slots=True)
class Removal:
    """One removal: how many letters of which reasons, older than when, and by whom."""

    id: int
    removed: datetime
    author: str
    before: datetime
    letters: int
    reasons: dict[str, int]
    sha256: str


def expire(conn: Connection, before: datetime, author: str) -> int:
    """
    Remove dead letters received before a moment; return how many.

    Raises
    ------
    InputError
        When it is less than 30 days ago.
    """
    try:
        row = conn.execute("SELECT tonne_expire_dead_letters(%s, %s)", [before, author]).fetchone()
    except InvalidParameterValue as error:
        raise InputError(f"{error.diag.message_primary}; give at least {LEAST_DAYS} days") from None
    return 0 if row is None else int(row[0])


def tidy(conn: Connection, before: datetime | None) -> None:
    """
    Forget the room of days that are over, and what was noted of letters that found none.

    Parameters
    ----------
    before : datetime or None
        How messages from before then began goes; None keeps it.
    """
    conn.execute("SELECT tonne_tidy_letters(%s)", [before])


def removals(conn: Connection) -> list[Removal]:
    """Return what was ever removed, oldest first."""
    rows = conn.execute(
        "SELECT id, removed, author, before, letters, reasons, encode(sha256, 'hex')"
        " FROM dead_letter_removal ORDER BY id"
    )
    return [Removal(*row) for row in rows]


def removed_of(conn: Connection, letters: list[int]) -> set[int]:
    """Return which of some letters a removal names."""
    rows: list[Any] = conn.execute(
        "SELECT l.id FROM unnest(%s::bigint[]) l (id)"
        " WHERE EXISTS (SELECT FROM dead_letter_removal r WHERE r.ids @> l.id)",
        [letters],
    ).fetchall()
    return {id_ for (id_,) in rows}
