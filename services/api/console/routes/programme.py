"""The programme by system and action, and the balance of its eco-industrial parks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from ingest.errors import RegistryError
from mrv import methodologies
from services.api.console.render import Language, render
from services.api.console.routes.overview import rounded
from services.api.console.session import View, signed_in_for_all
from services.api.problems import ProblemError
from services.api.routes.programme import Workbook, report_file
from services.api.routes.registry import IdPath, unknown
from services.store.views import parks
from services.store.views.programme_report import report_document

if TYPE_CHECKING:
    from services.api.request_context import Asked

router = APIRouter(include_in_schema=False)
Year = Annotated[int | None, Query(ge=1990, le=2200)]


@router.get("/console/{language}/programme")
def programme(ask: View, language: Language, year: Year = None) -> Response:
    """Show every system, action, station and park of a year; the two accounts apart."""
    found = _report(ask, year)
    listed = [p for s in found["systems"] for p in s["projects"]] + found["without_system"]
    return render(
        ask,
        language,
        "programme.html",
        found=found,
        projects=listed,
        fields=[one for s in found["systems"] for one in s["fields"]],
        stations=[one for s in found["systems"] for one in s["indicators"]],
        rounded=rounded,
    )


@router.get("/console/{language}/programme/report.xlsx", response_class=Workbook)
def workbook(ask: View, language: Language, year: Year = None) -> Response:
    """Give the same as a workbook, in the language of the page."""
    return report_file(_report(ask, year), language)


@router.get("/console/{language}/parks/{park}")
def park(ask: View, language: Language, park: IdPath, year: Year = None) -> Response:
    """Show what a park's members drew, made, gave each other and gave back in a year."""
    signed_in_for_all(ask, "the balance of a park")
    of = year or datetime.now(UTC).year
    span = datetime(of, 1, 1, tzinfo=UTC), datetime(of + 1, 1, 1, tzinfo=UTC)

    def find() -> dict[str, Any]:
        with ask.reading() as conn:
            if park not in parks.park_ids(conn):
                raise unknown("park", park)
            return parks.balance(conn, park, *span)

    found = ask.request.app.state.memory.get(("park", park, of), find)
    names = {one["site"]: one["name"] for one in found["members"]}
    return render(ask, language, "park.html", found=found, year=of, names=names, rounded=rounded)


def _report(ask: Asked, year: int | None) -> dict[str, Any]:
    signed_in_for_all(ask, "the programme's report")

    def find() -> dict[str, Any]:
        with ask.reading() as conn:
            return report_document(conn, year, methodologies.by_time())

    try:
        found: dict[str, Any] = ask.request.app.state.memory.get(("programme", year), find)
    except RegistryError as error:
        raise ProblemError(404, str(error)) from error
    return found
