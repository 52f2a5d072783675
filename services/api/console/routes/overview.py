"""The front page: what was saved, where, and how far the programme is."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Query, Request
from markupsafe import Markup
from psycopg import Connection
from starlette.responses import RedirectResponse, Response

from ingest.errors import RegistryError
from mrv.equivalents import diesel_litres
from mrv.registry import programme_systems as systems
from mrv.registry.programme_systems import System
from mrv.rounding import decimal_text
from services.api.console.charts.sparkline import sparkline
from services.api.console.maps.plots import sites_map
from services.api.console.render import Language, language_of, render
from services.api.console.routes.year import Year, added, trajectory
from services.api.console.session import View
from services.api.console.translations import Words
from services.api.principals import PUBLIC
from services.api.problems import ProblemError
from services.api.request_context import Asked
from services.store.views import alarms, city_year, console
from services.store.views.city_year import ProjectYear
from services.store.views.console import ProjectSums, SystemSums
from services.store.views.programme_progress import progress_document

router = APIRouter(include_in_schema=False)
UG_PER_T = 10**12
_WEEKS, _MOST_SHORT, _MOST_ALARMS = 53, 5, 200
YearQuery = Annotated[int | None, Query(ge=1990, le=2200)]
# of all that is stored of stations, what tells most at a glance
_CHOSEN = {
    "vn-aqi-hourly", "vn-aqi-daily", "qcvn-05-2023", "pm2_5_24h_ug_m3", "lden_dba", "leq_night_dba",
    "limits", "cod_24h_mg_l", "cod_load_kg_d", "vn-wqi",
}  # fmt: skip


class PageFigures(NamedTuple):
    """What the page shows."""

    of: Year

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
def overview(ask: View, language: Language, year: YearQuery = None) -> Response:
    """Show the front page, of a year; of this one where none is named."""
    found = recalled(ask, year)
    counted = {one.id for one in found.projects if one.counted}
    t, sums = Words(language), _sums(found)
    return render(
        ask,
        language,
        "overview.html",
        found=found,
        sums=sums,
        trajectory=trajectory(found.of, sums.target_t, t),
        cards=_cards(found, t),
        short=sorted((one for one in found.of.projects if one.counted and one.short_t), key=_short)[
            :_MOST_SHORT
        ],
        states={one.id: one for one in found.projects},
        alarms=_alarms(ask),
        drawn=sites_map(found.sites) if found.sites else None,
        chosen=[row for row in found.stations if row[3] in _CHOSEN],
        tonnes=tonnes,
        rounded=rounded,
        beside=[one for one in found.projects if one.id not in counted],
    )


def recalled(ask: Asked, year: int | None = None) -> PageFigures:
    """
    Return what the front page shows, asked of the database once in a while.

    Raises
    ------
    ProblemError
        404 for a year of which nothing is accounted.
    """

    def known() -> list[int]:
        with ask.reading() as conn:
            return city_year.years(conn)

    years = ask.request.app.state.memory.get("years", known)
    if year is not None and year not in years:
        raise ProblemError(404, f"nothing is accounted of {year}; there are {years}")

    def find() -> PageFigures:
        with ask.reading() as conn:
            projects = console.project_sums(conn)
            sums = console.system_sums(conn, projects)
            today = datetime.now(UTC).date()
            of = year or today.year
            return PageFigures(
                Year(
                    of,
                    years,
                    city_year.project_years(conn, of),
                    city_year.avoided_by_day(conn, of),
                    city_year.expected_by_month(conn, of),
                    city_year.changes(conn) if of == today.year else None,
                    today,
                ),
                console.sites(conn),
                projects,
                console.stations(conn),
                _programme(conn, of),
                [(one, sums[one.id]) for one in systems.load().values() if one.id in sums],
            )

    return ask.request.app.state.memory.get(("overview", year), find)  # type: ignore[no-any-return]


class Sums(NamedTuple):
    """The year's tonnes, all counted projects together; None where nothing is known."""

    avoided_t: Decimal | None
    expected_t: Decimal | None
    end_t: Decimal | None
    percent: int | None
    issued_t: int
    target_t: Decimal | None
    of_target: str | None
    diesel_l: int | None
    statements_t: Decimal | None


def _sums(found: PageFigures) -> Sums:
    counted = [one for one in found.of.projects if one.counted]
    avoided = added(one.avoided_t for one in counted)
    expected = added(one.expected_t for one in counted)
    ahead = added(one.ahead_t for one in counted)
    target = _target(found.programme)
    return Sums(
        avoided,
        expected,
        None if ahead is None else (avoided or Decimal(0)) + ahead,
        None if avoided is None or not expected else int(avoided / expected * 100),
        sum(one.issued_t for one in found.projects if one.counted),
        target,
        None if avoided is None or not target else f"{float(avoided / target) * 100:.2g}",
        None if avoided is None else diesel_litres(Fraction(avoided)),
        added(one.statements_t for one in counted),
    )


def _target(programme: dict[str, Any] | None) -> Decimal | None:
    """Return what the top actions' targets come to; None where one states none. [t a year]"""
    if programme is None:
        return None
    tops = [one for one in programme["actions"] if not one["part_of"]]
    said = [one["city_model"]["target_t_per_year"] for one in tops]
    return sum(map(Decimal, said), Decimal(0)) if said and None not in said else None


def _short(one: ProjectYear) -> tuple[Decimal, str]:
    return -one.short_t, one.project


def _alarms(ask: Asked) -> list[dict[str, Any]]:
    """Return the dearest alarms that are not cleared, for whoever may see them."""
    if ask.who.role == PUBLIC.role:
        return []
    with ask.reading() as conn:
        found = alarms.listed(conn, ask.who.projects, _MOST_ALARMS, states=["open", "acknowledged"])
    return sorted(found, key=lambda one: -(one["cost_t_per_day"] or 0))[:_MOST_SHORT]


class Card(NamedTuple):
    """A system of the programme: its year, its curve, and how it is."""

    system: System
    sums: SystemSums
    avoided_t: Decimal | None
    expected_t: Decimal | None
    curve: Markup | None
    state: str


def _cards(found: PageFigures, t: Words) -> list[Card]:
    weeks: dict[str, list[Fraction | None]] = {}
    systems_of = {one.project: one.system for one in found.of.projects}
    for project, day, value in found.of.days:
        system = systems_of.get(project)
        if system is not None:
            held = weeks.setdefault(system, [None] * _WEEKS)
            week = min((day.timetuple().tm_yday - 1) // 7, _WEEKS - 1)
            held[week] = (held[week] or Fraction(0)) + Fraction(value)
    cards = []
    for one, sums in found.systems:
        own = [p for p in found.of.projects if p.system == one.id]
        avoided, expected = (
            added(getattr(p, of) for p in own) for of in ("avoided_t", "expected_t")
        )
        title = t.or_as_is(f"system.{one.id}", one.title)
        alt = f"{title}: {t('by_week')}"
        curve = sparkline(weeks[one.id], alt) if one.id in weeks else None
        cards.append(Card(one, sums, avoided, expected, curve, sums.state))
    return cards


def _programme(conn: Connection, year: int) -> dict[str, Any] | None:
    try:
        return progress_document(conn, year)
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
