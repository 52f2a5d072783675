"""
Queues: files made in the background, and requests to the signer.

A process of the API takes a job, creates the report or pack, and records the result.  A job without
progress for `STALE_S` is given to another process.

Requests to the signer and answers are append-only.  A request is taken under a session lock, which
ends with its process.  The answer is stored in the transaction of the work, under the request's id,
so that each request is executed once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple
from uuid import UUID

from psycopg import Connection
from psycopg.rows import TupleRow
from psycopg.types.json import Jsonb

KEPT_S = 86_400.0
STALE_S = 900.0
# maximum number of unfinished jobs of a principal
MAX_JOBS_PER_PRINCIPAL = 20
MAX_ATTEMPTS = 3
DONE = 200
Kind = Literal["pack", "report"]


class Wanted(NamedTuple):
    """Requested file: a pack as zip, or a report with format and language."""

    kind: Kind
    statement: str
    format: str
    language: str | None


class Progress(NamedTuple):
    """Number of completed steps, total number (None if unknown), and name of the current step."""

    done: int
    total: int | None
    step: str


@dataclass(frozen=True, slots=True)
class FileJob:
    """
    Background job for a file.

    `principal`: API principal that requested it.
    `ahead`: number of jobs before it.
    `status`: result as an HTTP status; None until it has ended.
    `size`: size of the file. [byte]
    """

    id: UUID
    wanted: Wanted
    principal: str
    asked: datetime
    began: datetime | None
    ended: datetime | None
    status: int | None
    detail: str | None
    size: int | None
    ahead: int


_WANTED = "kind, statement, format, language"
_ROW = f"id, {_WANTED}, principal, asked, began, ended, status, detail, bytes"
_FREE = (
    "ended IS NULL AND (began IS NULL OR greatest(began, coalesce((SELECT p.at FROM job_progress p"
    " WHERE p.job = f.id), began)) < clock_timestamp() - make_interval(secs => %(stale)s))"
)
_TAKE = f"""
UPDATE file_job SET began = clock_timestamp(), attempts = attempts + 1
WHERE id = (SELECT f.id FROM file_job f WHERE {_FREE}
            ORDER BY asked FOR UPDATE SKIP LOCKED LIMIT 1)
RETURNING {_ROW}, attempts
"""


def ask(conn: Connection, id_: UUID, wanted: Wanted, principal: str) -> UUID | None:
    """
    Request a file; return the job's id, or None if too many jobs are waiting.

    A repeated request of the same principal returns the existing job.
    """
    with conn.transaction():
        conn.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended('file job:' || %s, 0))", [principal]
        )
        rows = conn.execute(
            f"SELECT id, {_WANTED} FROM file_job WHERE principal = %s AND ended IS NULL",
            [principal],
        ).fetchall()
        for known, *what in rows:
            if Wanted(*what) == wanted:
                result: UUID = known
                return result
        if len(rows) >= MAX_JOBS_PER_PRINCIPAL:
            return None
        conn.execute(
            f"INSERT INTO file_job (id, {_WANTED}, principal) VALUES (%s, %s, %s, %s, %s, %s)",
            (id_, *wanted, principal),
        )
    return id_


def take(conn: Connection) -> FileJob | None:
    """Return the next free job; None without one."""
    while True:
        row = conn.execute(_TAKE, {"stale": STALE_S}).fetchone()
        if row is None:
            return None
        *known, attempts = row
        job = _job(tuple(known), 0)
        if attempts <= MAX_ATTEMPTS:
            return job
        why = f"it was started {MAX_ATTEMPTS} times and did not end; see the log of the API"
        end(conn, job.id, 500, detail=why)


def end(
    conn: Connection, id_: UUID, status: int, *, detail: str | None = None, size: int | None = None
) -> None:
    """Record the result of a job."""
    conn.execute(
        "UPDATE file_job SET ended = clock_timestamp(), status = %s, detail = %s, bytes = %s"
        " WHERE id = %s AND ended IS NULL",
        (status, detail, size, id_),
    )


def give_back(conn: Connection, id_: UUID) -> None:
    """Release a job for another process, when this process ends."""
    conn.execute(
        "UPDATE file_job SET began = NULL, attempts = attempts - 1 WHERE id = %s AND ended IS NULL",
        [id_],
    )


def find(conn: Connection, id_: UUID) -> FileJob | None:
    """Return a job; None if its id is unknown."""
    row = conn.execute(
        f"SELECT {_ROW}, CASE WHEN ended IS NULL THEN (SELECT count(*) FROM file_job e"
        " WHERE e.ended IS NULL AND e.asked < f.asked) ELSE 0 END FROM file_job f WHERE id = %s",
        [id_],
    ).fetchone()
    if row is None:
        return None
    *known, ahead = row
    return _job(tuple(known), ahead)


def _job(row: TupleRow, ahead: int) -> FileJob:
    id_, kind, statement, format_, language, principal, asked, began, ended, status, *rest = row
    detail, size = rest
    wanted = Wanted(kind, statement, format_, language)
    return FileJob(id_, wanted, principal, asked, began, ended, status, detail, size, ahead)


def forget_old(conn: Connection) -> int:
    """Delete jobs requested more than a day ago, and their results; return the number."""
    conn.execute(
        "DELETE FROM job_progress WHERE at < clock_timestamp() - make_interval(secs => %s)",
        [KEPT_S],
    )
    done = conn.execute(
        "DELETE FROM file_job WHERE asked < clock_timestamp() - make_interval(secs => %s)", [KEPT_S]
    )
    return done.rowcount


def store_progress(conn: Connection, job: UUID, progress: Progress) -> None:
    """Store the progress of a file's job or of a signer's request."""
    conn.execute(
        "INSERT INTO job_progress AS p (job, done, total, step) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT (job) DO UPDATE SET done = excluded.done, total = excluded.total,"
        " step = excluded.step, at = clock_timestamp()",
        (job, *progress),
    )


def progress_of(conn: Connection, job: UUID) -> Progress | None:
    """Return the progress of a job; None if it has reported none."""
    row = conn.execute(
        "SELECT done, total, step FROM job_progress WHERE job = %s", [job]
    ).fetchone()
    return None if row is None else Progress(*row)


CHANNEL = "tonne_signer"
# pause before another attempt, times the number of attempts, after the process ended or a server
# was unreachable
PAUSE_S = 5.0
_AT_A_GLANCE = 20


@dataclass(frozen=True, slots=True)
class Request:
    """
    Request to the signer.

    `kind`: one of the kinds permitted by the table.
    `subject`: the statement, or the project.
    `content`: canonical JSON of the submitted document, or of the arguments.
    `actor`: person who requests, for the record.
    `principal`: caller of the API.
    """

    id: UUID
    kind: str
    subject: str
    content: bytes
    actor: str
    principal: str | None
    asked: datetime


class Answer(NamedTuple):
    """Answer to a request: a result, or the name of an error and its text; the others are None."""

    at: datetime
    created: bool
    result: dict[str, Any] | None
    error: str | None
    detail: str | None


class RequestProgress(NamedTuple):
    """
    Progress of a request.

    `attempts`: their number.  `began`: start of the last attempt; None before the first.
    `ahead`: number of earlier unanswered requests.  `answer`: None until it is answered.
    """

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
_REQUEST_ROW = "r.id, r.kind, r.subject, r.said, r.actor, r.principal, r.asked"
_NEXT = f"""
SELECT {_REQUEST_ROW} FROM signer_request r
LEFT JOIN LATERAL (SELECT count(*) AS n, max(began) AS last FROM signer_attempt a
                   WHERE a.request_id = r.id) t ON true
WHERE r.kind = ANY(%s) AND {_OPEN.format("r")}
  AND (t.n = 0 OR t.last < clock_timestamp() - t.n * make_interval(secs => %s))
  AND NOT EXISTS (SELECT FROM signer_request e WHERE e.subject = r.subject
                  AND e.number < r.number AND {_OPEN.format("e")})
ORDER BY r.number LIMIT {_AT_A_GLANCE}
"""
_LOCK = "hashtextextended('signer request:' || %s, 0)"


def add_request(conn: Connection, request: Request) -> None:
    """Add a request to the queue; a repeated id changes nothing."""
    conn.execute(
        "INSERT INTO signer_request (id, kind, subject, said, actor, principal)"
        " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (id) DO NOTHING",
        (
            request.id,
            request.kind,
            request.subject,
            request.content,
            request.actor,
            request.principal,
        ),
    )


@contextmanager
def taken(conn: Connection, kinds: Collection[str]) -> Iterator[Request | None]:
    """Context with the next free request of given kinds, locked; None if there is none."""
    request = next(
        (candidate for candidate in _candidates(conn, kinds) if _lock(conn, candidate)), None
    )
    try:
        # another process may have answered it before the lock
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
        raise RuntimeError("INSERT INTO signer_attempt .. RETURNING returned no row")
    return int(row[0])


def answer(conn: Connection, id_: UUID, result: dict[str, Any], *, created: bool) -> None:
    """Store the answer to a request, in the transaction of its execution."""
    conn.execute(
        "INSERT INTO signer_answer (request_id, created, result) VALUES (%s, %s, %s)",
        (id_, created, Jsonb(result)),
    )


def refuse(conn: Connection, id_: UUID, error: str, detail: str) -> None:
    """Store an error as the answer to a request: its name and text."""
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


def progress(conn: Connection, id_: UUID) -> RequestProgress | None:
    """Return the progress of a request; None if its id is unknown."""
    row = conn.execute(
        f"SELECT {_REQUEST_ROW},"
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
    return RequestProgress(_request(tuple(request)), attempts, began, ahead, answer_of(conn, id_))


def waiting(conn: Connection) -> Waiting:
    """Return the number of unanswered requests, and the waiting time of the oldest."""
    row = conn.execute(
        "SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(r.asked)), 0)"
        f"::double precision FROM signer_request r WHERE {_OPEN.format('r')}"
    ).fetchone()
    return Waiting(0, 0.0) if row is None else Waiting(*row)


def last_answer(conn: Connection) -> datetime | None:
    """Return the time of the signer's last answer; None if it never answered."""
    row = conn.execute("SELECT max(at) FROM signer_answer").fetchone()
    return None if row is None else row[0]
