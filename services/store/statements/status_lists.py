"""Status lists signed by their operators; they never change."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from psycopg import Connection

from mrv.signatures import canonical
from mrv.signatures.keys import EnrolledKey


class Published(NamedTuple):
    """A project's newest list, and its time of signing."""

    document: bytes
    signed: datetime


def insert(
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


def projects(conn: Connection) -> list[str]:
    """Return the projects with published lists."""
    rows = conn.execute("SELECT DISTINCT project_id FROM status_list ORDER BY project_id")
    return [project for (project,) in rows]


def newest(conn: Connection, project: str) -> Published | None:
    """Return a project's newest list, if one was ever published."""
    row = conn.execute(
        "SELECT document, signed FROM status_list WHERE project_id = %s"
        " ORDER BY signed DESC, sequence DESC LIMIT 1",
        [project],
    ).fetchone()
    return None if row is None else Published(bytes(row[0]), row[1])
