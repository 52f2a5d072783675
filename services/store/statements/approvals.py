"""Stored approvals of an issue: signed documents, one per key and statement."""

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
    Store an approval.

    Raises
    ------
    StatementStateError
        If that holder approved already, or the statement is not verified, or is issued.
    """
    try:
        conn.execute(
            "INSERT INTO statement_approval (statement_id, actor, multikey, principal, document)"
            " VALUES (%s, %s, %s, %s, %s)",
            (statement, holder.name, holder.multikey, principal, canonical.encode(document)),
        )
    except (errors.UniqueViolation, errors.CheckViolation) as error:
        raise StatementStateError(
            f"{holder.name!r} cannot approve {statement}: it already has their approval, is not "
            f"verified, or is issued; see `tonne statement show {statement}`"
        ) from error


def documents(conn: Connection, statement: str) -> list[bytes]:
    """Return a statement's approvals, first to last."""
    rows = conn.execute(
        "SELECT document FROM statement_approval WHERE statement_id = %s ORDER BY at, multikey",
        [statement],
    )
    return [bytes(document) for (document,) in rows]
