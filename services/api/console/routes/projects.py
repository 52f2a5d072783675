"""Project page: days compared with the expectation, coverage, gaps, statements, devices."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import groupby
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from psycopg import Connection
from starlette.responses import Response

from mrv.calendar import local_date, local_text, period_us
from mrv.documents.period_account import Gap
from mrv.methodologies import find as methodology
from mrv.rounding import decimal_text
from mrv.statement.evidence import monitored_parameters
from services.api.answers import ProblemError
from services.api.console.charts import apart, hours_title
from services.api.console.maps import SHARES, month_calendar
from services.api.console.project_charts import (
    ProjectRow,
    Row,
    avoided_chart,
    hours_of_month,
    local_hours,
    month_after,
    parts_of_bar,
    running_sums,
    summed,
    unfinished,
)
from services.api.console.render import Language, View, last_day, of_ug, render
from services.api.console.routes.year import plan_why
from services.api.console.translations import Words
from services.api.request_context import RequestContext
from services.api.routes.registry import IdPath, due_of, unknown
from services.issuer.planning import unfit_plans
from services.store.registry import load as registry
from services.store.statements.statements import Stored
from services.store.views import console, listing
from services.store.views.console import EmissionDay, ProjectSums
from services.store.views.coverage import CoverageDay, added, coverage_days, percent
from services.store.views.parks import Money, of_project

router = APIRouter(include_in_schema=False)
QUARTER = timedelta(minutes=15)
_SPANS = {
    "year": (r"([0-9]{4})", "2026"),
    "month": (r"([0-9]{4})-(0[1-9]|1[0-2])", "2026-01"),
    "day": (r"([0-9]{4})-([0-9]{2})-([0-9]{2})", "2026-01-31"),
}
# projects of more devices have charts by hour only on request
_MAX_GAPS, _MAX_DEVICES, _FEW_DEVICES, _FEW_DAYS = 50, 500, 500, 7


Asking = Annotated[str | None, Query(max_length=10)]


@router.get("/console/{language}/projects/{project}/due")
def schedule(ask: View, language: Language, project: IdPath) -> Response:
    """Return the page of a project's due items, for signed-in users."""
    if not ask.who.sees(project):
        raise ProblemError(
            403,
            "the due items of this project are visible only with access to it; sign in with"
            " such a key",
        )
    today, rows = due_of(ask, project)
    states = [row.state(today) for row in rows]
    # one line for tasks of one person, kind and day
    groups = groupby(rows, key=lambda row: (row.day, row.kind, row.responsible))
    listed = [(same[0], [row.what for row in same]) for same in (list(g) for _, g in groups)]
    return render(
        ask, language, "due.html", project=project, today=today, rows=listed,
        soon=states.count("soon"), overdue=states.count("overdue"),
    )  # fmt: skip


@router.get("/console/{language}/projects/{project}")
def project(
    ask: View,
    language: Language,
    project: IdPath,
    year: Asking = None,
    month: Asking = None,
    day: Asking = None,
    hours: Literal["1"] | None = None,
) -> Response:
    """Return the page of a project in a year, month or day; by default the last month with data."""
    by_hour = hours is not None
    memory = ask.request.app.state.memory
    result = memory.get(
        ("project", project, year, month, day, by_hour),
        lambda: _project_row(ask, project, year, month, day, by_hour=by_hour),
    )
    with ask.reading() as conn:
        rows = listing.statements(conn, ask.who.projects, project, None, 500)
        serving = listing.project_devices(conn, project) if ask.who.sees(project) else []
        by_sun = console.expected_by_sun(conn, project)
        plan = unfit_plans(conn, project).get(project)
        money: list[Money] = []
        if ask.who.sees(project):
            money = of_project(conn, project, result.first, result.end)
    statements = [stored for stored, _ in rows]
    sources = memory.get(("sources", project), lambda: _sources(ask, project))
    t = Words(language)
    return render(
        ask,
        language,
        "project.html",
        project_row=result,
        title=methodology(result.sums.methodology, result.sums.version).title,
        around=_around(result),
        crediting_last=result.sums.crediting_to - timedelta(days=1),
        chart=avoided_chart(result, t),
        missing=any(
            parts_of_bar(result, row) is None and not unfinished(result, row) for row in result.rows
        ),
        unfinished=any(row.avoided and unfinished(result, row) for row in result.rows),
        reached=_reached(result),
        apart=apart(_compared(summed(result)), t.tonnes, t),
        lacking=_lacking(result),
        cumulative=running_sums(result, t),
        hours=hours_of_month(result, t),
        hours_title=hours_title(local_hours(result), t),
        hours_apart=result.kind == "month" and not by_hour and result.sums.devices > _FEW_DEVICES,
        total=_total(result, t),
        months=_picker(result, t),
        stale=_stale(result),
        plan=None if plan is None else plan_why(plan, t),
        statements=list(reversed(statements)),
        gaps=_gaps(statements),
        sources=sources,
        by_sun=by_sun,
        money=money,
        visible={stored.id for stored in statements},
        serving=[
            {
                **item,
                "from": _local(item["from"], result.sums.timezone),
                "to": last_day(item["to"], result.sums.timezone),
            }
            for item in serving[:_MAX_DEVICES]
        ],
        devices=len(serving),
    )


def _sources(ask: RequestContext, project: str) -> list[console.AccountSource]:
    with ask.reading() as conn:
        return console.account_sources(conn, project)


def _project_row(
    ask: RequestContext,
    name: str,
    year: str | None,
    month: str | None,
    day: str | None,
    *,
    by_hour: bool,
) -> ProjectRow:
    with ask.reading() as conn:
        sums = next(iter(console.project_sums(conn, name)), None)
        if sums is None:
            raise unknown("project", name)
        if day is not None:
            return _of_day(conn, sums, _first_day("day", day))
        if year is not None:
            return _of_year(conn, sums, _first_day("year", year))
        return _of_month(conn, sums, _first_of(month, sums), by_hour=by_hour)


def _of_year(conn: Connection, sums: ProjectSums, first: date) -> ProjectRow:
    end = date(first.year + 1, 1, 1)
    firsts = [date(first.year, m, 1) for m in range(1, 13)]
    wanted = console.expected_between(conn, sums.id, _midnights([*firsts, end], sums.timezone))
    emission_days: dict[int, list[EmissionDay]] = {}
    for account_day in console.account_days(conn, sums.id, first, end):
        emission_days.setdefault(account_day.day.month, []).append(account_day)
    rows = [
        Row(
            f"{m:%Y-%m}",
            f"month={m:%Y-%m}",
            *_tonnes(emission_days.get(m.month, [])),
            _grams(t),
            None,
        )
        for m, t in zip(firsts, wanted, strict=True)
    ]
    known = console.account_months(conn, sums.id, first.year)
    return ProjectRow(
        sums, "year", f"{first:%Y}", first, end, rows, [], list(sums.sites), known, []
    )


def _of_month(
    conn: Connection, sums: ProjectSums, first: date, *, by_hour: bool = False
) -> ProjectRow:
    name, zone, end = sums.id, sums.timezone, month_after(first)
    emissions = console.account_days(conn, name, first, end)
    pairs = sorted(monitored_parameters(registry.load_project(conn, name)))
    coverage = coverage_days(conn, name, zone, pairs, first, end)
    expected = console.expected_days(conn, name, zone, first, end)
    emission_days = {emission.day: emission for emission in emissions}
    known = {coverage_day.day: coverage_day for coverage_day in coverage}
    rows = [
        Row(
            day.isoformat(), f"day={day}",
            *_tonnes([emission_days[day]] if day in emission_days else []),
            _grams(expected.get(day)), _share(known.get(day)),
        )
        for day in sorted(emission_days.keys() | known.keys())
    ]  # fmt: skip
    weeks = month_calendar(first.year, first.month, coverage, zone)
    known_ = console.account_months(conn, name, first.year)
    hours = []
    if emissions and (by_hour or sums.devices <= _FEW_DEVICES):
        hours = console.account_hours(conn, name, *_midnights([first, end], zone))
    return ProjectRow(
        sums, "month", f"{first:%Y-%m}", first, end, rows, weeks, list(sums.sites), known_, hours
    )


def _of_day(conn: Connection, sums: ProjectSums, day: date) -> ProjectRow:
    end = day + timedelta(days=1)
    since, until = _midnights([day, end], sums.timezone)
    account_quarters = console.account_quarters(conn, sums.id, since, until)
    wanted = (
        []
        if not account_quarters
        else console.expected_between(
            conn,
            sums.id,
            [*(quarter[0] for quarter in account_quarters), account_quarters[-1][0] + QUARTER],
        )
    )
    rows = [
        Row(_clock(start, sums.timezone), None, *_three(sums_ug), _grams(expected), None)
        for (start, *sums_ug), expected in zip(account_quarters, wanted, strict=True)
    ]
    known = console.account_months(conn, sums.id, day.year)
    return ProjectRow(sums, "day", day.isoformat(), day, end, rows, [], list(sums.sites), known, [])


def _midnights(days: Sequence[date], timezone: str) -> list[datetime]:
    edges = [period_us(day, day + timedelta(days=1), timezone)[0] for day in days]
    return [datetime.fromtimestamp(us / 1_000_000, UTC) for us in edges]


def _clock(at: datetime, timezone: str) -> str:
    return local_text(int(at.timestamp()) * 1_000_000, timezone)[11:16]


def _first_day(of: str, text: str) -> date:
    """Return the first day of a year, month or day named in a URL."""
    pattern, example = _SPANS[of]
    match = re.fullmatch(pattern, text)
    try:
        if match is not None and int(match[1]) >= 1990:  # noqa: PLR2004 - before any crediting period
            return date(*(int(part) for part in (*match.groups(), "1", "1")[:3]))
    except ValueError:
        pass  # the month has no day of that number
    raise ProblemError(422, f"{of} = {text!r}; write it like {example}")


def _first_of(month: str | None, sums: ProjectSums) -> date:
    if month is None:
        last_local = _local(sums.last, sums.timezone)
        if last_local is not None:
            first = last_local.replace(day=1)
            # a month that has just begun has few data to show
            begun = first == sums.today.replace(day=1) and last_local.day <= _FEW_DAYS
            before = begun and sums.crediting_from < first
            return (first - timedelta(days=1)).replace(day=1) if before else first
        last = sums.crediting_to - timedelta(days=1)
        return max(sums.crediting_from, min(sums.today, last)).replace(day=1)
    return _first_day("month", month)


def _compared(rows: Sequence[Row]) -> list[tuple[Decimal, Decimal]]:
    """Return avoided and expected tonnes of each month or day with both."""
    return [
        (row.avoided, row.expected)
        for row in rows
        if row.leads and row.avoided is not None and row.expected
    ]


def _reached(project_row: ProjectRow) -> tuple[int, int] | None:
    """
    Return how many ended months or days reach their expected tonnes, and how many have any;
    None if none has.
    """
    ended = [row for row in project_row.rows if not unfinished(project_row, row)]
    pairs = _compared(ended)
    return (sum(made >= wanted for made, wanted in pairs), len(pairs)) if pairs else None


def _lacking(project_row: ProjectRow) -> tuple[int, int]:
    """Return how many past days of a month have incomplete data, and how many have devices."""
    cells = (cell for week in project_row.weeks for cell in week if cell)
    known = [c for c in cells if c.grade is not None and c.day < project_row.sums.today]
    return sum(cell.grade < len(SHARES) for cell in known), len(known)


def _total(project_row: ProjectRow, t: Words) -> tuple[str, int | None] | None:
    """
    Return the avoided tonnes as text, and their share of the expected ones [%].

    None without avoided tonnes.
    """
    total, expected = (
        added(getattr(row, of) for row in project_row.rows) for of in ("avoided", "expected")
    )
    return None if total is None else (t.tonnes(total), percent(total, expected))


def _picker(project_row: ProjectRow, t: Words) -> list[tuple[str, str, str]]:
    """Return the months of the year: name, state, and URL; future ones have none."""
    year, months = project_row.first.year, []
    for month in range(1, 13):
        first = date(year, month, 1)
        kind = (
            "now"
            if project_row.kind != "year" and month == project_row.first.month
            else "known"
            if month in project_row.known
            else "ahead"
            if first > project_row.sums.today
            else "none"
        )
        months.append((t.short_month(first), kind, f"{first:%Y-%m}"))
    return months


def _stale(project_row: ProjectRow) -> date | None:
    """Return the last day with data, if it is before the current month."""
    last = _local(project_row.sums.last, project_row.sums.timezone)
    return None if last is None or last >= project_row.sums.today.replace(day=1) else last


def _grams(value: Decimal | None) -> Decimal | None:
    return None if value is None else Decimal(decimal_text(Fraction(value), 6, "down"))


_Sums = tuple[Decimal | None, Decimal | None, Decimal | None]


def _tonnes(emission_days: Sequence[EmissionDay]) -> _Sums:
    """Return the sums of baseline, project emissions and reduction of days."""
    if not emission_days:
        return None, None, None
    sides = ("baseline_ug", "project_ug", "reduction_ug")
    return _three([sum(getattr(e, side) for e in emission_days) for side in sides])


def _three(sums_ug: Sequence[int]) -> _Sums:
    texts = map(of_ug, sums_ug)
    baseline, project_, avoided = (None if text is None else Decimal(text) for text in texts)
    return baseline, project_, avoided


def _share(coverage_day: CoverageDay | None) -> int | None:
    share = None if coverage_day is None else coverage_day.share
    return None if share is None else int(share * 100)


def _around(project_row: ProjectRow) -> dict[str, str | None]:
    """Return the names of the previous and next span, as in URLs; None beyond the stored data."""
    sums = project_row.sums
    stored = [_local(edge, sums.timezone) for edge in (sums.first, sums.last)]
    days = [day for day in stored if day is not None] + [sums.today]
    before = project_row.first - timedelta(days=1)
    length = {"year": 4, "month": 7, "day": 10}[project_row.kind]

    def span(day: date) -> str:
        return day.isoformat()[:length]

    return {
        "before": span(before) if span(before) >= span(min(days)) else None,
        "after": span(project_row.end) if span(project_row.end) <= span(max(days)) else None,
    }


def _local(at: datetime | None, timezone: str) -> date | None:
    return None if at is None else local_date(int(at.timestamp()) * 1_000_000, timezone)


def _gaps(statements: list[Stored]) -> list[Gap]:
    """Return the gaps of the newest statement with the largest deductions."""
    gaps = statements[-1].claims.gaps if statements else ()
    return sorted(gaps, key=_cost, reverse=True)[:_MAX_GAPS]


def _cost(gap: Gap) -> Fraction:
    """Return the deduction of a gap, or its maximum loss if larger. [tCO2e]"""
    return max(Fraction(gap.cost_t), Fraction(gap.forgone_at_most_t or "0"))
