"""Monitoring plans and what meters are held against: versions, check meters, invoices."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mrv.monitoring import Version, version_in, version_out
from mrv.project import CheckMeter, Invoice
from mrv.statement.besides import invoice_in, invoice_out
from services.store.json_text import jsonb

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from psycopg import Connection, Cursor
    from psycopg.rows import TupleRow


def load_versions(conn: Connection[TupleRow]) -> dict[str, tuple[Version, ...]]:
    """Load the versions of all projects' plans, in the order of their import."""
    found: dict[str, tuple[Version, ...]] = {}
    for project, text in conn.execute(
        "SELECT project_id, document::text FROM monitoring_plan ORDER BY project_id, position"
    ):
        found[project] = (*found.get(project, ()), version_in(json.loads(text)))
    return found


def add_versions(
    cursor: Cursor[TupleRow], project: str, versions: Sequence[Version], author: str
) -> None:
    """Store the versions of a project's plan that are not stored yet."""
    cursor.executemany(
        "INSERT INTO monitoring_plan (project_id, version, position, begins, document, author)"
        " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (project_id, version) DO NOTHING",
        [
            (project, one.name, place, one.begins, jsonb(version_out(one)), author)
            for place, one in enumerate(versions)
        ],
    )


def load_checks(conn: Connection[TupleRow], mains: Iterable[str]) -> tuple[CheckMeter, ...]:
    """Load the check meters of devices, by id."""
    rows = conn.execute(
        "SELECT check_of, id, check_percent FROM device WHERE check_of = ANY(%s) ORDER BY id",
        [list(mains)],
    )
    return tuple(CheckMeter(*row) for row in rows)


def load_invoices(
    conn: Connection[TupleRow], project: str, from_us: int, to_us: int
) -> tuple[Invoice, ...]:
    """Load a project's invoices that touch a period; one that was corrected counts no more."""
    found = [one for _, one, *_ in every_invoice(conn, project)]
    return tuple(one for one in found if one.from_us < to_us and one.to_us > from_us)


def every_invoice(
    conn: Connection[TupleRow], project: str | None = None, *, corrected: bool = False
) -> list[tuple[str, Invoice, str | None, str | None]]:
    """
    Load invoices: project, document, which one it corrects, and why.

    Parameters
    ----------
    corrected : bool
        With those that another one corrects.
    """
    rows = conn.execute(
        "SELECT project_id, document::text, corrects, reason FROM invoice i"
        " WHERE (%(p)s::text IS NULL OR project_id = %(p)s)"
        " AND (%(c)s OR NOT EXISTS (SELECT FROM invoice o WHERE o.corrects = i.id)) ORDER BY id",
        {"p": project, "c": corrected},
    )
    return [(p, invoice_in(json.loads(text)), c, r) for p, text, c, r in rows]


def add_invoices(
    conn: Connection[TupleRow],
    new: Sequence[tuple[str, Invoice, str | None, str | None]],
    author: str,
) -> None:
    """Store invoices: project, document, which one it corrects, and why."""
    rows: list[tuple[Any, ...]] = [
        (one.id, project, jsonb(invoice_out(one)), corrects, reason, author)
        for project, one, corrects, reason in new
    ]
    with conn.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO invoice (id, project_id, document, corrects, reason, author)"
            " VALUES (%s, %s, %s, %s, %s, %s)",
            rows,
        )
