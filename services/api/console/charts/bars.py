"""Bars over time: parts on each other, what was expected as a line, what is not known hatched."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from markupsafe import Markup

from services.api.console.charts.frame import NARROW, WIDE, Frame, Size, below, figure, framed
from services.api.console.charts.svg import rectangle, tag
from services.api.console.translations import Words

_FILLED, _LEAST_PX = 0.78, 1.0


class Bar(NamedTuple):
    """
    A span of time.

    `label` is written below where there is room, `told` is what a pointer shows.  `parts`
    are pairs of a kind and a value; None where nothing is known of the span.
    """

    label: str
    told: str
    parts: tuple[tuple[str, Fraction], ...] | None
    expected: Fraction | None = None


def bars(found: Sequence[Bar], unit: str, alt: str, t: Words) -> Markup:
    """
    Draw bars.

    Parameters
    ----------
    found : sequence of Bar
        In order of time, each as wide as the others.
    unit : str
        Unit of the values.
    alt : str
        The chart in words.
    """
    values = [value for one in found for value in _reaches(one)]
    low, high = min(values, default=Fraction(0)), max(values, default=Fraction(1))

    def draw(size: Size) -> list[Markup]:
        frame, drawn = framed(size, low, high, unit, t)
        each = frame.wide / max(len(found), 1)
        for i, one in enumerate(found):
            drawn += _bar(frame, one, frame.left + i * each, each)
        drawn += _expected(frame, found, each)
        labels = [((i + 0.5) / len(found), one.label) for i, one in enumerate(found)]
        return drawn + below(frame, labels)

    return figure(draw, alt, (WIDE, NARROW))


def _reaches(one: Bar) -> list[Fraction]:
    """Return the values that a bar reaches: parts above zero on each other, and those below."""
    parts = one.parts or ()
    up = sum((value for _, value in parts if value > 0), Fraction(0))
    down = sum((value for _, value in parts if value < 0), Fraction(0))
    return [up, down, *([] if one.expected is None else [one.expected])]


def _bar(frame: Frame, one: Bar, x: float, each: float) -> list[Markup]:
    gap = each * (1 - _FILLED) / 2
    told = tag("title", one.told)
    if one.parts is None:
        top = frame.y(frame.steps[-1])
        path = rectangle(x + gap, top, each - 2 * gap, frame.y(frame.steps[0]) - top)
        return [tag("path", told, d=path, class_="none")]
    drawn, up, down = [], Fraction(0), Fraction(0)
    for kind, value in one.parts:
        begin = up if value > 0 else down
        top, bottom = sorted((frame.y(begin), frame.y(begin + value)))
        height = max(bottom - top, _LEAST_PX if value else 0.0)
        path = rectangle(x + gap, bottom - height, each - 2 * gap, height)
        drawn.append(tag("path", told, d=path, class_=kind))
        if value > 0:
            up += value
        else:
            down += value
    return drawn


def _expected(frame: Frame, found: Sequence[Bar], each: float) -> list[Markup]:
    """Draw what was expected of each span as a step over it, broken where nothing was stated."""
    path, joined = "", False
    for i, one in enumerate(found):
        if one.expected is None:
            joined = False
            continue
        x, y = frame.left + i * each, frame.y(one.expected)
        path += f"{'L' if joined else 'M'}{x:.1f} {y:.1f}h{each:.1f}"
        joined = True
    return [tag("path", d=path, class_="expected")] if path else []
