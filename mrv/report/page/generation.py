"""Figure: what was measured, against what the design expects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from fractions import Fraction
from typing import Any

from mrv.accounting.rounded_figures import expected_of
from mrv.calendar import days
from mrv.report.axis import steps, unit_for
from mrv.report.blocks import Block, chapter
from mrv.report.page.spans import MOST_DAYS, Span, by_day, by_month, quantities
from mrv.report.report_data import Facts
from mrv.report.translations import quantity, role
from mrv.report.words import Words

# as many as stand beside each other without touching
_DAY_LABELS, _MONTH_LABELS = 10, 14


def generation(facts: Facts, words: Words) -> Iterator[Block]:
    """Draw each monitored quantity over the period."""
    yield chapter(words["page.generation"])
    for places in quantities(facts).values():
        chosen = set(places)
        mine = [day for day in facts.days if day.parameter in chosen]
        if not mine:
            continue
        daily = len({day.day for day in mine}) <= MOST_DAYS
        yield _bars(facts, words, places[0], (by_day if daily else by_month)(mine), daily=daily)


def _expected_wh(facts: Facts, place: int, spans: Sequence[Span]) -> list[Fraction | None]:
    """Energy that the design expects of spans, if it is said of this quantity alone. [Wh]"""
    energies = {(p.parameter, p.role) for p in facts.compared}
    one = facts.parameters[place]
    if energies != {(one.parameter, one.role)}:
        return [None for _ in spans]
    of_day = _of_days(facts)
    found = ([of_day[day] for day in span.days] for span in spans)
    return [
        None if None in every else 1000 * sum(filter(None, every), Fraction(0)) for every in found
    ]


def _bars(facts: Facts, words: Words, place: int, spans: Sequence[Span], *, daily: bool) -> Block:
    one = facts.parameters[place]
    expected = _expected_wh(facts, place, spans)
    known = any(one is not None for one in expected)
    most = max([Fraction(1), *(Fraction(s.value or 0) for s in spans), *filter(None, expected)])
    unit, size = unit_for(one.unit, most, words.number)
    top, ticks = _ticks(most / size, words)
    every = -(-len(spans) // (_DAY_LABELS if daily else _MONTH_LABELS))
    shape = "page.by_day" if daily else "page.by_month"
    name = f"{quantity(one, words)} ({role(one.role, words)})"
    caption = f"{name}, {words[shape]}"
    if not known:
        caption = words.filled("page.caption", caption, words["page.no_expected"])
    return {
        "kind": "bars",
        "supplement": words["page.figure"],
        "caption": caption,
        "alt": _described(name, spans, unit, size, words),
        "unit": unit,
        "ticks": ticks,
        "bars": [
            {
                "label": span.name if i % every == 0 else "",
                "value": None if span.value is None else float(Fraction(span.value, size) / top),
                "part": span.lost_us > 0,
                "expected": None if wanted is None else float(wanted / size / top),
            }
            for i, (span, wanted) in enumerate(zip(spans, expected, strict=True))
        ],
        "legend": [
            ["whole", words["page.measured"]],
            ["part", words["page.incomplete"]],
            ["none", words["page.no_data"]],
            *([] if not known else [["line", words["page.expected_line"]]]),
        ],
    }


def _of_days(facts: Facts) -> dict[date, Fraction | None]:
    """Energy that the design expects of each day, whatever was in service then. [kWh]"""
    first, last = facts.span_us
    expected, zone = facts.plan.project.expected, facts.timezone
    return {
        day: expected_of(expected, "energy_kwh_per_year", (max(begin, first), min(end, last), zone))
        for day, begin, end in days(*facts.span_us, zone)
    }


def _ticks(most: Fraction, words: Words) -> tuple[Fraction, list[dict[str, Any]]]:
    """Round steps up to the highest bar."""
    found = steps(Fraction(0), most)
    top = found[-1]
    return top, [{"at": float(one / top), "text": words.number(words.plain(one))} for one in found]


def _described(name: str, spans: Sequence[Span], unit: str, size: int, words: Words) -> str:
    """Say in words what the bars show, for anyone who does not see them."""
    known = "; ".join(
        f"{s.name}: {words['page.no_data']}"
        if s.value is None
        else f"{s.name}: {words.number(words.plain(Fraction(s.value, size), 3))} {unit}"
        for s in spans
    )
    return f"{name}. {known}"
