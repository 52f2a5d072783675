"""The front page: what was saved, where, and how far the programme is."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from ingest.errors import RegistryError
from mrv.registry import programme_systems as systems
from mrv.rounding import decimal_text
from services.api.console.maps.plots import HEIGHT, WIDTH, sites_map
from services.api.console.render import Language, language_of, render
from services.api.console.session import View
from services.store.views import console
from services.store.views.programme_progress import progress_document

if TYPE_CHECKING:
    from decimal import Decimal

    from psycopg import Connection
    from psycopg.rows import TupleRow

    from mrv.registry.programme_systems import System
    from services.api.request_context import Asked
    from services.store.views.console import ProjectSums, SystemSums

router = APIRouter(include_in_schema=False)
UG_PER_T = 10**12
# of all that is stored of stations, what tells most at a glance
_CHOSEN = {
    "vn-aqi-hourly", "vn-aqi-daily", "qcvn-05-2023", "pm2_5_24h_ug_m3", "lden_dba", "leq_night_dba",
    "limits", "cod_24h_mg_l", "cod_load_kg_d", "vn-wqi",
}  # fmt: skip


class Found(NamedTuple):
    """What the page shows."""

    sites: list[console.Site]
    projects: list[ProjectSums]
    stations: list[Any]
    programme: dict[str, Any] | None
    systems: list[tuple[System, SystemSums]]


@router.get("/")
@router.get("/console")
@router.get("/console/")
def entrance(request: Request) -> Response:
    """Lead to the front page in the browser's language."""
    return RedirectResponse(f"/console/{language_of(request)}/", 303, {"Vary": "Accept-Language"})


@router.get("/console/{language}/")
def overview(ask: View, language: Language) -> Response:
    """Show the front page."""
    found = recalled(ask)
    counted = [one for one in found.projects if one.counted]
    issued = sum(one.issued_t for one in counted)
    monitored = [int(p.reduction_ug) for p in counted if p.reduction_ug is not None]
    return render(
        ask,
        language,
        "overview.html",
        found=found,
        drawn=sites_map(found.sites) if found.sites else None,
        size=(WIDTH, HEIGHT),
        issued=issued,
        monitored=tonnes(sum(monitored)) if monitored else None,
        chosen=[row for row in found.stations if row[2] in _CHOSEN],
        tonnes=tonnes,
        rounded=rounded,
        beside=[one for one in found.projects if not one.counted],
    )


def recalled(ask: Asked) -> Found:
    """Return what the front page shows, asked of the database once in a while."""

    def find() -> Found:
        with ask.reading() as conn:
            projects = console.project_sums(conn)
            sums = console.system_sums(conn, projects)
            return Found(
                console.sites(conn),
                projects,
                console.stations(conn),
                _programme(conn),
                [(one, sums[one.id]) for one in systems.load().values() if one.id in sums],
            )

    return ask.request.app.state.memory.get("overview", find)  # type: ignore[no-any-return]


def _programme(conn: Connection[TupleRow]) -> dict[str, Any] | None:
    try:
        return progress_document(conn, None)
    except RegistryError:
        return None  # no programme is registered


def tonnes(ug: object, places: int = 3) -> str | None:
    """Return micrograms as tonnes, rounded down; None where nothing is known."""
    if ug is None:
        return None
    return decimal_text(Fraction(int(ug), UG_PER_T), places, "down")  # type: ignore[call-overload]


def rounded(value: str | Decimal | None) -> str | None:
    """Return tonnes with three places, rounded down."""
    return None if value is None else decimal_text(Fraction(value), 3, "down")
