"""Bars over time: parts on each other, what was expected as a line, what is not known in grey.

A chart as its figures: the script of the page draws it (deploy/charts), a table stands behind it.

Without script the table is what a reader has; nothing is drawn twice.

Flows between places: bands from givers to receivers, as wide as they are large.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from markupsafe import Markup

from mrv.report.printable_text import legible

_PLACES, _LONGEST = 6, 160


def declared(kind: str, figures: Mapping[str, Any], alt: str, name: str) -> Markup:
    """
    Return a chart.

    Parameters
    ----------
    kind : str
        A function of `deploy/charts/src/options.mjs`.
    figures : mapping
        What it draws: numbers, texts, lists of them.
    alt : str
        The chart in words.
    name : str
        Of the files that a reader takes from it.
    """
    message = json.dumps(_plain(figures), ensure_ascii=False, separators=(",", ":"))
    return Markup(
        '<div class="chart h-{0}" data-chart="{0}" data-name="{1}" role="group" aria-label="{2}"'
        ' data-figures="{3}"></div>'
    ).format(kind, name, legible(alt, 2_000), message)


def _plain(value: Any) -> Any:
    """Return a value for JSON, with exact numbers and legible texts."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, str):
        return legible(value, _LONGEST)
    if value is None or isinstance(value, bool | int):
        return value
    return round(float(Fraction(value)), _PLACES)


class Bar(NamedTuple):
    """
    A span of time.

    `label` is written below where there is room, `told` is what a pointer shows.  `parts`
    are pairs of a kind and a value; None where nothing is stored about the span.  `href` is what
    a click opens.
    """

    label: str
    told: str
    parts: tuple[tuple[str, Fraction], ...] | None
    expected: Fraction | None = None
    href: str | None = None


def bars(items: Sequence[Bar], unit: str, alt: str, name: str) -> Markup:
    """
    Draw bars.

    Parameters
    ----------
    items : sequence of Bar
        In order of time, each as wide as the others.
    unit : str
        Unit of the values.
    alt : str
        The chart in words.
    name : str
        Of the files that a reader takes from it.
    """
    figures = {"unit": unit, "bars": [bar._asdict() for bar in items]}
    return declared("bars", figures, alt, name)


class Flow(NamedTuple):
    """A flow: source, destination, amount, and its text."""

    giver: str
    receiver: str
    amount: float
    shown: str


def flows(items: Sequence[Flow], unit: str, amount: str, alt: str, name: str) -> Markup:
    """
    Draw flows.

    Parameters
    ----------
    items : sequence of Flow
        Of one unit, each above zero.
    amount : str
        What an amount is called.
    alt : str
        The flows in words.
    """
    content = {"unit": unit, "words": {"amount": amount}, "flows": [f._asdict() for f in items]}
    return declared("flows", content, alt, name)
