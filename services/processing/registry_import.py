"""Import of registry files and invoices, all or nothing, and authorities' data for exports."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import psycopg
from psycopg import Connection

from ingest.errors import RegistryError
from mrv.errors import ExportError, StatementStateError
from mrv.exports.entered import Authority, merged
from services.registry.authority import changed_after_filing, entered_records
from services.registry.entries import Entry, Registry
from services.registry.fields import Row
from services.registry.files import Incoming, document
from services.registry.invoices import Import
from services.registry.invoices import plan as plan_invoices
from services.registry.plan import Plan, plan
from services.store.postgres.pool import jsonb
from services.store.registry import invoices, programme, signing_keys
from services.store.registry.entries_from_rows import load_registry
from services.store.registry.load import load_projects
from services.store.registry.programme import issued
from services.store.registry.write import write_entries, write_lives


class Outcome(NamedTuple):
    """Result of an import: its plan, its changes, and a digest of both."""

    plan: Plan
    changes: list[dict[str, Any]]
    digest: str


def import_registry(
    conn: Connection,
    incoming: Incoming,
    *,
    author: str,
    strict: bool = False,
    dry_run: bool = False,
    confirmed: str | None = None,
) -> Plan:
    """
    Import files into the registry, all or nothing; return the plan.

    `conn`: not in autocommit, and in no transaction.
    `incoming`: result of `services.registry.files.read_files`.
    `author`: person who imports; stored with the version and with meter replacements.
    `strict`: warnings block the import too.
    `dry_run`: write nothing.
    `confirmed`: digest of the confirmed outcome; if the outcome is different now it is refused.
    Raises RegistryError when the database refuses what the rules accepted.
    Raises StatementStateError when the outcome is no longer the confirmed one.

    If the plan is `refused`, nothing was written.
    """
    with conn.transaction():
        # one import at a time; readers are not blocked
        conn.execute("LOCK TABLE registry_version IN EXCLUSIVE MODE")
        stored, planned = _planned(conn, incoming, strict=strict)
        if confirmed is not None and _outcome(planned, stored).digest != confirmed:
            raise StatementStateError(
                "the registry has changed since this file was checked; nothing was imported: "
                "check the file again"
            )
        if planned.refused or dry_run or not planned.changes:
            return planned
        try:
            with conn.transaction():
                _write(conn, planned, stored, author)
                conn.execute("SET CONSTRAINTS ALL IMMEDIATE")
        except psycopg.IntegrityError as error:
            reason = " ".join(str(error).split())
            raise RegistryError(
                f"the database rejects the import: {reason}; correct the row"
            ) from error
    return planned


def try_out(conn: Connection, incoming: Incoming, *, strict: bool = False) -> Outcome:
    """Return the result of an import of files now; nothing is stored."""
    with conn.transaction():
        conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        stored, planned = _planned(conn, incoming, strict=strict)
        return _outcome(planned, stored)


def _planned(conn: Connection, incoming: Incoming, *, strict: bool) -> tuple[Registry, Plan]:
    """Return the stored registry, and the result of importing files into it."""
    stored = load_registry(conn)
    return stored, plan(
        stored,
        incoming,
        strict=strict,
        closed=covered_until(conn),
        sealed=sealed_until(conn),
        credited=issued(conn),
        keys=[enrolment.key for enrolment in signing_keys.load(conn)],
    )


def _outcome(planned: Plan, stored: Registry) -> Outcome:
    changes = [_change(entry, stored) for entry in planned.changes]
    results = [(row.kind, row.id, row.result, row.messages) for row in planned.results]
    text = json.dumps([results, changes], sort_keys=True, default=str)
    return Outcome(planned, changes, hashlib.sha256(text.encode()).hexdigest())


def covered_until(conn: Connection) -> dict[str, datetime]:
    """Return, by device, the end of the periods with a signed statement."""
    rows = conn.execute(
        "SELECT d.device_id, max(least(upper(d.during), upper(s.period))) FROM statement s"
        " JOIN project_device d ON d.project_id = s.project_id AND d.during && s.period"
        " WHERE (SELECT e.state FROM statement_event e WHERE e.statement_id = s.id"
        " ORDER BY e.sequence DESC LIMIT 1) <> 'draft'"
        " GROUP BY d.device_id"
    )
    return {device: end.astimezone(UTC) for device, end in rows}


def sealed_until(conn: Connection) -> dict[str, datetime]:
    """Return, by project, the end of the sealed days."""
    rows = conn.execute(
        "SELECT project_id, max(to_time) FROM data_seal WHERE project_id <> '' GROUP BY 1"
    )
    return {project: end.astimezone(UTC) for project, end in rows}


def check_registry(conn: Connection, *, strict: bool = False) -> Plan:
    """Return the plan of the stored registry, checked by every rule of this version."""
    stored = load_registry(conn)
    everything = Incoming(stored, dict.fromkeys(stored.entries, "registry"))
    return plan(stored, everything, strict=strict, credited=issued(conn))


def _write(conn: Connection, planned: Plan, stored: Registry, author: str) -> None:
    write_entries(conn, planned.changes, planned.merged, author)
    write_lives(conn)
    changes = [_change(entry, stored) for entry in planned.changes]
    conn.execute(
        "INSERT INTO registry_version (author, changes) VALUES (%s, %s)", [author, jsonb(changes)]
    )


def _change(entry: Entry, stored: Registry) -> dict[str, Any]:
    before = stored.entries.get((entry.kind, entry.id))
    return {
        "kind": entry.kind,
        "id": entry.id,
        "before": document(before) if before else None,
        "after": document(entry),
    }


def registered(conn: Connection, given: Authority) -> Authority:
    """
    Return the registered entries, replaced by the file's entries of the same name.

    Raises ExportError if a filed submission differs in the file.
    """
    stored = entered_records(Registry.of(programme.load_entered(conn)))
    for text in changed_after_filing(stored, given):
        raise ExportError(text)
    return merged(stored, given)


def deliver(conn: Connection, rows: Sequence[Row], author: str, *, write: bool = True) -> Import:
    """
    Store invoices, all or none; return the result.

    `conn`: connection in autocommit; imports wait for each other.
    `write`: False: only report the result.
    """
    with conn.transaction():
        conn.execute("SELECT pg_advisory_xact_lock(hashtextextended('invoices', 0))")
        projects = {project.id: project for project in load_projects(conn)}
        stored = {
            invoice.id: (project, invoice, corrects, reason)
            for project, invoice, corrects, reason in invoices.every(conn, corrected=True)
        }
        keys = [enrolment.key for enrolment in signing_keys.load(conn)]
        result = plan_invoices(rows, projects, stored, keys, _others(conn))
        if write and not result.refused:
            new = [(e.project, e.invoice, e.corrects, e.reason) for e in result.new]
            invoices.insert(conn, new, author)
    return result


def _others(conn: Connection) -> dict[str, set[str]]:
    """Return, by project, meters outside its account: of its boundary and of common meters."""
    return {
        name: {
            *(outside.device for outside in project.boundary or ()),
            *(user for s in project.shared_meters or () for user in s.users),
        }
        for name, project in load_registry(conn).projects.items()
    }
