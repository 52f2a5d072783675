"""
Pages written from tables: projects of the catalog, the conformity map, the rules.

Metered and entered quantities of each project of the catalog, a part of docs/haiphong.md.

Written by `make pages` from the catalog and the methodologies.

The conformity map, written from `docs/conformity.toml`.

What a standard or programme asks, where it is met, and which tests show it.  A line without a
test is shown as open, whatever else is said of it.

The catalogue of rules in docs/rules.md, written from mrv/rules so that it cannot drift.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from mrv import methodologies
from mrv.countries import ruling
from mrv.methodologies import find
from mrv.model import Methodology
from mrv.rules import STAGES, Rule, code_words, rules, words
from services.cli.calculate import findings_docs
from services.registry.entries import Project
from services.registry.files import read_files

PAGE = Path("docs/haiphong.md")
CATALOG = Path("deploy/catalog/haiphong")
_BEGIN, _END = "<!-- projects: begin, `make pages` -->", "<!-- projects: end -->"
_COSTS = (
    "Not credited in any project: time without readings, register steps "
    "of unknown size, energy above the rated power or of the wrong kind, "
    "a meter whose certificate is for another meter, energy that another "
    "project claims. Consumption in such time is added at its upper bound."
)
TABLE, CONFORMITY = Path("docs/conformity.toml"), Path("docs/conformity.md")
_MAP_HEAD = """\
# Conformity map

Written by `make pages` from `docs/conformity.toml`, `docs/findings.toml` and the tests; edit those.

For: verifiers and officers. Requirements of standards and programmes, where tonne meets them, and
the tests that show it. This is not a certificate: no accredited body has assessed tonne against
these texts. Certainty: [R] read on a page of its owner, [T] transcribed, [r] second-hand, [M]
unverified; the texts of ISO were not available. A line without a test is open.
"""
RULES_PAGE = Path("docs/rules.md")
_RULES_BEGIN, _ANNEX = "<!-- rules: begin, `make pages` -->", "<!-- docket: begin"


def section(page: str) -> str:
    """Return the page with its part on projects written again."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n{chr(10).join(_lines())}\n{_END}{after}"


def _lines() -> Iterator[str]:
    registry = read_files([CATALOG]).registry
    yield f"{_COSTS}\n"
    yield "| project | methodology | metered, by role | by document or laboratory |"
    yield "|---|---|---|---|"
    for project in sorted(registry.projects.values(), key=lambda p: (p.system or "", p.id)):
        methodology = find(project.methodology, project.version)
        yield (
            f"| `{project.id}` | [{methodology.id}](methodologies/{methodology.id}.md) |"
            f" {', '.join(_measured(project))} |"
            f" {', '.join(_entered(project, methodology)) or '-'} |"
        )


def _measured(project: Project) -> Iterator[str]:
    for role, count in Counter(one.role for one in project.devices).items():
        yield role if count == 1 else f"{role} ({count} meters)"


def _entered(project: Project, methodology: Methodology) -> Iterator[str]:
    for name in methodology.parameters:
        if name in project.parameters:
            yield f"`{name}`"


def conformity_page(text: str) -> str:
    """Return the page of the conformity table."""
    return "\n".join(_conformity_page(tomllib.loads(text)["line"])) + "\n"


def tests_of(text: str) -> list[str]:
    """Return all tests named in a table, `file::function`."""
    return [test for row in tomllib.loads(text)["line"] for test in row.get("tests", ())]


def _conformity_page(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    yield _MAP_HEAD
    tested = sum(bool(row.get("tests")) for row in rows)
    yield f"{tested} rows are covered by tests, {len(rows) - tested} are open."
    for of, lines in groupby(rows, key=lambda row: row["of"]):
        yield f"\n## {of}\n"
        yield "| clause | requirement | where | tested by | certainty |"
        yield "|---|---|---|---|---|"
        yield from (_map_row(line) for line in lines)


def _map_row(one: dict[str, Any]) -> str:
    tests = "<br>".join(f"`{test}`" for test in one.get("tests", ())) or "**open**"
    cells = (one["clause"], one["says"], one.get("where", ""), tests, one["certainty"])
    return "| " + " | ".join(cells) + " |"


def write_conformity() -> None:
    """Write the page below the current folder, next to its table."""
    if TABLE.is_file():
        found = conformity_page(TABLE.read_text("utf-8"))
        found += findings_docs.section(findings_docs.FINDINGS.read_text("utf-8"))
        CONFORMITY.write_text(found, encoding="utf-8")


def rules_page(text: str) -> str:
    """Return the page with its catalogue written again; other text is kept."""
    before, _, rest = text.partition(_RULES_BEGIN)
    lines = "\n".join((f"{before}{_RULES_BEGIN}", *_rules_lines()))
    _, annex, after = rest.partition(_ANNEX)
    return f"{lines}\n{annex and chr(10)}{annex}{after}"


def _rules_lines() -> Iterator[str]:
    yield "\n## Order of evaluation\n"
    yield "| stage | `--stage` | rules |\n|---|---|---|"
    for stage in STAGES:
        names = [f"[{row.id}](#{_anchor(row)})" for row in rules().values() if row.stage == stage]
        if names:
            yield f"| {code_words('stage', stage)} | `{stage}` | {', '.join(names)} |"
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
    of = f" ({_with_capacity()})" if "capacity" in row.asks else ""
    asks = _rules_listed("asks", row.asks)
    yield f"- **Applies to**: {asks}{of}. **Tolerance**: {text.tolerance}."
    yield f"- **Settled by**: {_rules_listed('needs', row.needs)}."
    yield f"- **Remedy**: {text.remedy}"
    yield f"- **Source**: {row.source}."
    for country, ruled in ruling("rules").items():
        if row.id in ruled["sources"]:
            yield f"- **Source in {country}**: {ruled['sources'][row.id]}."


def _with_capacity() -> str:
    built = (name for name, method in methodologies.load().items() if method.capacities)
    return ", ".join(f"[{name}](methodologies/{name}.md)" for name in built)


def _anchor(row: Rule) -> str:
    kept = [c for c in f"{row.id} {words(row.id).title}".lower() if c.isalnum() or c in " -"]
    return "".join(kept).replace(" ", "-")


def _rules_listed(kind: str, codes: tuple[str, ...]) -> str:
    return "; ".join(code_words(kind, code) for code in codes)


def write_rules() -> None:
    """Write the page below the current folder."""
    RULES_PAGE.write_text(rules_page(RULES_PAGE.read_text("utf-8")), encoding="utf-8")
