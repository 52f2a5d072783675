"""Files of a statement from the console: evidence pack, exports, reports."""

from __future__ import annotations

from itertools import groupby
from typing import Literal

from fastapi import APIRouter
from starlette.responses import Response

from mrv.report.words import Words as ReportWords
from mrv.statement.diagram import line_diagram
from mrv.statement.plan_reader import read_plan
from services.api.console.render import Language, render
from services.api.console.routes.jobs import job_page
from services.api.console.routes.statement_access import own
from services.api.console.session import View
from services.api.principals import PUBLIC
from services.api.problems import ProblemError
from services.api.reports import pack_place, report_place, send_pack, send_report
from services.api.routes.exports import jcm_zip, project_zip
from services.api.routes.statements import StatementId, visible
from services.issuer.export_files import submission as checked
from services.store.statements import statements
from services.store.statements.file_jobs import Wanted

router = APIRouter(include_in_schema=False)


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
            "no meter of this statement states which load it feeds; enter `feeds` of its devices",
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
