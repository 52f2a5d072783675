"""Figure: how much of each day was measured."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mrv.report.blocks import Block, chapter, paragraph
from mrv.report.page.spans import Span, by_day, by_month
from mrv.report.report_data import Facts
from mrv.report.words import Words

_DAYS, _MONTHS = 31, 12
# of longer periods a square is a month
_MOST_MONTHS = 36
_LEVELS = (
    "99.5 \N{EN DASH} 100 %",
    "95 \N{EN DASH} 99.5 %",
    "80 \N{EN DASH} 95 %",
    "50 \N{EN DASH} 80 %",
    "< 50 %",
)


def calendar(facts: Facts, words: Words) -> Iterator[Block]:
    """Draw the coverage of each day, all meters together."""
    yield chapter(words["page.calendar"])
    if not facts.days:
        yield paragraph(words["page.no_data"])
        return
    months = by_month(facts.days)
    rows = (
        _by_days(by_day(facts.days), [month.name for month in months])
        if len(months) <= _MOST_MONTHS
        else _by_months(months)
    )
    yield {
        "kind": "calendar",
        "supplement": words["page.figure"],
        "caption": words["page.calendar_note"],
        "alt": _described(months, words),
        "rows": rows,
        "legend": [text.replace("99.5", words.number("99.5")) for text in _LEVELS],
        "none": words["page.no_data"],
        "outside": words["page.outside"],
    }


def _by_days(days: Sequence[Span], months: Sequence[str]) -> list[dict[str, Any]]:
    known = {one.name: one for one in days}
    rows = []
    for month in months:
        last = monthrange(int(month[:4]), int(month[5:]))[1]
        names = [f"{month}-{day:02d}" if day <= last else "" for day in range(1, _DAYS + 1)]
        cells = [_cell(str(day), known, name) for day, name in enumerate(names, 1)]
        rows.append({"name": month, "cells": cells})
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
    said = "; ".join(f"{month.name}: {words.percent(str(month.coverage))}" for month in months)
    return f"{words['page.calendar']}. {said}"
