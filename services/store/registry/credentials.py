"""
Records of issued and revoked credentials, and one-time tokens for first certificates
(digests only).
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from psycopg import Connection


@dataclass(frozen=True, slots=True)
class Token:
    """Record of a one-time token; `certificate` is the issued one, PEM."""

    principal: str
    expires: datetime
    used: datetime | None
    key: bytes | None
    certificate: bytes | None


def make(conn: Connection, principal: str, expires: datetime, author: str) -> str:
    """Return a new one-time token for a principal; the database stores only its digest."""
    token = secrets.token_urlsafe(24)
    conn.execute(
        "INSERT INTO enrolment_token (sha256, principal, expires, author) VALUES (%s, %s, %s, %s)",
        (_digest(token), principal, expires, author),
    )
    return token


def take(conn: Connection, token: str) -> Token | None:
    """Return the record of a one-time token, locked until the transaction ends."""
    row = conn.execute(
        "SELECT principal, expires, used, key, certificate FROM enrolment_token"
        " WHERE sha256 = %s FOR UPDATE",
        [_digest(token)],
    ).fetchone()
    return None if row is None else Token(*row)


def use(conn: Connection, token: str, key: bytes, certificate: bytes) -> None:
    """Record the key for which a token was used, and the issued certificate."""
    conn.execute(
        "UPDATE enrolment_token SET used = now(), key = %s, certificate = %s WHERE sha256 = %s",
        (key, certificate, _digest(token)),
    )


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


Kind = Literal["certificate", "password"]
_COLUMNS = "principal, kind, serial, fingerprint, issued, expires, revoked, reason"
_IN_USE = "revoked IS NULL AND (expires IS NULL OR expires > now())"


@dataclass(frozen=True, slots=True)
class Credential:
    """Record of a credential; a password has no serial number and does not expire."""

    principal: str
    kind: Kind
    serial: str | None
    fingerprint: str | None
    issued: datetime
    expires: datetime | None
    revoked: datetime | None
    reason: str | None


def lock(conn: Connection) -> None:
    """Lock issue and revocation of credentials until the transaction ends."""
    conn.execute("LOCK TABLE credential IN SHARE ROW EXCLUSIVE MODE")


def in_use(conn: Connection) -> dict[str, Credential]:
    """Return the newest valid credential of each principal."""
    rows = conn.execute(
        f"SELECT DISTINCT ON (principal) {_COLUMNS} FROM credential WHERE {_IN_USE}"
        " ORDER BY principal, id DESC"
    )
    return {row[0]: Credential(*row) for row in rows}


def all_of(conn: Connection, principals: Sequence[str]) -> list[Credential]:
    """Return all credentials of principals (of all, if none is named), oldest first."""
    rows = conn.execute(
        f"SELECT {_COLUMNS} FROM credential WHERE %(all)s OR principal = ANY(%(names)s)"
        " ORDER BY id",
        {"all": not principals, "names": list(principals)},
    )
    return [Credential(*row) for row in rows]


def by_serial(conn: Connection, serial: str) -> Credential | None:
    """Return the record of a certificate; None for an unknown one."""
    row = conn.execute(f"SELECT {_COLUMNS} FROM credential WHERE serial = %s", [serial]).fetchone()
    return None if row is None else Credential(*row)


def record(
    conn: Connection,
    issued: Iterable[tuple[str, Kind, str | None, str | None, datetime | None]],
    author: str,
) -> None:
    """Record new credentials: principal, kind, serial number, fingerprint, expiry."""
    conn.cursor().executemany(
        "INSERT INTO credential (principal, kind, serial, fingerprint, expires, author)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        [(*row, author) for row in issued],
    )


def revoke(
    conn: Connection,
    principal: str,
    author: str,
    reason: str,
    *,
    kind: Kind | None = None,
    but_newest: bool = False,
) -> int:
    """
    Revoke the credentials of a principal; return their number.

    Parameters
    ----------
    kind : str, optional
        Only those of this kind.
    but_newest : bool
        Except the last one issued.
    """
    done = conn.execute(
        "UPDATE credential SET revoked = now(), revoked_by = %(author)s, reason = %(reason)s"
        " WHERE principal = %(principal)s AND revoked IS NULL"
        " AND (%(kind)s::text IS NULL OR kind = %(kind)s)"
        " AND NOT (%(but)s"
        " AND id = (SELECT max(id) FROM credential WHERE principal = %(principal)s))",
        {
            "author": author,
            "reason": reason,
            "principal": principal,
            "kind": kind,
            "but": but_newest,
        },
    )
    return done.rowcount


def revoked_certificates(conn: Connection) -> list[tuple[str, datetime]]:
    """
    Return serial numbers of revoked certificates not yet expired, with the time of
    revocation.
    """
    return conn.execute(
        "SELECT serial, revoked FROM credential WHERE revoked IS NOT NULL AND serial IS NOT NULL"
        " AND expires > now() ORDER BY id"
    ).fetchall()
