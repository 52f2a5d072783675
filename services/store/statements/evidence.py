"""
Stored evidence of verified statements: the files of their packs, or references to archived files.

An archived file is referred to, not copied: it never changes, its digest is in the catalogue and in
the pack's manifest, and `tonne archive verify` checks it against the log and that digest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from psycopg import Connection

from services.store.archive import catalog as archived
from services.vault import table
from services.vault.part import Part


def keep(
    conn: Connection, statement: str, files: Mapping[str, bytes], parts: Mapping[str, Part] = {}
) -> None:
    """
    Store a statement's evidence permanently.

    Parameters
    ----------
    parts : mapping of str to Part
        Files of the pack that are archived: name in the pack to part.
    """
    rows = [(statement, name, content, None) for name, content in files.items()]
    paths = [(statement, name, None, part.path) for name, part in parts.items()]
    with conn.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO statement_evidence (statement_id, name, content, archived)"
            " VALUES (%s, %s, %s, %s)",
            [*rows, *paths],
        )


def kept(conn: Connection, statement: str, names: Sequence[str] | None = None) -> dict[str, bytes]:
    """
    Return the stored files of a statement by name; empty before it is verified.

    Parameters
    ----------
    names : sequence of str, optional
        Only these files.

    Raises
    ------
    DamagedError
        If an archived file is missing or was changed.
    VaultError
        If the archive cannot be reached.
    """
    rows = conn.execute(
        "SELECT name, content, archived FROM statement_evidence WHERE statement_id = %s"
        " AND (%s::text[] IS NULL OR name = ANY(%s)) ORDER BY name",
        [statement, *(2 * [None if names is None else list(names)])],
    ).fetchall()
    elsewhere = _whole(conn, [path for _, _, path in rows if path is not None])
    return {name: elsewhere[path] if path else bytes(data) for name, data, path in rows}


def _whole(conn: Connection, paths: Sequence[str]) -> dict[str, bytes]:
    """Return archived files, each checked against its digest."""
    if not paths:
        return {}
    with conn.cursor() as cursor:
        place = archived.place_of(cursor)
        return {part.path: table.whole(place, part) for part in archived.at(cursor, paths)}


def digests(conn: Connection, statement: str) -> dict[str, str]:
    """
    Return the SHA-256 of each stored file of a statement, in hex; of archived ones as
    recorded.
    """
    rows = conn.execute(
        "SELECT e.name, encode(coalesce(sha256(e.content), p.sha256), 'hex')"
        " FROM statement_evidence e LEFT JOIN archive_part p ON p.path = e.archived"
        " WHERE e.statement_id = %s ORDER BY e.name",
        [statement],
    )
    return dict(rows.fetchall())
