"""Figure of the measured share of each day, or of each month of a long period."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from typing import Any

from mrv.report.blocks import Block, chapter, paragraph
from mrv.report.report_data import Day, Facts
from mrv.report.words import Words, percent_sign

# daily bars stay legible up to here; of longer periods a bar is a month
MOST_DAYS = 62
_MONTH = len("2026-01")


@dataclass
class Span:
    """
    A day or month of several devices. [base unit, us]

    `value` None: nothing is known of any device.
    """

    name: str
    value: int | None = None
    service_us: int = 0
    lost_us: int = 0
    days: set[date] = field(default_factory=set)

    def add(self, day: Day) -> None:
        """Add a device's day."""
        if day.value is not None:
            self.value = (self.value or 0) + day.value
        self.service_us += day.to_us - day.from_us
        self.lost_us += day.unknown_us + day.missing_us
        self.days.add(day.day)

    @property
    def seen(self) -> bool:
        """Return whether any part was measured or estimated."""
        return self.lost_us < self.service_us

    @property
    def coverage(self) -> Fraction:
        """Return the measured or estimated share of the time in service, as `covered_share`."""
        return Fraction(self.service_us - self.lost_us, self.service_us or 1)


def by_day(days: Iterable[Day]) -> list[Span]:
    """Return sums of each local day, in order."""
    return _grouped(days, len("2026-01-01"))


def by_month(days: Iterable[Day]) -> list[Span]:
    """Return sums of each local month, in order."""
    return _grouped(days, _MONTH)


def _grouped(days: Iterable[Day], length: int) -> list[Span]:
    spans: dict[str, Span] = {}
    for day in days:
        name = day.day.isoformat()[:length]
        spans.setdefault(name, Span(name)).add(day)
    return [spans[name] for name in sorted(spans)]


def quantities(facts: Facts) -> dict[tuple[str, str], list[int]]:
    """Return monitored parameters of one quantity in one role, in the statement's order."""
    result: dict[tuple[str, str], list[int]] = {}
    for place, parameter in enumerate(facts.parameters):
        result.setdefault((parameter.parameter, parameter.role), []).append(place)
    return result


_DAYS, _MONTHS = 31, 12
# of longer periods a square is a month
_MOST_MONTHS = 36
_LEVELS = (
    "{0} \N{EN DASH} 100{1}",
    "95 \N{EN DASH} {0}{1}",
    "80 \N{EN DASH} 95{1}",
    "50 \N{EN DASH} 80{1}",
    "< 50{1}",
)


def calendar(facts: Facts, words: Words) -> Iterator[Block]:
    """Return a chart of the coverage of each day, all meters together."""
    yield chapter(words["page.calendar"])
    if not facts.days:
        yield paragraph(words["page.no_data"])
        return
    months, sign = by_month(facts.days), percent_sign(words.language)
    rows = (
        _by_days(by_day(facts.days), [month.name for month in months], words)
        if len(months) <= _MOST_MONTHS
        else _by_months(months)
    )
    yield {
        "kind": "calendar",
        "supplement": words["page.figure"],
        "caption": words["page.calendar_note"],
        "alt": _described(months, words),
        "rows": rows,
        "legend": [text.format(words.number("99.5"), sign) for text in _LEVELS],
        "none": words["page.no_data"],
        "outside": words["page.outside"],
    }


def _by_days(days: Sequence[Span], months: Sequence[str], words: Words) -> list[dict[str, Any]]:
    known = {day.name: day for day in days}
    rows = []
    for month in months:
        last = monthrange(int(month[:4]), int(month[5:]))[1]
        names = [f"{month}-{day:02d}" if day <= last else "" for day in range(1, _DAYS + 1)]
        cells = [_cell(str(day), known, name) for day, name in enumerate(names, 1)]
        rows.append({"name": words.mark(month), "cells": cells})
    return rows


def _by_months(months: Sequence[Span]) -> list[dict[str, Any]]:
    known = {month.name: month for month in months}
    return [
        {
            "name": year,
            "cells": [_cell(str(m), known, f"{year}-{m:02d}") for m in range(1, _MONTHS + 1)],
        }
        for year in sorted({month.name[:4] for month in months})
    ]


def _cell(text: str, known: Mapping[str, Span], name: str) -> dict[str, Any]:
    span = known.get(name)
    if span is None:
        return {"text": text if name else "", "share": None, "out": True}
    share = float(span.coverage) if span.seen else None
    return {"text": text, "share": share, "out": False}


def _described(months: Sequence[Span], words: Words) -> str:
    message = "; ".join(
        f"{words.mark(month.name)}: {words.percent(str(month.coverage))}" for month in months
    )
    return f"{words['page.calendar']}. {message}"
