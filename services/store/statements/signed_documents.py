"""Signed documents of statements: findings, approvals, samples, public versions, status lists."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from psycopg import Connection, errors

from mrv.calendar import utc_text
from mrv.errors import StatementStateError
from mrv.signatures import canonical
from mrv.signatures.keys import EnrolledKey
from mrv.statement.findings import Event

# of a public version
LARGEST_BYTES = 33_554_432
_ISSUED = (
    "EXISTS (SELECT FROM statement_event e WHERE e.statement_id = s.id AND e.state = 'issued')"
)


def insert_event(
    conn: Connection,
    event: Event,
    holder: EnrolledKey,
    document: Mapping[str, object],
    principal: str | None,
) -> None:
    """
    Store an event of a finding.

    Raises StatementStateError if the database refuses it, as another event was stored first.
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


def events(conn: Connection, statement: str) -> list[bytes]:
    """Return the signed events of a statement's findings, first to last."""
    rows = conn.execute(
        "SELECT document FROM finding_event WHERE statement_id = %s ORDER BY sequence", [statement]
    )
    return [bytes(document) for (document,) in rows]


def forward_actions(conn: Connection, project: str, from_us: int) -> list[tuple[str, str, str]]:
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


def event_principals(conn: Connection, statement: str, event: str) -> set[str]:
    """Return the API principals who submitted events of a kind."""
    rows = conn.execute(
        "SELECT DISTINCT principal FROM finding_event"
        " WHERE statement_id = %s AND event = %s AND principal IS NOT NULL",
        (statement, event),
    )
    return {name for (name,) in rows}


def insert_approval(
    conn: Connection,
    statement: str,
    holder: EnrolledKey,
    document: Mapping[str, object],
    principal: str | None,
) -> None:
    """
    Store an operator's approval of an issue.

    Raises StatementStateError if that holder approved already, or the statement is not verified, or
    is issued.
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


def approvals(conn: Connection, statement: str) -> list[bytes]:
    """Return a statement's approvals, first to last."""
    rows = conn.execute(
        "SELECT document FROM statement_approval WHERE statement_id = %s ORDER BY at, multikey",
        [statement],
    )
    return [bytes(document) for (document,) in rows]


def insert_sample(
    conn: Connection,
    statement: str,
    holder: EnrolledKey,
    document: Mapping[str, object],
    principal: str | None,
) -> None:
    """
    Store a statement's sampling list.

    Raises StatementStateError if there is one already, or the statement's state does not permit it.
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


def sample(conn: Connection, statement: str) -> bytes | None:
    """Return the signed sampling list of a statement's verifier, if a sample was drawn."""
    row = conn.execute(
        "SELECT document FROM statement_sampling WHERE statement_id = %s", [statement]
    ).fetchone()
    return None if row is None else bytes(row[0])


def insert_public_version(
    conn: Connection, statement: str, signed: datetime, multikey: str, files: bytes
) -> None:
    """
    Store a public version in addition to earlier ones.

    `signed`: time of the operator's signature, with a time zone.
    `multikey`: the operator's public key, enrolled here.
    `files`: the folder of `tonne export public` as a zip, `LARGEST_BYTES` at most.
    """
    conn.execute(
        "INSERT INTO public_version (statement_id, signed, multikey, files)"
        " VALUES (%s, %s, %s, %s)",
        (statement, signed, multikey, files),
    )


def newest_public_version(conn: Connection, statement: str) -> bytes | None:
    """Return the newest public version of a statement as a zip, if one was published."""
    row = conn.execute(
        "SELECT files FROM public_version WHERE statement_id = %s ORDER BY sequence DESC LIMIT 1",
        [statement],
    ).fetchone()
    return None if row is None else bytes(row[0])


def is_published(conn: Connection, statement: str) -> bool:
    """Return whether a public version of a statement was published."""
    row = conn.execute(
        "SELECT EXISTS (SELECT FROM public_version WHERE statement_id = %s)", [statement]
    ).fetchone()
    return row is not None and bool(row[0])


class Published(NamedTuple):
    """A project's newest status list, and the time of its signature."""

    document: bytes
    signed: datetime


def insert_status_list(
    conn: Connection,
    project: str,
    holder: EnrolledKey,
    signed: datetime,
    document: Mapping[str, object],
    principal: str | None = None,
) -> None:
    """Store a project's status list in addition to earlier ones."""
    conn.execute(
        "INSERT INTO status_list (project_id, signed, multikey, document, principal)"
        " VALUES (%s, %s, %s, %s, %s)",
        (project, signed, holder.multikey, canonical.encode(document), principal),
    )


def listed_projects(conn: Connection) -> list[str]:
    """Return the projects with published status lists."""
    rows = conn.execute("SELECT DISTINCT project_id FROM status_list ORDER BY project_id")
    return [project for (project,) in rows]


def newest_status_list(conn: Connection, project: str) -> Published | None:
    """Return a project's newest status list, if one was ever published."""
    row = conn.execute(
        "SELECT document, signed FROM status_list WHERE project_id = %s"
        " ORDER BY signed DESC, sequence DESC LIMIT 1",
        [project],
    ).fetchone()
    return None if row is None else Published(bytes(row[0]), row[1])
