"""
Charts from figures: bars over time, and flows between places.

A script (deploy/charts) draws the figures; without scripts the reader sees the table behind them.
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
        Its data: numbers, texts, lists of them.
    alt : str
        Description of the chart.
    name : str
        Name of downloaded files.
    """
    message = json.dumps(_plain(figures), ensure_ascii=False, separators=(",", ":"))
    return Markup(
        '<div class="chart h-{0}" data-chart="{0}" data-name="{1}" role="group" aria-label="{2}"'
        ' data-figures="{3}"></div>'
    ).format(kind, name, legible(alt, 2_000), message)


def _plain(value: Any) -> Any:
    """Return a value for JSON, with exact numbers and legible texts."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, str):
        return legible(value, _LONGEST)
    if value is None or isinstance(value, bool | int):
        return value
    return round(float(Fraction(value)), _PLACES)


class Bar(NamedTuple):
    """
    Bar of one time span.

    `label`: its label, shown if there is room; `told`: its tooltip.  `parts` are pairs of a kind
    and a value; None without stored data.  `href` is its link.
    """

    label: str
    told: str
    parts: tuple[tuple[str, Fraction], ...] | None
    expected: Fraction | None = None
    href: str | None = None


def bars(items: Sequence[Bar], unit: str, alt: str, name: str) -> Markup:
    """
    Return a bar chart.

    Parameters
    ----------
    items : sequence of Bar
        Bars in order of time, of equal width.
    unit : str
        Unit of the values.
    alt : str
        Description of the chart.
    name : str
        Name of downloaded files.
    """
    figures = {"unit": unit, "bars": [bar._asdict() for bar in items]}
    return declared("bars", figures, alt, name)


class Flow(NamedTuple):
    """Flow from a source to a destination: its amount and text."""

    giver: str
    receiver: str
    amount: float
    shown: str


def flows(items: Sequence[Flow], unit: str, amount: str, alt: str, name: str) -> Markup:
    """
    Return a flow chart.

    Parameters
    ----------
    items : sequence of Flow
        Amounts of one unit, each above zero.
    amount : str
        Name of the amounts.
    alt : str
        Description of the chart.
    """
    content = {"unit": unit, "words": {"amount": amount}, "flows": [f._asdict() for f in items]}
    return declared("flows", content, alt, name)
