"""
Findings for which requests for issuance were returned, a part of docs/conformity.md.

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
from pathlib import Path
from typing import Any

FINDINGS, TESTS = Path("docs/findings.toml"), Path("tests")
NEITHER = "neither"
_VERDICTS = ("prevented", "shown", NEITHER)
_ADDRESS = re.compile(r"(?:cdm\.unfccc\.int)?(/(?:IRCheck|CCheck|Projects|reviews)/[^\s|,;)]+)")


def section(text: str, tests: Path = TESTS) -> str:
    """Return the part of the page, with the findings and their tests."""
    return "\n".join(_lines(resolved(text, tests))) + "\n"


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


def _lines(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
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
