"""
The conformity map, written from `docs/conformity.toml`.

What a standard or programme asks, where it is met, and which tests show it.  A line without a
test is shown as open, whatever else is said of it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

TABLE, PAGE = Path("docs/conformity.toml"), Path("docs/conformity.md")
_HEAD = """\
# Conformity map

Written by `make pages` from `docs/conformity.toml`; edit that file instead.

For: verifiers and officers. What standards and programmes ask, where tonne meets it, and the
tests that show it. This is no
certificate: no accredited body has assessed tonne against these texts. Certainty: [R] read on a
page of its owner, [T] transcribed, [r] second-hand, [M] unverified; the texts of ISO were not to be
had. A line without a test is open.
"""


def page(text: str) -> str:
    """Return the page of a table."""
    return "\n".join(_page(tomllib.loads(text)["line"])) + "\n"


def tests_of(text: str) -> list[str]:
    """Return all tests that a table names, `file::function`."""
    return [test for row in tomllib.loads(text)["line"] for test in row.get("tests", ())]


def _page(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    yield _HEAD
    shown = sum(bool(row.get("tests")) for row in rows)
    yield f"{shown} lines are shown by tests, {len(rows) - shown} are open."
    for of, lines in groupby(rows, key=lambda row: row["of"]):
        yield f"\n## {of}\n"
        yield "| clause | what it asks | where | shown by | certainty |"
        yield "|---|---|---|---|---|"
        yield from (_row(one) for one in lines)


def _row(one: dict[str, Any]) -> str:
    tests = "<br>".join(f"`{test}`" for test in one.get("tests", ())) or "**open**"
    cells = (one["clause"], one["says"], one.get("where", ""), tests, one["certainty"])
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Write the page below the current folder, where its table is."""
    if TABLE.is_file():
        PAGE.write_text(page(TABLE.read_text("utf-8")), encoding="utf-8")
