"""Documents that people handed in, kept whole by their SHA-256, which is made here."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import NamedTuple

from psycopg import Connection

MOST_BYTES = 8 << 20


class Kept(NamedTuple):
    """A document: the hash that registry and invoices name, its file's name, who kept it, when."""

    sha256: str
    name: str
    bytes: int
    author: str
    kept: datetime


def keep(conn: Connection, name: str, data: bytes, author: str, principal: str) -> str:
    """Keep a file; return its hash.  One that is there already stays as it is."""
    sha256 = hashlib.sha256(data).hexdigest()
    conn.execute(
        "INSERT INTO document_file (sha256, name, data, author, principal)"
        " VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        [sha256, name, data, author, principal],
    )
    return sha256


def newest(conn: Connection, limit: int) -> list[Kept]:
    """Return the documents that were kept last."""
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
