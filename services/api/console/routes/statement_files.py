"""Files of a statement from the console: evidence pack, exports, reports."""

from __future__ import annotations

from itertools import groupby
from typing import Literal

from fastapi import APIRouter
from starlette.responses import RedirectResponse, Response

from mrv.report.words import Words as ReportWords
from mrv.statement.diagram import line_diagram
from mrv.statement.plan_reader import read_plan
from services.api.console.render import Language, render
from services.api.console.routes.statement_days import own
from services.api.console.session import View, signed_in
from services.api.jobs import DONE, file_job_of
from services.api.principals import PUBLIC
from services.api.problems import ProblemError
from services.api.reports import later, pack_place, report_place, send_pack, send_report
from services.api.request_context import Asked
from services.api.routes.exports import jcm_zip, project_zip
from services.api.routes.jobs import JobId, own_job, send_file
from services.api.routes.statements import StatementId, visible
from services.issuer.export_files import submission as checked
from services.store.statements import file_jobs, statements
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


@router.get("/console/{language}/statements/{statement}/evidence")
def evidence(ask: View, language: Language, statement: StatementId) -> Response:
    """Return the evidence pack to a signed-in user; redirect to a job if it must be made."""
    stored, _ = own(ask, statement)
    if not pack_place(ask.api, stored)[0].exists():
        return job_page(ask, language, Wanted("pack", statement, "zip", None))
    with ask.reading() as conn:
        ask.noted(conn, 200)
    return send_pack(ask, stored)


@router.get("/console/{language}/statements/{statement}/exports/{form}.zip")
def exported(
    ask: View,
    language: Language,  # noqa: ARG001 - its address says it
    statement: StatementId,
    form: Literal["cdop", "cad-trust", "jcm"],
) -> Response:
    """Return an export for a registry, for signed-in users."""
    stored, _ = own(ask, statement)
    if form == "jcm":
        return jcm_zip(ask, statement)
    return project_zip(ask, stored.project, form)


@router.get("/console/{language}/statements/{statement}/submission")
def submission(ask: View, language: Language, statement: StatementId) -> Response:
    """Return the page of a programme's checks of a statement, for signed-in users."""
    stored, _ = own(ask, statement)
    with ask.api.files.connection() as conn:
        facts, lines = checked(conn, statement, language)
    parts = [(part, list(lines)) for part, lines in groupby(lines, key=lambda line: line.part)]
    words, line = ReportWords(language).all, bool(facts.plan.points)
    return render(
        ask, language, "submission.html", stored=stored, parts=parts, words=words, line=line
    )


@router.get("/console/{language}/statements/{statement}/line-diagram.svg")
def line(ask: View, language: Language, statement: StatementId) -> Response:
    """Return the single-line diagram of a statement, for signed-in users."""
    own(ask, statement)
    with ask.reading() as conn:
        drawn = line_diagram(read_plan(statements.detail(conn, statement)["plan"]), language)
    if drawn is None:
        raise ProblemError(
            404,
            f"the single-line diagram of {statement} cannot be drawn: none of its meters"
            f" has `feeds`;"
            " enter `feeds` of the devices in the registry file",
        )
    return Response(drawn, media_type="image/svg+xml")


@router.get("/console/{language}/statements/{statement}/report.{wanted}")
def report_file(
    ask: View, language: Language, statement: StatementId, wanted: Literal["pdf", "xlsx"]
) -> Response:
    """Return the report in the page's language; the workbook only for signed-in users."""
    if wanted == "xlsx":
        stored, _ = own(ask, statement)
    else:
        with ask.reading() as conn:
            stored = visible(conn, ask.who, statement)
    if ask.who is not PUBLIC and not report_place(ask.api, stored, wanted, language)[0].exists():
        return job_page(ask, language, Wanted("report", statement, wanted, language))
    return send_report(ask, stored, wanted, language)
