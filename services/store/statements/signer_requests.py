"""
Queue of requests to the signer, with answers; rows are only added.

A request is taken under a session lock, so that it is free again when its process ends.  The answer
is written in the transaction of the work, under the request's id: each request is executed once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import Connection
from psycopg.rows import TupleRow
from psycopg.types.json import Jsonb

CHANNEL = "tonne_signer"
# a request whose process ended, or whose server was away, is tried again after 5, 10, 15 s
PAUSE_S = 5.0
_AT_A_GLANCE = 20


@dataclass(frozen=True, slots=True)
class Request:
    """
    Request to the signer.

    `kind`: one of the kinds permitted by the table.
    `subject`: the statement, or the project.
    `said`: canonical JSON: the submitted document, or the arguments.
    `actor`: person who requests, for the record.
    `principal`: caller of the API.
    """

    id: UUID
    kind: str
    subject: str
    said: bytes
    actor: str
    principal: str | None
    asked: datetime


class Answer(NamedTuple):
    """Answer to a request: a result, or the name of an error and its text."""

    at: datetime
    created: bool
    result: dict[str, Any] | None
    error: str | None
    detail: str | None


class Progress(NamedTuple):
    """Progress of a request: attempts, start of the last, number of requests before it."""

    request: Request
    attempts: int
    began: datetime | None
    ahead: int
    answer: Answer | None


class Waiting(NamedTuple):
    """Unanswered requests: their number, and the waiting time of the oldest. [s]"""

    requests: int
    oldest_s: float


_OPEN = "NOT EXISTS (SELECT FROM signer_answer s WHERE s.request_id = {}.id)"
_ROW = "r.id, r.kind, r.subject, r.said, r.actor, r.principal, r.asked"
_NEXT = f"""
SELECT {_ROW} FROM signer_request r
LEFT JOIN LATERAL (SELECT count(*) AS n, max(began) AS last FROM signer_attempt a
                   WHERE a.request_id = r.id) t ON true
WHERE r.kind = ANY(%s) AND {_OPEN.format("r")}
  AND (t.n = 0 OR t.last < clock_timestamp() - t.n * make_interval(secs => %s))
  AND NOT EXISTS (SELECT FROM signer_request e WHERE e.subject = r.subject
                  AND e.number < r.number AND {_OPEN.format("e")})
ORDER BY r.number LIMIT {_AT_A_GLANCE}
"""
_LOCK = "hashtextextended('signer request:' || %s, 0)"


def ask(conn: Connection, request: Request) -> None:
    """Add a request to the queue; the same id again changes nothing."""
    conn.execute(
        "INSERT INTO signer_request (id, kind, subject, said, actor, principal)"
        " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (id) DO NOTHING",
        (request.id, request.kind, request.subject, request.said, request.actor, request.principal),
    )


@contextmanager
def taken(conn: Connection, kinds: Collection[str]) -> Iterator[Request | None]:
    """Yield the next free request of given kinds, locked; None without one."""
    request = next(
        (candidate for candidate in _candidates(conn, kinds) if _lock(conn, candidate)), None
    )
    try:
        # it may have been answered between the look and the lock
        yield None if request is None or answer_of(conn, request.id) is not None else request
    finally:
        if request is not None and not conn.closed:
            conn.execute(f"SELECT pg_advisory_unlock({_LOCK})", [str(request.id)])


def _candidates(conn: Connection, kinds: Collection[str]) -> list[Request]:
    rows = conn.execute(_NEXT, [list(kinds), PAUSE_S]).fetchall()
    return [_request(row) for row in rows]


def _request(row: TupleRow) -> Request:
    id_, kind, subject, content, actor, principal, asked = row
    return Request(id_, kind, subject, bytes(content), actor, principal, asked)


def _lock(conn: Connection, request: Request) -> bool:
    row = conn.execute(f"SELECT pg_try_advisory_lock({_LOCK})", [str(request.id)]).fetchone()
    return row == (True,)


def begin(conn: Connection, id_: UUID) -> int:
    """Record that work on a request begins; return the number of the attempt, from 1."""
    row = conn.execute(
        "INSERT INTO signer_attempt (request_id, number)"
        " SELECT %(id)s, count(*) + 1 FROM signer_attempt WHERE request_id = %(id)s"
        " RETURNING number",
        {"id": id_},
    ).fetchone()
    if row is None:
        raise RuntimeError("INSERT .. RETURNING returns its row")
    return int(row[0])


def answer(conn: Connection, id_: UUID, result: dict[str, Any], *, created: bool) -> None:
    """Store the answer to a request, in the transaction of its execution."""
    conn.execute(
        "INSERT INTO signer_answer (request_id, created, result) VALUES (%s, %s, %s)",
        (id_, created, Jsonb(result)),
    )


def refuse(conn: Connection, id_: UUID, error: str, detail: str) -> None:
    """Store an error as answer to a request: name and detail."""
    conn.execute(
        "INSERT INTO signer_answer (request_id, created, error, detail) VALUES (%s, false, %s, %s)",
        (id_, error, detail),
    )


def answer_of(conn: Connection, id_: UUID) -> Answer | None:
    """Return the answer of a request, if there is one."""
    row = conn.execute(
        "SELECT at, created, result, error, detail FROM signer_answer WHERE request_id = %s", [id_]
    ).fetchone()
    return None if row is None else Answer(*row)


def progress(conn: Connection, id_: UUID) -> Progress | None:
    """Return the progress of a request; None if there is none of that id."""
    row = conn.execute(
        f"SELECT {_ROW},"
        " (SELECT count(*) FROM signer_attempt a WHERE a.request_id = r.id),"
        " (SELECT max(began) FROM signer_attempt a WHERE a.request_id = r.id),"
        f" (SELECT count(*) FROM signer_request e WHERE e.number < r.number"
        f"  AND {_OPEN.format('e')})"
        " FROM signer_request r WHERE r.id = %s",
        [id_],
    ).fetchone()
    if row is None:
        return None
    *request, attempts, began, ahead = row
    return Progress(_request(tuple(request)), attempts, began, ahead, answer_of(conn, id_))


def waiting(conn: Connection) -> Waiting:
    """Return the number of unanswered requests, and the waiting time of the oldest."""
    row = conn.execute(
        "SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(r.asked)), 0)"
        f"::double precision FROM signer_request r WHERE {_OPEN.format('r')}"
    ).fetchone()
    return Waiting(0, 0.0) if row is None else Waiting(*row)


def answered_last(conn: Connection) -> datetime | None:
    """Return the time of the signer's last answer; None if it never answered."""
    row = conn.execute("SELECT max(at) FROM signer_answer").fetchone()
    return None if row is None else row[0]
