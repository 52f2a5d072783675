"""Text of documents as a page may show it: nothing invisible, nothing without end."""

from __future__ import annotations

import unicodedata

_HIDDEN = {"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"}
MOST = 600


def legible(text: str, most: int = MOST) -> str:
    """
    Return a text with control and direction marks written out, cut where it is too long.

    A name that turns the direction of writing could make a figure beside it read
    backwards; U+202E becomes its number in brackets.
    """
    shown = "".join(_named(c) if unicodedata.category(c) in _HIDDEN else c for c in text)
    return shown if len(shown) <= most else f"{shown[: most - 1]}\N{HORIZONTAL ELLIPSIS}"


def _named(character: str) -> str:
    return " " if character in "\t\n\r" else f"[U+{ord(character):04X}]"
