"""Contents of a page as data, rendered by `page.typ` in the PDF and by the console."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from mrv.report.words import Words

Block = dict[str, Any]
# rows of a table on paper; the workbook has all
MOST_ROWS = 200


def part(text: str) -> Block:
    """Return the heading of a part."""
    return {"kind": "h1", "text": text}


def chapter(text: str) -> Block:
    """Return the heading of a chapter in a part."""
    return {"kind": "h2", "text": text}


def paragraph(text: str, *, small: bool = False) -> Block:
    """Return running text."""
    return {"kind": "p", "text": text, "small": small, "leads": False}


def note(text: str) -> Block:
    """Return a note on the following table, on the same page."""
    return {**paragraph(text, small=True), "leads": True}


def banner(text: str, tone: str) -> Block:
    """Return a banner; tone `good`, `warn` or `bad`."""
    return {"kind": "banner", "text": text, "tone": tone}


def pairs(rows: Iterable[tuple[str, str | None]]) -> Block:
    """Return names and their values; None is shown as not stated."""
    return {"kind": "pairs", "rows": [list(row) for row in rows]}


def table(
    words: Words,
    columns: Sequence[tuple[str, str, float]],
    rows: Sequence[Sequence[str | None]],
    note: str = "page.more_rows",
) -> Block:
    """
    Return a table; rows beyond the paper's limit are counted.

    Parameters
    ----------
    columns : sequence of (str, str, float)
        Head, alignment (l, r, c), and share of the width; 0 is as wide as its text.
    note : str
        Word that says how many more there are.
    """
    more = len(rows) - MOST_ROWS
    return {
        "kind": "table",
        "heads": [head for head, _, _ in columns],
        "align": [align for _, align, _ in columns],
        "widths": [width for _, _, width in columns],
        "rows": [list(row) for row in rows[:MOST_ROWS]],
        "note": words.filled(note, more) if more > 0 else "",
    }
