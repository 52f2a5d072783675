"""API keys, console sessions, audit rows of requests, and stored answers."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from psycopg import Connection
from psycopg.rows import TupleRow

from ingest.errors import InputError, RegistryError

ApiRole = Literal["operator", "verifier", "auditor", "admin"]
PREFIX = "tonne"
_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
_ID_LENGTH = 12
_TOKEN = re.compile(rf"{PREFIX}_[a-z0-9]{{{_ID_LENGTH}}}_[A-Za-z0-9_-]{{1,100}}")
_LAST_YEAR = 9000
# an older key may end in 9999, which is the year 10000 in some time zones and cannot be read
_COLUMNS = (
    "id, name, role, projects, created, created_by,"
    f" least(expires, timestamptz '{_LAST_YEAR}-01-01 00:00+00'), revoked"
)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """API key without its secret; `projects` None means all projects."""

    id: str
    name: str
    role: ApiRole
    projects: tuple[str, ...] | None
    created: datetime
    created_by: str
    expires: datetime | None
    revoked: datetime | None


def create(
    conn: Connection,
    name: str,
    role: ApiRole,
    projects: Sequence[str] | None,
    created_by: str,
    expires: datetime | None = None,
) -> tuple[ApiKey, str]:
    """
    Create a key and return it with its token, which cannot be read again.

    Raises RegistryError if a project is not registered.
    Raises InputError if it would expire in the past, or after the year 8999.
    """
    _refuse_unknown(conn, projects)
    if expires is not None and expires.year >= _LAST_YEAR:
        raise InputError(
            f"the key would expire at {expires}; choose a time before the year {_LAST_YEAR}"
        )
    id_ = "".join(secrets.choice(_ALPHABET) for _ in range(_ID_LENGTH))
    secret = secrets.token_urlsafe(32)
    row = conn.execute(
        "INSERT INTO api_key (id, name, role, projects, secret_sha256, created_by, expires)"
        f" SELECT %s, %s, %s, %s, %s, %s, %s WHERE coalesce(%s > now(), true) RETURNING {_COLUMNS}",
        (id_, name, role, None if projects is None else list(projects), _hash(secret), created_by,
         expires, expires),
    ).fetchone()  # fmt: skip
    if row is None:
        raise InputError(
            f"the key would expire at {expires}, which is in the past; choose a later time"
        )
    return _key(row), f"{PREFIX}_{id_}_{secret}"


def _refuse_unknown(conn: Connection, projects: Sequence[str] | None) -> None:
    rows = conn.execute("SELECT id FROM project WHERE id = ANY(%s)", [list(projects or ())])
    unknown = sorted(set(projects or ()) - {str(name) for (name,) in rows})
    if unknown:
        raise RegistryError(
            f"no such project: {', '.join(map(repr, unknown))}; `tonne registry export` lists all"
        )


def is_token(text: str) -> bool:
    """Return whether a text has the form of a token."""
    return _TOKEN.fullmatch(text) is not None


def find(conn: Connection, token: str) -> ApiKey | None:
    """Return the API key of a token if it is valid now, else None."""
    if not is_token(token):
        return None
    id_, _, secret = token.removeprefix(f"{PREFIX}_").partition("_")
    row = conn.execute(
        f"SELECT {_COLUMNS}, secret_sha256 FROM api_key WHERE id = %s AND revoked IS NULL"
        " AND (expires IS NULL OR expires > now())",
        [id_],
    ).fetchone()
    if row is None or not hmac.compare_digest(bytes(row[-1]), _hash(secret)):
        return None
    return _key(row[:-1])


def valid(conn: Connection, id_: str) -> ApiKey | None:
    """Return a key by its id if it is valid now, else None; the caller has to verify the token."""
    row = conn.execute(
        f"SELECT {_COLUMNS} FROM api_key WHERE id = %s AND revoked IS NULL"
        " AND (expires IS NULL OR expires > now())",
        [id_],
    ).fetchone()
    return None if row is None else _key(row)


def all_keys(conn: Connection) -> list[ApiKey]:
    """Return all keys, oldest first, without secrets."""
    rows = conn.execute(f"SELECT {_COLUMNS} FROM api_key ORDER BY created, id")
    return [_key(row) for row in rows.fetchall()]


def revoke(conn: Connection, id_: str) -> ApiKey:
    """
    Revoke a key from now on and return it; a second call changes nothing.
    Raises RegistryError if the id is unknown.
    """
    row = conn.execute(
        f"UPDATE api_key SET revoked = coalesce(revoked, now()) WHERE id = %s RETURNING {_COLUMNS}",
        [id_],
    ).fetchone()
    if row is None:
        raise RegistryError(f"there is no API key {id_!r}; `tonne api keys list` shows all")
    return _key(row)


def _hash(secret: str) -> bytes:
    # a fast hash is sufficient for 256 random bits
    return hashlib.sha256(secret.encode()).digest()


def _key(row: TupleRow) -> ApiKey:
    id_, name, role, projects, *rest = row
    return ApiKey(id_, name, role, None if projects is None else tuple(projects), *rest)


LASTS_S = 12 * 3600
_SESSION_RETENTION = "1 day"  # time for which ended sessions are kept, for audits of sign-ins
_IS_VALID = (
    "s.ended IS NULL AND s.until > now() AND k.revoked IS NULL"
    " AND (k.expires IS NULL OR k.expires > now())"
)


def open_session(conn: Connection, key: ApiKey) -> str:
    """Open a session for a key's holder and delete old ones; return its secret."""
    secret = secrets.token_urlsafe(32)
    conn.execute(
        "INSERT INTO api_session (secret_sha256, key_id, until)"
        " VALUES (%s, %s, now() + make_interval(secs => %s))",
        (digest(secret), key.id, LASTS_S),
    )
    conn.execute("DELETE FROM api_session WHERE until < now() - %s::interval", [_SESSION_RETENTION])
    return secret


def holder(conn: Connection, session: bytes) -> ApiKey | None:
    """Return the key of a session; None if the session is not valid now."""
    row = conn.execute(
        f"SELECT k.id FROM api_session s JOIN api_key k ON k.id = s.key_id"
        f" WHERE s.secret_sha256 = %s AND {_IS_VALID}",
        [session],
    ).fetchone()
    return None if row is None else valid(conn, row[0])


def valid_sessions(conn: Connection, sessions: Sequence[bytes]) -> set[bytes]:
    """Return the valid ones of the given sessions."""
    rows = conn.execute(
        f"SELECT s.secret_sha256 FROM api_session s JOIN api_key k ON k.id = s.key_id"
        f" WHERE s.secret_sha256 = ANY(%s) AND {_IS_VALID}",
        [list(sessions)],
    )
    return {bytes(session) for (session,) in rows.fetchall()}


def end(conn: Connection, session: bytes) -> None:
    """End a session; a second call changes nothing."""
    conn.execute(
        "UPDATE api_session SET ended = now() WHERE secret_sha256 = %s AND ended IS NULL", [session]
    )


def digest(secret: str) -> bytes:
    """Return the stored hash of a session's secret."""
    return hashlib.sha256(secret.encode()).digest()


_ANSWER_RETENTION = "30 days"
_REFUSAL_RETENTION = "90 days"


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
    conn.execute("DELETE FROM api_refusal WHERE hour < now() - %s::interval", [_REFUSAL_RETENTION])


@contextmanager
def locked_key(conn: Connection, principal: str, key: str) -> Iterator[None]:
    """Context that locks an idempotency key; it can contain several transactions."""
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
    """Store an answer, and delete answers older than 30 days."""
    conn.execute(
        "INSERT INTO api_answer (principal, key, request, status, body)"
        " VALUES (%s, %s, %s, %s, %s)",
        (principal, key, reply.request, reply.status, reply.body),
    )
    conn.execute("DELETE FROM api_answer WHERE given < now() - %s::interval", [_ANSWER_RETENTION])


def cursor_secret(conn: Connection) -> bytes:
    """Return the secret for signing page cursors."""
    row = conn.execute("SELECT secret FROM api_cursor_secret").fetchone()
    if row is None:
        raise RuntimeError("the table api_cursor_secret is empty; restore it from a backup")
    return bytes(row[0])
