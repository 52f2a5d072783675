"""Audit rows of API requests, and stored answers for idempotency keys."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from psycopg import Connection

_KEPT = "30 days"
_REFUSALS_KEPT = "90 days"


@dataclass(frozen=True, slots=True)
class AuditRow:
    """Audit row of a write or download: caller, request, and HTTP status."""

    id: int
    at: datetime
    principal: str
    role: str
    method: str
    path: str
    status: int
    request: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Stored answer to a request; `request` is the request's digest."""

    request: bytes
    status: int
    body: bytes


def audit(
    conn: Connection, principal: str, role: str, method: str, path: str, status: int, request: str
) -> None:
    """Store an audit row."""
    conn.execute(
        "INSERT INTO api_audit (principal, role, method, path, status, request)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        (principal, role, method, path, status, request),
    )


def audit_rows(conn: Connection, after: int, limit: int) -> list[AuditRow]:
    """Return audit rows whose number is higher than `after`, oldest first."""
    rows = conn.execute(
        "SELECT id, at, principal, role, method, path, status, request FROM api_audit"
        " WHERE id > %s ORDER BY id LIMIT %s",
        (after, limit),
    )
    return [AuditRow(*row) for row in rows.fetchall()]


def count_refusal(conn: Connection, method: str, path: str, status: int) -> None:
    """Count a rejected unauthenticated request, in one row per hour."""
    conn.execute(
        "INSERT INTO api_refusal (hour, method, path, status, times)"
        " VALUES (date_trunc('hour', now()), %s, %s, %s, 1)"
        " ON CONFLICT (hour, method, path, status)"
        " DO UPDATE SET times = api_refusal.times + 1, last = clock_timestamp()",
        (method, path, status),
    )
    conn.execute("DELETE FROM api_refusal WHERE hour < now() - %s::interval", [_REFUSALS_KEPT])


@contextmanager
def one_at_a_time(conn: Connection, principal: str, key: str) -> Iterator[None]:
    """Context that locks an idempotency key; the work in it has its own transactions."""
    named = "hashtextextended('api answer:' || %s || ':' || %s, 0)"
    conn.execute(f"SELECT pg_advisory_lock({named})", (principal, key))
    try:
        yield
    finally:
        if not conn.closed:
            conn.execute(f"SELECT pg_advisory_unlock({named})", (principal, key))


def answer(conn: Connection, principal: str, key: str) -> Answer | None:
    """Return the stored answer of an idempotency key, if there is one."""
    row = conn.execute(
        "SELECT request, status, body FROM api_answer WHERE principal = %s AND key = %s",
        (principal, key),
    ).fetchone()
    return None if row is None else Answer(bytes(row[0]), row[1], bytes(row[2]))


def keep_answer(conn: Connection, principal: str, key: str, reply: Answer) -> None:
    """Store an answer, and delete those that have expired."""
    conn.execute(
        "INSERT INTO api_answer (principal, key, request, status, body)"
        " VALUES (%s, %s, %s, %s, %s)",
        (principal, key, reply.request, reply.status, reply.body),
    )
    conn.execute("DELETE FROM api_answer WHERE given < now() - %s::interval", [_KEPT])


def cursor_secret(conn: Connection) -> bytes:
    """Return the secret for signing page cursors."""
    row = conn.execute("SELECT secret FROM api_cursor_secret").fetchone()
    if row is None:
        raise RuntimeError("the migration put a secret there")
    return bytes(row[0])
