"""
A new key for the log: the old log is closed with its last head, a new one goes on from it.

As the shards of Certificate Transparency and Rekor, each log has one key and one name.  The
new one begins with all entries of the old one, so that a proof under it needs the old key
no more, and a keyring that holds both verifies what was exported before.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from psycopg import Connection

from mrv.errors import EnrolmentError
from mrv.signatures import canonical
from mrv.signatures.keys import EnrolledKey
from services.issuer import keys, signers
from services.issuer.documents import Signer
from services.store.registry import signing_keys as enrolled
from services.store.statements import transparency_log as log

LOG_KEY = "log_key"
_NUMBER = re.compile(r"(.*)-([0-9]+)")


def rotate(conn: Connection, home: Path, name: str, now: datetime) -> EnrolledKey:
    """
    Close a log and let a new one go on from it.

    Parameters
    ----------
    conn : Connection
        In autocommit.
    name : str
        Holder of the log's present key, which may have been revoked already.

    Returns
    -------
    EnrolledKey
        The new log's key.

    Raises
    ------
    EnrolmentError
        If that is not the log's last key.
    """
    with conn.transaction():
        log.lock(conn)
        holders = [one.key for one in enrolled.load(conn) if one.key.role == "log"]
        if not holders or holders[-1].name != name:
            known = holders[-1].name if holders else "none"
            raise EnrolmentError(f"{name!r} is not the key of the log; that is {known!r}")
        old, head = holders[-1], log.checkpoint(conn)
        if old.valid_until is None:
            enrolled.revoke(conn, name, now)
        following = _next_name(name)
        # one that was made before, as in a token, is taken
        made = (
            keys.load(home, following)[1]
            if following in keys.names(home)
            else _made(home, old, following)
        )
        enrolled.enroll(conn, made)
        if head is not None:
            enrolled.close_log(conn, old, head)
            _go_on(conn, Signer(*keys.load(home, made.name)), old, head)
    if name in keys.names(home):
        keys.retire(home, name, now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    return made


def _made(home: Path, old: EnrolledKey, name: str) -> EnrolledKey:
    """Make the next log's key where the old one is: in its token, or as a file."""
    token = keys.token_of(home, old.name) if old.name in keys.names(home) else None
    if token is None:
        return keys.create(home, name, "log")
    holder = replace(old, name=name, valid_from=None, valid_until=None)
    return keys.follow_in_token(home, holder, signers.next_in_token(token))


def _go_on(conn: Connection, new: Signer, old: EnrolledKey, head: str) -> None:
    """Enter which log this one goes on from, and sign the first head."""
    entry = {
        "event": LOG_KEY,
        "from": {"name": old.name, "publicKeyMultibase": old.multikey, "finalHead": head},
        "to": {"name": new.holder.name, "publicKeyMultibase": new.holder.multikey},
    }
    log.append(conn, LOG_KEY, None, canonical.encode(entry))
    log.sign_head(conn, new.holder.name, new.key)


def _next_name(name: str) -> str:
    match = _NUMBER.fullmatch(name)
    return f"{match[1]}-{int(match[2]) + 1}" if match else f"{name}-2"
