"""Charts of a project page: tonnes by month, day and hour, and cumulative tonnes."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

from markupsafe import Markup

from mrv import calendar
from mrv.rounding import decimal_text
from services.api.console.charts import Bar, bars, cumulative_chart, hours_chart, so_far
from services.api.console.translations import Words
from services.store.views.console import ProjectSums


class Row(NamedTuple):
    """
    Row of a project's table: month of a year, day of a month, or interval of a day. [t CO2e]

    `leads` is the query of the span's page, None for an interval.  `coverage` is in whole per cent,
    for days.
    """

    name: str
    leads: str | None
    baseline: Decimal | None
    project: Decimal | None
    avoided: Decimal | None
    expected: Decimal | None
    coverage: int | None


class ProjectRow(NamedTuple):
    """Project in a time span: `kind` is year, month or day, and `name` its address."""

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


def avoided_chart(project_row: ProjectRow, t: Words) -> Markup | None:
    """Return the chart of avoided and expected tonnes; None without avoided tonnes."""
    if not any(row.avoided is not None for row in project_row.rows):
        return None
    drawn: dict[str, Bar] = {}
    # including days of the month before the first and after the last one with data
    if project_row.kind == "month":
        days = (project_row.end - project_row.first).days
        for day in (project_row.first + timedelta(days=i) for i in range(days)):
            drawn[day.isoformat()] = Bar(str(day.day), t.day(day), "", ())
    for row in project_row.rows:
        value_text = t("missing") if row.avoided is None else f"{t.brief(row.avoided)} t"
        if row.expected is not None and project_row.kind != "day":
            value_text += f"; {t('expected')} {t.brief(row.expected)} t"
        # an expected value exists for the whole day only, not for its intervals
        wanted = (
            None if row.expected is None or project_row.kind == "day" else Fraction(row.expected)
        )
        label = _label(project_row.kind, row, t)
        href = row.leads and f"?{row.leads}"
        bar = Bar(label, t.span(row.name), value_text, parts_of_bar(project_row, row), wanted, href)
        drawn[row.name] = so_far(bar, t) if unfinished(project_row, row) else bar
    known = [Fraction(row.avoided) for row in project_row.rows if row.avoided is not None]
    total = t.number(decimal_text(sum(known, Fraction(0)), 3, "down"))
    alt = f"{t('avoided_in', period=t.span(project_row.name))}: {total} t"
    of = f"{project_row.sums.id}-{project_row.name}"
    return bars(list(drawn.values()), "t CO\N{SUBSCRIPT TWO}e", alt, of, t)


def parts_of_bar(project_row: ProjectRow, row: Row) -> tuple[tuple[str, Fraction], ...] | None:
    """
    Return the parts of a bar, as pairs of kind and tonnes.

    None for missing data; empty for future or uncredited time.
    """
    if row.avoided is not None:
        return (("measured", Fraction(row.avoided)),)
    span = _span(row)
    if span is None:
        return None
    begins, ends = span
    sums = project_row.sums
    without = begins > sums.today or ends <= sums.crediting_from or begins >= sums.crediting_to
    return () if without else None


def _span(row: Row) -> tuple[date, date] | None:
    """Return the first day of a month or day, and the first day after it; None for an interval."""
    if row.leads is None:
        return None
    parts = row.name.split("-")
    begins = date(*(int(part) for part in (*parts, "1")[:3]))
    return begins, begins + timedelta(days=1) if len(parts) > 2 else month_after(begins)  # noqa: PLR2004 - with a day


def unfinished(project_row: ProjectRow, row: Row) -> bool:
    """Return whether a month or day has begun and not ended."""
    span = _span(row)
    return span is not None and span[0] <= project_row.sums.today < span[1]


def _label(kind: str, row: Row, t: Words) -> str:
    span = _span(row)
    if span is None:
        return row.name if row.name[3:] == "00" else ""
    return t.short_month(span[0]) if kind == "year" else str(span[0].day)


def summed(project_row: ProjectRow) -> list[Row]:
    """Return the rows of cumulative sums: all months, and the days before today."""
    whole = project_row.kind != "month"
    return [row for row in project_row.rows if whole or not unfinished(project_row, row)]


def running_sums(project_row: ProjectRow, t: Words) -> Markup | None:
    """Return the chart of cumulative avoided and expected tonnes; None for a day."""
    if project_row.kind == "day":
        return None
    rows = [
        (_label(project_row.kind, row, t), t.span(row.name), row.avoided, row.expected)
        for row in summed(project_row)
    ]
    return cumulative_chart(
        rows, "t", t("avoided"), t, f"{project_row.sums.id}-{project_row.name}-cumulative"
    )


def hours_of_month(project_row: ProjectRow, t: Words) -> Markup | None:
    """Return the chart of each hour of each day of a month; None without hourly data."""
    if not project_row.hours:
        return None
    days = [
        project_row.first + timedelta(days=i)
        for i in range((project_row.end - project_row.first).days)
    ]
    words = t("hours.title", period=t.span(project_row.name)), t("avoided")
    return hours_chart(
        local_hours(project_row), days, "kg", words, t,
        f"{project_row.sums.id}-{project_row.name}-hours",
    )  # fmt: skip


def local_hours(project_row: ProjectRow) -> list[tuple[datetime, Decimal]]:
    """Return the hours in local time with their reductions. [kg CO2e]"""
    zone = calendar.zone(project_row.sums.timezone)
    return [(at.astimezone(zone), tonnes_ * 1000) for at, tonnes_ in project_row.hours]


def month_after(first: date) -> date:
    """Return the first day of the next month."""
    return (first + timedelta(days=32)).replace(day=1)
