"""The programme by system and action, and the balance of its eco-industrial parks."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Query
from markupsafe import Markup
from starlette.responses import Response

from ingest.errors import RegistryError
from services.api.console.charts.bars import Flow
from services.api.console.charts.bars import flows as flow_chart
from services.api.console.render import Language, namer, render
from services.api.console.routes.finding import Finding, judged, short_name
from services.api.console.routes.overview import rounded
from services.api.console.session import View, signed_in_for_all
from services.api.console.translations import Words
from services.api.console.translations import unit as written
from services.api.problems import ProblemError
from services.api.request_context import Asked
from services.api.routes.programme import Pages, Workbook, report_file
from services.api.routes.registry import IdPath, unknown
from services.store.views import parks
from services.store.views.city_year import added, percent
from services.store.views.programme_report import report_document

router = APIRouter(include_in_schema=False)


class _NoProgrammeError(ProblemError):
    """No programme is registered."""


Year = Annotated[int | None, Query(ge=1990, le=2200)]


@router.get("/console/{language}/programme")
def programme(ask: View, language: Language, year: Year = None) -> Response:
    """Show every system, action, station and park of a year; the two accounts apart."""
    try:
        found = _report(ask, year, language)
    except _NoProgrammeError:
        return render(ask, language, "no_programme.html")  # the menu leads here, whatever there is
    listed = [p for s in found["systems"] for p in s["projects"]] + found["without_system"]
    listed.sort(key=_short, reverse=True)
    return render(
        ask,
        language,
        "programme.html",
        found=found,
        projects=listed,
        short=short_name,
        finding=_finding(listed, found["year"], Words(language)),
        fields=[one for s in found["systems"] for one in s["fields"]],
        stations=[one for s in found["systems"] for one in s["indicators"]],
        of_expected=lambda one: percent(*_both(one)),
        rounded=rounded,
    )


def _finding(listed: list[dict[str, Any]], year: int, t: Words) -> Finding:
    """Say what the programme's own projects avoided, as the first screen does."""
    own = [one for one in listed if one["counted"]]
    avoided, expected = (added(_both(one)[i] for one in own) for i in (0, 1))
    issued = sum(one["issued_credits_t"] for one in own)
    return judged(
        avoided, expected, issued, [_both(one) for one in listed if not one["counted"]], year, t
    )


def _short(one: dict[str, Any]) -> Decimal:
    """Return how much less a project avoided than expected."""
    avoided, expected = _both(one)
    return max((expected or Decimal(0)) - (avoided or Decimal(0)), Decimal(0))


def _both(one: dict[str, Any]) -> tuple[Decimal | None, Decimal | None]:
    """Return what a project avoided, and what was expected of it to date."""
    avoided, expected = (
        None if one[of] is None else Decimal(one[of]) for of in ("monitored_t", "expected_t_so_far")
    )
    return avoided, expected


@router.get("/console/{language}/programme/report.xlsx", response_class=Workbook)
def workbook(ask: View, language: Language, year: Year = None) -> Response:
    """Give the same as a workbook, in the language of the page."""
    return report_file(_report(ask, year, language), "xlsx", language)


@router.get("/console/{language}/programme/report.pdf", response_class=Pages)
def pages(ask: View, language: Language, year: Year = None) -> Response:
    """Give the same as pages to be printed, in the language of the page."""
    return report_file(_report(ask, year, language), "pdf", language)


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
    name = namer(ask, language)
    names = {one["site"]: name("site", one["site"], one["name"]) for one in found["members"]}
    return render(
        ask,
        language,
        "park.html",
        found=found,
        year=of,
        names=names,
        rounded=rounded,
        charts=_flows(found["flows"], names, Words(language)),
    )


def _flows(
    flows: list[dict[str, Any]], names: dict[str, str], t: Words
) -> list[tuple[str, Markup]]:
    """Draw what flows, a picture for each thing that is metered in one unit."""
    # "Nam Cau Kien: steel works" is the steel works to whoever looks at the park
    names = {site: short_name(name.rpartition(": ")[2]) for site, name in names.items()}
    held: dict[tuple[str, str], list[Flow]] = {}
    for one in flows:
        if one["amount"] is None or Decimal(one["amount"]) <= 0:
            continue
        giver, receiver = (
            names.get(one[end]) or t.or_as_is(f"around.{one[end]}", one[end])
            for end in ("from", "to")
        )
        shown = f"{t.number(one['amount'])} {written(one['unit'])}"
        held.setdefault((one["of"], one["unit"]), []).append(
            Flow(giver, receiver, float(one["amount"]), shown)
        )
    drawn = []
    for (of, unit), found in held.items():
        title = t(f"flow.{of}")
        alt = f"{title}: " + "; ".join(f"{f.giver} > {f.receiver} {f.shown}" for f in found)
        named = written(unit)
        drawn.append((f"{title} [{named}]", flow_chart(found, named, title, alt, f"flow-{of}")))
    return drawn


def _report(ask: Asked, year: int | None, language: str) -> dict[str, Any]:
    signed_in_for_all(ask, "the programme's report")

    def find() -> dict[str, Any]:
        with ask.reading() as conn:
            return report_document(conn, year, language)

    try:
        found: dict[str, Any] = ask.request.app.state.memory.get(
            ("programme", year, language), find
        )
    except RegistryError as error:
        raise _NoProgrammeError(404, str(error)) from error
    return found
