"""
Queue of report and pack files made in the background, with their progress.

A process of the API takes a job, makes the file and records the result.  A job without progress for
`STALE_S` is given to another process.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple
from uuid import UUID

from psycopg import Connection
from psycopg.rows import TupleRow

KEPT_S = 86_400.0
STALE_S = 900.0
# unfinished ones of one principal
MOST_A_PRINCIPAL = 20
MOST_ATTEMPTS = 3
DONE = 200
Kind = Literal["pack", "report"]


class Wanted(NamedTuple):
    """Requested file: a pack as zip, or a report with format and language."""

    kind: Kind
    statement: str
    format: str
    language: str | None


class Progress(NamedTuple):
    """Steps done, their total where known, and the name of the current one."""

    done: int
    total: int | None
    step: str


@dataclass(frozen=True, slots=True)
class FileJob:
    """
    Background job for a file.

    `principal`: API principal who requested it.
    `ahead`: number of jobs before it.
    `status`: result as an HTTP status; None until it has ended.
    `size`: bytes of the file.
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
        if len(rows) >= MOST_A_PRINCIPAL:
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
        if attempts <= MOST_ATTEMPTS:
            return job
        why = f"it was started {MOST_ATTEMPTS} times and did not end; see the log of the API"
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
    """Release a job for another process, as this one ends."""
    conn.execute(
        "UPDATE file_job SET began = NULL, attempts = attempts - 1 WHERE id = %s AND ended IS NULL",
        [id_],
    )


def find(conn: Connection, id_: UUID) -> FileJob | None:
    """Return a job; None if there is none of that id."""
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
    """
    Delete jobs that were requested more than a day ago, with their results;
    return the number.
    """
    conn.execute(
        "DELETE FROM job_progress WHERE at < clock_timestamp() - make_interval(secs => %s)",
        [KEPT_S],
    )
    done = conn.execute(
        "DELETE FROM file_job WHERE asked < clock_timestamp() - make_interval(secs => %s)", [KEPT_S]
    )
    return done.rowcount


def tell(conn: Connection, job: UUID, progress: Progress) -> None:
    """Store the progress of a job, of a file or of the signer."""
    conn.execute(
        "INSERT INTO job_progress AS p (job, done, total, step) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT (job) DO UPDATE SET done = excluded.done, total = excluded.total,"
        " step = excluded.step, at = clock_timestamp()",
        (job, *progress),
    )


def progress_of(conn: Connection, job: UUID) -> Progress | None:
    """Return the progress of a job; None where it reported none."""
    row = conn.execute(
        "SELECT done, total, step FROM job_progress WHERE job = %s", [job]
    ).fetchone()
    return None if row is None else Progress(*row)
