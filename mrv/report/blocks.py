"""
Contents of a page as data, rendered by `page.typ` in the PDF and by the console.

Includes the device-days examined by the verifier (`mrv.statement.sampling`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import groupby
from typing import Any

from mrv.documents.verification import SampledDay, SamplingList
from mrv.report.translations import DASH, SHOWN
from mrv.report.words import Words

Block = dict[str, Any]
# rows of a table on paper; the workbook has all
MOST_ROWS = 200
_TOGETHER = 12


def together(rows: Iterable[Sequence[str]]) -> list[list[str]]:
    """Return successive rows that differ in their first cell alone as one, at most twelve each."""
    result: list[list[str]] = []
    for rest, same in groupby(rows, key=lambda row: list(row[1:])):
        names = [row[0] for row in same]
        few = (names[i : i + _TOGETHER] for i in range(0, len(names), _TOGETHER))
        result += [[", ".join(part_), *rest] for part_ in few]
    return result


def part(text: str) -> Block:
    """Return the heading of a part."""
    return {"kind": "h1", "text": text}


def chapter(text: str) -> Block:
    """Return the heading of a chapter in a part."""
    return {"kind": "h2", "text": text}


def paragraph(text: str, *, small: bool = False) -> Block:
    """Return a paragraph of text."""
    return {"kind": "p", "text": text, "small": small, "leads": False}


def note(text: str) -> Block:
    """Return a note on the following table, on the same page."""
    return {**paragraph(text, small=True), "leads": True}


def banner(text: str, tone: str) -> Block:
    """Return a banner; `tone` is `good`, `warn` or `bad`."""
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
    Return a table; for rows beyond the page limit the number is stated.

    Parameters
    ----------
    columns : sequence of (str, str, float)
        Heading, alignment (l, r, c), and share of the width; 0: the width of the text.
    note : str
        Key of the text on the number of further rows.
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


def sampled(document: SamplingList | None, zone: str, words: Words) -> Iterator[Block]:
    """
    Yield a description of how the sample was drawn, and its device-days.

    Parameters
    ----------
    document : SamplingList or None
        The signed list; None if none was drawn.
    zone : str
        Time zone for the time of the draw.
    """
    yield chapter(words["sampling"])
    if document is None:
        yield paragraph(words["page.no_sample"], small=True)
        return
    yield note(words["sampling_note"])
    yield pairs(drawn_rows(document, zone, words))
    heads = [
        (words["day"], "l", 0),
        (words["device"], "l", 1.3),
        (words["role"], "l", 0.9),
        (words["drawn"], "l", 0.8),
        (words["metered"], "r", 1.0),
        (words["weight"], "r", 0),
        (words["risk"], "l", 2.0),
    ]
    rows: list[list[str | None]] = []
    for item in document.credential_subject.items:
        unit, size = SHOWN[item.unit]
        amount = words.number(words.plain(Fraction(item.metered) / size, 6))
        rows.append([
            words.day(item.day), item.device, words.get(f"role.{item.role}", item.role),
            drawn(item, words), f"{amount} {unit}", item.weight, risks(item, words) or DASH,
        ])  # fmt: skip
    yield table(words, heads, rows)


def drawn_rows(document: SamplingList, zone: str, words: Words) -> list[tuple[str, str | None]]:
    """Return the rows of the draw: author, numbers, time and seed."""
    sample = document.credential_subject
    return [
        (words["sampling.population"], words.number(sample.population)),
        (words["sampling.random"], words.number(sample.random)),
        (words["sampling.by_risk"], words.number(sample.by_risk)),
        (words["sampling.by"], document.issuer.name),
        (words["sampling.at"], words.moment(document.valid_from, zone)),
        (words["sampling.seed"], sample.seed),
    ]


def drawn(sampled_day: SampledDay, words: Words) -> str:
    """Return how a device-day was selected."""
    return words.get(f"drawn.{sampled_day.drawn.replace(' ', '_')}", sampled_day.drawn)


def risks(sampled_day: SampledDay, words: Words) -> str:
    """Return why a device-day has a higher weight; empty without a reason."""
    return "; ".join(words.get(f"risk.{why.replace(' ', '_')}", why) for why in sampled_day.reasons)
