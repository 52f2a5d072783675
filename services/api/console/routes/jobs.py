"""Page of a file job: its progress, and the file once it is made."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import RedirectResponse, Response

from services.api.console.render import Language, render
from services.api.console.session import View, signed_in
from services.api.jobs import DONE, file_job_of
from services.api.request_context import Asked
from services.api.respond_async import later
from services.api.routes.jobs import JobId, own_job, send_file
from services.store.statements import file_jobs
from services.store.statements.file_jobs import Wanted

router = APIRouter(include_in_schema=False)
_ELSEWHERE = 303
# the page asks again by itself while the file is being made
_AGAIN_S = 2


def job_page(ask: Asked, language: Language, wanted: Wanted) -> Response:
    """Start the job that makes a file, and redirect to its page."""
    job = later(ask, wanted).headers["Location"].rpartition("/")[2]
    return RedirectResponse(f"/console/{language}/jobs/{job}", _ELSEWHERE)


@router.get("/console/{language}/jobs/{job}")
def page(ask: View, language: Language, job: JobId) -> Response:
    """Return the page of a file job's progress."""
    signed_in(ask, "what is being made")
    with ask.reading() as conn:
        file_job = own_job(ask, conn, job)
        steps = file_jobs.progress_of(conn, job)
    values = file_job_of(file_job, steps)
    answer = render(ask, language, "job.html", job=values, wanted=file_job.wanted)
    if file_job.status is None:
        answer.headers["Refresh"] = str(_AGAIN_S)
    return answer


@router.get("/console/{language}/jobs/{job}/file")
def file(ask: View, language: Language, job: JobId) -> Response:
    """Return the file; redirect to its page while it is not made."""
    signed_in(ask, "what was made")
    with ask.reading() as conn:
        file_job = own_job(ask, conn, job)
    if file_job.status != DONE:
        return RedirectResponse(f"/console/{language}/jobs/{job}", _ELSEWHERE)
    return send_file(ask, job)
