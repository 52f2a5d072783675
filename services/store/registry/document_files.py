"""Uploaded documents, stored whole by their SHA-256, which is calculated here."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import NamedTuple

from psycopg import Connection

MOST_BYTES = 8 << 20


class Kept(NamedTuple):
    """Stored document: SHA-256, file name, author, time."""

    sha256: str
    name: str
    bytes: int
    author: str
    kept: datetime


def keep(conn: Connection, name: str, data: bytes, author: str, principal: str) -> str:
    """Store a file and return its SHA-256; an existing one is unchanged."""
    sha256 = hashlib.sha256(data).hexdigest()
    conn.execute(
        "INSERT INTO document_file (sha256, name, data, author, principal)"
        " VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        [sha256, name, data, author, principal],
    )
    return sha256


def newest(conn: Connection, limit: int) -> list[Kept]:
    """Return the most recently stored documents."""
    rows = conn.execute(
        "SELECT sha256, name, length(data), author, kept FROM document_file"
        " ORDER BY kept DESC, sha256 LIMIT %s",
        [limit],
    )
    return [Kept(*row) for row in rows]


def find(conn: Connection, sha256: str) -> tuple[str, bytes] | None:
    """Return a document's name and bytes; None where there is none."""
    row = conn.execute(
        "SELECT name, data FROM document_file WHERE sha256 = %s", [sha256]
    ).fetchone()
    return None if row is None else (row[0], bytes(row[1]))
