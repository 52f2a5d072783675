"""Stored invoices, and stored files of documents, each identified by its SHA-256."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from psycopg import Connection
from psycopg.rows import TupleRow

from mrv.registry.project import Invoice
from mrv.statement.plan_writer import invoice_in, invoice_out
from services.store.postgres.pool import jsonb

_COLUMNS = "i.id, i.project_id, i.document::text, i.corrects, i.reason, i.author, i.imported"
_CORRECTED_BY = "(SELECT o.id FROM invoice o WHERE o.corrects = i.id)"


def insert(
    conn: Connection, new: Sequence[tuple[str, Invoice, str | None, str | None]], author: str
) -> None:
    """Store invoices, each with project, id of the corrected invoice, and reason."""
    rows: list[tuple[Any, ...]] = [
        (invoice.id, project, jsonb(invoice_out(invoice)), corrects, reason, author)
        for project, invoice, corrects, reason in new
    ]
    with conn.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO invoice (id, project_id, document, corrects, reason, author)"
            " VALUES (%s, %s, %s, %s, %s, %s)",
            rows,
        )


def every(
    conn: Connection, project: str | None = None, *, corrected: bool = False
) -> list[tuple[str, Invoice, str | None, str | None]]:
    """
    Return invoices as (project, invoice, id of the corrected invoice, reason).

    Id and reason are None for an invoice that corrects none.

    `corrected`: include invoices corrected by another one.
    """
    rows = conn.execute(
        "SELECT project_id, document::text, corrects, reason FROM invoice i"
        " WHERE (%(p)s::text IS NULL OR project_id = %(p)s)"
        f" AND (%(c)s OR {_CORRECTED_BY} IS NULL) ORDER BY id",
        {"p": project, "c": corrected},
    )
    return [(p, invoice_in(json.loads(text)), c, r) for p, text, c, r in rows]


def of_files(conn: Connection, files: Collection[str]) -> list[tuple[str, Invoice, datetime]]:
    """
    Return (project, invoice, time of import) of invoices with one of the files, without corrected
    ones.

    `files`: SHA-256 of each, in lower-case hexadecimal digits.
    """
    rows = conn.execute(
        "SELECT project_id, document::text, imported FROM invoice i"
        f" WHERE document->>'sha256' = ANY(%s) AND {_CORRECTED_BY} IS NULL ORDER BY id",
        [sorted(files)],
    )
    return [(project, invoice_in(json.loads(text)), when) for project, text, when in rows]


def listed(
    conn: Connection, scope: Sequence[str] | None, project: str | None, after: str, limit: int
) -> list[dict[str, Any]]:
    """Return the invoices of a caller's scope as JSON objects, by id, from after id `after` on."""
    rows = conn.execute(
        f"SELECT {_COLUMNS}, {_CORRECTED_BY} FROM invoice i WHERE i.id > %(after)s"
        " AND (%(scope)s::text[] IS NULL OR i.project_id = ANY(%(scope)s))"
        " AND (%(project)s::text IS NULL OR i.project_id = %(project)s)"
        " ORDER BY i.id LIMIT %(limit)s",
        {
            "after": after,
            "scope": None if scope is None else list(scope),
            "project": project,
            "limit": limit,
        },
    )
    return [_invoice_values(row) for row in rows]


def by_id(conn: Connection, scope: Sequence[str] | None, id_: str) -> dict[str, Any] | None:
    """Return an invoice as a JSON object; None if unknown or outside the caller's scope."""
    row = conn.execute(
        f"SELECT {_COLUMNS}, {_CORRECTED_BY} FROM invoice i WHERE i.id = %(id)s"
        " AND (%(scope)s::text[] IS NULL OR i.project_id = ANY(%(scope)s))",
        {"id": id_, "scope": None if scope is None else list(scope)},
    ).fetchone()
    return None if row is None else _invoice_values(row)


def _invoice_values(row: TupleRow) -> dict[str, Any]:
    id_, project, text, corrects, reason, author, imported, corrected_by = row
    document = invoice_out(invoice_in(json.loads(text)))
    return {
        **document, "id": id_, "project": project, "corrects": corrects, "reason": reason,
        "corrected_by": corrected_by, "author": author, "imported": imported,
    }  # fmt: skip


MAX_BYTES = 8 << 20


class Kept(NamedTuple):
    """Stored document: SHA-256, file name, size [bytes], author, and time of storage."""

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
    """Return name and bytes of a stored document; None if there is none."""
    row = conn.execute(
        "SELECT name, data FROM document_file WHERE sha256 = %s", [sha256]
    ).fetchone()
    return None if row is None else (row[0], bytes(row[1]))
