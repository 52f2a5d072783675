"""Import of invoices: checked against registered and stored data, all or none stored."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import Connection

from services.registry.fields import Row
from services.registry.invoices import Import, plan
from services.store.registry import invoices, signing_keys
from services.store.registry.entries_from_rows import load_registry
from services.store.registry.load import load_projects


def deliver(conn: Connection, rows: Sequence[Row], author: str, *, write: bool = True) -> Import:
    """
    Store invoices, all or none; return the result.

    Parameters
    ----------
    conn : Connection
        Connection in autocommit; imports wait for each other.
    write : bool
        False: only report the result.
    """
    with conn.transaction():
        conn.execute("SELECT pg_advisory_xact_lock(hashtextextended('invoices', 0))")
        projects = {project.id: project for project in load_projects(conn)}
        stored = {
            invoice.id: (project, invoice, corrects, reason)
            for project, invoice, corrects, reason in invoices.every(conn, corrected=True)
        }
        keys = [enrolment.key for enrolment in signing_keys.load(conn)]
        result = plan(rows, projects, stored, keys, _others(conn))
        if write and not result.refused:
            new = [(e.project, e.invoice, e.corrects, e.reason) for e in result.new]
            invoices.insert(conn, new, author)
    return result


def _others(conn: Connection) -> dict[str, set[str]]:
    """Return other meters that each project names."""
    return {
        name: {
            *(outside.device for outside in project.boundary or ()),
            *(user for s in project.shared_meters or () for user in s.users),
        }
        for name, project in load_registry(conn).projects.items()
    }
