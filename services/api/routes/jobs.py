"""Jobs: background steps and files."""

from __future__ import annotations

from typing import Annotated, cast
from uuid import UUID

from fastapi import APIRouter, Path
from psycopg import Connection
from starlette.responses import Response

from mrv.report import Format
from services.api import schemas as shapes
from services.api.jobs import DONE, file_job_of, job_of
from services.api.paging import current
from services.api.problems import ProblemError
from services.api.reports import send_pack, send_report
from services.api.request_context import Asked, Reader
from services.api.routes.registry import unknown
from services.api.routes.statements import visible
from services.store.statements import file_jobs
from services.store.statements import signer_requests as queue
from services.store.statements.file_jobs import FileJob

router = APIRouter(tags=["life of a statement"])
JobId = Annotated[UUID, Path(description="Number of the job, from the answer 202.")]


@router.get("/jobs/{job}", response_model=shapes.Job)
def job(ask: Reader, job: JobId) -> Response:
    """
    Return the progress and the result of a job.

    Visible to the requester, and to administrators of all projects.
    """
    with ask.reading() as conn:
        steps = file_jobs.progress_of(conn, job)
        file = file_jobs.find(conn, job)
        if file is not None and _visible(ask, file.principal):
            return current(file_job_of(file, steps))
        progress = queue.progress(conn, job)
    if progress is None or not _visible(ask, progress.request.principal):
        raise unknown("job", str(job))
    return current(job_of(progress, steps))


@router.get(
    "/jobs/{job}/file",
    responses={
        200: {"content": {"application/octet-stream": {}}},
        206: {"description": "A part", "content": {"application/octet-stream": {}}},
        304: {"description": "Not modified: the caller has the current version"},
    },
    response_class=Response,
)
def file(ask: Reader, job: JobId) -> Response:
    """
    Return the file of a job, for a day after the request.

    Only for the requester, if still permitted.
    """
    return send_file(ask, job)


def send_file(ask: Asked, job: UUID) -> Response:
    """
    Return the file of a job.

    Raises
    ------
    ProblemError
        404 if it belongs to another caller; 409 if it has no file, or not yet.
    """
    with ask.reading() as conn:
        file_job = own_job(ask, conn, job)
        stored = visible(conn, ask.who, file_job.wanted.statement)
        wanted = file_job.wanted
        # a PDF of an issued statement is public; all else is of whoever sees the project
        if wanted.format != "pdf" and not ask.who.sees(stored.project):
            raise unknown("job", str(job))
        if file_job.status is None:
            raise ProblemError(409, f"job {job} is not done yet; see /v1/jobs/{job}")
        if file_job.status != DONE:
            raise ProblemError(409, f"job {job} made no file: {file_job.detail}")
        if wanted.kind == "pack":
            ask.noted(conn, DONE)
    if wanted.kind == "pack":
        return send_pack(ask, stored)
    return send_report(ask, stored, cast("Format", wanted.format), wanted.language or "en")


def own_job(ask: Asked, conn: Connection, job: UUID) -> FileJob:
    """
    Return the caller's file job.

    Raises
    ------
    ProblemError
        404, equal for jobs of others, of steps, and unknown ones.
    """
    file_job = file_jobs.find(conn, job)
    if file_job is None or file_job.principal != ask.who.id:
        raise unknown("job", str(job))
    return file_job


def _visible(ask: Asked, principal: str | None) -> bool:
    return principal == ask.who.id or (ask.who.role == "admin" and ask.who.sees_all)
