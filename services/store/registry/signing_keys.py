"""Enrolled signing keys, and credentials and one-time tokens of devices."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from psycopg import Connection
from psycopg.types.json import Jsonb

from mrv.errors import EnrolmentError
from mrv.signatures.key_bounds import KeyBounds, LogPlace
from mrv.signatures.keys import EnrolledKey, Role


class Enrolment(NamedTuple):
    """Enrolled key and its validity; `valid_until` is None while it is valid."""

    key: EnrolledKey
    valid_from: datetime
    valid_until: datetime | None


def enroll(conn: Connection, key: EnrolledKey) -> None:
    """
    Enrol a public key; of an already enrolled key only its limits are replaced, if given.
    Raises EnrolmentError if it is enrolled for another holder, or its holder has another role,
    since preparer and verifier must be different persons.
    """
    if key.role == "programme":
        raise EnrolmentError(
            f"{key.name!r} is a programme's key: it signs the trust root and cannot be enrolled"
        )
    with conn.transaction():
        conn.execute("SELECT pg_advisory_xact_lock(hashtextextended('enrolled_key', 0))")
        for other in load(conn):
            _refuse_other(key, other.key)
            if key.role == other.key.role == "log" and key != other.key and _lives(other):
                raise EnrolmentError(
                    f"the log has the key {other.key.name!r}, and a second key would split the "
                    f"log: `tonne keys rotate {other.key.name}` closes it and continues with a new "
                    "key"
                )
        conn.execute(
            "INSERT INTO enrolled_key (multikey, name, role, bounds) VALUES (%s, %s, %s, %s)"
            " ON CONFLICT (multikey) DO UPDATE SET bounds = excluded.bounds"
            " WHERE excluded.bounds IS NOT NULL",
            (key.multikey, key.name, key.role, _bounds(key)),
        )


def _lives(enrolment: Enrolment) -> bool:
    return enrolment.valid_until is None or enrolment.valid_until > datetime.now(UTC)


def _bounds(key: EnrolledKey) -> Jsonb | None:
    # the time of the end is read from the log
    content = replace(key.bounds, ends_at=None).to_json()
    return Jsonb(content) if content else None


def _refuse_other(key: EnrolledKey, other: EnrolledKey) -> None:
    if other.multikey == key.multikey and other != key:
        raise EnrolmentError(
            f"key {key.multikey} is enrolled for {other.name!r} as {other.role} already;"
            " create another key"
        )
    if other.name == key.name and other.role != key.role:
        raise EnrolmentError(
            f"{key.name!r} is enrolled as {other.role} and cannot be {key.role} too; a key of "
            "another role needs another holder"
        )


def load(conn: Connection) -> list[Enrolment]:
    """Return all enrolled keys, oldest first; ended ones with the size of the log at their end."""
    rows = conn.execute(
        "SELECT name, role, multikey, valid_from, valid_until, bounds,"
        " CASE WHEN valid_until <= clock_timestamp() THEN (SELECT coalesce("
        " (SELECT min(index) FROM log_entry WHERE appended >= valid_until),"
        " (SELECT count(*) FROM log_entry))) END,"
        " (SELECT split_part(note, E'\\n', 1) FROM log_checkpoint ORDER BY size DESC LIMIT 1)"
        " FROM enrolled_key ORDER BY valid_from, name, multikey"
    )
    return [_enrolment(*row) for row in rows]


def operators(conn: Connection) -> dict[str, str]:
    """Return the organisation that operates each project, by the newest key bound to it."""
    key_boundses = [e.key.bounds for e in load(conn) if e.key.role == "operator" and _lives(e)]
    return {
        project: key_bounds.organisation
        for key_bounds in key_boundses
        if key_bounds.organisation
        for project in key_bounds.projects or ()
    }


def _enrolment(
    name: str,
    role: Role,
    multikey: str,
    valid_from: datetime,
    valid_until: datetime | None,
    content: dict[str, Any] | None,
    ended_at: int | None,
    log: str | None,
) -> Enrolment:
    bounds = KeyBounds.from_json(content or {})
    if ended_at is not None and log is not None and role != "log":
        bounds = replace(bounds, ends_at=LogPlace(log, ended_at))
    times = _text(valid_from), _text(valid_until)
    return Enrolment(EnrolledKey(name, role, multikey, *times, bounds), valid_from, valid_until)


def close_log(conn: Connection, key: EnrolledKey, final_head: str) -> None:
    """Record the last head of a log whose key has ended."""
    content = replace(key.bounds, final_head=final_head).to_json()
    conn.execute(
        "UPDATE enrolled_key SET bounds = %s WHERE multikey = %s", (Jsonb(content), key.multikey)
    )


def _text(moment: datetime | None) -> str | None:
    """Return a time as text in whole seconds UTC, as in proofs; None for None."""
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def revoke(conn: Connection, name: str, at: datetime) -> list[EnrolledKey]:
    """
    End the validity of a holder's valid keys, and return them.
    `at`: time of the end; may be in the past, if the secret was stolen.
    Raises EnrolmentError if the holder has no key that is valid at that time.
    """
    with conn.transaction():
        conn.execute("SELECT pg_advisory_xact_lock(hashtextextended('enrolled_key', 0))")
        rows = conn.execute(
            "UPDATE enrolled_key SET valid_until = %(at)s WHERE name = %(name)s"
            " AND (valid_until IS NULL OR valid_until > %(at)s) AND valid_from < %(at)s"
            " RETURNING name, role, multikey",
            {"name": name, "at": at},
        ).fetchall()
    if not rows:
        raise EnrolmentError(
            f"{name!r} has no key that is valid at {at.isoformat()}; `tonne keys list` shows all"
        )
    return [EnrolledKey(*row) for row in rows]


def require(conn: Connection, key: EnrolledKey, at: datetime) -> None:
    """
    Reject a key that is not enrolled in its role, or not valid at a time.

    Raises EnrolmentError that states how to enrol it.
    """
    for enrolment in load(conn):
        if enrolment.key != key:
            continue
        if enrolment.valid_from <= at and (
            enrolment.valid_until is None or at < enrolment.valid_until
        ):
            return
        raise EnrolmentError(
            f"key {key.name!r} cannot sign, as its enrolment has ended: sign with an enrolled key"
        )
    raise EnrolmentError(
        f"key {key.name!r} ({key.multikey}) is not enrolled as {key.role};"
        f" enrol it with `tonne keys enroll {key.name}`"
    )


@dataclass(frozen=True, slots=True)
class Token:
    """Record of a one-time token; `used`, `key` and `certificate` are None until it is used."""

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
    """Return the record of a one-time token, locked until the transaction ends; None if unknown."""
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
    """
    Record of a credential.

    `serial`, `fingerprint`, `expires`: of a certificate; None for a password.
    `revoked`, `reason`: of its revocation; None while it is valid.
    """

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
    """Return the credentials of principals, oldest first; of all if `principals` is empty."""
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


def revoke_credential(
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

    `kind`: only credentials of this kind.
    `but_newest`: except the last issued credential.
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
