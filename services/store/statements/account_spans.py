"""Preliminary and final accounts of time spans, by local day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, NamedTuple

from psycopg import Connection

from services.store.postgres.values import stamp

if TYPE_CHECKING:
    from mrv.accounting.emission_rows import AccountDay

_US = "(extract(epoch FROM {}) * 1000000)::bigint"


class Span(NamedTuple):
    """Time span of a project without a statement, and the key of its account's inputs. [us UTC]"""

    from_us: int
    to_us: int
    key: str


def write(
    conn: Connection,
    project: str,
    span: Span,
    timezone: str,
    days: Sequence[AccountDay],
    *,
    statement: str | None = None,
    before_evidence_ug: int | None = None,
    problem: str | None = None,
) -> None:
    """Store the account of a span by local day; an existing one of the same statement stays."""
    row = conn.execute(
        "INSERT INTO account_span (project_id, statement_id, during, timezone, key,"
        " before_evidence_ug, problem)"
        " VALUES (%s, %s, tstzrange(%s::timestamptz, %s::timestamptz), %s, %s, %s, %s)"
        " ON CONFLICT (statement_id) DO NOTHING RETURNING id",
        (project, statement, stamp(span.from_us), stamp(span.to_us), timezone, span.key,
         before_evidence_ug, problem),
    ).fetchone()  # fmt: skip
    if row is None:
        return
    conn.cursor().executemany(
        "INSERT INTO account_span_day VALUES (%s, %s, %s, %s::timestamptz, %s::timestamptz,"
        " %s, %s, %s, %s)",
        [
            (row[0], project, day.day, stamp(day.begin_us), stamp(day.end_us), *day.sums)
            for day in days
        ],
    )


def forget(conn: Connection, project: str, spans: Sequence[Span]) -> None:
    """Delete preliminary accounts."""
    for span in spans:
        conn.execute(
            "DELETE FROM account_span WHERE project_id = %s AND statement_id IS NULL AND key = %s"
            " AND during = tstzrange(%s::timestamptz, %s::timestamptz)",
            (project, span.key, stamp(span.from_us), stamp(span.to_us)),
        )


def open_spans(conn: Connection, project: str) -> list[Span]:
    """Return the stored preliminary accounts of a project."""
    rows = conn.execute(
        f"SELECT {_US.format('lower(during)')}, {_US.format('upper(during)')}, key"
        " FROM account_span WHERE project_id = %s AND statement_id IS NULL ORDER BY during",
        [project],
    )
    return [Span(*row) for row in rows.fetchall()]


def closed(conn: Connection, project: str) -> list[tuple[int, int]]:
    """Return the time spans of a project's statements, in order. [us UTC]"""
    rows = conn.execute(
        f"SELECT {_US.format('lower(during)')}, {_US.format('upper(during)')}"
        " FROM v_account_statement WHERE project_id = %s ORDER BY during",
        [project],
    )
    return rows.fetchall()


def without_days(conn: Connection, maximum: int) -> list[str]:
    """Return statements of older releases whose daily figures are not stored yet."""
    rows = conn.execute(
        "SELECT s.statement_id FROM v_account_statement s WHERE NOT EXISTS"
        " (SELECT FROM account_span a WHERE a.statement_id = s.statement_id) ORDER BY 1 LIMIT %s",
        [maximum],
    )
    return [name for (name,) in rows.fetchall()]


def metered_days(conn: Connection, project: str, end: date) -> dict[date, tuple[int, int, int]]:
    """
    Return local days before `end` with data of a project's meters.

    Each with the number of its daily sums, and the totals of values and measured times.
    """
    rows = conn.execute(
        "SELECT q.day, count(*), sum(q.value)::numeric, sum(q.measured_us)::numeric"
        " FROM v_day_quantity q WHERE q.device_id IN"
        "   (SELECT m.device_id FROM project_device m WHERE m.project_id = %s)"
        " AND q.day < %s GROUP BY q.day ORDER BY q.day",
        (project, end),
    )
    return {day: (int(n), int(value), int(us)) for day, n, value, us in rows.fetchall()}


def metered_edges(conn: Connection, project: str, from_us: int, to_us: int) -> tuple[int, int]:
    """Return first and last time with values of a project's meters in a span. [us UTC]"""
    row = conn.execute(
        f"SELECT {_US.format('min(first)')}, {_US.format('max(last)')} + 900000000"
        " FROM (SELECT DISTINCT m.device_id FROM project_device m WHERE m.project_id = %(p)s) m"
        " CROSS JOIN LATERAL (SELECT min(i.start) AS first, max(i.start) AS last"
        "   FROM interval_quantity i WHERE i.device_id = m.device_id"
        "   AND i.start >= %(a)s::timestamptz AND i.start < %(b)s::timestamptz"
        "   AND i.measured_us > 0) told",
        {"p": project, "a": stamp(from_us), "b": stamp(to_us)},
    ).fetchone()
    first, last = row or (None, None)
    return (from_us, to_us) if first is None else (int(first), int(last))


def told_until(conn: Connection, devices: Sequence[str], from_us: int) -> int | None:
    """Return the time until which all devices with data since a time have data; None without."""
    row = conn.execute(
        f"SELECT {_US.format('min(last)')} + 900000000 FROM unnest(%(ids)s::text[]) d (id)"
        " CROSS JOIN LATERAL (SELECT max(i.start) AS last FROM interval_quantity i"
        "   WHERE i.device_id = d.id AND i.start >= %(a)s::timestamptz AND i.measured_us > 0) told",
        {"ids": list(devices), "a": stamp(from_us)},
    ).fetchone()
    return None if row is None else row[0]


def inputs_key(conn: Connection, project: str) -> str:
    """Return a text that changes with an account's inputs, except registry and meters."""
    row = conn.execute(
        "SELECT (SELECT count(*) FROM invoice WHERE project_id = %(p)s),"
        " (SELECT count(*) FROM claim WHERE project_id = %(p)s),"
        " (SELECT count(*) FROM energy_certificate)",
        {"p": project},
    ).fetchone()
    return " ".join(map(str, row or ()))
