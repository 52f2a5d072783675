"""Inputs of the figures on the page: measured share of each day, meters, parameters, factors."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from typing import Any

from mrv.documents.period_account import FixedParameter
from mrv.report.blocks import Block, chapter, paragraph, part, table, together
from mrv.report.dated_values import dated
from mrv.report.report_data import Day, Facts
from mrv.report.words import (
    DASH,
    DISPLAY_UNITS,
    Words,
    calculated,
    certainty,
    certificate,
    error,
    factor_kind,
    meaning,
    percent_sign,
    quantity,
    role,
    source,
    until,
    yes_no,
)
from mrv.rules import titled


def basis(facts: Facts, words: Words) -> Iterator[Block]:
    """Yield the inputs of the figures."""
    yield part(words["page.monitored"])
    yield _monitored(facts, words)
    yield chapter(words["page.meters"])
    yield _meters(facts, words)
    fixed = facts.subject.fixed_parameters or ()
    if measured := [item for item in fixed if item.monitoring_option]:
        yield chapter(words["page.parameters_measured"])
        yield from _fixed(facts, measured, words)
    yield chapter(words["page.fixed"])
    yield from _fixed(facts, [item for item in fixed if not item.monitoring_option], words)
    yield from dated(facts.subject, words)
    yield chapter(words["factors"])
    yield _factors(facts, words)
    yield chapter(words["page.conditions"])
    yield from _conditions(facts, words)


def _monitored(facts: Facts, words: Words) -> Block:
    heads = [
        (words["device"], "l", 1.2), (words["quantity"], "l", 1.6), (words["symbol"], "l", 0),
        (words["option_short"], "c", 0), (words["metered"], "r", 1.0),
        (words["counted"], "r", 1.0), (words["unit"], "l", 0), (words["emissions_t"], "r", 1.0),
        (words["measured_share"], "r", 0.8),
    ]  # fmt: skip
    rows = []
    for parameter in facts.parameters:
        unit, size = DISPLAY_UNITS[parameter.unit]
        amounts = (
            words.plain(Fraction(n) / size, 6) for n in (parameter.metered, parameter.counted)
        )
        rows.append([
            parameter.device, f"{quantity(parameter, words)} ({role(parameter.role, words)})",
            parameter.symbol or DASH, parameter.monitoring_option, *map(words.number, amounts),
            unit, words.number(parameter.emissions_t),
            words.percent(parameter.coverage.measured_share),
        ])  # fmt: skip
    return table(words, heads, rows)


def _meters(facts: Facts, words: Words) -> Block:
    heads = [
        (words["device"], "l", 1.2), (words["serial"], "l", 1.0),
        (words["accuracy_class"], "l", 0.8), (words["certificate"], "l", 1.4),
        (words["performed"], "l", 0), (words["valid_until"], "l", 0),
        (words["max_error"], "r", 0.8),
    ]  # fmt: skip
    rows: list[list[str | None]] = []
    for parameter in facts.parameters:
        serial = parameter.meter.serial
        if not parameter.calibrations:
            rows.append([parameter.device, serial, None, words["no_certificate"], DASH, DASH, DASH])
        rows += [
            [parameter.device, serial, c.accuracy_class, certificate(c, words),
             words.day(c.performed), DASH if c.last_test else until(c, words), error(c, words)]
            for c in parameter.calibrations
        ]  # fmt: skip
    return table(words, heads, rows)


def _fixed(facts: Facts, fixed: Sequence[FixedParameter], words: Words) -> Iterator[Block]:
    if not fixed:
        yield paragraph(words["none"])
        return
    heads = [
        (words["device"], "l", 1.0), (words["parameter"], "l", 1.0),
        (words["description"], "l", 2.4),
        (words["value"], "r", 0), (words["unit"], "l", 0), (words["source"], "l", 1.8),
    ]  # fmt: skip
    rows = [
        [
            words["whole_project"] if item.device is None else item.device,
            item.symbol or item.parameter, meaning(item, facts.subject, words),
            words.value(item.value, item.unit), item.unit, source(item, facts.subject, words),
        ]
        for item in fixed
    ]  # fmt: skip
    yield table(words, heads, together(rows))


def _factors(facts: Facts, words: Words) -> Block:
    if not facts.subject.factors:
        return paragraph(words["none"])
    heads = [
        (words["factor"], "l", 1.6), (words["value"], "r", 0), (words["unit"], "l", 0),
        (words["direction"], "l", 0), (words["page.valid"], "l", 1.2), (words["source"], "l", 2.0),
        (words["certainty"], "l", 1.2),
        (words["verified"], "l", 0.9), (words["accepted"], "l", 0.9),
    ]  # fmt: skip
    return table(words, heads, [
        [
            f"{factor_kind(factor.kind, words.language)}: {factor.id}", words.number(factor.value),
            factor.unit, words.get(f"direction.{factor.direction}", factor.direction),
            _valid(factor.valid_from, factor.valid_to, words),
            calculated(factor, words),
            certainty(factor, words)
            + (f", {words['provisional']}" if factor.provisional else ""),
            yes_no(factor.verified, words), yes_no(factor.accepted, words),
        ]
        for factor in facts.subject.factors
    ])  # fmt: skip


def _valid(begin: str | None, end: str | None, words: Words) -> str:
    """Return the validity of a factor; a dash if it states none."""
    if not begin and not end:
        return DASH
    return f" {DASH} ".join(words.day(day) if day else DASH for day in (begin, end))


def _conditions(facts: Facts, words: Words) -> Iterator[Block]:
    conditions = facts.subject.applicability
    if not conditions:
        yield paragraph(words["none"])
        return
    heads = [(words["page.condition"], "l", 2.0), (words["page.holds"], "l", 0),
             (words["comment"], "l", 2.0)]  # fmt: skip
    yield table(
        words,
        heads,
        [
            [
                titled(condition.name, words.language),
                yes_no(condition.holds, words),
                condition.words(words.language) or DASH,
            ]
            for condition in conditions
        ],
    )


# maximum number of daily bars; longer periods have a bar per month
MAX_DAYS = 62
_MONTH = len("2026-01")


@dataclass
class Span:
    """
    Quantity and times of several devices together on a day or in a month. [base unit, us]

    `value`: None if no device has data.
    """

    name: str
    value: int | None = None
    service_us: int = 0
    lost_us: int = 0
    days: set[date] = field(default_factory=set)

    def add(self, day: Day) -> None:
        """Add the quantity and times of a device's day."""
        if day.value is not None:
            self.value = (self.value or 0) + day.value
        self.service_us += day.to_us - day.from_us
        self.lost_us += day.unknown_us + day.missing_us
        self.days.add(day.day)

    @property
    def seen(self) -> bool:
        """Return whether any part of the time was measured or estimated."""
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
    """Return the indices of monitored parameters by (quantity, role), in the statement's order."""
    result: dict[tuple[str, str], list[int]] = {}
    for place, parameter in enumerate(facts.parameters):
        result.setdefault((parameter.parameter, parameter.role), []).append(place)
    return result


_DAYS, _MONTHS = 31, 12
# maximum number of months with a square per day; longer periods have a square per month
_MAX_MONTHS = 36
_LEVELS = (
    "{0} \N{EN DASH} 100{1}",
    "95 \N{EN DASH} {0}{1}",
    "80 \N{EN DASH} 95{1}",
    "50 \N{EN DASH} 80{1}",
    "< 50{1}",
)


def calendar(facts: Facts, words: Words) -> Iterator[Block]:
    """Yield a chart of the coverage of each day, of all meters together."""
    yield chapter(words["page.calendar"])
    if not facts.days:
        yield paragraph(words["page.no_data"])
        return
    months, sign = by_month(facts.days), percent_sign(words.language)
    rows = (
        _by_days(by_day(facts.days), [month.name for month in months], words)
        if len(months) <= _MAX_MONTHS
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
