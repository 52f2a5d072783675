"""Lines over time, with gaps where nothing is known, and levels that stand still."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from markupsafe import Markup

from services.api.console.charts.frame import NARROW, WIDE, Frame, Size, below, figure, framed
from services.api.console.charts.svg import tag
from services.api.console.translations import Words


class Line(NamedTuple):
    """A line: its class in the style sheet, and points of a share of the width and a value."""

    kind: str
    points: Sequence[tuple[float, Fraction | float | None]]


def lines(
    found: Sequence[Line], labels: Sequence[tuple[float, str]], unit: str, alt: str, t: Words
) -> Markup:
    """
    Draw lines.

    Parameters
    ----------
    found : sequence of Line
        A point without a value breaks its line.
    labels : sequence of (float, str)
        What is written below, at shares of the width.
    unit : str
        Unit of the values.
    alt : str
        The chart in words.
    """
    values = [Fraction(v) for one in found for _, v in one.points if v is not None]
    low, high = min(values, default=Fraction(0)), max(values, default=Fraction(1))

    def draw(size: Size) -> list[Markup]:
        frame, drawn = framed(size, low, high, unit, t)
        drawn += [_line(frame, one) for one in found]
        return drawn + below(frame, labels)

    return figure(draw, alt, (WIDE, NARROW))


def _line(frame: Frame, one: Line) -> Markup:
    path, joined = "", False
    for share, value in one.points:
        if value is not None:
            path += f"{'L' if joined else 'M'}{frame.x(share):.1f} {frame.y(value):.1f}"
        joined = value is not None
    return tag("path", d=path, class_=f"line {one.kind}")
