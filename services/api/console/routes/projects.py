"""A project: its days against what was expected, coverage, gaps, statements, devices."""

from __future__ import annotations

import re
from datetime import date, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from fastapi import APIRouter, Query
from starlette.responses import Response

from ingest.classes import QUANTITIES
from mrv.calendar import local_date
from mrv.methodologies import find as methodology
from mrv.rounding import decimal_text
from mrv.statement.evidence import monitored
from services.api.console.maps.plots import month_calendar
from services.api.console.render import Language, render
from services.api.console.routes.overview import rounded, tonnes
from services.api.console.session import View
from services.api.problems import ProblemError
from services.api.routes.registry import IdPath, unknown
from services.store.registry import load as registry
from services.store.views import console, listing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from decimal import Decimal

    from psycopg import Connection
    from psycopg.rows import TupleRow

    from mrv.documents.statement import Gap
    from services.api.request_context import Asked
    from services.store.statements.statements import Stored
    from services.store.views.console import CoverageDay, EmissionDay, ProjectSums

router = APIRouter(include_in_schema=False)
_MONTH = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")
_MOST_GAPS = 50


class Day(NamedTuple):
    """A local day: tonnes, what was expected of it, and whole per cent measured."""

    day: date
    baseline: str | None
    project: str | None
    avoided: str | None
    expected: str | None
    measured: int | None


class Month(NamedTuple):
    """A month of a project."""

    sums: ProjectSums
    first: date
    days: list[Day]
    weeks: list[Any]
    sites: list[str]


@router.get("/console/{language}/projects/{project}")
def project(
    ask: View,
    language: Language,
    project: IdPath,
    month: Annotated[str | None, Query(max_length=7)] = None,
) -> Response:
    """Show a project in a month; that of now where none is named, within its crediting period."""
    found = ask.request.app.state.memory.get(
        ("project", project, month), lambda: _found(ask, project, month)
    )
    with ask.reading() as conn:
        rows = listing.statements(conn, ask.who.projects, project, None, 500)
        serving = listing.project_devices(conn, project) if ask.who.sees(project) else []
    statements = [stored for stored, _ in rows]
    return render(
        ask,
        language,
        "project.html",
        found=found,
        title=methodology(found.sums.methodology, found.sums.version).title,
        months=_months(found),
        statements=list(reversed(statements)),
        gaps=_gaps(statements),
        serving=[
            {**one, **{edge: _local(one[edge], found.sums.timezone) for edge in ("from", "to")}}
            for one in serving
        ],
        tonnes=tonnes,
        rounded=rounded,
    )


def _found(ask: Asked, name: str, month: str | None) -> Month:
    with ask.reading() as conn:
        sums = next(iter(console.project_sums(conn, name)), None)
        if sums is None:
            raise unknown("project", name)
        first = _first_of(month, sums)
        end = _following(first)
        emissions = console.emission_days(conn, name, sums.timezone, first, end)
        coverage = console.coverage_days(conn, name, sums.timezone, _pairs(conn, name), first, end)
        expected = console.expected_days(conn, name, sums.timezone, first, end)
    days = _days(emissions, coverage, expected)
    weeks = month_calendar(first.year, first.month, coverage)
    return Month(sums, first, days, weeks, list(sums.sites))


def _first_of(month: str | None, sums: ProjectSums) -> date:
    if month is None:
        last = sums.crediting_to - timedelta(days=1)
        return max(sums.crediting_from, min(sums.today, last)).replace(day=1)
    said = _MONTH.fullmatch(month)
    if said is None or int(said[1]) < 1990:  # noqa: PLR2004 - before any crediting period
        raise ProblemError(422, f"month = {month!r}; write it like 2026-01")
    return date(int(said[1]), int(said[2]), 1)


def _following(first: date) -> date:
    return (first + timedelta(days=32)).replace(day=1)


def _pairs(conn: Connection[TupleRow], name: str) -> list[tuple[str, str]]:
    """Return what the project monitors: device and quantity."""
    fleet = registry.load_fleet(conn)
    pairs = monitored(registry.load_project(conn, name), fleet)
    return sorted((fleet.devices[d].id, QUANTITIES[q].name) for d, q in pairs)


def _days(
    emissions: list[EmissionDay], coverage: list[CoverageDay], expected: Mapping[date, Decimal]
) -> list[Day]:
    held = {one.day: one for one in emissions}
    known = {one.day: one for one in coverage}
    return [
        Day(day, *_tonnes(held.get(day)), _grams(expected.get(day)), _share(known.get(day)))
        for day in sorted(held.keys() | known.keys())
    ]


def _grams(value: Decimal | None) -> str | None:
    return None if value is None else decimal_text(Fraction(value), 6, "down")


def _tonnes(one: EmissionDay | None) -> tuple[str | None, str | None, str | None]:
    if one is None:
        return None, None, None
    return (
        tonnes(one.baseline_ug, 6), tonnes(one.project_ug, 6), tonnes(one.reduction_ug, 6),
    )  # fmt: skip


def _share(one: CoverageDay | None) -> int | None:
    if one is None or not one.serving_us:
        return None
    return min(one.measured_us * 100 // one.serving_us, 100)


def _months(found: Month) -> dict[str, str | None]:
    """Return the month before and the month after, within what is stored and until now."""
    before = (found.first - timedelta(days=1)).replace(day=1)
    after = _following(found.first)
    sums = found.sums
    stored = [_local(edge, sums.timezone) for edge in (sums.first, sums.last)]
    days = [day for day in stored if day is not None] + [_first_of(None, sums)]
    return {
        "before": f"{before:%Y-%m}" if before >= min(days).replace(day=1) else None,
        "after": f"{after:%Y-%m}" if after <= max(days) else None,
    }


def _local(at: datetime | None, timezone: str) -> date | None:
    return None if at is None else local_date(int(at.timestamp()) * 1_000_000, timezone)


def _gaps(statements: list[Stored]) -> list[Gap]:
    """Return the costliest gaps of the newest statement."""
    if not statements:
        return []
    gaps = statements[-1].claims.gaps
    return sorted(gaps, key=_cost, reverse=True)[:_MOST_GAPS]


def _cost(gap: Gap) -> Fraction:
    """What a gap costs, or what was at most forgone by it. [t CO2e]"""
    return max(Fraction(gap.cost_t), Fraction(gap.forgone_at_most_t or "0"))
