"""
Front page: savings, map, and progress of the programme.

Sign-in with an API key, and sign-out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any, NamedTuple
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends, Query, Request
from markupsafe import Markup
from psycopg import Connection
from starlette.responses import RedirectResponse, Response

from ingest.errors import RegistryError
from mrv import factors
from mrv.methodologies import diesel_litres
from mrv.registry import programme_systems as systems
from mrv.registry.programme_systems import System
from mrv.texts import Text
from services.api.answers import ProblemError
from services.api.console.charts import declared, sparkline
from services.api.console.maps import Map, plain, sites_map
from services.api.console.render import (
    Language,
    View,
    close_session,
    language_of,
    namer,
    open_session,
    own,
    principal,
    refuse_foreign,
    render,
)
from services.api.console.routes.year import (
    Fault,
    Year,
    actions,
    colours,
    fault,
    finding,
    first_month,
    months_chart,
    of_no_action,
    ordered,
    outside,
    progress,
    short_name,
    shortfalls,
)
from services.api.console.translations import Words
from services.api.principals import PUBLIC
from services.api.request_context import RequestContext
from services.issuer.planning import unfit_plans
from services.store import api_keys
from services.store.registry import entries_from_rows, signing_keys
from services.store.views import alarms, console, coverage
from services.store.views.console import ProjectSums, SystemSums
from services.store.views.coverage import Accounted, ProjectYear, accounted, added
from services.store.views.programme_report import progress_document

router = APIRouter(include_in_schema=False)
_MONTHS, _MAX_CAUSES, MAX_ALARMS = 12, 4, 500
YearQuery = Annotated[int | None, Query(ge=1990, le=2200)]
# indicators of stations that are shown on the page
_CHOSEN = {
    "vn-aqi-hourly", "vn-aqi-daily", "qcvn-05-2023", "pm2_5_24h_ug_m3", "lden_dba", "leq_night_dba",
    "limits", "cod_24h_mg_l", "cod_load_kg_d", "vn-wqi",
}  # fmt: skip


class PageFigures(NamedTuple):
    """Figures of the front page."""

    of: Year

    sites: list[console.Site]
    main_sites: dict[str, str]
    projects: list[ProjectSums]
    stations: list[Any]
    programme: dict[str, Any] | None
    systems: list[tuple[System, SystemSums]]
    plans: dict[str, Text]
    operators: dict[str, str]
    responsible: dict[str, str]

    def answering(self, ask: RequestContext, project: str) -> list[str]:
        """Return the person responsible by a project's plan, if visible, and the operator."""
        plan = self.responsible.get(project) if ask.who.sees(project) else None
        return [person for person in (plan, self.operators.get(project)) if person]


@router.get("/")
@router.get("/console")
@router.get("/console/")
def entrance(request: Request) -> Response:
    """Redirect to the front page in the browser's language."""
    return RedirectResponse(f"/console/{language_of(request)}/", 303, {"Vary": "Accept-Language"})


@router.get("/console/{language}/")
def overview(ask: View, language: Language, year: YearQuery = None) -> Response:
    """Return the front page of a year; by default the current one."""
    page_figures = recalled(ask, year)
    t, name, root = Words(language), namer(ask, language), f"/console/{language}"
    states = {project.id: project for project in page_figures.projects}
    counted = {project.id for project in page_figures.projects if project.counted}
    by_action = actions(
        page_figures.of,
        _actions(page_figures),
        lambda action_id: _action_name(page_figures, action_id, t, name),
    )
    base = ask.request.app.state.base
    drawn = sites_map(page_figures.sites, base) if page_figures.sites else None
    standing: list[dict[str, Any]] = []
    if ask.who.role != PUBLIC.role:
        with ask.reading() as conn:
            standing, _ = alarms.standing(conn, ask.who.projects, MAX_ALARMS)
    faults = loss_causes(ask, page_figures, t, standing)
    return render(
        ask,
        language,
        "overview.html",
        figures=page_figures,
        sums=_sums(page_figures),
        finding=finding(
            page_figures.of.projects, states, page_figures.plans, page_figures.of.year, t, name
        ),
        progress=progress(page_figures.of),
        by_action=by_action,
        months=months_chart(page_figures.of, by_action, t),
        begin=first_month(page_figures.of, by_action),
        faults=_first(faults),
        count=len(faults),
        no_faults=outside(of_no_action(page_figures.of.projects), t) or t("faults.none"),
        ahead=lambda month: (
            (page_figures.of.year, month)
            > (page_figures.of.today.year, page_figures.of.today.month)
        ),
        cards=_cards(page_figures, t),
        rows=_rows(page_figures),
        drawn=drawn,
        map=None if drawn is None else _map(page_figures, drawn, root, t, name),
        largest=_largest(page_figures, t, name),
        beside=[project for project in page_figures.projects if project.id not in counted],
    )


def _actions(page_figures: PageFigures) -> dict[str, str | None]:
    return {project.id: project.action for project in page_figures.projects}


def _action_name(
    page_figures: PageFigures, action: str, t: Words, name: Callable[[str, str, str], str]
) -> str:
    if not action:
        return t("action.none")
    lines = () if page_figures.programme is None else page_figures.programme["actions"]
    registered = next((line["name"] for line in lines if line["action"] == action), action)
    return name("action", action, registered)


def _rows(page_figures: PageFigures) -> list[tuple[ProjectSums, ProjectYear | None, int | None]]:
    """Return projects with sums, year and achieved percentage, the largest shortfall first."""
    years = {project.project: project for project in page_figures.of.projects}
    rows = [
        (
            project,
            years.get(project.id),
            None if project.id not in years else years[project.id].percent,
        )
        for project in page_figures.projects
    ]
    return sorted(
        rows, key=lambda row: (-(row[1].short_t if row[1] and row[1].counted else 0), row[0].id)
    )


def loss_causes(
    ask: RequestContext, page_figures: PageFigures, t: Words, standing: Sequence[dict[str, Any]]
) -> list[Fault]:
    """Return causes of missing tonnes: shortfalls, and current alarms by cause."""
    root, name = f"/console/{t.language}", namer(ask, t.language)
    sites = {site.id: short_name(name("site", site.id, site.name)) for site in page_figures.sites}

    def where(at: Iterable[str], projects: Iterable[str]) -> str:
        own = dict.fromkeys(projects)
        places = dict.fromkeys(at) or dict.fromkeys(
            page_figures.main_sites[place] for place in own if place in page_figures.main_sites
        )
        lines = [t.and_more([sites.get(place, place) for place in places], 2)]
        named = dict.fromkeys(
            name("role", person, person)
            for project in own
            for person in page_figures.answering(ask, project)
        )
        lines += [t("fault.responsible", name=t.and_more(list(named), 2))] if named else []
        return " · ".join(line for line in lines if line)

    states = {project.id: project for project in page_figures.projects}
    faults = shortfalls(page_figures.of.projects, states, page_figures.plans, root, t, name, where)
    faults += [fault(group, root, t, where) for group in alarms.grouped(standing)]
    return ordered(faults)


def _first(faults: list[Fault]) -> list[Fault]:
    """Return the causes to show first; one place is kept for a cause whose loss is not known."""
    rest = [fault for fault in faults if fault.amount is None]
    return [fault for fault in faults if fault.amount is not None][
        : _MAX_CAUSES - bool(rest)
    ] + rest[: max(1, _MAX_CAUSES - len(faults) + len(rest))]


def _map(
    page_figures: PageFigures, drawn: Map, root: str, t: Words, name: Callable[[str, str, str], str]
) -> Markup:
    """Return the map of sites: tonnes of the year, main action, reporting meters."""
    years = {project.project: project for project in page_figures.of.projects}
    keys = colours(project.action for project in page_figures.projects if project.action)
    sites: list[tuple[Decimal, dict[str, object]]] = []
    for site in drawn.sites:
        own = [p for p in page_figures.projects if page_figures.main_sites.get(p.id) == site.id]
        made = [(years[p.id].avoided_t or Decimal(0), p) for p in own if p.id in years]
        maximum = max(made, key=lambda pair: (pair[0], pair[1].id), default=None)
        total = sum((t_ for t_, _ in made), Decimal(0))
        message = name("site", site.id, site.name)
        note = t.tonnes(total) if made else t("site.no_tonnes")
        if site.expected and site.sending < site.expected:
            note += f" · {site.sending}/{site.expected}"
        if site.id in drawn.far_km:
            note += f" · {t('sites.away', km=drawn.far_km[site.id])}"
        values = {
            "name": message, "short": short_name(message), "at": (site.longitude, site.latitude),
            "t": total, "far": site.id in drawn.far_km, "of": site.expected,
            "up": min(site.sending, site.expected), "note": note,
            "key": keys.get((maximum[1].action or "") if maximum else "", "a6"),
            "projects": [
                {
                    "name": name("project", p.id, p.name), "href": f"{root}/projects/{p.id}",
                    "amount": t.tonnes(years[p.id].avoided_t or 0) if p.id in years else "",
                }
                for p in own
            ],
        }  # fmt: skip
        sites.append((total, values))
    west, south, east, north = drawn.box
    figures = {
        "box": drawn.box, "middle": ((west + east) / 2, (south + north) / 2), "land": drawn.land,
        "areas": [plain(ring) for ring in drawn.base.areas],
        "water": [plain(line) for line in drawn.base.water],
        "places": [(place.name_in(t.language), place.at) for place in drawn.base.places],
        "sites": [site for _, site in sorted(sites, key=lambda pair: -pair[0])],
        "words": {
            "avoided": t("avoided"), "meters": t("meters_reporting"), "close": t("close"),
        },
    }  # fmt: skip
    return declared("map", figures, t("map.title", count=len(sites)), "sites", t)


def _largest(
    page_figures: PageFigures, t: Words, name: Callable[[str, str, str], str]
) -> str | None:
    """Return the site with the most avoided tonnes, and its share of them; None without any."""
    sums: dict[str, Decimal] = {}
    for project in page_figures.of.projects:
        site = page_figures.main_sites.get(project.project)
        if site is not None and project.avoided_t is not None and project.avoided_t > 0:
            sums[site] = sums.get(site, Decimal(0)) + project.avoided_t
    if not sums:
        return None
    total = sum(sums.values(), Decimal(0))
    largest = max(sums, key=lambda site: (sums[site], site))
    names = {site.id: short_name(name("site", site.id, site.name)) for site in page_figures.sites}
    site_name = names.get(largest, largest)
    return t("sites.finding", site=site_name, percent=t.share(sums[largest], total))


def recalled(ask: RequestContext, year: int | None = None) -> PageFigures:
    """
    Return the figures of the front page, cached for a while.

    Raises ProblemError: 404 for a year without account.
    """

    def known() -> list[Accounted]:
        with ask.reading() as conn:
            return accounted(conn)

    account = ask.request.app.state.memory.get("account", known)
    today = datetime.now(UTC).date()
    years = sorted({today.year, *(part.first.year for part in account)})
    if year is not None and year not in years:
        raise ProblemError(404, f"there are no figures of {year}; years with figures: {years}")

    def find() -> PageFigures:
        with ask.reading() as conn:
            projects = console.project_sums(conn, account=account)
            sums = console.system_sums(conn, projects)
            of = year or today.year
            counted = {project.id for project in projects if project.counted}
            return PageFigures(
                Year(
                    of,
                    years,
                    coverage.project_years(conn, of, account),
                    coverage.avoided_by_month(account, of),
                    coverage.expected_by_month(conn, of),
                    coverage.changes(account, counted) if of == today.year else None,
                    today,
                    coverage.parts(account, of, counted),
                ),
                console.sites(conn),
                coverage.main_sites(conn),
                projects,
                console.stations(conn, _CHOSEN),
                _programme(conn, of),
                [(s, sums[s.id]) for s in systems.load().values() if s.id in sums],
                unfit_plans(conn),
                signing_keys.operators(conn),
                entries_from_rows.responsible(conn),
            )

    return ask.request.app.state.memory.get(("overview", year), find)  # type: ignore[no-any-return]


class Sums(NamedTuple):
    """The year's tonnes of all counted projects; None where unknown."""

    avoided_t: Decimal | None
    target_t: Decimal | None
    diesel_l: int | None

    def reach(self, tonnes: Decimal | int) -> str:
        """Return the share of the city's target that tonnes reach. [%]"""
        return f"{min(max(float(tonnes / (self.target_t or 1)), 0.0), 1.0) * 100:.3f}%"


def _sums(page_figures: PageFigures) -> Sums:
    counted = [project for project in page_figures.of.projects if project.counted]
    avoided = added(project_year.avoided_t for project_year in counted)
    return Sums(
        avoided,
        _target(page_figures.programme),
        None if avoided is None else diesel_litres(Fraction(avoided), factors.load()),
    )


def _target(programme: dict[str, Any] | None) -> Decimal | None:
    """Return the sum of the top actions' targets; None if one has none. [t/a]"""
    if programme is None:
        return None
    tops = [action for action in programme["actions"] if not action["part_of"]]
    lines = [top["city_model"]["target_t_per_year"] for top in tops]
    return sum(map(Decimal, lines), Decimal(0)) if lines and None not in lines else None


class Card(NamedTuple):
    """System of the programme: its year, its curve, and its state."""

    system: System
    sums: SystemSums
    avoided_t: Decimal | None
    expected_t: Decimal | None
    curve: Markup | None
    state: str


def _cards(page_figures: PageFigures, t: Words) -> list[Card]:
    months: dict[str, list[Decimal | None]] = {}
    systems_of = {project.project: project.system for project in page_figures.of.projects}
    for project, month, value in page_figures.of.avoided:
        system = systems_of.get(project)
        if system is not None:
            stored = months.setdefault(system, [None] * _MONTHS)
            stored[month - 1] = (stored[month - 1] or Decimal(0)) + value
    cards = []
    for item, sums in page_figures.systems:
        own = [p for p in page_figures.of.projects if p.system == item.id]
        avoided, expected = (
            added(getattr(p, of) for p in own) for of in ("avoided_t", "expected_t")
        )
        title = t.or_as_is(f"system.{item.id}", item.title)
        alt = f"{title}: {t('by_month')}"
        curve = sparkline(months[item.id], alt) if item.id in months else None
        cards.append(Card(item, sums, avoided, expected, curve, sums.state))
    return cards


def _programme(conn: Connection, year: int) -> dict[str, Any] | None:
    try:
        return progress_document(conn, year)
    except RegistryError:
        return None  # no programme is registered


_FIELDS = 4
_ELSEWHERE, _REFUSED = 303, 401


async def _form_key(request: Request) -> str:
    """Return the key in a form; empty without one."""
    try:
        fields = parse_qs((await request.body()).decode(), max_num_fields=_FIELDS)
    except ValueError:
        return ""
    return fields.get("key", [""])[0].strip()


@router.get("/console/{language}/sign-in")
def form(ask: View, language: Language) -> Response:
    """Return the sign-in page."""
    return _form(ask, language)


def _form(
    ask: RequestContext, language: str, status: int = 200, *, wrong: bool = False
) -> Response:
    page = (own(ask.request.query_params.get("next", "")) or "").split("?")[0]
    return render(
        ask, language, "sign_in.html", status, wrong=wrong, wanted="/".join(page.split("/")[3:])
    )


@router.post("/console/{language}/sign-in")
def sign_in(ask: View, language: Language, key: Annotated[str, Depends(_form_key)]) -> Response:
    """Open a session for the holder of a key, and redirect to the requested page."""
    refuse_foreign(ask)
    with ask.reading() as conn:
        api_key = api_keys.find(conn, key)
        if api_key is None:
            api_keys.count_refusal(conn, "POST", ask.request.url.path, _REFUSED)
            return _form(ask, language, _REFUSED, wrong=True)
        RequestContext(ask.request, principal(api_key)).noted(conn, _ELSEWHERE)
        wanted = own(ask.request.query_params.get("next", ""))
        answer = RedirectResponse(wanted or f"/console/{language}/", _ELSEWHERE)
        # the scheme is that of a trusted proxy, else that of the connection
        open_session(conn, api_key, answer, secure=ask.request.url.scheme == "https")
    return answer


@router.post("/console/{language}/sign-out")
def sign_out(ask: View, language: Language) -> Response:
    """Close the session."""
    refuse_foreign(ask)
    answer = RedirectResponse(f"/console/{language}/", _ELSEWHERE)
    with ask.reading() as conn:
        close_session(conn, ask.request, answer)
    return answer
