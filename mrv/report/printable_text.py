"""Text of documents for a page, and axes of charts."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from importlib import resources
from math import ceil, floor

_HIDDEN = {"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"}
MOST = 10_000


def legible(text: str, maximum: int = MOST) -> str:
    """
    Return a text with control and direction marks written out, cut to the maximum length.

    A mark that changes the writing direction could reverse a figure next to it; U+202E becomes its
    number in brackets.
    """
    label = text  # nearly always: no character of these categories counts as printable
    if not text.isprintable():
        label = "".join(_named(c) if unicodedata.category(c) in _HIDDEN else c for c in text)
    return label if len(label) <= maximum else f"{label[: maximum - 1]}\N{HORIZONTAL ELLIPSIS}"


def printable(text: str, maximum: int = MOST) -> str:
    """Return a legible text, with code numbers for characters missing in the fonts."""
    covered = _covered()
    composed = unicodedata.normalize("NFC", legible(text, maximum))
    return "".join(c if ord(c) in covered else _named(c) for c in composed)


def _named(character: str) -> str:
    return " " if character in "\t\n\r" else f"[U+{ord(character):04X}]"


@cache
def _covered() -> frozenset[int]:
    """Return the characters contained in both weights of our fonts."""
    lines = resources.files("mrv.report").joinpath("fonts/coverage.txt").read_text("ascii")
    spans = (line.split("-") for line in lines.split())
    return frozenset(c for first, last in spans for c in range(int(first, 16), int(last, 16) + 1))


_STEPS = 4
# base unit: units for people, small to large, and how many base units each is; 1000 is written
# in the reader's way, since "1,000 km" is one km beside decimal commas
SCALES: dict[str, tuple[tuple[str, int], ...]] = {
    "Wh": (("Wh", 1), ("kWh", 10**3), ("MWh", 10**6), ("GWh", 10**9)),
    "m": (("m", 1), ("km", 10**3), ("1000 km", 10**6)),
    "mL": (("L", 10**3), ("m3", 10**6), ("1000 m3", 10**9)),
    "g": (("kg", 10**3), ("t", 10**6)),
    "s": (("h", 3600), ("1000 h", 3_600_000)),
    "K s": (("K d", 86_400),),
    "1": (("1", 1), ("1000", 10**3)),
}


def unit_for(base: str, maximum: Fraction, number: Callable[[str], str]) -> tuple[str, int]:
    """
    Return the display unit for an amount, and its size in base units.

    Parameters
    ----------
    base : str
        Base unit: Wh, m, mL, g, s, K s or 1.
    maximum : Fraction
        Largest amount. [base units]
    number : callable
        Formats decimal text in the reader's language.
    """
    scales = SCALES[base]
    name, size = next((scale for scale in reversed(scales) if scale[1] <= maximum), scales[0])
    return name.replace("1000", number("1000")), size


def steps(low: Fraction, high: Fraction) -> list[Fraction]:
    """
    Return round axis values that include [low, high] and zero, four to eight on the longer side.

    Parameters
    ----------
    low, high : Fraction
        Smallest and largest value; the axis is extended to zero.
    """
    low, high = min(low, Fraction(0)), max(high, Fraction(0))
    maximum = max(high, -low) or Fraction(1)
    step = Fraction(1)
    while step * _STEPS < maximum:
        step *= 10
    while step * _STEPS >= maximum * 10:
        step /= 10
    step = next(size for size in (step / 5, step / 2, step) if size * _STEPS >= maximum)
    return [step * i for i in range(floor(low / step), max(ceil(high / step), 1) + 1)]
