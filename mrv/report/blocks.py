"""
Contents of a page as data, rendered by `page.typ` in the PDF and by the console; and their texts.

Includes the device-days examined by the verifier (`mrv.statement.sampling`).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from functools import cache
from importlib import resources
from itertools import groupby
from math import ceil, floor
from typing import Any

from mrv.documents.verification import SampledDay, SamplingList
from mrv.report.words import DASH, SHOWN, Words

_HIDDEN = {"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"}
MOST = 10_000


def legible(text: str, maximum: int = MOST) -> str:
    """
    Return a text with control and direction marks as code numbers, cut to the maximum length.

    A mark that changes the writing direction could reverse a figure next to it; U+202E becomes its
    number in brackets.
    """
    label = text  # usual case, without a control or direction mark
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
# display units by base unit, from small to large, with their size in base units
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

    `base`: base unit: Wh, m, mL, g, s, K s or 1.
    `maximum`: largest amount. [base units]
    `number`: formats decimal text in the reader's language.
    """
    scales = SCALES[base]
    name, size = next((scale for scale in reversed(scales) if scale[1] <= maximum), scales[0])
    return name.replace("1000", number("1000")), size


def steps(low: Fraction, high: Fraction) -> list[Fraction]:
    """
    Return round axis values that include [low, high] and zero: four to eight on the long
    side.
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


Block = dict[str, Any]
# maximum rows of a table on paper; the workbook has all rows
MOST_ROWS = 200
_TOGETHER = 12


def together(rows: Iterable[Sequence[str]]) -> list[list[str]]:
    """Return rows; up to twelve successive ones become one if only their first cells differ."""
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
    Return a table; the number of rows beyond the page limit is stated.

    `columns`: heading, alignment (l, r, c), and share of the width; 0: the width of the text.
    `note`: key of the text on the number of further rows.
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

    `document`: the signed list; None if none was drawn.
    `zone`: time zone for the time of the draw.
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
