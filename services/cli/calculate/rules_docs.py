"""The catalogue of rules in docs/rules.md, written from mrv/rules so that it cannot drift."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from mrv.rules import STAGES, Rule, code_words, rules, words

PAGE = Path("docs/rules.md")
_BEGIN = "<!-- rules: begin, `make pages` -->"


def page(text: str) -> str:
    """Return the page with its catalogue written anew; what stands before it is kept."""
    return "\n".join((f"{text.partition(_BEGIN)[0]}{_BEGIN}", *_lines())) + "\n"


def _lines() -> Iterator[str]:
    yield "\n## Order of evaluation\n"
    yield "| stage | rules |\n|---|---|"
    for stage in STAGES:
        names = [f"[{row.id}](#{_anchor(row)})" for row in rules().values() if row.stage == stage]
        if names:
            yield f"| {code_words('stage', stage)} | {', '.join(names)} |"
    for group, rows in groupby(rules().values(), key=lambda row: row.group):
        yield f"\n## {code_words('group', group)}"
        for row in rows:
            yield from _rule(row)


def _rule(row: Rule) -> Iterator[str]:
    text = words(row.id)
    yield f"\n### {row.id} {text.title}\n"
    yield f"{text.checks}\n"
    severity = code_words("severity", row.severity)
    yield f"- **Effect**: {code_words('effect', row.effect)}; severity {severity}."
    yield f"- **Applies to**: {_listed('asks', row.asks)}. **Tolerance**: {text.tolerance}."
    yield f"- **Settled by**: {_listed('needs', row.needs)}."
    yield f"- **Remedy**: {text.remedy}"
    yield f"- **Source**: {row.source}."


def _anchor(row: Rule) -> str:
    kept = [c for c in f"{row.id} {words(row.id).title}".lower() if c.isalnum() or c in " -"]
    return "".join(kept).replace(" ", "-")


def _listed(kind: str, codes: tuple[str, ...]) -> str:
    return "; ".join(code_words(kind, code) for code in codes)


def main() -> None:
    """Write the page below the current folder."""
    PAGE.write_text(page(PAGE.read_text("utf-8")), encoding="utf-8")
