"""Jobs: steps that somebody asked for and did not wait for."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path
from starlette.responses import Response

from services.api import schemas as shapes
from services.api.jobs import job_of
from services.api.paging import current
from services.api.request_context import Reader
from services.api.routes.registry import unknown
from services.store.statements import signer_requests as queue

router = APIRouter(tags=["life of a statement"])
JobId = Annotated[UUID, Path(description="Number of the job, as the answer 202 gave it.")]


@router.get("/jobs/{job}", response_model=shapes.Job)
def job(ask: Reader, job: JobId) -> Response:
    """
    Return how far a job is, and what came of it.

    Whoever asked for it sees it, and an administrator of all projects.
    """
    with ask.reading() as conn:
        found = queue.progress(conn, job)
    of_all = ask.who.role == "admin" and ask.who.sees_all
    if found is None or not (found.request.principal == ask.who.id or of_all):
        raise unknown("job", str(job))
    return current(job_of(found))
