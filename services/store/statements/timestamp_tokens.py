"""Stored tokens of time-stamp authorities, and heads and statements without enough of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from psycopg import Connection

_COLUMNS = "digest, size, statement_id, authority, signer, url, time, token, chain, received"
# entries that only a head seals: days, and statements that were issued
_SEALING = ("data", "issued")


@dataclass(frozen=True, slots=True)
class Token:
    """
    Time-stamp token of a head of the log (`size`) or a signed statement (`statement`).

    Parameters
    ----------
    digest : bytes
        SHA-256 of the stamped bytes.
    authority, signer : str
        Names in the list of trusted authorities, and in the certificate.
    token : bytes
        TimeStampResp, in DER.
    chain : str
        Certificates of the authority trusted at that time, in PEM.
    """

    digest: bytes
    size: int | None
    statement: str | None
    authority: str
    signer: str
    url: str
    time: datetime
    token: bytes
    chain: str
    received: datetime


class HeadToStamp(NamedTuple):
    """A head of the log with seals, and the time of the oldest."""

    size: int
    note: str
    since: datetime


def add(conn: Connection, token: Token) -> bool:
    """Store a token; return whether it is the first of that authority for these bytes."""
    cursor = conn.execute(
        f"INSERT INTO timestamp_token ({_COLUMNS}) VALUES"
        " (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        (
            token.digest, token.size, token.statement, token.authority, token.signer, token.url,
            token.time, token.token, token.chain, token.received,
        ),
    )  # fmt: skip
    return cursor.rowcount == 1


def of_digest(conn: Connection, digest: bytes) -> list[Token]:
    """Return the tokens over these bytes, by time."""
    return _tokens(conn, "digest = %s", [digest])


def of_statement(conn: Connection, statement: str) -> list[Token]:
    """Return the tokens over a statement, by time."""
    return _tokens(conn, "statement_id = %s", [statement])


def of_heads(conn: Connection) -> dict[int, list[Token]]:
    """Return the tokens over heads of the log, by the head's size."""
    tokens: dict[int, list[Token]] = {}
    for token in _tokens(conn, "size IS NOT NULL", []):
        tokens.setdefault(int(token.size or 0), []).append(token)
    return tokens


def every(conn: Connection) -> list[Token]:
    """Return all tokens, by time."""
    return _tokens(conn, "true", [])


def _tokens(conn: Connection, where: str, values: Sequence[object]) -> list[Token]:
    rows = conn.execute(
        f"SELECT {_COLUMNS} FROM timestamp_token WHERE {where} ORDER BY time, sequence", values
    )
    return [Token(*row) for row in rows]


def head_to_stamp(conn: Connection, enough: int) -> HeadToStamp | None:
    """
    Return the newest head with seals not yet covered by a sufficiently stamped head; None without.

    A token over an older head would prove less.

    Parameters
    ----------
    enough : int
        Number of authorities that a stamped head needs.
    """
    row = conn.execute(
        "WITH done AS (SELECT coalesce(max(size), 0) AS size FROM (SELECT size FROM timestamp_token"
        " WHERE size IS NOT NULL GROUP BY size HAVING count(DISTINCT authority) >= %s) s),"
        " waiting AS (SELECT e.index, e.appended FROM log_entry e, done"
        " WHERE e.kind = ANY(%s) AND e.index >= done.size)"
        " SELECT c.size, c.note, (SELECT min(appended) FROM waiting WHERE index < c.size)"
        " FROM log_checkpoint c WHERE c.size > (SELECT min(index) FROM waiting)"
        " ORDER BY c.size DESC LIMIT 1",
        (enough, list(_SEALING)),
    ).fetchone()
    return None if row is None else HeadToStamp(int(row[0]), row[1], row[2])


def statements_to_stamp(conn: Connection, enough: int) -> list[str]:
    """Return issued statements with stamps of fewer authorities, oldest first."""
    rows = conn.execute(
        "SELECT e.statement_id FROM log_entry e WHERE e.kind = 'issued' AND"
        " (SELECT count(DISTINCT t.authority) FROM timestamp_token t"
        "  WHERE t.statement_id = e.statement_id) < %s ORDER BY e.index",
        [enough],
    )
    return [str(row[0]) for row in rows]
