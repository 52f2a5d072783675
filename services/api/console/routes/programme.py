"""Programme page by system and action, and balance pages of eco-industrial parks."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Query
from markupsafe import Markup
from starlette.responses import Response

from ingest.errors import RegistryError
from services.api.answers import ProblemError
from services.api.console.charts import Flow
from services.api.console.charts import flows as flow_chart
from services.api.console.render import Language, View, namer, render, signed_in_for_all
from services.api.console.routes.year import Finding, judged, short_name
from services.api.console.translations import Words
from services.api.console.translations import unit as written
from services.api.request_context import RequestContext
from services.api.routes.registry import IdPath, Pages, Workbook, report_file, unknown
from services.issuer.planning import programme_report
from services.store.views import parks
from services.store.views.coverage import added, percent

router = APIRouter(include_in_schema=False)


class _NoProgrammeError(ProblemError):
    """No programme is registered."""


Year = Annotated[int | None, Query(ge=1990, le=2200)]


@router.get("/console/{language}/programme")
def programme(ask: View, language: Language, year: Year = None) -> Response:
    """
    Return the programme's page of a year: systems, actions, stations and parks, with modelled and
    measured tonnes in separate accounts.
    """
    try:
        result = _report(ask, year, language)
    except _NoProgrammeError:
        # the menu links to this page even without a programme
        return render(ask, language, "no_programme.html")
    listed = [p for s in result["systems"] for p in s["projects"]] + result["without_system"]
    listed.sort(key=lambda row: (row["counted"], _short(row)), reverse=True)
    return render(
        ask,
        language,
        "programme.html",
        report=result,
        projects=listed,
        short=short_name,
        finding=_finding(listed, result["year"], Words(language)),
        fields=[field for s in result["systems"] for field in s["fields"]],
        stations=[station for s in result["systems"] for station in s["indicators"]],
        of_expected=lambda row, *of: percent(*_both(row, *of)),
    )


def _finding(listed: list[dict[str, Any]], year: int, t: Words) -> Finding:
    """Return the first sentence on the programme's own projects, as on the front page."""
    own = [row for row in listed if row["counted"]]
    avoided, expected = (added(_both(row)[i] for row in own) for i in (0, 1))
    issued = sum(row["issued_credits_t"] for row in own)
    return judged(
        avoided, expected, issued, [_both(row) for row in listed if not row["counted"]], year, t
    )


def _short(row: dict[str, Any]) -> Decimal:
    """Return the shortfall of a project to date. [t]"""
    avoided, expected = _both(row)
    return max((expected or Decimal(0)) - (avoided or Decimal(0)), Decimal(0))


def _both(
    item: dict[str, Any], avoided_t: str = "monitored_t", expected_t: str = "expected_t_so_far"
) -> tuple[Decimal | None, Decimal | None]:
    """Return avoided and expected tonnes to date; the keys select a project's or a system's."""
    avoided, expected = (
        None if item[of] is None else Decimal(item[of]) for of in (avoided_t, expected_t)
    )
    return avoided, expected


@router.get("/console/{language}/programme/report.xlsx", response_class=Workbook)
def workbook(ask: View, language: Language, year: Year = None) -> Response:
    """Return the programme's report as a workbook, in the language of the page."""
    return report_file(_report(ask, year, language), "xlsx", language)


@router.get("/console/{language}/programme/report.pdf", response_class=Pages)
def pages(ask: View, language: Language, year: Year = None) -> Response:
    """Return the programme's report as PDF, in the language of the page."""
    return report_file(_report(ask, year, language), "pdf", language)


@router.get("/console/{language}/parks/{park}")
def park(ask: View, language: Language, park: IdPath, year: Year = None) -> Response:
    """Return the page of a park's consumption, generation and exchange in a year."""
    signed_in_for_all(ask, "the balance of a park")
    of = year or datetime.now(UTC).year
    span = datetime(of, 1, 1, tzinfo=UTC), datetime(of + 1, 1, 1, tzinfo=UTC)

    def find() -> dict[str, Any]:
        with ask.reading() as conn:
            if park not in parks.park_ids(conn):
                raise unknown("park", park)
            return parks.balance(conn, park, *span)

    result = ask.request.app.state.memory.get(("park", park, of), find)
    name = namer(ask, language)
    names = {
        member["site"]: name("site", member["site"], member["name"]) for member in result["members"]
    }
    return render(
        ask,
        language,
        "park.html",
        balance=result,
        year=of,
        names=names,
        charts=_flows(result["flows"], names, Words(language)),
    )


def _flows(
    flows: list[dict[str, Any]], names: dict[str, str], t: Words
) -> list[tuple[str, Markup]]:
    """Return a chart of the park's flows for each quantity and unit, with its title."""
    # "Nam Cau Kien: steel works" is "steel works" on the park's own page
    names = {site: short_name(name.rpartition(": ")[2]) for site, name in names.items()}
    stored: dict[tuple[str, str], list[Flow]] = {}
    for flow in flows:
        if flow["amount"] is None or Decimal(flow["amount"]) <= 0:
            continue
        giver, receiver = (
            names.get(flow[end]) or t.or_as_is(f"around.{flow[end]}", flow[end])
            for end in ("from", "to")
        )
        label = f"{t.number(flow['amount'])} {written(flow['unit'])}"
        stored.setdefault((flow["of"], flow["unit"]), []).append(
            Flow(giver, receiver, float(flow["amount"]), label)
        )
    drawn = []
    for (of, unit), result in stored.items():
        title = t(f"flow.{of}")
        alt = f"{title}: " + "; ".join(f"{f.giver} > {f.receiver} {f.shown}" for f in result)
        named = written(unit)
        drawn.append(
            (_largest(title, result, named, t),
             flow_chart(result, named, title, alt, f"flow-{of}", t))
        )  # fmt: skip
    return drawn


def _largest(title: str, flows: list[Flow], unit: str, t: Words) -> str:
    """Return the share of the largest flow between two places in the sum of all."""
    sums: dict[tuple[str, str], float] = {}
    for flow in flows:
        ends = flow.giver, flow.receiver
        sums[ends] = sums.get(ends, 0.0) + flow.amount
    (giver, receiver), largest = max(sums.items(), key=lambda pair: pair[1])
    total = sum(sums.values())
    return t(
        "park.largest", of=title, giver=giver, receiver=receiver, total=f"{t.brief(total)} {unit}",
        percent=int(largest / total * 100),
    )  # fmt: skip


def _report(ask: RequestContext, year: int | None, language: str) -> dict[str, Any]:
    signed_in_for_all(ask, "the programme's report")

    def find() -> dict[str, Any]:
        with ask.reading() as conn:
            return programme_report(conn, year, language)

    try:
        result: dict[str, Any] = ask.request.app.state.memory.get(
            ("programme", year, language), find
        )
    except RegistryError as error:
        raise _NoProgrammeError(404, str(error)) from error
    return result
