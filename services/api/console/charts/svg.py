"""SVG elements: numbers to a tenth of a pixel, escaped texts."""

from __future__ import annotations

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
