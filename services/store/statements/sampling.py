"""Stored sampling lists: signed documents, one per statement."""

from __future__ import annotations

from collections.abc import Mapping

from psycopg import Connection, errors

from mrv.errors import StatementStateError
from mrv.signatures import canonical
from mrv.signatures.keys import EnrolledKey


def insert(
    conn: Connection,
    statement: str,
    holder: EnrolledKey,
    document: Mapping[str, object],
    principal: str | None,
) -> None:
    """
    Store a statement's sampling list.

    Raises
    ------
    StatementStateError
        If there is one already, or the statement's state does not permit it.
    """
    try:
        conn.execute(
            "INSERT INTO statement_sampling (statement_id, actor, multikey, principal, document)"
            " VALUES (%s, %s, %s, %s, %s)",
            (statement, holder.name, holder.multikey, principal, canonical.encode(document)),
        )
    except errors.UniqueViolation as error:
        raise StatementStateError(
            f"the sample of {statement} is already drawn, and can be drawn only once; `tonne "
            f"statement sample {statement}` shows it"
        ) from error
    except errors.CheckViolation as error:
        raise StatementStateError(" ".join(str(error).split())) from error


def document(conn: Connection, statement: str) -> bytes | None:
    """Return a statement's signed list, if one was drawn."""
    row = conn.execute(
        "SELECT document FROM statement_sampling WHERE statement_id = %s", [statement]
    ).fetchone()
    return None if row is None else bytes(row[0])
