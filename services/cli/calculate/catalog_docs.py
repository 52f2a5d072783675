"""
Pages written from tables: projects of the catalog, and the conformity map.

What each project of the catalog of Hai Phong counts, as a part of docs/haiphong.md.

Written by `make pages` from the catalog, the methodologies and the factor book, so that the
page cannot say another thing than the account does.

The conformity map, written from `docs/conformity.toml`.

What a standard or programme asks, where it is met, and which tests show it.  A line without a
test is shown as open, whatever else is said of it.

Findings with which requests for issuance came back, a part of docs/conformity.md.

Whether each is prevented or shown, and by which tests; one without a test is neither, whatever
else is said of it.  Tests are named in `docs/findings.toml`, or name the finding's address
themselves: in their docstring, or in a table of their file's docstring whose second column has a
word of their name.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from mrv import factors
from mrv.accounting.entered_values import parameters_of
from mrv.methodologies import find
from mrv.model import Factor, Methodology
from mrv.registry import programme_systems
from services.registry import needs
from services.registry.entries import Device, Project, Registry
from services.registry.files import read_files
from services.registry.service_times import whole_grid

FINDINGS, TESTS = Path("docs/findings.toml"), Path("tests")
NEITHER = "neither"
_VERDICTS = ("prevented", "shown", NEITHER)
_ADDRESS = re.compile(r"(?:cdm\.unfccc\.int)?(/(?:IRCheck|CCheck|Projects|reviews)/[^\s|,;)]+)")


def findings_section(text: str, tests: Path = TESTS) -> str:
    """Return the part of the page, of findings with the tests that a folder holds."""
    return "\n".join(_finding_lines(resolved(text, tests))) + "\n"


def resolved(text: str, tests: Path) -> list[dict[str, Any]]:
    """Return findings with their tests and verdict."""
    rows: list[dict[str, Any]] = tomllib.loads(text)["finding"]
    named: dict[str, list[str]] = {}
    for file in sorted(tests.rglob("test_*.py")):
        name = f"{tests.name}/{file.relative_to(tests)}"
        for address, test in _addressed(file.read_text("utf-8"), name):
            named.setdefault(address, []).append(test)
    taken = {(_key(row["address"]), test) for row in rows for test in row.get("tests", ())}
    for row in rows:
        key = _key(row["address"])
        if "tests" not in row:
            found = dict.fromkeys(named.get(key, ()))
            row["tests"] = [test for test in found if (key, test) not in taken]
        row["now"] = row["now"] if row["tests"] else NEITHER
    return rows


def _key(address: str) -> str:
    """Return what names a finding in any way of writing its address."""
    path = address.removeprefix("cdm.unfccc.int").partition("?")[0]
    return path.rstrip(".:").removesuffix("/viewPublic")


def _addressed(source: str, file: str) -> Iterator[tuple[str, str]]:
    """Yield addresses in docstrings with their tests."""
    tree = ast.parse(source)
    tests = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name.startswith("test_")]
    for test in tests:
        for address in _ADDRESS.findall(ast.get_docstring(test) or ""):
            yield _key(address), f"{file}::{test.name}"
    for line in (ast.get_docstring(tree) or "").splitlines():
        word = line.rstrip(" |").rpartition("|")[2].strip() if line.startswith("|") else ""
        for address in _ADDRESS.findall(line):
            for test in tests:
                if word in ("", *test.name.split("_")):
                    yield _key(address), f"{file}::{test.name}"


def _finding_lines(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    yield "\n## Findings with which requests for issuance came back (CDM)\n"
    before, now = (
        ", ".join(f"{sum(row[when] == v for row in rows)} {v}" for v in _VERDICTS)
        for when in ("before", "now")
    )
    yield (
        f"{len(rows)} findings of the CDM's secretariat and Board. Before 0.2.0: {before}."
        f" Now: {now}. Prevented: it cannot happen, or what it hides does not count. Shown:"
        " operator and verifier read it in the statement before it is submitted.\n"
    )
    yield "| finding | of | matter | before | now | by |"
    yield "|---|---|---|---|---|---|"
    for number, one in enumerate(rows, 1):
        tests = "<br>".join(f"`{test}`" for test in one["tests"]) or "-"
        link = f"[{number}](https://{one['address']})"
        verdict = f"**{NEITHER}**" if one["now"] == NEITHER else one["now"]
        yield f"| {link} | {one['of']} | {one['issue']} | {one['before']} | {verdict} | {tests} |"


PAGE = Path("docs/haiphong.md")
CATALOG = Path("deploy/catalog/haiphong")
_BEGIN, _END = "<!-- projects: begin, `make pages` -->", "<!-- projects: end -->"
_COSTS = (
    "Not credited in any project: time without readings, register steps of unknown size, energy"
    " above the rated power or of the wrong kind, a meter whose certificate is for another meter,"
    " energy that another project claims. Consumption in such time is charged at its upper bound."
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


def section(page: str) -> str:
    """Return the page with its part on projects written anew."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n{chr(10).join(_lines())}\n{_END}{after}"


def _lines() -> Iterator[str]:
    registry = read_files([CATALOG]).registry
    yield f"{_COSTS}\n"
    used: dict[str, Factor] = {}
    for system in programme_systems.load().values():
        mine = [p for p in registry.projects.values() if p.system == system.id]
        yield f"### {system.title}\n"
        if system.reason:
            yield f"No tonnes: {system.reason}.\n"
        elif not mine:
            yield f"No project in the catalog. Counted by {', '.join(system.methods)}.\n"
        for project in sorted(mine, key=lambda p: p.id):
            yield from _project(project, registry, used)
    yield "### Factors and their sources\n"
    yield "`[M]` is unverified, `[r]` second-hand, `[B]` back-solved, `[T]` a transcription.\n"
    yield "| factor | value | unit | for | source |\n|---|---|---|---|---|"
    for _, factor in sorted(used.items()):
        yield (
            f"| `{factor.id}` | {factor.text} | {factor.unit} | {factor.direction} |"
            f" {factor.source} [{factor.certainty}] |"
        )


def _project(project: Project, registry: Registry, used: dict[str, Factor]) -> Iterator[str]:
    methodology = find(project.methodology, project.version)
    page = f"methodologies/{methodology.id}.md"
    yield (
        f"**`{project.id}`** {project.name}, by [{methodology.reference}]({page})"
        f" ({methodology.id} {project.version}).\n"
    )
    yield f"- measured: {'; '.join(_measured(project, methodology, registry.devices))}"
    typed = [*_typed(project, methodology)]
    if typed:
        yield f"- by document or laboratory: {', '.join(typed)}"
    mine = _factors(project, methodology, registry)
    used |= {factor.id: factor for factor in mine}
    named = (f"`{f.id}` {_amount(f.text, f.unit)}" for f in mine)
    yield f"- factors: {', '.join(named) or 'none'}"
    yield f"- rules of the methodology: {' '.join(methodology.rules)}\n"


def _measured(
    project: Project, methodology: Methodology, devices: dict[str, Device]
) -> Iterator[str]:
    for role, need in methodology.roles.items():
        bound = [d.device for d in project.devices if d.role == role]
        if bound:
            kinds = ", ".join(sorted({devices[name].class_id for name in bound}))
            less = f" less {need.less}" if need.less else ""
            meters = "1 meter" if len(bound) == 1 else f"{len(bound)} meters"
            yield f"{need.symbol or role} {need.quantity}{less} ({kinds}, {meters})"


def _typed(project: Project, methodology: Methodology) -> Iterator[str]:
    for name, spec in methodology.parameters.items():
        if name in project.parameters:
            measured = f", or {spec.channels[-1]}" if spec.channels else ""
            yield f"`{name}` = {_amount(project.parameters[name], spec.unit)}{measured}"


def _amount(value: object, unit: str) -> str:
    return str(value) if unit in ("1", "year") else f"{value} {unit}"


def _factors(project: Project, methodology: Methodology, registry: Registry) -> list[Factor]:
    parameters = parameters_of(methodology, project.parameters, project.id)
    book = factors.load().within(whole_grid(project, registry))
    return needs.factors_asked(project, methodology, parameters, book)


def conformity_page(text: str) -> str:
    """Return the page of a table."""
    return "\n".join(_conformity_page(tomllib.loads(text)["line"])) + "\n"


def tests_of(text: str) -> list[str]:
    """Return all tests that a table names, `file::function`."""
    return [test for row in tomllib.loads(text)["line"] for test in row.get("tests", ())]


def _conformity_page(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    yield _MAP_HEAD
    tested = sum(bool(row.get("tests")) for row in rows)
    yield f"{tested} lines are shown by tests, {len(rows) - tested} are open."
    for of, lines in groupby(rows, key=lambda row: row["of"]):
        yield f"\n## {of}\n"
        yield "| clause | what it asks | where | shown by | certainty |"
        yield "|---|---|---|---|---|"
        yield from (_map_row(line) for line in lines)


def _map_row(one: dict[str, Any]) -> str:
    tests = "<br>".join(f"`{test}`" for test in one.get("tests", ())) or "**open**"
    cells = (one["clause"], one["says"], one.get("where", ""), tests, one["certainty"])
    return "| " + " | ".join(cells) + " |"


def write_conformity() -> None:
    """Write the page below the current folder, where its table is."""
    if TABLE.is_file():
        found = conformity_page(TABLE.read_text("utf-8"))
        found += findings_section(FINDINGS.read_text("utf-8"))
        CONFORMITY.write_text(found, encoding="utf-8")
