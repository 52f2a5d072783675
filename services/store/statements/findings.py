"""Events of findings as they are stored: signed documents, in the order in which they came."""

from __future__ import annotations

from collections.abc import Mapping

from psycopg import Connection, errors

from mrv.errors import StatementStateError
from mrv.signatures import canonical
from mrv.signatures.keys import EnrolledKey
from mrv.statement.findings import Event


def insert(
    conn: Connection,
    event: Event,
    holder: EnrolledKey,
    document: Mapping[str, object],
    principal: str | None,
) -> None:
    """
    Keep an event.

    Raises
    ------
    StatementStateError
        If the database finds that it does not follow: somebody was first.
    """
    try:
        conn.execute(
            "INSERT INTO finding_event (statement_id, finding, number, event, actor, multikey,"
            " principal, reason, document) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (
                event.statement, event.finding, event.number, event.what, holder.name,
                holder.multikey, principal, event.text, canonical.encode(document),
            ),
        )  # fmt: skip
    except (errors.CheckViolation, errors.UniqueViolation) as error:
        reason = " ".join(str(error).split())
        raise StatementStateError(
            f"{reason}; look at `tonne statement finding list {event.statement}`"
        ) from error


def documents(conn: Connection, statement: str) -> list[bytes]:
    """Return the signed events of a statement's findings, first to last."""
    rows = conn.execute(
        "SELECT document FROM finding_event WHERE statement_id = %s ORDER BY sequence", [statement]
    )
    return [bytes(document) for (document,) in rows]


def principals(conn: Connection, statement: str, event: str) -> set[str]:
    """Return which API principals brought events of a kind."""
    rows = conn.execute(
        "SELECT DISTINCT principal FROM finding_event"
        " WHERE statement_id = %s AND event = %s AND principal IS NOT NULL",
        (statement, event),
    )
    return {name for (name,) in rows}
