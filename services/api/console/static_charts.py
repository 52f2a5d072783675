"""
Charts as SVG for readers without JavaScript, from the same figures that the script draws.

Bars and lines are scaled to the width of the page; texts keep their size.  A map or flow chart is
replaced by its table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from math import ceil
from typing import Any, NamedTuple

from markupsafe import Markup, escape

from mrv.report.blocks import legible, steps
from services.api.console.translations import Words

_HIGH, _LABELS, _SHADES, _HOURS = 1_000, 8, 5, 24
_PARTS = {"measured": "acc2", "estimated": "gold", "unknown": "crit", "so_far": "acc2"}
_HOLLOW = {"so_far": "bg"}
_LONGEST_TEXT, _PATH = 120, 200_000
Value = Fraction | float


class Plot(NamedTuple):
    """
    Columns and lines over equal spans.

    `columns` has, for each span, the colour of fill and outline and the value of each part, stacked
    in this order; None without data.  `lines` has name, colour, values, and whether the values are
    of whole spans.
    """

    labels: Sequence[str]
    unit: str
    columns: Sequence[Sequence[tuple[str, str, Value]] | None]
    lines: Sequence[tuple[str, str, Sequence[Value | None], bool]]


def still(kind: str, figures: Mapping[str, Any], t: Words) -> Markup:
    """Return the SVG of a chart; empty for a map or flow chart."""
    if kind == "hours":
        return _hours(figures)
    read = {"months": _months, "bars": _bars, "cumulative": _cumulative}.get(kind)
    return Markup("") if read is None else _drawn(read(figures), t)


def _months(d: Mapping[str, Any]) -> Plot:
    columns = [
        [(a["key"], a["key"], a["values"][i]) for a in d["actions"] if a["values"][i] is not None]
        for i in range(len(d["labels"]))
    ]
    lines = [(d["words"]["expected"], "ink", d["expected"], True)]
    return Plot(d["labels"], d["unit"], columns, lines)


def _bars(d: Mapping[str, Any]) -> Plot:
    columns: list[list[tuple[str, str, Value]] | None] = []
    for bar in d["bars"]:
        parts, expected = bar["parts"], bar["expected"]
        short = expected is not None and sum(value for _, value in parts or ()) < expected
        columns.append(
            None
            if parts is None
            else [
                (_HOLLOW.get(kind, "acc3" if short else _PARTS[kind]), _PARTS[kind], value)
                for kind, value in parts
            ]
        )
    expected = [bar["expected"] for bar in d["bars"]]
    return Plot(
        [bar["label"] for bar in d["bars"]], d["unit"], columns, [("", "ink", expected, True)]
    )


def _cumulative(d: Mapping[str, Any]) -> Plot:
    lines = [(d["words"][of], colour, d[of], False)
             for of, colour in (("measured", "acc2"), ("expected", "ink"))]  # fmt: skip
    return Plot(d["labels"], d["unit"], [[] for _ in d["labels"]], lines)


def _drawn(plot: Plot, t: Words) -> Markup:
    sums = [
        sum((Fraction(value) for *_, value in column if (value > 0) is up), Fraction(0))
        for column in plot.columns if column for up in (True, False)
    ]  # fmt: skip
    known = [[Fraction(v) for v in line[2] if v is not None] for line in plot.lines]
    both = [*sums, *(value for values in known for value in values), Fraction(0)]
    grid = steps(min(both), max(both))

    def at(value: Value) -> int:  # distance from the top
        return round((grid[-1] - Fraction(value)) / (grid[-1] - grid[0]) * _HIGH)

    stored: dict[tuple[str, str], list[str]] = {}
    for i, column in enumerate(plot.columns):
        if column is None:
            stored.setdefault(("hair", "hair"), []).append(_column(i, 0, _HIGH))
        ends = [Fraction(0), Fraction(0)]
        for fill, stroke, value in column or ():
            side = value < 0
            begin, ends[side] = ends[side], ends[side] + Fraction(value)
            edges = sorted((at(begin), at(ends[side])))
            stored.setdefault((fill, stroke), []).append(_column(i, *edges))
    count = len(plot.labels)
    marks = [_path("".join(f"M0 {at(v)}H{count}" for v in grid), stroke="hair")]
    marks += [_path("".join(d), fill, stroke) for (fill, stroke), d in stored.items()]
    marks += [
        _path(_line(values, at, whole), stroke=colour) for _, colour, values, whole in plot.lines
    ]
    texts = [_text("-6", at(v), "end", t.number(f"{float(v):.10g}"), 4) for v in grid]
    ends_of = [(values[-1], line[0]) for line, values in zip(plot.lines, known, strict=True)
               if line[0] and values]  # fmt: skip
    texts += [
        _text("100%", at(value), "end", name, -5 if value == max(ends_of)[0] else 14)
        for value, name in ends_of
    ]
    return _whole(count, _HIGH, marks, [*texts, *_below(plot.labels), _unit(plot.unit)])


def _hours(d: Mapping[str, Any]) -> Markup:
    """Return hours of days as cells in shades of one colour."""
    largest = max((float(value) for *_, value in d["cells"]), default=0.0) or 1.0
    shades: dict[int, list[str]] = {}
    for day, hour, value in d["cells"]:
        shade = ceil(max(float(value), 0.0) / largest * _SHADES)
        shades.setdefault(shade, []).append(f"M{day} {hour}h.9v.9h-.9z")
    marks = [
        _path("".join(cells), "acc" if shade else "hair", opacity=f"{(shade or 3) / _SHADES:.1f}")
        for shade, cells in sorted(shades.items())
    ]
    texts = [_text("-6", round((hour + 0.5) / _HOURS * _HIGH), "end", d["hours"][hour], 4)
             for hour in range(0, _HOURS, 6)]  # fmt: skip
    return _whole(len(d["labels"]), _HOURS, marks, [*texts, *_below(d["labels"])])


def _column(i: int, top: int, bottom: int) -> str:
    return f"M{i}.13 {top}h.74v{max(bottom - top, 2)}h-.74z"


def _line(values: Sequence[Value | None], at: Callable[[Value], int], whole: bool) -> str:
    if whole:
        return "".join(f"M{i} {at(value)}h1" for i, value in enumerate(values) if value is not None)
    return "".join(
        f"M{i}.5 {at(a)}L{i + 1}.5 {at(b)}"
        for i, (a, b) in enumerate(pairwise(values))
        if a is not None and b is not None
    )


def _path(d: str, fill: str = "", stroke: str = "", opacity: str | None = None) -> Markup:
    return tag(
        "path", d=d, fill=f"var(--{fill})" if fill else "none",
        stroke=f"var(--{stroke})" if stroke else None, opacity=opacity,
        vector_effect="non-scaling-stroke",
    )  # fmt: skip


def _text(x: str, y: int, anchor: str, words: str, dy: int = 0) -> Markup:
    return tag("text", words, x=x, y=f"{y / 10:.1f}%", dy=str(dy), text_anchor=anchor)


def _unit(words: str) -> Markup:
    return tag("text", words, x="-44", y="-10")


def _below(labels: Sequence[str]) -> list[Markup]:
    """Return the labels below the axis, as many as have room."""
    named = [i for i, label in enumerate(labels) if label]
    every = ceil(len(named) / _LABELS) or 1
    return [
        _text(f"{(i + 0.5) / len(labels) * 100:.1f}%", _HIGH, "middle", labels[i], 15)
        for i in named[::every]
    ]


def _whole(wide: int, high: int, marks: Sequence[Markup], texts: Sequence[Markup]) -> Markup:
    area = tag(
        "svg", *marks, viewBox=f"0 0 {wide} {high}", preserveAspectRatio="none", width="100%",
        height="100%",
    )  # fmt: skip
    return tag("svg", area, *texts, class_="still", aria_hidden="true")


def tag(name: str, *inside: Markup | str, **attributes: object) -> Markup:
    """
    Return an SVG element.

    `inside`: elements, and texts, which are escaped.
    `attributes`: `_` becomes `-`, and one at the end is dropped; None omits an attribute.
    """
    attributes_text = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _attribute(value))
        for key, value in attributes.items()
        if value is not None
    )
    content = Markup("").join(
        element if isinstance(element, Markup) else escape(legible(element, _LONGEST_TEXT))
        for element in inside
    )
    return Markup("<{0}{1}>{2}</{0}>").format(name, attributes_text, content)


def _attribute(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.1f}".removesuffix(".0")
    return value if isinstance(value, Markup) else legible(str(value), _PATH)
