"""Stored events of findings: signed documents in order of receipt."""

from __future__ import annotations

from collections.abc import Mapping

from psycopg import Connection, errors

from mrv.calendar import utc_text
from mrv.errors import StatementStateError
from mrv.signatures import canonical
from mrv.signatures.keys import EnrolledKey
from mrv.statement.findings import Event

_ISSUED = (
    "EXISTS (SELECT FROM statement_event e WHERE e.statement_id = s.id AND e.state = 'issued')"
)


def insert(
    conn: Connection,
    event: Event,
    holder: EnrolledKey,
    document: Mapping[str, object],
    principal: str | None,
) -> None:
    """
    Store an event.

    Raises
    ------
    StatementStateError
        If the database refuses it, as another event was stored first.
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
            f"{reason}; see `tonne statement finding list {event.statement}`"
        ) from error


def documents(conn: Connection, statement: str) -> list[bytes]:
    """Return the signed events of a statement's findings, first to last."""
    rows = conn.execute(
        "SELECT document FROM finding_event WHERE statement_id = %s ORDER BY sequence", [statement]
    )
    return [bytes(document) for (document,) in rows]


def forward(conn: Connection, project: str, from_us: int) -> list[tuple[str, str, str]]:
    """
    Return forward actions of a project's issued statements that end by a time.

    Statement, finding and text; including those of replaced statements.
    """
    return conn.execute(
        "SELECT s.id, f.finding, f.reason FROM finding_event f"
        " JOIN statement s ON s.id = f.statement_id"
        " WHERE s.project_id = %s AND upper(s.period) <= %s"
        " AND f.finding LIKE 'FAR-%%' AND f.event = 'raised'"
        f" AND {_ISSUED} AND NOT EXISTS (SELECT FROM finding_event c WHERE"
        " c.statement_id = f.statement_id AND c.finding = f.finding AND c.event = 'closed')"
        " ORDER BY lower(s.period), s.id, f.sequence",
        (project, utc_text(from_us)),
    ).fetchall()


def conclusions(conn: Connection, project: str) -> list[bytes]:
    """Return the signed verifications of a project's issued statements."""
    rows = conn.execute(
        "SELECT v.document FROM statement_event v JOIN statement s ON s.id = v.statement_id"
        f" WHERE s.project_id = %s AND v.state = 'verified' AND {_ISSUED} ORDER BY v.sequence",
        [project],
    )
    return [bytes(document) for (document,) in rows]


def principals(conn: Connection, statement: str, event: str) -> set[str]:
    """Return the API principals who submitted events of a kind."""
    rows = conn.execute(
        "SELECT DISTINCT principal FROM finding_event"
        " WHERE statement_id = %s AND event = %s AND principal IS NOT NULL",
        (statement, event),
    )
    return {name for (name,) in rows}
