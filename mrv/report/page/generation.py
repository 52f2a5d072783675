"""Figure: what was measured, against what the design expects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from fractions import Fraction
from typing import Any

from mrv.calendar import days, part_of_year
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


def _expected_wh(facts: Facts, place: int) -> Fraction | None:
    """Energy that the design expects in a year, if it is said of this quantity alone. [Wh]"""
    energies = {(p.parameter, p.role) for p in facts.compared}
    one = facts.parameters[place]
    said = facts.plan.project.expected.get("energy_kwh_per_year")
    if said is None or energies != {(one.parameter, one.role)}:
        return None
    return Fraction(str(said)) * 1000


def _bars(facts: Facts, words: Words, place: int, spans: Sequence[Span], *, daily: bool) -> Block:
    one = facts.parameters[place]
    yearly = _expected_wh(facts, place)
    expected = [None if yearly is None else yearly * part for part in _parts(facts, spans)]
    most = max([Fraction(1), *(Fraction(s.value or 0) for s in spans), *filter(None, expected)])
    unit, size = unit_for(one.unit, most, words.number)
    top, ticks = _ticks(most / size, words)
    every = -(-len(spans) // (_DAY_LABELS if daily else _MONTH_LABELS))
    shape = "page.by_day" if daily else "page.by_month"
    name = f"{quantity(one, words)} ({role(one.role, words)})"
    caption = f"{name}, {words[shape]}"
    if yearly is None:
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
            *([] if yearly is None else [["line", words["page.expected_line"]]]),
        ],
    }


def _parts(facts: Facts, spans: Sequence[Span]) -> list[Fraction]:
    """Part of the design's year of each day or month, whatever was in service then."""
    by_month = facts.plan.project.expected.get("by_month")
    first, last = facts.span_us
    found: dict[date, Fraction] = {
        day: part_of_year(by_month, max(begin, first), min(end, last), facts.timezone)
        for day, begin, end in days(*facts.span_us, facts.timezone)
    }
    return [sum((found[day] for day in span.days), Fraction(0)) for span in spans]


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
