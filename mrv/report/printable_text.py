"""Text of documents for a page: without invisible characters, of limited length."""

from __future__ import annotations

import unicodedata
from functools import cache
from importlib import resources

_HIDDEN = {"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"}
MOST = 10_000


def legible(text: str, maximum: int = MOST) -> str:
    """
    Return a text with control and direction marks written out, cut to the maximum length.

    A mark that changes the writing direction could reverse a figure beside it; U+202E becomes its
    number in brackets.
    """
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
