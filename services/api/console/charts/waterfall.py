"""A waterfall: from one total through what is taken off to the next."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from markupsafe import Markup

from services.api.console.charts.frame import NARROW, WIDE, Size, below, figure, framed
from services.api.console.charts.svg import rectangle, shortened, tag
from services.api.console.translations import Words

_FILLED, _CHARACTER = 0.62, 7.4


class Step(NamedTuple):
    """
    A column.

    `value` is a total that stands on zero, or what is added to the one before.  `shown` is
    its figure in the reader's language.
    """

    label: str
    value: Fraction
    shown: str
    total: bool


def waterfall(found: Sequence[Step], unit: str, alt: str, t: Words) -> Markup:
    """
    Draw columns from left to right, each beginning where the one before ended.

    Parameters
    ----------
    found : sequence of Step
        Totals and changes, in order.
    unit : str
        Unit of the values.
    alt : str
        The chart in words.
    """
    spans, at = [], Fraction(0)
    for one in found:
        begin = Fraction(0) if one.total else at
        at = begin + one.value
        spans.append((begin, at))
    edges = [edge for span in spans for edge in span]

    def draw(size: Size) -> list[Markup]:
        frame, drawn = framed(size, min(edges), max(edges), unit, t)
        each = frame.wide / len(found)
        for i, (one, (begin, end)) in enumerate(zip(found, spans, strict=True)):
            x, wide = frame.left + (i + (1 - _FILLED) / 2) * each, each * _FILLED
            top, bottom = sorted((frame.y(begin), frame.y(end)))
            kind = "total" if one.total else "gain" if one.value > 0 else "cost"
            path = rectangle(x, top, wide, max(bottom - top, 1.0))
            drawn.append(
                tag("path", tag("title", f"{one.label}: {one.shown}"), d=path, class_=kind)
            )
            if i + 1 < len(found):
                y = frame.y(end)
                drawn.append(tag("line", x1=x + wide, x2=x + each, y1=y, y2=y, class_="joint"))
            if size is WIDE:
                drawn.append(
                    tag("text", one.shown, x=x + wide / 2, y=max(top - 5, 12.0),
                        text_anchor="middle", class_="figure")
                )  # fmt: skip
        room = max(int(each / _CHARACTER), 3)
        labels = [
            ((i + 0.5) / len(found), shortened(one.label, room) if size is WIDE else str(i + 1))
            for i, one in enumerate(found)
        ]
        return drawn + below(frame, labels)

    return figure(draw, alt, (WIDE, NARROW))
