"""Monitoring plans and check meters in the database."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace

from psycopg import Connection, Cursor

from mrv.registry.monitoring_plan import Version, approval_in, approval_out, version_in, version_out
from mrv.registry.project import CheckMeter
from services.store.postgres.values import jsonb


def load_versions(conn: Connection) -> dict[str, tuple[Version, ...]]:
    """Return the versions of all projects' plans, in order of import."""
    versions: dict[str, tuple[Version, ...]] = {}
    for project, text, entered, approval in conn.execute(
        "SELECT p.project_id, p.document::text,"
        " (extract(epoch FROM p.imported) * 1000000)::bigint, a.document::text"
        " FROM monitoring_plan p LEFT JOIN plan_approval a USING (project_id, version)"
        " ORDER BY p.project_id, p.position"
    ):
        version = replace(
            version_in(json.loads(text)),
            entered=entered,
            approval=None if approval is None else approval_in(json.loads(approval)),
        )
        versions[project] = (*versions.get(project, ()), version)
    return versions


def add_versions(cursor: Cursor, project: str, versions: Sequence[Version], author: str) -> None:
    """Store the versions of a project's plan and their approvals that are not stored yet."""
    cursor.executemany(
        "INSERT INTO monitoring_plan (project_id, version, position, begins, document, author)"
        " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (project_id, version) DO NOTHING",
        [
            (project, version.name, place, version.begins, jsonb(version_out(version)), author)
            for place, version in enumerate(versions)
        ],
    )
    cursor.executemany(
        "INSERT INTO plan_approval (project_id, version, document, author)"
        " VALUES (%s, %s, %s, %s) ON CONFLICT (project_id, version) DO NOTHING",
        [
            (project, version.name, jsonb(approval_out(version.approval)), author)
            for version in versions
            if version.approval is not None
        ],
    )


def load_checks(conn: Connection, mains: Iterable[str]) -> tuple[CheckMeter, ...]:
    """Return the check meters of main meters, by id."""
    rows = conn.execute(
        "SELECT check_of, id, check_percent FROM device WHERE check_of = ANY(%s) ORDER BY id",
        [list(mains)],
    )
    return tuple(CheckMeter(*row) for row in rows)


def responsible(conn: Connection) -> dict[str, str]:
    """Return the person responsible for monitoring in each project with a plan in force."""
    rows = conn.execute(
        "SELECT DISTINCT ON (project_id) project_id, document ->> 'responsible'"
        " FROM monitoring_plan WHERE begins <= current_date ORDER BY project_id, position DESC"
    )
    return dict(rows.fetchall())
