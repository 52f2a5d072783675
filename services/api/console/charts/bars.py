"""Bars over time: parts on each other, what was expected as a line, what is not known in grey."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from markupsafe import Markup

from services.api.console.charts.declared import declared


class Bar(NamedTuple):
    """
    A span of time.

    `label` is written below where there is room, `told` is what a pointer shows.  `parts`
    are pairs of a kind and a value; None where nothing is known of the span.  `href` is what
    a click opens.
    """

    label: str
    told: str
    parts: tuple[tuple[str, Fraction], ...] | None
    expected: Fraction | None = None
    href: str | None = None


def bars(found: Sequence[Bar], unit: str, alt: str, name: str) -> Markup:
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
    name : str
        Of the files that a reader takes from it.
    """
    figures = {"unit": unit, "bars": [one._asdict() for one in found]}
    return declared("bars", figures, alt, name)
