"""The programme's two separate accounts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from mrv.report import MEDIA_TYPES, Format, make_programme
from services.api import schemas as shapes
from services.api.file_cache import current
from services.api.problems import ProblemError
from services.api.reports import Lang, spoken_language
from services.api.request_context import WholeReader
from services.issuer.planning import programme_report
from services.store.views import parks
from services.store.views.programme_report import progress_document

router = APIRouter(tags=["programme"])


@router.get("/programme", response_model=shapes.Programme)
def programme(
    ask: WholeReader, year: Annotated[int | None, Query(ge=1990, le=2200)] = None
) -> Response:
    """
    Return targets and progress by action, and tonnes that may be transferred abroad.

    The city's account is modelled, the projects' measured; they are never added.
    """
    with ask.reading() as conn:
        result = progress_document(conn, year)
    return current(result)


Year = Annotated[int | None, Query(ge=1990, le=2200)]


class Workbook(Response):
    """Media type of a workbook."""

    media_type = MEDIA_TYPES["xlsx"]


class Pages(Response):
    """Media type of a PDF."""

    media_type = MEDIA_TYPES["pdf"]


@router.get("/programme/report", response_model=shapes.ProgrammeReport)
def report(ask: WholeReader, year: Year = None) -> Response:
    """
    Return every system: devices, expected, measured, issued, transferable and provisional tonnes.

    `tCO2` is null for a system without methodology, with the reason.
    """
    return current(_report(ask, year))


@router.get("/programme/report.xlsx", response_class=Workbook)
def report_workbook(ask: WholeReader, year: Year = None, lang: Lang = None) -> Response:
    """Return the programme's report as a workbook, in the reader's language."""
    spoken = spoken_language(ask, lang)
    return report_file(_report(ask, year, spoken), "xlsx", spoken)


@router.get("/programme/report.pdf", response_class=Pages)
def report_pages(ask: WholeReader, year: Year = None, lang: Lang = None) -> Response:
    """Return the programme's report as PDF: findings, progress, actions, projects, evidence."""
    spoken = spoken_language(ask, lang)
    return report_file(_report(ask, year, spoken), "pdf", spoken)


def report_file(document: Mapping[str, Any], wanted: Format, language: str) -> Response:
    """Return a programme report as a file for download."""
    name = f"programme-{document['year']}.{language}.{wanted}"
    return Response(
        make_programme(document, wanted, language),
        media_type=MEDIA_TYPES[wanted],
        headers={
            "Cache-Control": "no-store",
            "Content-Disposition": f'attachment; filename="{name}"',
            "Content-Language": language,
            "Vary": "Authorization, Accept-Language",
        },
    )


@router.get("/parks/{park}", response_model=shapes.Park)
def park(
    ask: WholeReader,
    park: Annotated[str, Path(max_length=64, pattern="^[A-Za-z0-9_-]+$")],
    year: Annotated[int, Query(ge=1990, le=2200)],
) -> Response:
    """Return an eco-industrial park's balance of a year: energy, water, waste and heat."""
    span = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
    with ask.reading() as conn:
        if park not in parks.park_ids(conn):
            raise ProblemError(404, f"there is no park {park!r} that you may see; check its id")
        result = parks.balance(conn, park, *span)
    return current(result)


def _report(ask: WholeReader, year: int | None, language: str = "en") -> dict[str, Any]:
    with ask.reading() as conn:
        return programme_report(conn, year, language)
