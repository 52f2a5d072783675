"""Files of statements: evidence packs, exports for registries; and the jobs that make them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, cast
from uuid import UUID

from fastapi import APIRouter, Path, Query
from psycopg import Connection
from starlette.responses import JSONResponse, Response

from mrv.exports import Source
from mrv.exports.aef import aef
from mrv.exports.entered import Authority
from mrv.report import Format, make
from mrv.report.words import Words
from services.api import schemas as shapes
from services.api.answers import ACCEPTED_FILE, DONE, Preferred, ProblemError, file_job_of, job_of
from services.api.file_cache import current
from services.api.reports import Lang, chosen_language, later, may_wait, send_pack, send_report
from services.api.request_context import Ask, Reader, RequestContext, WholeReader
from services.api.routes.registry import unknown
from services.api.routes.statements import StatementId, conditional, visible
from services.issuer import export_files
from services.issuer.export_files import ExportFiles, line_json
from services.issuer.export_files import submission as submission_of
from services.issuer.report import facts_of
from services.processing.registry_import import registered
from services.store.registry.programme import filed
from services.store.statements import evidence as stored_files
from services.store.statements import queues, statements
from services.store.statements import queues as queue
from services.store.statements.queues import FileJob, Wanted
from services.store.views import listing
from services.store.views.listing import PUBLIC_STATES

router = APIRouter(tags=["exports"])
_ZIP: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}}
}
_END_US = 4_102_444_800_000_000  # 2100
ProjectId = Annotated[str, Path(max_length=64, pattern="^[A-Za-z0-9_-]+$", examples=["roof-1"])]
SiteId = Annotated[str, Path(max_length=64, pattern="^[A-Za-z0-9_-]+$", examples=["harbour-park"])]
Year = Annotated[
    int, Query(ge=1990, le=2100, examples=[2026], description="Calendar year of the report.")
]


@router.get("/projects/{project}/exports/{form}.zip", responses=_ZIP, response_class=Response)
def of_project(ask: Reader, project: ProjectId, form: Literal["cdop", "cad-trust"]) -> Response:
    """
    Return a project's issued statements in the format of CDOP or CAD Trust.

    CDOP is the Carbon Data Open Protocol.  The zip has one document or table per file.
    """
    with ask.reading() as conn:
        if not ask.who.sees(project) or not listing.projects(conn, [project], "", 1):
            raise unknown("project", project)
    return project_zip(ask, project, form)


@router.get("/statements/{statement}/exports/jcm.zip", responses=_ZIP, response_class=Response)
def jcm(ask: Reader, statement: StatementId) -> Response:
    """Return a statement's monitoring spreadsheet and issuance request, in tonne's own layout."""
    with ask.reading() as conn:
        stored = visible(conn, ask.who, statement)
    if not ask.who.sees(stored.project):
        raise unknown("statement", statement)
    return jcm_zip(ask, statement)


@router.get("/statements/{statement}/submission", response_model=shapes.Submission)
def checks(ask: Reader, statement: StatementId, lang: Lang = None) -> Response:
    """
    List the results of a completeness check and of an information and reporting check.

    Each line has what is missing, and the page of the report in that language.
    """
    with ask.reading() as conn:
        stored = visible(conn, ask.who, statement)
    if not ask.who.sees(stored.project):
        raise unknown("statement", statement)
    report_language = chosen_language(ask, lang)
    words = Words(report_language)
    with ask.api.files.connection() as conn:
        _, lines = submission_of(conn, statement, report_language)
    result = [line_json(line, words) for line in lines]
    complete = all(line.holds for line in lines)
    return JSONResponse(
        {"statement": statement, "state": stored.state, "complete": complete, "checks": result}
    )


@router.get("/statements/{statement}/exports/public.zip", responses=_ZIP, response_class=Response)
def public_version(ask: Ask, statement: StatementId) -> Response:
    """
    Return the newest published public version of a statement.

    Meters, persons, places and documents are hidden; `tonne export check-public` verifies the
    operator's signature.
    """
    with ask.reading() as conn:
        visible(conn, ask.who, statement)
        files = stored_files.newest_public_version(conn, statement)
    if files is None:
        raise ProblemError(
            404,
            f"no public version of {statement} was published; its operator makes "
            "one with `tonne export public --publish`",
        )
    sent = conditional(ask, files, "application/zip", PUBLIC_STATES[0])
    sent.headers["Content-Disposition"] = f'attachment; filename="{statement}-public.zip"'
    return sent


def project_zip(ask: RequestContext, project: str, form: str) -> Response:
    """Return a project's export to a permitted caller."""
    with ask.api.files.connection() as conn:
        sources, authority = _sources(conn, statements.claims_within(conn, project, 0, _END_US))
        if not sources:
            raise ProblemError(
                409, f"project {project} has no issued statement yet; issue one first"
            )
        make = export_files.cdop_files if form == "cdop" else export_files.cad_trust_files
        return _sent(ask, conn, make(sources, authority), sources, f"{project}-{form}")


def jcm_zip(ask: RequestContext, statement: str) -> Response:
    """Return a statement's JCM files to a permitted caller."""
    with ask.api.files.connection() as conn:
        sources, authority = _sources(conn, [statement])
        made = export_files.jcm_files(
            sources[0], authority, lambda: make(facts_of(conn, statement), "xlsx", "en")
        )
        return _sent(ask, conn, made, sources, f"{statement}-jcm")


@router.get("/exports/aef.zip", responses=_ZIP, response_class=Response)
def submission(
    ask: WholeReader,
    party: Annotated[str, Query(pattern="^[A-Z]{3}$", examples=["KEN"])],
    year: Year,
    version: Annotated[int, Query(ge=1, le=1000)] = 1,
) -> Response:
    """Return a Party's agreed electronic format of a year (Article 6.2), as filed or as a draft."""
    with ask.api.files.connection() as conn:
        authority = registered(conn, Authority())
        names = sorted({u.statement for a in authority.authorizations for u in a.units})
        sources = export_files.sources_of(conn, names, authority)
        draft = filed(conn, party, year, version) or aef(
            authority, {source.name for source in sources}, party, year, version
        )
        made = export_files.aef_files(draft)
        return _sent(ask, conn, made, sources, f"aef-{party}-{year}-{version}")


@router.get("/sites/{site}/exports/facility.zip", responses=_ZIP, response_class=Response)
def facility(ask: WholeReader, site: SiteId, year: Year) -> Response:
    """Return a facility's greenhouse gas inventory of a year, in its country's form."""
    with ask.api.files.connection() as conn:
        made = export_files.inventory_files(conn, site, year)
        return _sent(ask, conn, made, (), f"facility-{site}-{year}")


def _sources(conn: Connection, names: Sequence[str]) -> tuple[list[Source], Authority]:
    authority = registered(conn, Authority())
    return export_files.sources_of(conn, names, authority), authority


def _sent(
    ask: RequestContext, conn: Connection, made: ExportFiles, sources: Sequence[Source], name: str
) -> Response:
    """
    Return a folder as a reproducible zip, and store an audit row.

    `sources`: exported statements, whose missing evidence is added to `missing.json`.
    `name`: file name without `.zip`.
    """
    files = made.folder(sources)
    ask.noted(conn, 200)
    headers = {
        "Cache-Control": "no-store",
        "Content-Disposition": f'attachment; filename="{name}.zip"',
        "Tonne-Export": "draft" if made.draft.missing else "complete",
    }
    return Response(export_files.zipped(files), media_type="application/zip", headers=headers)


packs_router = APIRouter(tags=["statements"])


@packs_router.get(
    "/statements/{statement}/evidence",
    responses={
        200: {"content": {"application/zip": {}}},
        206: {"description": "A part", "content": {"application/zip": {}}},
        304: {"description": "Not modified: the caller has the current version"},
        **ACCEPTED_FILE,
    },
    response_class=Response,
)
def evidence(ask: Reader, statement: StatementId, prefer: Preferred = None) -> Response:
    """Return the evidence pack as a zip; unpack it and run `tonne verify` on the folder."""
    del prefer  # read by `may_wait`; declared here for OpenAPI only
    with ask.reading() as conn:
        stored = visible(conn, ask.who, statement)
        if not ask.who.sees(stored.project):
            raise unknown("statement", statement)
        if not may_wait(ask):
            ask.noted(conn, 200)
    if may_wait(ask):
        return later(ask, Wanted("pack", stored.id, "zip", None))
    return send_pack(ask, stored)


jobs_router = APIRouter(tags=["life of a statement"])
JobId = Annotated[UUID, Path(description="Number of the job, from the answer 202.")]


@jobs_router.get("/jobs/{job}", response_model=shapes.Job)
def job(ask: Reader, job: JobId) -> Response:
    """
    Return the progress and the result of a job.

    Visible to the requester, and to administrators of all projects.
    """
    with ask.reading() as conn:
        steps = queues.progress_of(conn, job)
        file = queues.find(conn, job)
        if file is not None and _visible(ask, file.principal):
            return current(file_job_of(file, steps))
        progress = queue.progress(conn, job)
    if progress is None or not _visible(ask, progress.request.principal):
        raise unknown("job", str(job))
    return current(job_of(progress, steps))


@jobs_router.get(
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

    It is returned only to the requester, if still permitted.
    """
    return send_file(ask, job)


def send_file(ask: RequestContext, job: UUID) -> Response:
    """
    Return the file of a job.

    Raises ProblemError: 404 if it belongs to another caller; 409 if it has no file, or not yet.
    """
    with ask.reading() as conn:
        file_job = own_job(ask, conn, job)
        stored = visible(conn, ask.who, file_job.wanted.statement)
        wanted = file_job.wanted
        # a PDF of an issued statement is public; other forms need access to the project
        if wanted.format != "pdf" and not ask.who.sees(stored.project):
            raise unknown("job", str(job))
        if file_job.status is None:
            raise ProblemError(409, f"job {job} is not done yet; see /v1/jobs/{job}")
        if file_job.status != DONE:
            raise ProblemError(
                409, f"job {job} made no file: {file_job.detail}; request the file again"
            )
        if wanted.kind == "pack":
            ask.noted(conn, DONE)
    if wanted.kind == "pack":
        return send_pack(ask, stored)
    return send_report(ask, stored, cast("Format", wanted.format), wanted.language or "en")


def own_job(ask: RequestContext, conn: Connection, job: UUID) -> FileJob:
    """
    Return the caller's file job.

    Raises ProblemError: 404 for an unknown job, another caller's job, and a statement's step.
    """
    file_job = queues.find(conn, job)
    if file_job is None or file_job.principal != ask.who.id:
        raise unknown("job", str(job))
    return file_job


def _visible(ask: RequestContext, principal: str | None) -> bool:
    return principal == ask.who.id or (ask.who.role == "admin" and ask.who.sees_all)
