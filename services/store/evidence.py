"""The evidence of verified statements, kept as the bytes of its pack's files."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from psycopg import Connection
    from psycopg.rows import TupleRow


def keep(conn: Connection[TupleRow], statement: str, files: Mapping[str, bytes]) -> None:
    """Keep a statement's evidence, for good."""
    with conn.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO statement_evidence (statement_id, name, content) VALUES (%s, %s, %s)",
            [(statement, name, content) for name, content in files.items()],
        )


def kept(
    conn: Connection[TupleRow], statement: str, names: Sequence[str] | None = None
) -> dict[str, bytes]:
    """
    Return what was kept of a statement: file name to bytes; empty before it is verified.

    Parameters
    ----------
    names : sequence of str, optional
        Only these files.
    """
    rows = conn.execute(
        "SELECT name, content FROM statement_evidence WHERE statement_id = %s"
        " AND (%s::text[] IS NULL OR name = ANY(%s)) ORDER BY name",
        [statement, *(2 * [None if names is None else list(names)])],
    )
    return {name: bytes(content) for name, content in rows}
