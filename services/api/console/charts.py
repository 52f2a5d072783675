"""Charts as SVG, drawn on the server: quantities by day and hour, small charts, a QR code."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import Any, NamedTuple

import segno
from markupsafe import Markup

from mrv.calendar import local_text
from mrv.report.blocks import legible, unit_for
from services.api.console.static_charts import still, tag
from services.api.console.translations import Words

_BAR_PLACES, _LONGEST = 6, 160
# a day or month that has not ended: neither missing nor below the expected amount
SO_FAR = "so_far"


def declared(kind: str, figures: Mapping[str, Any], alt: str, name: str, t: Words) -> Markup:
    """
    Return a chart: its figures for the script, and a drawing that is shown until the script has
    run.

    `kind`: a function of `deploy/charts/src/options.mjs`.
    `figures`: its data: numbers, texts, lists of them.
    `alt`: description of the chart.
    `name`: name of downloaded files.
    """
    message = json.dumps(_plain(figures), ensure_ascii=False, separators=(",", ":"))
    return Markup(
        '<div class="chart h-{0}" data-chart="{0}" data-name="{1}" role="group" aria-label="{2}"'
        ' data-figures="{3}">{4}</div>'
    ).format(kind, name, legible(alt, 2_000), message, still(kind, figures, t))


def _plain(value: Any) -> Any:
    """Return a value for JSON, with exact numbers and legible texts."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, str):
        return legible(value, _LONGEST)
    if value is None or isinstance(value, bool | int):
        return value
    return round(float(Fraction(value)), _BAR_PLACES)


class Bar(NamedTuple):
    """
    Bar of one time span.

    `label`: its label, shown if there is room; `long`: its full name, and `shown` its value as
    text, both in the tooltip.  `parts`: pairs of a kind and a value; None if no data are stored.
    `expected`: expected value; None if unknown.  `href`: its link, if any.
    """

    label: str
    long: str
    shown: str
    parts: tuple[tuple[str, Fraction], ...] | None
    expected: Fraction | None = None
    href: str | None = None


def bars(items: Sequence[Bar], unit: str, alt: str, name: str, t: Words) -> Markup:
    """
    Return a bar chart.

    `items`: bars in order of time, of equal width.
    `unit`: unit of the values.
    `alt`: description of the chart.
    `name`: name of downloaded files.
    """
    figures = {
        "unit": unit, "bars": [bar._asdict() for bar in items], "words": {SO_FAR: t(SO_FAR)},
    }  # fmt: skip
    return declared("bars", figures, alt, name, t)


class Flow(NamedTuple):
    """Flow from a source to a destination: its amount and text."""

    giver: str
    receiver: str
    amount: float
    shown: str


def flows(items: Sequence[Flow], unit: str, amount: str, alt: str, name: str, t: Words) -> Markup:
    """
    Return a flow chart.

    `items`: amounts of one unit, each above zero.
    `amount`: name of the amounts.
    `alt`: description of the chart.
    """
    content = {"unit": unit, "words": {"amount": amount}, "flows": [f._asdict() for f in items]}
    return declared("flows", content, alt, name, t)


QUARTER_US = 900_000_000
KINDS = ("measured", "estimated", "unknown", "none")
_PLACES = 3


class Amount(NamedTuple):
    """Quantity in a time span: its known value [base unit], and times by quality. [us]"""

    value: int
    measured_us: int
    estimated_us: int
    unknown_us: int

    @property
    def kind(self) -> str:
        """Return the lowest quality of its parts; `none` if no part is known."""
        if not self.measured_us + self.estimated_us:
            return "none"
        return "unknown" if self.unknown_us else "estimated" if self.estimated_us else "measured"


def day_chart(
    amounts: Mapping[int, Amount],
    edges_us: tuple[int, int],
    until_us: int,
    zone: str,
    base: str,
    name: str,
    t: Words,
) -> Markup:
    """
    Return the chart of a day's 15-minute intervals; those from `until_us` on are yet to come.

    `amounts`: amounts by the start of the interval [us]; absent ones are missing data.
    `edges_us`: start and end, end excluded. [us]
    `zone`: time zone of the axis.
    `base`: base unit of the values.
    `name`: name of the quantity, in the reader's language.
    """
    unit, size = _unit(amounts.values(), base, t)
    drawn = []
    for start in range(edges_us[0], max(edges_us[1], edges_us[0] + QUARTER_US), QUARTER_US):
        clock = local_text(start, zone)[11:16]
        label = clock if clock[3:] == "00" and int(clock[:2]) % 3 == 0 else ""
        ahead = start >= until_us and start not in amounts
        drawn.append(
            Bar(label, clock, "", ())
            if ahead
            else _bar(amounts.get(start), clock, label, unit, size, t)
        )
    return bars(drawn, unit, _alt(amounts.values(), unit, size, name, t), "day", t)


def days_chart(
    amounts: Mapping[date, Amount], today: date, base: str, name: str, t: Words
) -> Markup:
    """
    Return the chart of all days from the first stored one until today.

    `amounts`: amounts by day; a day that is absent has no data.
    `base`: base unit of the amounts.
    `name`: name of the quantity, in the reader's language.
    """
    unit, size = _unit(amounts.values(), base, t)
    first = min(amounts)
    days = [first + timedelta(days=k) for k in range((max(*amounts, today) - first).days + 1)]
    drawn = []
    for day in days:
        label = t.short_month(day) if day.day == 1 else str(day.day)
        bar = _bar(amounts.get(day), t.day(day), label, unit, size, t)
        drawn.append(so_far(bar, t) if day == today else bar)
    return bars(drawn, unit, _alt(amounts.values(), unit, size, name, t), "days", t)


Hour = tuple[datetime, Fraction | Decimal]  # local time and value
Level = Fraction | Decimal | None


def hours_chart(
    hours: Sequence[Hour],
    days: Sequence[date],
    unit: str,
    words: tuple[str, str],
    t: Words,
    of: str,
) -> Markup:
    """
    Return the chart of each hour of each day; an hour without data stays empty.

    `hours`: local hours and their values, in `unit`.
    `words`: description of the chart, and name of its values.
    `of`: name of downloaded files.
    """
    place = {day: i for i, day in enumerate(days)}
    figures = {
        "labels": [str(day.day) for day in days], "long": [t.day(day) for day in days],
        "hours": [f"{hour:02d}:00" for hour in range(24)], "unit": unit,
        "cells": [(place[at.date()], at.hour, value) for at, value in hours],
        "words": {"hour": t("hour"), "quantity": words[1]},
    }  # fmt: skip
    return declared("hours", figures, words[0], of, t)


_MAX, _EVEN = Fraction(4, 5), 16


def hours_title(hours: Sequence[Hour], t: Words) -> str | None:
    """Return a title with the shortest span of the day that has most of the sum, or None."""
    sums = [Fraction(0)] * 24
    for at, value in hours:
        sums[at.hour] += Fraction(value)
    total = sum(sums)
    if total <= 0 or min(sums) < 0:
        return None
    spans = (
        (sum((sums * 2)[begin : begin + wide]) / total, begin, wide)
        for wide in range(1, _EVEN)
        for begin in range(24)
    )
    fitting = [span for span in spans if span[0] >= _MAX]
    if not fitting:
        return t("hours.even", percent=ceil(max(sums) / total * 100))
    wide = fitting[0][2]
    share, begin, _ = max(span for span in fitting if span[2] == wide)
    end = (begin + wide) % 24 or 24
    return t("hours.most", begin=f"{begin:02d}:00", end=f"{end:02d}:00", percent=int(share * 100))


def apart(
    pairs: Sequence[tuple[Decimal, Decimal]], format_tonnes: Callable[[Decimal], str], t: Words
) -> str | None:
    """Return a text with the difference between measured and expected sums; None if empty."""
    if not pairs:
        return None
    difference = sum((value - expected for value, expected in pairs), Decimal(0))
    side = "below" if difference < 0 else "above"
    return t(f"project.{side}", tonnes=format_tonnes(abs(difference)))


def cumulative_chart(
    rows: Sequence[tuple[str, str, Level, Level]], unit: str, measured: str, t: Words, of: str
) -> Markup | None:
    """
    Return the chart of measured and expected cumulative sums; None without expected values.

    `rows`: short and long name of a time span, its measured and its expected value, in `unit`; None
    if unknown.
    `measured`: name of the measured values.
    `of`: name of the files that a reader downloads.
    """
    rows = [row for row in rows if row[2] is not None or row[3] is not None]
    if len(rows) < 2 or not any(row[3] for row in rows):  # noqa: PLR2004 - a line
        return None
    lines: tuple[list[Level], list[Level]] = ([], [])
    sums = [Fraction(0), Fraction(0)]
    for row in rows:
        for i, value in enumerate(row[2:]):
            sums[i] += Fraction(value or 0)
            lines[i].append(None if i == 0 and value is None else sums[i])
    figures = {
        "labels": [row[0] for row in rows], "long": [row[1] for row in rows],
        "measured": lines[0], "expected": lines[1], "unit": unit,
        "words": {"measured": measured, "expected": t("expected")},
    }  # fmt: skip
    both = (amount_text(sum_, unit, t) for sum_ in sums)
    alt = f"{t('cumulative')}: {next(both)}; {t('expected')} {next(both)}"
    return declared("cumulative", figures, alt, of, t)


def amount_text(value: Fraction | int, unit: str, t: Words) -> str:
    """Return an amount with at most three decimals, in the reader's language."""
    text = f"{float(value):.{_PLACES}f}".rstrip("0").rstrip(".")
    return f"{t.number(text)} {unit}"


def _unit(amounts: Collection[Amount], base: str, t: Words) -> tuple[str, int]:
    maximum = max((abs(amount.value) for amount in amounts), default=0)
    return unit_for(base, Fraction(maximum), t.number)


def _bar(amount: Amount | None, message: str, label: str, unit: str, size: int, t: Words) -> Bar:
    if amount is None or amount.kind == "none":
        return Bar(label, message, t("missing"), None)
    value = Fraction(amount.value, size)
    return Bar(
        label,
        message,
        f"{amount_text(value, unit, t)}, {t('kind.' + amount.kind)}",
        ((amount.kind, value),),
    )


def so_far(bar: Bar, t: Words) -> Bar:
    """Return the bar of a span that has not ended."""
    parts = tuple((SO_FAR, value) for _, value in bar.parts or ())
    return bar._replace(parts=parts, shown=f"{t(SO_FAR)}: {bar.shown}")


def _alt(result: Collection[Amount], unit: str, size: int, name: str, t: Words) -> str:
    amounts = list(result)
    total = amount_text(Fraction(sum(amount.value for amount in amounts), size), unit, t)
    kinds = [
        f"{t('kind.' + kind)}: {count}"
        for kind in KINDS[:3]
        if (count := sum(amount.kind == kind for amount in amounts))
    ]
    return f"{name}: {total}. " + ", ".join(kinds)


def rectangle(x: float, y: float, width: float, height: float) -> str:
    """Return the path of a rectangle. [px]"""
    return f"M{x:.1f} {y:.1f}h{width:.1f}v{height:.1f}h{-width:.1f}z"


_QUIET = 4


def qr(text: str, alt: str) -> Markup:
    """Return the QR code of a text."""
    lines = segno.make(text, error="m", micro=False).matrix
    side = len(lines) + 2 * _QUIET
    path = "".join(
        f"M{x + _QUIET} {y + _QUIET}h1v1h-1z"
        for y, line in enumerate(lines)
        for x, dot in enumerate(line)
        if dot
    )
    return tag(
        "svg",
        tag("path", d=f"M0 0h{side}v{side}h-{side}z", fill="#fff"),
        tag("path", d=path, fill="#000"),
        class_="qr",
        viewBox=f"0 0 {side} {side}",
        role="img",
        aria_label=alt,
        shape_rendering="crispEdges",
    )


_EACH, _BAR_HIGH = 4, 24


def sparkline(values: Sequence[Decimal | None], alt: str) -> Markup:
    """
    Return the chart of successive values; None leaves a gap.

    `values`: values in order of time, equally spaced.
    `alt`: description of the values.
    """
    maximum = max((abs(float(value)) for value in values if value is not None), default=0.0) or 1.0
    drawn = []
    for i, item in enumerate(values):
        if item is not None:
            high = max(abs(float(item)) / maximum * _BAR_HIGH, 0.5)
            kind = "below" if item < 0 else "measured"
            drawn.append(
                tag("path", d=rectangle(i * _EACH, _BAR_HIGH - high, _EACH - 1, high), class_=kind)
            )
    return tag(
        "svg",
        *drawn,
        class_="spark",
        viewBox=f"0 0 {len(values) * _EACH} {_BAR_HIGH}",
        role="img",
        aria_label=alt,
        preserveAspectRatio="none",
    )


_LEAST, _HIGH = 0.3, 10


class Step(NamedTuple):
    """
    Step of a waterfall chart.

    `value` is a total, or the change from the previous step.  `value_text` is its text in the
    reader's language.
    """

    label: str
    value: Fraction
    value_text: str
    total: bool


class Drawn(NamedTuple):
    """Step of a waterfall chart with its bar, an SVG picture."""

    step: Step
    bar: Markup


def steps(result: Sequence[Step]) -> list[Drawn]:
    """Return the steps with their bars on one scale that includes zero; positions in per cent."""
    spans: list[tuple[Fraction, Fraction]] = []
    at = Fraction(0)
    for step in result:
        begin = Fraction(0) if step.total else at
        at = begin + step.value
        spans.append((min(begin, at), max(begin, at)))
    low = min(Fraction(0), *(begin for begin, _ in spans))
    high = max(Fraction(0), *(end for _, end in spans))
    scale = (high - low) or Fraction(1)

    def percent(value: Fraction) -> float:
        return float(value / scale * 100)

    drawn = []
    for step, (begin, end) in zip(result, spans, strict=True):
        wide = max(percent(end - begin), _LEAST)
        kind = "total" if step.total else "gain" if step.value > 0 else "cost"
        bar = tag(
            "rect", x=f"{min(percent(begin - low), 100 - wide):.2f}%", width=f"{wide:.2f}%",
            y=0, height=_HIGH, class_=kind,
        )  # fmt: skip
        drawn.append(Drawn(step, tag("svg", bar, class_="step", aria_hidden="true")))
    return drawn
