"""Public versions of statements signed by their operators; they never change."""

from __future__ import annotations

from datetime import datetime

from psycopg import Connection

LARGEST_BYTES = 33_554_432


def insert(conn: Connection, statement: str, signed: datetime, multikey: str, files: bytes) -> None:
    """
    Store a public version in addition to earlier ones.

    Parameters
    ----------
    signed : datetime
        Time of the operator's signature, with a time zone.
    multikey : str
        The operator's public key, enrolled here.
    files : bytes
        The folder of `tonne export public` as a zip, `LARGEST_BYTES` at most.
    """
    conn.execute(
        "INSERT INTO public_version (statement_id, signed, multikey, files)"
        " VALUES (%s, %s, %s, %s)",
        (statement, signed, multikey, files),
    )


def newest(conn: Connection, statement: str) -> bytes | None:
    """Return the newest public version of a statement as a zip, if one was published."""
    row = conn.execute(
        "SELECT files FROM public_version WHERE statement_id = %s ORDER BY sequence DESC LIMIT 1",
        [statement],
    ).fetchone()
    return None if row is None else bytes(row[0])


def published(conn: Connection, statement: str) -> bool:
    """Return whether a public version of a statement was published."""
    row = conn.execute(
        "SELECT EXISTS (SELECT FROM public_version WHERE statement_id = %s)", [statement]
    ).fetchone()
    return row is not None and bool(row[0])
