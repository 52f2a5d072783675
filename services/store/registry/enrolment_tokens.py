"""One-time tokens by which devices fetch their first certificate; only digests are kept."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime

from psycopg import Connection


@dataclass(frozen=True, slots=True)
class Token:
    """What is on record of a token; `certificate` is what was answered, PEM."""

    principal: str
    expires: datetime
    used: datetime | None
    key: bytes | None
    certificate: bytes | None


def make(conn: Connection, principal: str, expires: datetime, author: str) -> str:
    """Make a token for a principal; the database keeps its digest alone."""
    token = secrets.token_urlsafe(24)
    conn.execute(
        "INSERT INTO enrolment_token (sha256, principal, expires, author) VALUES (%s, %s, %s, %s)",
        (_digest(token), principal, expires, author),
    )
    return token


def take(conn: Connection, token: str) -> Token | None:
    """Return what is on record of a token, and hold it until the transaction ends."""
    row = conn.execute(
        "SELECT principal, expires, used, key, certificate FROM enrolment_token"
        " WHERE sha256 = %s FOR UPDATE",
        [_digest(token)],
    ).fetchone()
    return None if row is None else Token(*row)


def use(conn: Connection, token: str, key: bytes, certificate: bytes) -> None:
    """Note by which key a token was used, and what was answered."""
    conn.execute(
        "UPDATE enrolment_token SET used = now(), key = %s, certificate = %s WHERE sha256 = %s",
        (key, certificate, _digest(token)),
    )


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
