"""A small line without axes, for a card."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from markupsafe import Markup

from services.api.console.charts.frame import Size
from services.api.console.charts.svg import tag

_SIZE = Size("spark", 200, 36)
_EDGE = 3


def sparkline(values: Sequence[Fraction | float | None], alt: str) -> Markup:
    """
    Draw values, one after another; None breaks the line, zero is always in the picture.

    Parameters
    ----------
    values : sequence of number or None
        In order of time, equally far from each other.
    alt : str
        The line in words.
    """
    known = [float(one) for one in values if one is not None]
    low, high = min([0.0, *known]), max([0.0, *known])
    span = high - low or 1.0
    each = (_SIZE.width - 2 * _EDGE) / max(len(values) - 1, 1)

    def y(value: float) -> float:
        return _SIZE.height - _EDGE - (value - low) / span * (_SIZE.height - 2 * _EDGE)

    path, joined = "", False
    for i, one in enumerate(values):
        if one is not None:
            # a value between two gaps is a point
            path += f"{'L' if joined else 'M'}{_EDGE + i * each:.1f} {y(float(one)):.1f}h.1"
        joined = one is not None
    return tag(
        "svg",
        tag("line", x1=0, x2=_SIZE.width, y1=y(0.0), y2=y(0.0), class_="zero"),
        tag("path", d=path, class_="line measured"),
        class_="plot spark",
        viewBox=f"0 0 {_SIZE.width} {_SIZE.height}",
        role="img",
        aria_label=alt,
        preserveAspectRatio="none",
    )
