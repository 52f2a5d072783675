"""A project: its days against what was expected, coverage, gaps, statements, devices."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any, Literal, NamedTuple

from fastapi import APIRouter, Query
from markupsafe import Markup
from psycopg import Connection
from starlette.responses import Response

from mrv import calendar
from mrv.calendar import local_date, local_text, period_us
from mrv.documents.period_account import Gap
from mrv.methodologies import find as methodology
from mrv.rounding import decimal_text
from mrv.statement.evidence import monitored_names
from services.api.console.charts.bars import Bar, bars
from services.api.console.charts.quantities import cumulative_chart, hours_chart
from services.api.console.maps.plots import SHARES, month_calendar
from services.api.console.render import Language, render
from services.api.console.routes.finding import plan_why, unfit_plans
from services.api.console.routes.overview import of_ug, rounded
from services.api.console.session import View
from services.api.console.translations import Words
from services.api.problems import ProblemError
from services.api.request_context import Asked
from services.api.routes.registry import IdPath, due_of, unknown
from services.store.registry import load as registry
from services.store.statements.statements import Stored
from services.store.views import console, listing
from services.store.views.city_year import percent
from services.store.views.console import EmissionDay, ProjectSums
from services.store.views.coverage import CoverageDay, coverage_days
from services.store.views.parks import Money, of_project

router = APIRouter(include_in_schema=False)
QUARTER = timedelta(minutes=15)
_SPANS = {
    "year": (r"([0-9]{4})", "2026"),
    "month": (r"([0-9]{4})-(0[1-9]|1[0-2])", "2026-01"),
    "day": (r"([0-9]{4})-([0-9]{2})-([0-9]{2})", "2026-01-31"),
}
_MOST_GAPS, _FEW_DAYS = 50, 7
# quarter hours of a month of more devices are read where they are asked for
_FEW_DEVICES = 500


class Row(NamedTuple):
    """
    A year's month, a month's day, or a day's quarter hour. [t CO2e]

    `leads` is the query of the page of the span, None of a quarter hour.  `coverage` is in
    whole per cent, and known of days.
    """

    name: str
    leads: str | None
    baseline: str | None
    project: str | None
    avoided: str | None
    expected: str | None
    coverage: int | None


class ProjectRow(NamedTuple):
    """A project in a span: `kind` is year, month or day, and `name` says which."""

    sums: ProjectSums
    kind: str
    name: str
    first: date
    end: date
    rows: list[Row]
    weeks: list[Any]
    sites: list[str]
    known: list[int]
    hours: list[tuple[datetime, Decimal]]


Asking = Annotated[str | None, Query(max_length=10)]


@router.get("/console/{language}/projects/{project}/due")
def schedule(ask: View, language: Language, project: IdPath) -> Response:
    """Show what of a project is due, to someone who signed in."""
    if not ask.who.sees(project):
        raise ProblemError(403, "sign in to see what is due of this project")
    today, rows = due_of(ask, project)
    states = [one.state(today) for one in rows]
    return render(
        ask, language, "due.html", project=project, today=today, rows=rows,
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
    """Show a project in a year, month or day; where none is named, in the last month with data."""
    by_hour = hours is not None
    found = ask.request.app.state.memory.get(
        ("project", project, year, month, day, by_hour),
        lambda: _project_row(ask, project, year, month, day, by_hour=by_hour),
    )
    with ask.reading() as conn:
        rows = listing.statements(conn, ask.who.projects, project, None, 500)
        serving = listing.project_devices(conn, project) if ask.who.sees(project) else []
        sources = console.account_sources(conn, project)
        plan = unfit_plans(conn, project).get(project)
        money: list[Money] = []
        if ask.who.sees(project):
            money = of_project(conn, project, found.first, found.end)
    statements = [stored for stored, _ in rows]
    t = Words(language)
    return render(
        ask,
        language,
        "project.html",
        found=found,
        title=methodology(found.sums.methodology, found.sums.version).title,
        around=_around(found),
        crediting_last=found.sums.crediting_to - timedelta(days=1),
        chart=_chart(found, t),
        missing=any(_parts(found, row) is None for row in found.rows),
        reached=_reached(found),
        apart=_apart(found, t),
        lacking=_lacking(found),
        cumulative=_cumulative(found, t),
        hours=_hours(found, t),
        hours_apart=found.kind == "month" and not by_hour and found.sums.devices > _FEW_DEVICES,
        total=_total(found, t),
        months=_picker(found, t),
        stale=_stale(found),
        plan=None if plan is None else plan_why(plan, t),
        statements=list(reversed(statements)),
        gaps=_gaps(statements),
        sources=sources,
        money=money,
        visible={stored.id for stored in statements},
        serving=[
            {**one, **{edge: _local(one[edge], found.sums.timezone) for edge in ("from", "to")}}
            for one in serving
        ],
        of_ug=of_ug,
        rounded=rounded,
    )


def _project_row(
    ask: Asked, name: str, year: str | None, month: str | None, day: str | None, *, by_hour: bool
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
    found: dict[int, list[EmissionDay]] = {}
    for one in console.account_days(conn, sums.id, first, end):
        found.setdefault(one.day.month, []).append(one)
    rows = [
        Row(f"{m:%Y-%m}", f"month={m:%Y-%m}", *_tonnes(found.get(m.month, [])), _grams(t), None)
        for m, t in zip(firsts, wanted, strict=True)
    ]
    known = console.account_months(conn, sums.id, first.year)
    return ProjectRow(
        sums, "year", f"{first:%Y}", first, end, rows, [], list(sums.sites), known, []
    )


def _of_month(
    conn: Connection, sums: ProjectSums, first: date, *, by_hour: bool = False
) -> ProjectRow:
    name, zone, end = sums.id, sums.timezone, _following(first)
    emissions = console.account_days(conn, name, first, end)
    pairs = sorted(monitored_names(registry.load_project(conn, name)))
    coverage = coverage_days(conn, name, zone, pairs, first, end)
    expected = console.expected_days(conn, name, zone, first, end)
    held = {one.day: one for one in emissions}
    known = {one.day: one for one in coverage}
    rows = [
        Row(
            day.isoformat(), f"day={day}", *_tonnes([held[day]] if day in held else []),
            _grams(expected.get(day)), _share(known.get(day)),
        )
        for day in sorted(held.keys() | known.keys())
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
    found = console.account_quarters(conn, sums.id, since, until)
    wanted = (
        []
        if not found
        else console.expected_between(
            conn, sums.id, [*(one[0] for one in found), found[-1][0] + QUARTER]
        )
    )
    rows = [
        Row(_clock(start, sums.timezone), None, *_three(sums_ug), _grams(expected), None)
        for (start, *sums_ug), expected in zip(found, wanted, strict=True)
    ]
    known = console.account_months(conn, sums.id, day.year)
    return ProjectRow(sums, "day", day.isoformat(), day, end, rows, [], list(sums.sites), known, [])


def _midnights(days: Sequence[date], timezone: str) -> list[datetime]:
    """Return when local days begin."""
    edges = [period_us(day, day + timedelta(days=1), timezone)[0] for day in days]
    return [datetime.fromtimestamp(us / 1_000_000, UTC) for us in edges]


def _clock(at: datetime, timezone: str) -> str:
    return local_text(int(at.timestamp()) * 1_000_000, timezone)[11:16]


def _first_day(of: str, text: str) -> date:
    """Return the first day of a year, month or day that an address names."""
    pattern, example = _SPANS[of]
    said = re.fullmatch(pattern, text)
    try:
        if said is not None and int(said[1]) >= 1990:  # noqa: PLR2004 - before any crediting period
            return date(*(int(one) for one in (*said.groups(), "1", "1")[:3]))
    except ValueError:
        pass  # a day that its month does not have
    raise ProblemError(422, f"{of} = {text!r}; write it like {example}")


def _first_of(month: str | None, sums: ProjectSums) -> date:
    if month is None:
        heard = _local(sums.last, sums.timezone)
        if heard is not None:
            first = heard.replace(day=1)
            # of a month that has just begun there is little to see yet
            begun = first == sums.today.replace(day=1) and heard.day <= _FEW_DAYS
            before = begun and sums.crediting_from < first
            return (first - timedelta(days=1)).replace(day=1) if before else first
        last = sums.crediting_to - timedelta(days=1)
        return max(sums.crediting_from, min(sums.today, last)).replace(day=1)
    return _first_day("month", month)


def _chart(found: ProjectRow, t: Words) -> Markup | None:
    """Draw what was avoided beside what was expected."""
    if not any(row.avoided is not None for row in found.rows):
        return None
    drawn = []
    for row in found.rows:
        shown = t("missing") if row.avoided is None else f"{t.number(row.avoided)} t"
        told = f"{t.span(row.name)}: {shown}"
        if row.expected is not None and found.kind != "day":
            told += f"; {t('expected')} {t.number(row.expected)} t"
        # a day's expected amount has no course over the day
        wanted = None if row.expected is None or found.kind == "day" else Fraction(row.expected)
        label = _label(found.kind, row, t)
        drawn.append(Bar(label, told, _parts(found, row), wanted, row.leads and f"?{row.leads}"))
    known = [Fraction(row.avoided) for row in found.rows if row.avoided is not None]
    total = t.number(decimal_text(sum(known, Fraction(0)), 3, "down"))
    alt = f"{t('avoided_in', period=t.span(found.name))}: {total} t"
    return bars(drawn, "t CO\N{SUBSCRIPT TWO}e", alt, f"{found.sums.id}-{found.name}")


def _parts(found: ProjectRow, row: Row) -> tuple[tuple[str, Fraction], ...] | None:
    """Return what a bar shows; None if missing; nothing ahead or outside the crediting period."""
    if row.avoided is not None:
        return (("measured", Fraction(row.avoided)),)
    begins = _begins(row)
    if begins is None:
        return None
    ends = begins + timedelta(days=1) if found.kind == "month" else _following(begins)
    sums = found.sums
    without = begins > sums.today or ends <= sums.crediting_from or begins >= sums.crediting_to
    return () if without else None


def _compared(found: ProjectRow) -> list[tuple[Decimal, Decimal]]:
    """Return what was avoided and expected of each month or day of which both are known."""
    return [
        (Decimal(row.avoided), Decimal(row.expected))
        for row in found.rows
        if row.leads and row.avoided is not None and row.expected and Decimal(row.expected)
    ]


def _reached(found: ProjectRow) -> tuple[int, int] | None:
    """Return how many months or days reach what was expected, and of how many; None of none."""
    pairs = _compared(found)
    return (sum(made >= wanted for made, wanted in pairs), len(pairs)) if pairs else None


def _apart(found: ProjectRow, t: Words) -> tuple[str, str] | None:
    """Return whether the span is above or below what was expected, and by how much."""
    if not (pairs := _compared(found)):
        return None
    apart = sum((made - wanted for made, wanted in pairs), Decimal(0))
    return "below" if apart < 0 else "above", t.tonnes(abs(apart))


def _lacking(found: ProjectRow) -> tuple[int, int]:
    """Return on how many days of a month data are incomplete, and of how many."""
    known = [cell for week in found.weeks for cell in week if cell and cell.grade is not None]
    return sum(cell.grade < len(SHARES) for cell in known), len(known)


def _begins(row: Row) -> date | None:
    """Return the first day of a month or day; None of a quarter hour."""
    return date(*(int(one) for one in (*row.name.split("-"), "1")[:3])) if row.leads else None


def _label(kind: str, row: Row, t: Words) -> str:
    """Return what stands below a bar."""
    begins = _begins(row)
    if begins is None:
        return row.name if row.name[3:] == "00" else ""
    return t.short_month(begins) if kind == "year" else str(begins.day)


def _total(found: ProjectRow, t: Words) -> tuple[str, int | None] | None:
    """Return what was avoided in the span, and its share of the expected amount [%]."""
    avoided = [Decimal(row.avoided) for row in found.rows if row.avoided is not None]
    if not avoided:
        return None
    expected = sum((Decimal(row.expected) for row in found.rows if row.expected), Decimal(0))
    total = sum(avoided, Decimal(0))
    return t.tonnes(total), percent(total, expected)


def _picker(found: ProjectRow, t: Words) -> list[tuple[str, str, str]]:
    """Return the months of the year: name, what it is, and its address; ahead ones have none."""
    year, months = found.first.year, []
    for month in range(1, 13):
        first = date(year, month, 1)
        kind = (
            "now"
            if found.kind != "year" and month == found.first.month
            else "known"
            if month in found.known
            else "ahead"
            if first > found.sums.today
            else "none"
        )
        months.append((t.short_month(first), kind, f"{first:%Y-%m}"))
    return months


def _stale(found: ProjectRow) -> date | None:
    """Return the last day with data, where it lies before the month of now."""
    last = _local(found.sums.last, found.sums.timezone)
    return None if last is None or last >= found.sums.today.replace(day=1) else last


def _cumulative(found: ProjectRow, t: Words) -> Markup | None:
    """Draw what was avoided and what was expected, added up over the span."""
    if found.kind == "day":
        return None
    rows = [
        (
            _label(found.kind, row, t),
            t.span(row.name),
            _decimal(row.avoided),
            _decimal(row.expected),
        )
        for row in found.rows
    ]
    return cumulative_chart(rows, "t", t("avoided"), t, f"{found.sums.id}-{found.name}-cumulative")


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _hours(found: ProjectRow, t: Words) -> Markup | None:
    """Draw each hour of each day of a month."""
    if not found.hours:
        return None
    zone = calendar.zone(found.sums.timezone)
    days = [found.first + timedelta(days=i) for i in range((found.end - found.first).days)]
    cells = [(at.astimezone(zone), tonnes_ * 1000) for at, tonnes_ in found.hours]
    words = t("hours.title", period=t.span(found.name)), t("avoided")
    return hours_chart(cells, days, "kg", words, t, f"{found.sums.id}-{found.name}-hours")


def _following(first: date) -> date:
    return (first + timedelta(days=32)).replace(day=1)


def _grams(value: Decimal | None) -> str | None:
    return None if value is None else decimal_text(Fraction(value), 6, "down")


def _tonnes(found: Sequence[EmissionDay]) -> tuple[str | None, str | None, str | None]:
    """Return baseline, project emissions and reduction of days together."""
    if not found:
        return None, None, None
    sides = ("baseline_ug", "project_ug", "reduction_ug")
    return _three([sum(getattr(one, side) for one in found) for side in sides], 6)


def _three(sums_ug: Sequence[int], places: int = 9) -> tuple[str | None, str | None, str | None]:
    baseline, project_, avoided = (of_ug(ug, places) for ug in sums_ug)
    return baseline, project_, avoided


def _share(one: CoverageDay | None) -> int | None:
    return None if one is None or one.share is None else int(one.share * 100)


def _around(found: ProjectRow) -> dict[str, str | None]:
    """Return the span before and the span after, within what is stored and until now, and above."""
    sums = found.sums
    stored = [_local(edge, sums.timezone) for edge in (sums.first, sums.last)]
    days = [day for day in stored if day is not None] + [sums.today]
    before = found.first - timedelta(days=1)
    length = {"year": 4, "month": 7, "day": 10}[found.kind]

    def span(day: date) -> str:
        return day.isoformat()[:length]

    return {
        "before": span(before) if span(before) >= span(min(days)) else None,
        "after": span(found.end) if span(found.end) <= span(max(days)) else None,
        "year": None if found.kind == "year" else f"{found.first:%Y}",
        "month": f"{found.first:%Y-%m}" if found.kind == "day" else None,
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
