"""Small charts as SVG: a QR code, bars of a card, and the steps from one total to another."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import segno
from markupsafe import Markup, escape

from mrv.report.printable_text import legible

_LONGEST, _PATH = 120, 200_000


def tag(name: str, *inside: Markup | str, **attributes: object) -> Markup:
    """
    Return an SVG element.

    Parameters
    ----------
    inside : Markup or str
        Elements, and texts, which are escaped.
    attributes : object
        `_` becomes `-`, and one at the end is dropped; None omits an attribute.
    """
    attributes_text = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _text(value))
        for key, value in attributes.items()
        if value is not None
    )
    content = Markup("").join(
        element if isinstance(element, Markup) else escape(legible(element, _LONGEST))
        for element in inside
    )
    return Markup("<{0}{1}>{2}</{0}>").format(name, attributes_text, content)


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.1f}".removesuffix(".0")
    return value if isinstance(value, Markup) else legible(str(value), _PATH)


def rectangle(x: float, y: float, width: float, height: float) -> str:
    """Return the path of a rectangle. [px]"""
    return f"M{x:.1f} {y:.1f}h{width:.1f}v{height:.1f}h{-width:.1f}z"


def shortened(text: str, maximum: int) -> str:
    """Return a text cut to a number of characters, with an ellipsis if it was longer."""
    return (
        text if len(text) <= maximum else f"{text[: maximum - 1].rstrip()}\N{HORIZONTAL ELLIPSIS}"
    )


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


def sparkline(values: Sequence[Fraction | float | None], alt: str) -> Markup:
    """
    Return the chart of successive values; None leaves a gap.

    Parameters
    ----------
    values : sequence of number or None
        Values in order of time, equally spaced.
    alt : str
        Description of the values.
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

    `value` is a total, or the change from the previous step.  `shown` is its text in the reader's
    language.
    """

    label: str
    value: Fraction
    shown: str
    total: bool


class Drawn(NamedTuple):
    """Step with the position of its bar."""

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
