"""Sparkline: small bars without axes, scaled to the largest value."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from markupsafe import Markup

from services.api.console.charts.svg import rectangle, tag

_EACH, _HIGH = 4, 24


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
            high = max(abs(float(item)) / maximum * _HIGH, 0.5)
            kind = "below" if item < 0 else "measured"
            drawn.append(
                tag("path", d=rectangle(i * _EACH, _HIGH - high, _EACH - 1, high), class_=kind)
            )
    return tag(
        "svg",
        *drawn,
        class_="spark",
        viewBox=f"0 0 {len(values) * _EACH} {_HIGH}",
        role="img",
        aria_label=alt,
        preserveAspectRatio="none",
    )
