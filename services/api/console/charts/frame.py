"""
The frame of a chart: its size, its axis, and a form for wide pages and one for phones.

Text in a picture shrinks with it; so that a chart is read on a phone, it is drawn twice,
and the style sheet shows one.  Paper takes the wide one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import NamedTuple

from markupsafe import Markup

from mrv.report.axis import steps
from services.api.console.charts.svg import tag
from services.api.console.translations import Words

_RIGHT, _BOTTOM, _TOP, _CHARACTER = 12, 26, 22, 7.4


class Size(NamedTuple):
    """A form: its class in the style sheet, and its sides. [px]"""

    name: str
    width: int
    height: int


WIDE, NARROW = Size("broad", 1100, 270), Size("slim", 340, 230)
Draw = Callable[[Size], tuple[Markup, Size]]


class Frame(NamedTuple):
    """A frame with a vertical axis: where values and places lie in it. [px]"""

    size: Size
    left: float
    steps: tuple[Fraction, ...]

    @property
    def wide(self) -> float:
        """Width of what is drawn in."""
        return self.size.width - self.left - _RIGHT

    def y(self, value: Fraction | float) -> float:
        """Return where a value lies."""
        low, high = self.steps[0], self.steps[-1]
        share = float((Fraction(value) - low) / (high - low))
        return _TOP + (1 - share) * (self.size.height - _TOP - _BOTTOM)

    def x(self, share: float) -> float:
        """Return where a share of the width lies, 0 to 1."""
        return self.left + share * self.wide

    @property
    def foot(self) -> float:
        """Baseline of what is written below."""
        return self.size.height - 8


def framed(
    size: Size, low: Fraction, high: Fraction, unit: str, t: Words
) -> tuple[Frame, list[Markup]]:
    """
    Return a frame for values from low to high, and its axis drawn.

    Parameters
    ----------
    unit : str
        Written over the axis.
    """
    found = tuple(steps(low, high))
    texts = [t.number(plain(one)) for one in found]
    left = max(max(len(text) for text in texts) * _CHARACTER + 8, 24)
    frame = Frame(size, left, found)
    drawn = [tag("text", unit, x=2, y=12, class_="axis")]
    for value, text in zip(found, texts, strict=True):
        y = frame.y(value)
        drawn.append(
            tag("line", x1=left, x2=float(size.width - _RIGHT), y1=y, y2=y,
                class_="zero" if value == 0 else "step")
        )  # fmt: skip
        drawn.append(tag("text", text, x=left - 6, y=y + 4, text_anchor="end", class_="axis"))
    return frame, drawn


def plain(value: Fraction) -> str:
    """Return a decimal text without zeros at its end, with at most six places."""
    text = f"{float(value):.6f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def below(frame: Frame, labels: Sequence[tuple[float, str]]) -> list[Markup]:
    """Write labels below the frame at shares of its width; those that would touch are left out."""
    drawn, free = [], -1.0
    for share, text in labels:
        x, half = frame.x(share), len(text) * _CHARACTER / 2
        x = min(max(x, half), frame.size.width - half)
        if text and x - half > free:
            drawn.append(tag("text", text, x=x, y=frame.foot, text_anchor="middle", class_="axis"))
            free = x + half + 6
    return drawn


def figure(draw: Callable[[Size], Sequence[Markup]], alt: str, sizes: Sequence[Size]) -> Markup:
    """
    Return a chart in its forms, which says in words what it shows.

    Parameters
    ----------
    draw : callable
        Takes a form and returns its elements.
    alt : str
        What a reader who does not see it is told; the figures stand in a table behind it.
    """
    return Markup("").join(
        tag(
            "svg",
            *draw(size),
            class_=f"plot {size.name}",
            viewBox=f"0 0 {size.width} {size.height}",
            role="img",
            aria_label=alt,
        )
        for size in sizes
    )
