"""
A chart as its figures: the script of the page draws it (deploy/charts), a table stands behind it.

Without script the table is what a reader has; nothing is drawn twice.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

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
    said = json.dumps(_plain(figures), ensure_ascii=False, separators=(",", ":"))
    return Markup(
        '<div class="chart h-{0}" data-chart="{0}" data-name="{1}" role="group" aria-label="{2}"'
        ' data-figures="{3}"></div>'
    ).format(kind, name, legible(alt, 2_000), said)


def _plain(value: Any) -> Any:
    """Write numbers as JSON has them, and texts legibly, whatever the registry holds."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, str):
        return legible(value, _LONGEST)
    if value is None or isinstance(value, bool | int):
        return value
    return round(float(Fraction(value)), _PLACES)
