"""Sessions of the console: opened by a key, kept here, ended at once everywhere."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence

from psycopg import Connection

from services.store.api import api_keys
from services.store.api.api_keys import ApiKey

LASTS_S = 12 * 3600
_KEPT = "1 day"  # after the end, for whoever looks who was signed in
_LIVES = (
    "s.ended IS NULL AND s.until > now() AND k.revoked IS NULL"
    " AND (k.expires IS NULL OR k.expires > now())"
)


def open_session(conn: Connection, key: ApiKey) -> str:
    """Open a session for a key's holder; return its secret, and let go of old sessions."""
    secret = secrets.token_urlsafe(32)
    conn.execute(
        "INSERT INTO api_session (secret_sha256, key_id, until)"
        " VALUES (%s, %s, now() + make_interval(secs => %s))",
        (digest(secret), key.id, LASTS_S),
    )
    conn.execute("DELETE FROM api_session WHERE until < now() - %s::interval", [_KEPT])
    return secret


def holder(conn: Connection, session: bytes) -> ApiKey | None:
    """Return the key whose holder's session it is; None where it does not live now."""
    row = conn.execute(
        f"SELECT k.id FROM api_session s JOIN api_key k ON k.id = s.key_id"
        f" WHERE s.secret_sha256 = %s AND {_LIVES}",
        [session],
    ).fetchone()
    return None if row is None else api_keys.valid(conn, row[0])


def living(conn: Connection, sessions: Sequence[bytes]) -> set[bytes]:
    """Return those of some sessions that live now."""
    rows = conn.execute(
        f"SELECT s.secret_sha256 FROM api_session s JOIN api_key k ON k.id = s.key_id"
        f" WHERE s.secret_sha256 = ANY(%s) AND {_LIVES}",
        [list(sessions)],
    )
    return {bytes(one) for (one,) in rows.fetchall()}


def end(conn: Connection, session: bytes) -> None:
    """End a session; again changes nothing."""
    conn.execute(
        "UPDATE api_session SET ended = now() WHERE secret_sha256 = %s AND ended IS NULL", [session]
    )


def digest(secret: str) -> bytes:
    """Return by what a session is kept; 256 random bits need no slow hash."""
    return hashlib.sha256(secret.encode()).digest()
